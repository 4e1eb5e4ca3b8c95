"""The facts about one Deployment request, gathered before anything is decided."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from webhook.policy.environment import config_maps_of
from webhook.policy.gateway import gateway_candidates, gateway_container
from webhook.policy.governance import Governance
from webhook.policy.inputs import MigrationInputs
from webhook.policy.names import GATEWAY_CONTAINER
from webhook.policy.objects import Container, Deployment, ObjectMeta, PodTemplate
from webhook.policy.rollout.bypass import LONGEST, Bypass, BypassRefusal, Requester, explained, refusal
from webhook.policy.value import Value


class Workload(Value, frozen=True):
    """A Deployment as one side of a request: decoded template and gateway container, if it has one."""

    deployment: Deployment
    template: PodTemplate
    gateway: Container | None

    @classmethod
    def of(cls, deployment: Deployment) -> "Workload":
        """Look into a Deployment; msgspec.ValidationError when its template has the wrong shape."""
        template = deployment.template()
        return cls(deployment, template, gateway_container(template.spec, (deployment.metadata,)))

    def beside(self, other: Deployment) -> "Workload":
        """Look into a Deployment with the same template, which needs no second look."""
        same = other.metadata.annotation(GATEWAY_CONTAINER) == self.named
        gateway = self.gateway if same else gateway_container(self.template.spec, (other.metadata,))
        return Workload(other, self.template, gateway)

    def at(self, name: str) -> "Workload":
        """Give the same with the container of this name as the Gateway, where there is one."""
        found = (item for item in self.template.spec.containers or () if item.name == name)
        return msgspec.structs.replace(self, gateway=next(found, self.gateway))

    @property
    def named(self) -> str | None:
        """The container that an annotation names as the Gateway."""
        return self.meta.annotation(GATEWAY_CONTAINER)

    @property
    def candidates(self) -> tuple[Container, ...]:
        """All containers that may be the Gateway, whichever is looked at."""
        return gateway_candidates(self.template.spec, self.named)

    @property
    def names(self) -> frozenset[str]:
        """Names of all containers, init containers among them."""
        spec = self.template.spec
        init = {item.name for item in spec.init_containers or ()}
        return frozenset(item.name for item in spec.containers or ()) | init

    @property
    def meta(self) -> ObjectMeta:
        """The Deployment's metadata."""
        return self.deployment.metadata

    @property
    def paused(self) -> bool:
        """Whether no pod of a new template starts."""
        return self.deployment.spec.paused


