import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import deployment, merged, pod
from webhook.admission.review import decode_review, encode_answer
from webhook.errors import ReviewError
from webhook.policy.decision import Decision
from webhook.policy.objects import Deployment, Pod
from webhook.policy.patch import Operation
from webhook.policy.reasons import Reason


def review(kind: str = "Deployment", **tweak: Any) -> dict[str, Any]:
    group = "apps" if kind == "Deployment" else ""
    base = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": {"group": group, "version": "v1", "kind": kind},
            "operation": "UPDATE",
            "name": "ssg",
            "namespace": "team-a",
            "userInfo": {"username": "admin", "groups": ["system:masters"]},
            "object": deployment() if kind == "Deployment" else pod(),
            "oldObject": deployment() if kind == "Deployment" else None,
            "dryRun": False,
        },
    }
    return merged(base, tweak)


def encoded(manifest: Any) -> bytes:
    return json.dumps(manifest).encode()


def test_a_request_is_decoded() -> None:
    request = decode_review(encoded(review()), Deployment)
    assert (request.uid, request.operation, request.namespace, request.name) == ("u-1", "UPDATE", "team-a", "ssg")
    assert request.user.username == "admin"
    assert request.user.groups == ("system:masters",)
    assert request.new == request.old
    assert not request.dry_run
    assert request.foreign is None


def test_of_who_asks_all_is_decoded_that_an_authorizer_may_judge_by() -> None:
    user = {"uid": "u-9", "extra": {"example.org/scopes": ["a", "b"], "example.org/none": None}}
    found = decode_review(encoded(review(request={"userInfo": user})), Deployment).user
    assert (found.username, found.uid) == ("admin", "u-9")
    assert found.extra == {"example.org/scopes": ("a", "b"), "example.org/none": None}


ABSENT: dict[str, dict[str, Any]] = {
    "old object": {"request": {"oldObject": None, "operation": "CREATE"}},
    "without dryRun": {"request": {"dryRun": None}},
    "without user": {"request": {"userInfo": None}},
    "with fields nobody knows": {"request": {"zz": [1, {"y": None}]}, "zzz": 1},
}


@pytest.mark.parametrize("case", ABSENT)
def test_what_may_be_absent_may_be_absent(case: str) -> None:
    assert decode_review(encoded(review(**ABSENT[case])), Deployment).uid == "u-1"


def test_null_is_as_good_as_absent_where_the_api_server_writes_it() -> None:
    manifest = review(request={"operation": "CREATE"})
    manifest["request"] |= {"oldObject": None, "dryRun": None}
    assert decode_review(encoded(manifest), Deployment).old is None


def test_a_creation_has_no_old_object_whatever_is_sent() -> None:
    assert decode_review(encoded(review(request={"operation": "CREATE"})), Deployment).old is None


INCOMPLETE = {
    "an update without the old object": ({"oldObject": None}, "an oldObject with UPDATE"),
    "an update without the new object": ({"object": None}, "an object with UPDATE"),
    "a creation without an object": ({"operation": "CREATE", "object": None}, "an object with CREATE"),
    "no operation": ({"operation": None}, "an operation among CREATE"),
    "an operation that nobody knows": ({"operation": "UPSERT"}, "an operation among CREATE"),
}


@pytest.mark.parametrize("case", INCOMPLETE)
def test_a_request_that_cannot_be_judged_gets_no_verdict(case: str) -> None:
    request, expected = INCOMPLETE[case]
    with pytest.raises(ReviewError, match=expected):
        decode_review(encoded(review(request=request)), Deployment)


def test_a_pod_whose_containers_are_null_is_decoded() -> None:
    """Mutating webhooks run before validation, and Go does not omit this list."""
    manifest = review("Pod", request={"operation": "CREATE"})
    manifest["request"]["object"]["spec"]["containers"] = None
    request = decode_review(encoded(manifest), Pod)
    assert request.new is not None
    assert request.new.spec.containers is None


