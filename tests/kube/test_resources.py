"""Paths of resources."""

import pytest

from webhook.errors import RejectedError
from webhook.kube import resources
from webhook.kube.resources import Resource, target_of


@pytest.mark.parametrize(
    ("resource", "arguments", "path", "label", "named"),
    [
        (resources.PODS, (), "/api/v1/pods", "pods", False),
        (resources.PODS, ("a",), "/api/v1/namespaces/a/pods", "pods", False),
        (resources.PODS, ("a", "p", "log"), "/api/v1/namespaces/a/pods/p/log", "pods/log", True),
        (resources.DEPLOYMENTS, ("a", "d"), "/apis/apps/v1/namespaces/a/deployments/d", "deployments", True),
        (resources.NAMESPACES, (), "/api/v1/namespaces", "namespaces", False),
        (resources.NAMESPACES, ("", "n"), "/api/v1/namespaces/n", "namespaces", True),
        (resources.NAMESPACES, ("", "n", "status"), "/api/v1/namespaces/n/status", "namespaces/status", True),
        (
            resources.RECORDS,
            ("a", "r", "status"),
            "/apis/schemagate.io/v1alpha1/namespaces/a/gatewaymigrations/r/status",
            "gatewaymigrations/status",
            True,
        ),
        (resources.GATEWAYS, (), "/apis/security.brcmlabs.com/v1/gateways", "gateways", False),
        (resources.LEASES, ("a",), "/apis/coordination.k8s.io/v1/namespaces/a/leases", "leases", False),
        (
            resources.SUBJECT_ACCESS_REVIEWS,
            (),
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            "subjectaccessreviews",
            False,
        ),
        (
            resources.CONFIG_MAPS,
            ("a", "x/y?z%"),
            "/api/v1/namespaces/a/configmaps/x%2Fy%3Fz%25",
            "configmaps",
            True,
        ),
    ],
)
def test_path_and_what_it_leads_to(
    resource: Resource, arguments: tuple[str, ...], path: str, label: str, named: bool
) -> None:
    assert resource.path(*arguments) == path
    assert (target_of(path).label, target_of(path).named) == (label, named)


def test_paths_outside_of_resources_have_a_label() -> None:
    assert target_of("/version").label == "version"


@pytest.mark.parametrize(
    ("resource", "arguments"),
    [
        (resources.PODS, ("a", "..")),
        (resources.PODS, ("..", "p")),
        (resources.PODS, ("", "p")),
        (resources.PODS, ("a", "", "log")),
        (resources.NAMESPACES, ("a",)),
        (resources.NAMESPACES, ("a", "n")),
    ],
)
def test_no_path_leads_elsewhere(resource: Resource, arguments: tuple[str, ...]) -> None:
    with pytest.raises(RejectedError):
        resource.path(*arguments)


def test_api_version() -> None:
    assert resources.PODS.api_version == "v1"
    assert resources.JOBS.api_version == "batch/v1"
    assert resources.RECORDS.api_version == "schemagate.io/v1alpha1"
    assert resources.EVENTS.api_version == "events.k8s.io/v1"