class Change(Value, frozen=True):
    """What a request does to a Deployment. ``old`` is None on CREATE.

    ``main`` is False where another container is looked at than the one that is migrated for.
    """

    namespace: str
    name: str
    new: Workload
    old: Workload | None
    template_unchanged: bool
    judged: bool = True
    main: bool = True

    @classmethod
    def between(cls, namespace: str, new: Deployment, old: Deployment | None, *, judged: bool = True) -> "Change":
        """Compare two states of a Deployment; ``judged`` is False for other operations than create and update."""
        same = old is not None and new.same_template(old)
        fresh = Workload.of(new)
        before = None
        if old is not None:
            before = fresh.beside(old) if same else Workload.of(old)
        return cls(namespace, new.metadata.name, fresh, before, same, judged)

    def others(self) -> tuple["Change", ...]:
        """Give the change of every further container that may be a Gateway, or was one: a decoy hides nothing."""
        if not self.starts_pods and self._same_gateways:
            return ()
        before = {item.name for item in self.old.candidates} if self.old is not None else set[str]()
        wanted = dict.fromkeys(item.name for item in self.new.candidates) | dict.fromkeys(
            sorted(before & self.new.names)
        )
        main = self.new.gateway or (self.old.gateway if self.old is not None else None)
        return tuple(self._at(name) for name in wanted if main is None or name != main.name)

    def gone(self) -> tuple["Change", ...]:
        """Give the loss of every container that was a Gateway and whose name is there no more.

        One that was only renamed is found under its new name. So they count where nothing that is left has a
        database: then what had it left, or runs on under a name that nobody knows.
        """
        if self.old is None or self.template_unchanged:
            return ()
        bare = msgspec.structs.replace(self.new, gateway=None)
        return tuple(
            msgspec.structs.replace(self._at(item.name), new=bare)
            for item in self.old.candidates
            if item.name not in self.new.names
        )

    def release(self) -> "Change":
        """Give the change that follows once this one was held: the same template goes on."""
        spec = msgspec.structs.replace(self.new.deployment.spec, paused=True)
        before = msgspec.structs.replace(self.new.deployment, spec=spec)
        return msgspec.structs.replace(
            self, old=msgspec.structs.replace(self.new, deployment=before), template_unchanged=True
        )

    def _at(self, name: str) -> "Change":
        return msgspec.structs.replace(self, new=self.new.at(name), old=self.old and self.old.at(name), main=False)

    @property
    def _same_gateways(self) -> bool:
        return self.old is None or (self.template_unchanged and self.new.named == self.old.named)

    @property
    def loses_gateway(self) -> bool:
        """Whether the container that was the Gateway is gone, or runs on where nobody would know it for one."""
        if self.old is None or self.old.gateway is None or self._same_gateways:
            return False
        if self.new.gateway is None:
            return True
        name = self.old.gateway.name
        return name in self.new.names and all(item.name != name for item in self.new.candidates)

    @property
    def resumes(self) -> bool:
        """Whether the request lets a paused Deployment go on."""
        return self.old is not None and self.old.paused and not self.new.paused

    @property
    def starts_pods(self) -> bool:
        """Whether the request may start pods of another template."""
        return self.resumes or not self.template_unchanged

    @property
    def needs_inputs(self) -> bool:
        """Whether the verdict depends on the inputs of either side."""
        return self.starts_pods or self.loses_gateway

    @property
    def metas(self) -> Sequence[ObjectMeta]:
        """Metadata of the new and the old object: a wish dropped in this very request still counts."""
        return [side.meta for side in (self.new, self.old) if side is not None]

    @property
    def config_maps(self) -> frozenset[str]:
        """Names of the ConfigMaps that must be read before the request can be judged."""
        if not self.needs_inputs:
            return frozenset()
        sides = (self.new, self.old)
        return frozenset().union(*(config_maps_of(side.gateway) for side in sides if side and side.gateway))


class DryRun(StrEnum):
    """What becomes of a dry run that would be denied."""

    DECIDE = "decide"
    WARN = "warn"


class Terms(Value, frozen=True):
    """What holds for all rollouts: how far ahead break-glass may end, and how a dry run is answered."""

    bypass_longest: timedelta = LONGEST
    dry_run: DryRun = DryRun.DECIDE


class Rollout(Value, frozen=True):
    """A change with everything that the verdict depends on.

    ``inputs`` and ``old_inputs`` are None where the Gateway has no database, has no gateway container, or where
    the change needs none. ``requester`` says whether who asks may break glass. ``now`` is aware.
    """

    change: Change
    governance: Governance | None
    inputs: MigrationInputs | None = None
    old_inputs: MigrationInputs | None = None
    bypass: Bypass | None = None
    requester: Requester = Requester()
    now: datetime | None = None
    terms: Terms = Terms()

    @property
    def bypass_refusal(self) -> BypassRefusal | None:
        """Why break-glass is not honoured; None where it is, where nobody tries, and without inputs."""
        if self.bypass is None or self.inputs is None:
            return None
        return refusal(
            self.bypass,
            self.inputs.spec_hash,
            now=self.now,
            requester=self.requester,
            longest=self.terms.bypass_longest,
        )

    @property
    def bypass_refusal_told(self) -> str:
        """The same for who tries, empty where there is nothing to tell."""
        why = self.bypass_refusal
        if why is None or self.inputs is None:
            return ""
        words = explained(why, self.inputs.spec_hash, longest=self.terms.bypass_longest)
        return f"bypass not honoured: {words}"

    @property
    def lenient(self) -> bool:
        """Whether it is a dry run that is told of a denial instead of being denied."""
        return self.requester.dry_run and self.terms.dry_run is DryRun.WARN