WRONG: dict[str, tuple[bytes, str]] = {
    "v1beta1": (encoded(review(apiVersion="admission.k8s.io/v1beta1")), "expected apiVersion admission.k8s.io/v1"),
    "another kind of object": (encoded({"apiVersion": "v1", "kind": "Pod"}), "kind AdmissionReview, got v1 Pod"),
    "no request": (encoded(review(request=None)), "a request with a uid"),
    "no uid": (encoded(review(request={"uid": None})), "a request with a uid"),
    "an answer instead of a request": (
        encoded({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": "u"}}),
        "a request with a uid",
    ),
    "empty object": (b"{}", "got neither"),
    "a list": (b"[]", "AdmissionReview in JSON"),
    "null": (b"null", "AdmissionReview in JSON"),
    "a number of 5000 digits": (b"1" * 5000, "AdmissionReview in JSON"),
    "not JSON": (b"<html>", "AdmissionReview in JSON"),
    "truncated": (encoded(review())[:-20], "AdmissionReview in JSON"),
    "trailing garbage": (encoded(review()) + b"{}", "AdmissionReview in JSON"),
    "UTF-16": (json.dumps(review()).encode("utf-16"), "AdmissionReview in JSON"),
    "a BOM": (b"\xef\xbb\xbf" + encoded(review()), "AdmissionReview in JSON"),
    "not UTF-8": (encoded(review()).replace(b"team-a", b"team-\xff"), "AdmissionReview in JSON"),
    "NaN": (encoded(review()).replace(b"false", b"NaN", 1), "AdmissionReview in JSON"),
    "depth 200,000": (b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "AdmissionReview in JSON"),
    "a Deployment with a field of another type": (
        encoded(review(request={"object": {"spec": {"paused": "yes"}}})),
        "expected a Deployment",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_review_is_told_so(case: str) -> None:
    body, expected = WRONG[case]
    with pytest.raises(ReviewError) as caught:
        decode_review(body, Deployment)
    message = str(caught.value)
    assert expected in message
    assert message.isprintable()
    assert len(message) < 400


FOREIGN = {
    "a subresource": (review(request={"subResource": "scale"}), "Deployment/scale"),
    "Scale": (
        review(request={"kind": {"group": "autoscaling", "kind": "Scale"}, "object": {"spec": {"paused": 1}}}),
        "Scale",
    ),
    "a kind whose fields have other types": (
        review(request={"kind": {"group": "x.io", "kind": "Widget"}, "object": {"spec": "text", "metadata": 7}}),
        "Widget",
    ),
    "a pod at the Deployment's path": (review("Pod"), "Pod"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_another_kind_is_foreign_and_no_error(case: str) -> None:
    manifest, kind = FOREIGN[case]
    request = decode_review(encoded(manifest), Deployment)
    assert request.foreign == kind
    assert request.new is None
    assert request.old is None


def test_the_last_of_duplicate_keys_counts_as_in_go() -> None:
    body = encoded(review()).replace(b'"uid": "u-1"', b'"uid": "first", "uid": "u-1"', 1)
    assert decode_review(body, Deployment).uid == "u-1"


@given(st.binary(max_size=2000))
def test_any_bytes_give_a_review_error_or_a_request(body: bytes) -> None:
    for kind in (Deployment, Pod):
        with suppress(ReviewError):
            decode_review(body, kind)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(
    field=st.sampled_from(["object", "oldObject", "userInfo", "kind", "uid", "name", "operation"]),
    value=JSON_VALUES,
)
def test_any_value_in_any_place_gives_a_review_error_or_a_request(field: str, value: Any) -> None:
    manifest = review()
    manifest["request"][field] = value
    with suppress(ReviewError):
        decode_review(encoded(manifest), Deployment)


def answered(decision: Decision) -> dict[str, Any]:
    answer = json.loads(encode_answer("u-1", decision, "deployments", "ssg"))
    assert {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}.items() <= answer.items()
    response: dict[str, Any] = answer["response"]
    assert response["uid"] == "u-1"
    return response


def test_an_allowed_answer_carries_no_status() -> None:
    response = answered(
        Decision(allowed=True, reason=Reason.TEMPLATE_UNCHANGED, check="c", audit={"decision": "allow"})
    )
    assert response == {"uid": "u-1", "allowed": True, "auditAnnotations": {"decision": "allow"}}


def test_a_patch_and_its_type_go_together() -> None:
    patch = (Operation("add", "/spec/paused", value=True),)
    response = answered(Decision(allowed=True, reason=Reason.HELD, check="c", patch=patch))
    assert response["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(response["patch"])) == [
        {"op": "add", "path": "/spec/paused", "value": True}
    ]


def test_a_denial_carries_no_patch_and_says_forbidden() -> None:
    patch = (Operation("add", "/spec/paused", value=True),)
    decision = Decision(allowed=False, reason=Reason.MIGRATION_PENDING, check="c", message="no\nway", patch=patch)
    response = answered(decision)
    assert "patch" not in response
    assert response["status"]["code"] == 403
    assert response["status"]["reason"] == "Forbidden"
    assert response["status"]["message"] == "no way"
    assert response["status"]["details"]["causes"][0]["reason"] == "MigrationPending"


@given(message=st.text(max_size=3000), note=st.text(max_size=600))
def test_texts_stay_within_the_api_servers_limits(message: str, note: str) -> None:
    decision = Decision(
        allowed=False, reason=Reason.MIGRATION_PENDING, check="c", message=message, audit={"reason": note}
    )
    response = answered(decision)
    assert len(response["status"]["message"]) <= 1024
    assert response["status"]["message"].isprintable()
    assert len(response["auditAnnotations"]["reason"]) <= 256
