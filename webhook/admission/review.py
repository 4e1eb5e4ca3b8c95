"""AdmissionReview v1 on the wire: decode a request, encode an answer.

Shapes from k8s.io/api/admission/v1 (Kubernetes 1.36). Only what is judged is decoded.
"""

import base64
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from webhook.errors import ReviewError
from webhook.policy.decision import ANNOTATION_LIMIT, MESSAGE_LIMIT, Decision, printable
from webhook.policy.objects import TEMPLATE_LIMIT, Deployment, Pod, UserInfo, View
from webhook.policy.patch import encode_patch
from webhook.policy.value import Value

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"
OPERATIONS = ("CREATE", "UPDATE", "DELETE", "CONNECT")

T = TypeVar("T")


class Kind(View, frozen=True):
    """Group, version and kind of the object."""

    group: str = ""
    version: str = ""
    kind: str = ""


class _Head(View, frozen=True):
    uid: str = ""
    kind: Kind = Kind()
    name: str = ""
    namespace: str = ""
    operation: str = ""
    sub_resource: str = ""
    dry_run: bool | None = None
    user_info: UserInfo = UserInfo()


class _Request(_Head, Generic[T], frozen=True):
    object: T | None = None
    old_object: T | None = None


class _Review(View, Generic[T], frozen=True):
    api_version: str = ""
    kind: str = ""
    request: _Request[T] | None = None


class _Envelope(View, frozen=True):
    api_version: str = ""
    kind: str = ""
    request: _Head | None = None


class Request(Value, Generic[T], frozen=True):
    """A decoded request. ``new`` is None on DELETE, ``old`` on CREATE; ``foreign`` for other kinds than asked."""

    uid: str
    operation: str
    namespace: str
    name: str
    dry_run: bool
    user: UserInfo
    new: T | None
    old: T | None
    foreign: str | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_DECODERS: Mapping[type, msgspec.json.Decoder[Any]] = {
    Deployment: msgspec.json.Decoder(_Review[Deployment]),
    Pod: msgspec.json.Decoder(_Review[Pod]),
}
# A pod is decoded whole, in one go that nothing interrupts; a Deployment's template is bounded on its own.
_LARGEST: Mapping[type, int] = {Pod: TEMPLATE_LIMIT}
_KINDS: Mapping[type, Kind] = {
    Deployment: Kind("apps", "v1", "Deployment"),
    Pod: Kind("", "v1", "Pod"),
}


def decode_review(body: bytes, expected: type[T]) -> Request[T]:
    """Decode a request for Deployments or Pods.

    Another kind, or a subresource, is no fault of the sender but of the webhook's registration: it comes back
    as ``foreign``. Raises ReviewError, with what was expected, for anything that is no AdmissionReview v1.
    """
    largest = _LARGEST.get(expected)
    if largest is not None and len(body) > largest:
        raise ReviewError(f"expected at most {largest // 2**20} MiB for a {expected.__name__}")
    review: Any
    try:
        review = _DECODERS[expected].decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        review = _foreign_review(body, expected, error)
    request = review.request
    if review.kind != KIND or review.api_version != API_VERSION:
        got = printable(f"{review.api_version} {review.kind}".strip() or "neither", 80)
        raise ReviewError(f"expected apiVersion {API_VERSION} and kind {KIND}, got {got}")
    if request is None or not request.uid:
        raise ReviewError("expected a request with a uid")
    if request.operation not in OPERATIONS:
        raise ReviewError(f"expected an operation among {', '.join(OPERATIONS)}")
    ours = request.kind == _KINDS[expected] and not request.sub_resource
    if ours and request.operation in {"CREATE", "UPDATE"} and request.object is None:
        raise ReviewError(f"expected an object with {request.operation}")
    if ours and request.operation == "UPDATE" and request.old_object is None:
        raise ReviewError("expected an oldObject with UPDATE")
    foreign = None if ours else "/".join(part for part in (request.kind.kind, request.sub_resource) if part)
    return Request(
        uid=request.uid,
        operation=request.operation,
        namespace=request.namespace,
        name=request.name,
        dry_run=bool(request.dry_run),
        user=request.user_info,
        new=request.object if ours else None,
        old=request.old_object if ours and request.operation != "CREATE" else None,
        foreign=foreign,
    )


def _foreign_review(body: bytes, expected: type, error: Exception) -> _Envelope:
    """Give the envelope alone when the object is of another kind, which may have fields of other types."""
    try:
        review = _ENVELOPE.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise ReviewError(f"expected an {KIND} in JSON: {printable(str(error), 200)}") from None
    if review.request is None or review.request.kind == _KINDS[expected]:
        raise ReviewError(f"expected a {_KINDS[expected].kind}: {printable(str(error), 200)}") from None
    return review


def encode_answer(uid: str, decision: Decision, kind: str, name: str) -> bytes:
    """Encode the answer. A status goes with a denial only, and a patch with what is allowed only."""
    response: dict[str, Any] = {"uid": uid, "allowed": decision.allowed}
    if not decision.allowed:
        response["status"] = _status(decision, kind, name)
    elif decision.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(encode_patch(decision.patch)).decode("ascii")
    if decision.warnings:
        response["warnings"] = decision.warnings
    if decision.audit:
        response["auditAnnotations"] = {
            key: value if len(value) <= ANNOTATION_LIMIT else value[:ANNOTATION_LIMIT]
            for key, value in decision.audit.items()
        }
    return msgspec.json.encode({"apiVersion": API_VERSION, "kind": KIND, "response": response})


def _status(decision: Decision, kind: str, name: str) -> dict[str, Any]:
    """Give a metav1.Status: 403 Forbidden, since kubectl hides the message of 422 and clients loop on 409."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": printable(decision.message, MESSAGE_LIMIT),
        "reason": "Forbidden",
        "code": 403,
        "details": {
            "name": name,
            "kind": kind,
            "causes": [
                {"reason": decision.reason.value, "field": "spec.template", "message": decision.reason.meaning}
            ],
        },
    }
