"""The chart makes the objects of the base and its overlays, and nothing else."""

import copy
import re
import subprocess
from collections import Counter

import pytest
import yaml

from tests.docs import chart
from tests.docs.heeding import PROCESSES, heeded
from tests.manifests.rendering import (
    BASE,
    CHART,
    HELMS,
    Key,
    Manifest,
    by_key,
    key,
    kustomized,
    overlay,
    run,
    template,
    templated,
)
from webhook import __version__
from webhook.cli.main import schemagate
from webhook.policy import names
from webhook.settings import Settings

FENCE = (BASE / "50-fence.yaml").read_text()
LOCK = (BASE.parent / "second-lock" / "20-migrations.yaml").read_text()
LABELS = {
    "app.kubernetes.io/instance": "schemagate",
    "app.kubernetes.io/managed-by": "Helm",
    "app.kubernetes.io/version": __version__,
    "helm.sh/chart": f"schemagate-{__version__}",
}
"""What the chart adds to every object."""
CERTIFIED = {"certificates.source": "cert-manager"}
LOCKED = {"secondLock.enabled": True}
KEPT = {"helm.sh/resource-policy": "keep"}
"""What it adds to the definition of the record's kind."""


def plain(objects: list[Manifest]) -> dict[Key, Manifest]:
    """Give objects by key without what the chart adds; the environment by name, as its order says nothing."""
    found = by_key(copy.deepcopy(objects))
    for item in found.values():
        metadata = item["metadata"]
        metadata["labels"] = {
            name: value for name, value in metadata.get("labels", {}).items() if LABELS.get(name) != value
        }
        if item["kind"] == "CustomResourceDefinition":
            annotations = metadata.pop("annotations", {})
            assert annotations in ({}, KEPT)
        if item["kind"] == "Deployment":
            for container in item["spec"]["template"]["spec"]["containers"]:
                container["env"].sort(key=lambda entry: str(entry["name"]))
    return {key(item): item for item in found.values() if item["kind"] != "Namespace"}


@pytest.mark.parametrize("helm", HELMS)
def test_it_makes_what_the_base_holds(helm: str) -> None:
    assert plain(templated(helm=helm)) == plain(kustomized(BASE))


@pytest.mark.parametrize("helm", HELMS)
def test_it_makes_what_the_overlay_for_cert_manager_holds(helm: str) -> None:
    made = templated(CERTIFIED, helm=helm)
    assert plain(made) == plain(overlay("cert-manager"))


@pytest.mark.parametrize("helm", HELMS)
def test_it_makes_what_the_overlay_for_named_namespaces_holds(helm: str) -> None:
    assert plain(templated({"namespaces": ["gateways", "gateways"]}, helm=helm)) == plain(overlay("namespaced"))
    made = [item for item in templated({"namespaces": ["a", "b"]}) if item["kind"] == "RoleBinding"]
    migrations = [item for item in made if item["metadata"]["name"] == "schemagate-migrations"]
    assert [item["metadata"]["namespace"] for item in migrations] == ["a", "b"]


@pytest.mark.parametrize("helm", HELMS)
def test_it_makes_what_the_second_lock_holds(helm: str) -> None:
    made, without = plain(templated(LOCKED, helm=helm)), plain(templated(helm=helm))
    assert made == without | plain(kustomized(BASE.parent / "second-lock"))
    assert len(made) > len(without)


def test_every_object_says_that_it_is_the_releases() -> None:
    for item in templated():
        assert item["metadata"]["labels"].items() >= LABELS.items(), key(item)
    (definition,) = (item for item in templated() if item["kind"] == "CustomResourceDefinition")
    assert definition["metadata"]["annotations"] == KEPT
    (definition,) = (item for item in templated({"crd.keep": False}) if item["kind"] == "CustomResourceDefinition")
    assert not definition["metadata"].get("annotations")


