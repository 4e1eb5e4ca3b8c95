"""What the README says is what the program does."""

import re
import subprocess
from pathlib import Path

import click
import pytest

from tests.docs.generate import README, generated
from tests.live.installation import manifests
from webhook.cli.main import schemagate
from webhook.policy import names

ROOT = README.parent
TEXT = README.read_text(encoding="utf-8")


def test_generated_parts_are_in_step_with_the_code() -> None:
    assert generated(TEXT) == TEXT, "README.md is out of step: run `make docs`"


def test_the_table_of_rights_names_every_resource_of_the_roles() -> None:
    granted = {
        (resource, role["metadata"]["name"])
        for role in manifests("40-roles.yaml")
        for rule in role.get("rules", ())
        for resource in rule["resources"]
    }
    cells = [[cell.strip() for cell in line.split("|")[1:4]] for line in TEXT.splitlines() if line.count("|") == 4]
    rows = {name.strip("`"): verbs for name, *verbs in cells}
    for resource, account in granted:
        allowed = rows[resource][["schemagate-webhook", "schemagate-controller"].index(account)]
        assert re.search(r"\b(get|list|watch|create|update|patch|delete)\b", allowed), (resource, account)


def test_the_limits_are_told() -> None:
    for word in (
        "before-hook-creation",
        "hook-succeeded",
        "app.kubernetes.io/component=db-migration",
        "firstInstall",
    ):
        assert word in TEXT


def test_every_command_and_flag_it_names_exists() -> None:
    named = re.findall(r"schemagate (\w+)((?: [-\w\[\]…]+)*)", TEXT)
    commands = {name for name, _ in named if name in schemagate.commands or name.islower()}
    assert set(schemagate.commands) <= commands
    for name, rest in named:
        command = schemagate.commands.get(name)
        flags = re.findall(r"--[\w-]+", rest)
        if command is None:
            assert not flags, f"schemagate {name}: no such command"
            continue
        known = {option for param in command.params if isinstance(param, click.Option) for option in param.opts}
        assert set(flags) <= known, f"schemagate {name}: no such flag among {flags}"


def test_messages_name_no_command_that_does_not_exist() -> None:
    for source in (ROOT / "webhook" / "policy").rglob("*.py"):
        for name in re.findall(r"schemagate (\w+) [-{]", source.read_text(encoding="utf-8")):
            assert name in schemagate.commands, source


def test_every_annotation_and_label_it_names_exists() -> None:
    known = {value for value in vars(names).values() if isinstance(value, str)}
    for name in re.findall(r"schemagate\.io/[\w-]+", TEXT):
        assert name in known


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        assert "://" in target or (ROOT / target).exists(), f"{page}: {target}"


def test_make_help_names_every_target_of_the_readme() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in re.findall(r"`?make (\w+)", TEXT):
        assert f"make {target} " in shown or target == "help"


def test_supported_pythons_are_those_of_the_project_file() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "Python 3.11 to 3.14" in TEXT
    assert 'requires-python = ">=3.11,<3.15"' in project


def test_lock_files_name_no_registry() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text, lock
        assert "--hash=sha256:" in text, lock


def test_license_is_whole() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert Path(ROOT / ".ci" / "run").exists()
