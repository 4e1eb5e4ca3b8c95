"""What the webhooks would say of what is stored: the same governance, the same inputs, the same verdicts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from webhook.audit.scan.stock import Stock, key_of
from webhook.policy.decision import Decision
from webhook.policy.environment import ConfigMaps
from webhook.policy.gateway import deployment_of, gateway_index, named_container
from webhook.policy.gateway_resource import Gateway
from webhook.policy.governance import Claims, Governance, govern
from webhook.policy.inputs import MigrationInputs, migration_inputs
from webhook.policy.names import MODE_SKIP
from webhook.policy.objects import Container, Deployment, Namespace, Pod
from webhook.policy.pod.pods import Admission, decide_pod
from webhook.policy.pod.schema_mode import effective_modes
from webhook.policy.reasons import ALLOWING, Reason
from webhook.policy.record import Record, RecordSpec
from webhook.policy.rollout.change import Change, Rollout
from webhook.policy.rollout.verdict import decide

_EMPTY_TEMPLATE = msgspec.Raw(b"{}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPod:
    """A pod that runs, with what the webhook would make of it today."""

    pod: Pod
    inputs: MigrationInputs
    decision: Decision
    skips: bool
    config_maps: ConfigMaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A Gateway's Deployment, with the verdict on it if its template were rolled out anew today.

    ``inputs`` are worked out for one that nobody governs too, and are None without a database. ``modes`` are the
    schema-update modes that the template sets itself. ``decision`` is None where ConfigMaps could not be read.
    """

    deployment: Deployment
    container: Container
    record: Record | None
    gateway: Gateway | None
    namespace: Namespace | None
    governance: Governance | None
    inputs: MigrationInputs | None
    decision: Decision | None
    config_maps: ConfigMaps
    modes: tuple[str, ...]
    pods: tuple[JudgedPod, ...]

    @property
    def where(self) -> tuple[str, str]:
        """Namespace and name."""
        return key_of(self.deployment.metadata)

    @property
    def complete(self) -> bool:
        """Whether the migration of what is stored is recorded as complete, if last or earlier."""
        if self.governance is None or self.inputs is None or self.decision is None:
            return False
        return self.governance.completed(self.inputs) is not None

    @property
    def incomplete(self) -> bool:
        """Whether its template runs, or may start any moment, though its migration is not complete."""
        speaks = self.decision is not None and self.decision.reason not in {*ALLOWING, Reason.INVALID_INPUTS}
        return speaks and not self.complete

    @property
    def skips(self) -> bool:
        """Whether its template sets skip itself, whatever the webhook does to its pods."""
        return self.modes[-1:] == (MODE_SKIP,)


def judge(stock: Stock) -> Iterator[Judged | tuple[Deployment, str]]:
    """Judge every Gateway's Deployment, by namespace and name; one that cannot be read comes with the cause."""
    pods: dict[tuple[str, str], list[Pod]] = {}
    for pod in stock.pods:
        name = deployment_of(pod)
        if name is not None and pod.lives:
            pods.setdefault((pod.metadata.namespace, name), []).append(pod)
    for deployment in sorted(stock.deployments, key=lambda item: key_of(item.metadata)):
        if deployment.metadata.deletion_timestamp is not None:
            continue
        try:
            judged = _judge(stock, deployment, pods.get(key_of(deployment.metadata), ()))
        except msgspec.ValidationError as error:
            yield deployment, str(error)
            continue
        if judged is not None:
            yield judged


def _judge(stock: Stock, deployment: Deployment, pods: Sequence[Pod]) -> Judged | None:
    namespace, name = key_of(deployment.metadata)
    # Compared with an empty template, so that the verdict is one on all that the Deployment runs.
    empty = msgspec.structs.replace(deployment.spec, template=_EMPTY_TEMPLATE)
    before = msgspec.structs.replace(deployment, spec=empty)
    change = Change.between(namespace, deployment, before)
    if change.new.gateway is None:
        return None
    governance = govern(
        Claims(
            record=stock.records.get((namespace, name)),
            gateway=stock.gateways.get((namespace, name)),
            deployments=(deployment.metadata,),
            namespace=stock.namespaces.get(namespace),
            default_mode=stock.default_mode,
        )
    )
    verdicts = [_verdict(stock, each, governance) for each in (change, *change.others())]
    # As the webhook does: the first container that is turned away speaks for all.
    container, maps, inputs, decision = next(
        (verdict for verdict in verdicts if verdict[-1].reason not in ALLOWING), verdicts[0]
    )
    readable = "ConfigMap" not in stock.unread
    return Judged(
        deployment=deployment,
        container=container,
        record=stock.records.get((namespace, name)),
        gateway=stock.gateways.get((namespace, name)),
        namespace=stock.namespaces.get(namespace),
        governance=governance,
        inputs=inputs,
        decision=decision if readable else None,
        config_maps=maps,
        modes=effective_modes(container, maps),
        pods=tuple(_pods(stock, deployment, governance, pods)) if readable else (),
    )


def _verdict(
    stock: Stock, change: Change, governance: Governance | None
) -> tuple[Container, ConfigMaps, MigrationInputs | None, Decision]:
    container = change.new.gateway
    if container is None:
        raise AssertionError("looked at before: it has a gateway container")
    maps = stock.config_maps_for(change.namespace, container)
    spec = governance.spec if governance else RecordSpec()
    inputs = migration_inputs(change.new.template.spec, container, spec, maps)
    return container, maps, inputs, decide(Rollout(change, governance, inputs=inputs))


def _pods(
    stock: Stock, deployment: Deployment, governance: Governance | None, pods: Sequence[Pod]
) -> Iterator[JudgedPod]:
    namespace, name = key_of(deployment.metadata)
    for pod in sorted(pods, key=lambda item: item.metadata.name):
        index = gateway_index(pod.spec, named_container([pod.metadata, deployment.metadata]))
        if index is None or governance is None:
            continue
        container = (pod.spec.containers or ())[index]
        maps = stock.config_maps_for(namespace, container)
        inputs = migration_inputs(pod.spec, container, governance.spec, maps)
        if inputs is None:
            continue
        decision = decide_pod(Admission(name, index, container, governance, inputs, maps))
        skips = effective_modes(container, maps)[-1:] == (MODE_SKIP,)
        yield JudgedPod(pod=pod, inputs=inputs, decision=decision, skips=skips, config_maps=maps)