def test_another_namespace_takes_the_place_of_ours_everywhere() -> None:
    """In accounts, roles, the fence's user names, selectors and certificates: no other place names it."""
    values: dict[str, object] = {**CERTIFIED, **LOCKED, "namespaces": ["gateways"]}
    ours, elsewhere = (template("helm", namespace, values) for namespace in ("schemagate", "gate-2"))
    assert len(by_key(templated(namespace="gate-2"))) == len(by_key(templated()))
    lines = [
        (here, there)
        for here, there in zip(ours.splitlines(), elsewhere.splitlines(), strict=True)
        if here != there
    ]
    assert all(there.replace("gate-2", "schemagate") == here for here, there in lines)
    ours_left = (r"namespace: schemagate$", r"serviceaccount:schemagate:", r"\.schemagate(\.svc|$)")
    for left in (*ours_left, r"[\['] ?schemagate['\],] ?"):
        found = [line for line in elsewhere.splitlines() if re.search(left, line)]
        assert not found, found
    accounts = Counter(re.findall(r"system:serviceaccount:gate-2:[\w-]+", elsewhere))
    fenced = len(re.findall(r"system:serviceaccount:schemagate:schemagate-controller", FENCE + LOCK))
    assert accounts == {"system:serviceaccount:gate-2:schemagate-controller": fenced}
    for item in yaml.safe_load_all(elsewhere):
        for hook in (item or {}).get("webhooks", ()):
            (selector,) = hook["namespaceSelector"]["matchExpressions"]
            assert selector["values"] == ["gate-2", "kube-system", "kube-node-lease"]


@pytest.mark.parametrize("namespace", ["default", "kube-system", "kube-public", "kube-node-lease"])
@pytest.mark.parametrize("helm", HELMS)
def test_a_namespace_of_others_is_refused(helm: str, namespace: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        template(helm, namespace, {})
    assert "--create-namespace" in caught.value.stderr


@pytest.mark.parametrize("helm", HELMS)
def test_the_second_lock_keeps_the_kind_that_it_judges_by(helm: str) -> None:
    """Helm takes policies away last: until then they would deny every Deployment of the cluster."""
    with pytest.raises(subprocess.CalledProcessError) as caught:
        template(helm, "schemagate", {**LOCKED, "crd.keep": False})
    assert "secondLock.enabled=false" in caught.value.stderr
    template(helm, "schemagate", {**LOCKED, "crd.keep": False, "crd.install": False})


@pytest.mark.parametrize("helm", HELMS)
def test_lint_finds_nothing(helm: str) -> None:
    said = run(helm, "lint", "--strict", str(CHART), "--namespace", "schemagate", "--kube-version", "1.36.3")
    assert not re.search(r"\[(WARNING|ERROR)\]", said), said


def test_what_is_generated_is_in_step() -> None:
    for path, content in chart.copies().items():
        assert path.read_bytes() == content, f"{path} is out of step: run `make docs`"
    assert set(chart.CHART.glob("files/*/*")) == chart.copies().keys()
    assert chart.SCHEMA.read_text(encoding="utf-8") == chart.schema(), "run `make docs`"
    assert chart.PAGE.read_text(encoding="utf-8") == chart.page(), "docs/values.md is out of step: run `make docs`"


def test_settings_left_out_are_settings() -> None:
    assert Settings.model_fields.keys() >= chart.OTHERWISE | chart.SHARED
    assert not chart.OTHERWISE & chart.SHARED


def test_every_setting_is_heeded_by_some_process() -> None:
    assert set().union(*map(heeded, PROCESSES)) == Settings.model_fields.keys()
    assert heeded("webhook") & heeded("controller") >= chart.SHARED


def test_its_versions_are_ours() -> None:
    head = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (head["version"], head["appVersion"]) == (__version__, __version__)
    assert head["kubeVersion"] == ">=1.30.0-0"


def test_its_notes_name_what_exists() -> None:
    notes = (CHART / "templates" / "NOTES.txt").read_text()
    for name, rest in re.findall(r"^ +schemagate (\w+)(.*)$", notes, re.MULTILINE):
        known = {flag for param in schemagate.commands[name].params for flag in param.opts}
        assert {word for word in rest.split() if word.startswith("-")} <= known
    assert "schemagate release --all -A" in notes
    known_names = {value for value in vars(names).values() if isinstance(value, str)}
    for name in re.findall(r"schemagate\.io/[\w-]+", notes):
        assert name in known_names
    objects = {item["metadata"]["name"] for item in templated(CERTIFIED)}
    for name in re.findall(r"(?:deployment/|certificate |crd )([\w.-]+)", notes):
        assert name in objects
