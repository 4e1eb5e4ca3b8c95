"""Partial objects: what is read, what is ignored, what is refused."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import config_map, container, deployment, gateway, merged, namespace, pod
from webhook.policy.gateway_resource import Gateway
from webhook.policy.objects import TEMPLATE_LIMIT, ConfigMap, Deployment, Namespace, Pod, View, view, without_nulls

KINDS: dict[type[View], dict[str, Any]] = {
    ConfigMap: config_map(),
    Deployment: deployment(),
    Gateway: gateway(),
    Namespace: namespace(),
    Pod: pod(),
}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(kind=st.sampled_from(list(KINDS)), extra=st.dictionaries(st.text(min_size=1).map("x-".__add__), values))
def test_unknown_fields_anywhere_are_ignored(kind: type[View], extra: dict[str, Any]) -> None:
    manifest = KINDS[kind]
    grown = {
        **manifest,
        **extra,
        "metadata": manifest["metadata"] | extra,
        **({"spec": manifest["spec"] | extra} if "spec" in manifest else {}),
    }
    first, second = view(kind, manifest), view(kind, grown)
    assert msgspec.structs.replace(first) == second


@given(
    st.sampled_from(list(KINDS)), st.dictionaries(st.sampled_from(["metadata", "spec", "status", "data"]), values)
)
def test_any_manifest_is_read_or_refused_by_one_error(kind: type[View], manifest: dict[str, Any]) -> None:
    with contextlib.suppress(msgspec.ValidationError):
        found = view(kind, manifest)
        assert not isinstance(found, Deployment) or found.template() is not None


def test_a_wrong_type_is_told_with_its_path() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.spec\.paused"):
        view(Deployment, deployment(spec={"paused": "yes"}))


def test_nulls_are_absent() -> None:
    assert without_nulls({"a": None, "b": [{"c": None, "d": 0}], "e": {}}) == {"b": [{"d": 0}], "e": {}}
    assert view(Pod, {"metadata": None, "spec": {"containers": None}}) == Pod()


def test_raw_nulls_of_go_lists_are_read() -> None:
    wire = b'{"spec":{"containers":null,"volumes":null},"metadata":{"labels":null,"ownerReferences":null}}'
    assert msgspec.json.decode(wire, type=Pod) == Pod()


def test_templates_are_compared() -> None:
    base = view(Deployment, deployment())
    assert base.same_template(view(Deployment, deployment()))
    changed = merged(deployment(), {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 9}}}})
    assert not base.same_template(view(Deployment, changed))


def test_a_template_that_no_api_server_stores_is_not_looked_into() -> None:
    huge = deployment(spec={"template": {"metadata": {"annotations": {"a": "x" * TEMPLATE_LIMIT}}}})
    with pytest.raises(msgspec.ValidationError, match="larger than 3 MiB"):
        view(Deployment, huge).template()


@pytest.mark.parametrize(("field", "count"), [("env", 10_001), ("envFrom", 1_001)])
def test_more_variables_than_any_container_has_are_refused(field: str, count: int) -> None:
    huge = deployment(container(**{field: [{}] * count}))
    with pytest.raises(msgspec.ValidationError, match=field):
        view(Deployment, huge).template()


def test_a_deployment_without_a_template_has_an_empty_one() -> None:
    assert view(Deployment, {}).template().spec.containers is None
