"""The three webhooks: decode, gather, decide, encode."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Generic, Protocol, TypeVar

import msgspec

from webhook.admission.gather import Gatherer
from webhook.admission.review import Request, decode_review, encode_answer
from webhook.admission.server import Endpoint, Reply
from webhook.errors import ReviewError
from webhook.policy.decision import WARNING_LIMIT, Decision, printable
from webhook.policy.objects import Deployment, Pod
from webhook.policy.pod.pods import Admission, decide_pod
from webhook.policy.reasons import ALLOWING, Reason
from webhook.policy.rollout.change import Change, Rollout
from webhook.policy.rollout.hold import hold
from webhook.policy.rollout.verdict import decide
from webhook.policy.value import Value

T = TypeVar("T", Deployment, Pod)
Clock = Callable[[], datetime]


class Verdict(Value, frozen=True):
    """A decision with what is worth telling of its request, for logs, metrics and the audit."""

    webhook: str
    operation: str
    namespace: str
    name: str
    user: str
    dry_run: bool
    decision: Decision
    rollout: Rollout | None = None
    groups: tuple[str, ...] = ()
    uid: str = ""


class VerdictSink(Protocol):
    """Takes note of verdicts, off the request path: it returns at once and never raises."""

    def verdict(self, verdict: Verdict) -> None:
        """Take note of a verdict."""


class Judge(Protocol[T]):
    """Judges one request of a kind."""

    async def __call__(self, request: Request[T], now: datetime, /) -> tuple[Decision, Rollout | None]:
        """Give the decision, and the rollout that it is about where there is one."""


class ReviewEndpoint(Generic[T]):
    """One webhook: an Endpoint of the server around a judge."""

    def __init__(self, webhook: str, kind: type[T], judge: Judge[T], sink: VerdictSink, clock: Clock) -> None:
        self._webhook = webhook
        self._kind: type[T] = kind
        self._resource = f"{kind.__name__.lower()}s"
        self._judge: Judge[T] = judge
        self._sink = sink
        self._clock = clock

    async def __call__(self, body: bytes, *, deadline: float) -> Reply:  # noqa: ARG002 # the server keeps it
        """Answer one AdmissionReview; 400 with what was expected when the body is none."""
        try:
            request = decode_review(body, self._kind)
            decision, rollout = await self._decide(request)
        except ReviewError as error:
            return _refused(str(error))
        except msgspec.ValidationError as error:  # a pod template is decoded only where somebody looks inside
            return _refused(f"expected a {self._kind.__name__}: {printable(str(error), WARNING_LIMIT)}")
        name = request.name or (request.new.metadata.generate_name if request.new else "")
        self._sink.verdict(
            Verdict(
                self._webhook,
                request.operation,
                request.namespace,
                name,
                request.user.username,
                request.dry_run,
                decision,
                rollout,
                request.user.groups or (),
                request.uid,
            )
        )
        return Reply(200, encode_answer(request.uid, decision, self._resource, name))

    async def _decide(self, request: Request[T]) -> tuple[Decision, Rollout | None]:
        if request.foreign is not None:
            warning = printable(
                f"schemagate: not made to judge {request.foreign}; mend the webhook configuration", WARNING_LIMIT
            )
            return _not_judged(warning), None
        if request.new is None:
            return _not_judged(), None
        return await self._judge(request, self._clock())


def deployment_validator(gatherer: Gatherer) -> Judge[Deployment]:
    """Make the judge that turns away rollouts whose migration is not complete."""

    async def judge(request: Request[Deployment], now: datetime) -> tuple[Decision, Rollout | None]:
        return await _verdict(gatherer, request, now)

    return judge


def deployment_mutator(gatherer: Gatherer) -> Judge[Deployment]:
    """Make the judge that pauses, in Hold mode, what has to wait."""

    async def judge(request: Request[Deployment], now: datetime) -> tuple[Decision, Rollout | None]:
        decision, rollout = await _verdict(gatherer, request, now)
        return hold(rollout, decision), rollout

    return judge


def pod_mutator(gatherer: Gatherer) -> Judge[Pod]:
    """Make the judge that starts pods in skip once their own inputs are migrated."""

    async def judge(request: Request[Pod], _: datetime) -> tuple[Decision, Rollout | None]:
        if request.operation != "CREATE" or request.new is None:
            return _not_judged(), None
        pod: Admission = await gatherer.pod(request.new, request.namespace)
        decision = decide_pod(pod)
        if decision.reason is Reason.SKIP_WITHHELD:
            decision = decide_pod(await gatherer.pod(request.new, request.namespace, live=True))
        return decision, None

    return judge


POD_MUTATOR = "/mutate-v1-pod"
DEPLOYMENT_MUTATOR = "/mutate-apps-v1-deployment"
DEPLOYMENT_VALIDATOR = "/validate-apps-v1-deployment"
PATHS = (POD_MUTATOR, DEPLOYMENT_MUTATOR, DEPLOYMENT_VALIDATOR)
"""Paths as the webhooks are registered."""


def endpoints(gatherer: Gatherer, sink: VerdictSink, clock: Clock) -> Mapping[str, Endpoint]:
    """Give the webhooks by path, as they are registered."""
    return {
        POD_MUTATOR: ReviewEndpoint("pods.mutate", Pod, pod_mutator(gatherer), sink, clock),
        DEPLOYMENT_MUTATOR: ReviewEndpoint(
            "deployments.mutate", Deployment, deployment_mutator(gatherer), sink, clock
        ),
        DEPLOYMENT_VALIDATOR: ReviewEndpoint(
            "deployments.validate", Deployment, deployment_validator(gatherer), sink, clock
        ),
    }


async def _verdict(gatherer: Gatherer, request: Request[Deployment], now: datetime) -> tuple[Decision, Rollout]:
    """Judge every container that may be the Gateway; the first that is turned away speaks for all.

    It speaks before one that Hold would pause: what is migrated is the main container, so that such a pause
    would never end.
    """
    if request.new is None:
        raise AssertionError("a request without object is not judged")
    judged = request.operation in {"CREATE", "UPDATE"}
    change = Change.between(request.namespace, request.new, request.old, judged=judged)
    verdicts = [await _judged(gatherer, each, request, now) for each in (change, *change.others())]
    if all(rollout.inputs is None for _, rollout in verdicts):
        verdicts += [await _judged(gatherer, each, request, now) for each in change.gone()]
    if verdicts[0][0].reason is Reason.HOLD_NOT_APPLIED:
        verdicts += [await _judged(gatherer, each, request, now) for each in change.release().others()]
    stopped = [verdict for verdict in verdicts if verdict[0].reason not in ALLOWING]
    others = (verdict for verdict in stopped if verdict[0].reason is not Reason.HOLD_NOT_APPLIED)
    return next(others, (stopped or verdicts)[0])


async def _judged(
    gatherer: Gatherer, change: Change, request: Request[Deployment], now: datetime
) -> tuple[Decision, Rollout]:
    rollout = await gatherer.rollout(change, now, dry_run=request.dry_run)
    decision = decide(rollout)
    if decision.reason in ALLOWING:
        return decision, rollout
    # A cache that lags must never turn a rollout away.
    rollout = await gatherer.rollout(change, now, live=True, dry_run=request.dry_run)
    rollout = await gatherer.authorize(rollout, request.user)
    return decide(rollout), rollout


def _refused(line: str) -> Reply:
    return Reply(400, f"{line}\n".encode(), "text/plain; charset=utf-8")


def _not_judged(*warnings: str) -> Decision:
    audit = {"decision": "allow", "reason": Reason.NOT_JUDGED.value}
    return Decision(allowed=True, reason=Reason.NOT_JUDGED, check="not_judged", warnings=warnings, audit=audit)
