"""What the pages name exists: links, commands and their flags, targets, roles, values of the chart."""

import itertools
import re
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from tests.docs.chart import VALUES
from tests.docs.commands_page import helps
from tests.docs.prose import LINKED, READ, ROOT, anchors, commands, links, spans, text_of
from webhook.cli.main import schemagate

ALL = pytest.mark.parametrize("page", READ, ids=lambda page: page.name)
VERBS = {
    *("annotate", "apply", "create", "delete", "explain", "get", "label", "patch", "replace", "rollout", "scale"),
    *("set", "wait"),
}
BELOW = {"rollout": {"pause", "restart", "resume", "status", "undo"}, "set": {"image"}}
"""Verbs that take another word before the kind."""
KINDS = frozenset(
    re.findall(
        r"\S+",
        "clusterrole clusterrolebinding cm configmaps crd cronjob deploy deployment deployments events "
        "gatewaymigrations gateways.security.brcmlabs.com gwm image job jobs lease "
        "mutatingwebhookconfiguration namespace nodes ns pods policyreports.wgpolicyk8s.io "
        "replicaset reports.openreports.io role rolebinding secret service "
        "serviceaccount validatingadmissionpolicy validatingadmissionpolicybinding "
        "validatingwebhookconfiguration ",
    )
)


def understood(words: list[str]) -> None:
    """Have the program read a call, as far as running it: what it does not know raises."""
    command: click.Command = schemagate
    context = click.Context(schemagate, info_name="schemagate", **schemagate.context_settings)
    while isinstance(command, click.Group):
        assert words, f"{command.name} takes a command"
        assert words[0] in command.commands, f"schemagate has no {words[0]}"
        command = command.commands[words[0]]
        context, words = command.make_context(words[0], words[1:], parent=context), words[1:]


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert found.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(found), target


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, ahead = set(), {READ[0]}
    while ahead:
        page = ahead.pop()
        seen.add(page)
        found = {
            (page.parent / target.partition("#")[0]).resolve() for target in links(page) if "://" not in target
        }
        ahead |= {path for path in found if path in READ} - seen
    assert seen == set(READ)


@ALL
def test_commands_to_paste_are_understood_by_the_program(page: Path) -> None:
    for words in commands(page, "schemagate"):
        understood(words)
    for words in commands(page, "kubectl"):
        if words[0] == "schemagate":
            understood(words[1:])


@ALL
def test_commands_in_the_text_exist_with_their_flags(page: Path) -> None:
    told = re.findall(r"(?m)^  Example: (schemagate .+(?:\n  \S.+)*)", text_of(page))
    named = [span for span in spans(page) if re.match(r"(kubectl )?schemagate [a-z]", span)]
    for span in [*(" ".join(example.split()) for example in told), *named]:
        words = re.sub(r"^.*?schemagate ", "", span).split()
        given = [word for word in words if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
        command: click.Command = schemagate
        for word in given:
            if isinstance(command, click.Group):
                assert word in command.commands, span
                command = command.commands[word]
        flags = {option for param in command.params if isinstance(param, click.Option) for option in param.opts}
        asked = {word.strip("[]…,").partition("=")[0] for word in words if re.match(r"\[?--?[A-Za-z]", word)}
        assert asked <= flags | {"-h", "--help"}, span


def test_the_readme_leads_to_every_command() -> None:
    leaves = {" ".join(name.split()[1:]) for name, _ in helps()} - {""}
    page = text_of(ROOT / "docs" / "commands.md")
    assert {name for name in leaves if f"\n## schemagate {name}\n" not in page} == set()
    assert "docs/commands.md" in links(READ[0])
    assert len(leaves) > len(schemagate.commands)


@ALL
def test_kubectl_is_asked_for_what_there_is(page: Path) -> None:
    for words in commands(page, "kubectl"):
        if words[0] == "schemagate":
            continue
        assert words[0] in VERBS, words
        if words[0] in {"apply", "create", "replace"} or "-k" in words:
            for flag, path in itertools.pairwise(words):
                assert flag != "-k" or (ROOT / path / "kustomization.yaml").exists(), path
            continue
        named = [word for word in words[1:] if not word.startswith("-")]
        if words[0] in BELOW:
            assert named.pop(0) in BELOW[words[0]], words
        kinds = named[0].partition("/")[0]
        assert set(kinds.split(",")) <= KINDS, words


@ALL
def test_every_target_of_make_exists(page: Path) -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for words in [
        *(["make", *given] for given in commands(page, "make")),
        *(span.split() for span in spans(page)),
    ]:
        if words[0] == "make" and len(words) > 1:
            assert f"make {words[1]} " in f"{shown} make help ", words


@ALL
def test_every_role_and_value_of_the_chart_exists(page: Path) -> None:
    manifests = "".join(path.read_text() for path in (ROOT / "manifests").rglob("*.yaml"))
    for name in re.findall(r"`(schemagate-[a-z-]+)`", text_of(page)):
        assert re.search(rf"\b{name}\b", manifests), name
    values = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    for words in commands(page, "helm"):
        if "manifests/chart/schemagate" not in words:
            continue
        for flag, given in itertools.pairwise(words):
            if flag == "--set":
                found = values
                for step in given.partition("=")[0].split("."):
                    found = found[step]


def test_these_tests_read_commands() -> None:
    assert len([command for page in READ for command in commands(page, "schemagate")]) > 15
