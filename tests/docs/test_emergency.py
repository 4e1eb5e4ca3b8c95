"""The emergency page names what exists; its commands are run by ``tests/live``."""

import re

import click

from tests.docs.generate import README
from tests.live.pages import Page
from webhook.cli.main import schemagate
from webhook.policy import names
from webhook.policy.record import FailureClass

PAGE = README.parent / "docs" / "emergency.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_every_command_and_flag_of_ours_exists() -> None:
    named = re.findall(r"\bschemagate ([a-z]+)([^`\n]*)", TEXT)
    commands = [(schemagate.commands[name], rest) for name, rest in named if name in schemagate.commands]
    assert {command.name for command, _ in commands} == {"release", "retry", "status"}
    for command, rest in commands:
        known = {option for param in command.params if isinstance(param, click.Option) for option in param.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= known, (command.name, rest)


def test_every_annotation_it_names_exists() -> None:
    known = {value for value in vars(names).values() if isinstance(value, str)}
    found = set(re.findall(r"(?<![\w.])schemagate\.io/\w+(?:-\w+)*", TEXT))
    assert found
    assert found <= known


def test_the_failure_that_it_explains_exists() -> None:
    assert f"`{FailureClass.LOCK_HELD.value}`" in TEXT


def test_links_lead_to_its_own_sections() -> None:
    anchors = {head.lower().replace(" ", "-") for head in Page(PAGE.name).blocks}
    found = set(re.findall(r"\]\(#([^)]+)\)", TEXT))
    assert found
    assert found <= anchors


def test_every_block_of_commands_is_run_by_a_test() -> None:
    live = README.parent / "tests" / "live" / "apart"
    tests = "".join(
        (live / name).read_text(encoding="utf-8") for name in ("test_emergency.py", "test_uninstall.py")
    )
    for section, blocks in Page(PAGE.name).blocks.items():
        assert not blocks or f'"{section}"' in tests, section
