"""What the README says is what the program does, and it stays one screen."""

import re
from pathlib import Path

from click.testing import CliRunner

from tests.docs.generate import README, SECURITY, generated
from tests.docs.prose import text_of
from tests.live.installation import manifests
from webhook import __version__
from webhook.cli.demo import SAMPLES
from webhook.cli.main import schemagate

ROOT = README.parent
TEXT = README.read_text(encoding="utf-8")


def test_it_is_one_screen_and_pictures() -> None:
    assert len(TEXT.splitlines()) <= 80


def test_the_image_that_it_pushes_is_the_one_that_is_built() -> None:
    assert set(re.findall(r"schemagate:(\d\S*)", TEXT)) == {__version__}


def test_the_denial_that_it_shows_is_the_one_that_is_given(tmp_path: Path) -> None:
    shown = " ".join(line[2:] for line in TEXT.splitlines() if line.startswith("> "))
    sample = SAMPLES / "helm.yaml"
    new = tmp_path / "new.yaml"
    new.write_text(
        sample.read_text(encoding="utf-8").replace("gateway:11.2.2", "gateway:11.3.0"), encoding="utf-8"
    )
    done = CliRunner().invoke(schemagate, ["review", str(new), "--objects", str(sample), "-o", "json"])
    assert f'"message": "{shown}"' in done.output


def test_the_table_of_rights_is_in_step_with_the_roles() -> None:
    text = SECURITY.read_text(encoding="utf-8")
    assert generated(text) == text, "docs/security.md is out of step: run `make docs`"


def test_the_table_of_rights_names_every_resource_of_the_roles() -> None:
    granted = {
        (resource, role["metadata"]["name"])
        for role in manifests("40-roles.yaml")
        for rule in role.get("rules", ())
        for resource in rule["resources"]
    }
    table = text_of(SECURITY).partition("<!-- rights")[2].partition("<!-- /rights")[0]
    cells = [
        [cell.strip() for cell in line.split("|")[1:4]] for line in table.splitlines() if line.count("|") == 4
    ]
    rows = {name.strip("`"): verbs for name, *verbs in cells}
    for resource, account in granted:
        allowed = rows[resource][["schemagate-webhook", "schemagate-controller"].index(account)]
        assert re.search(r"\b(get|list|watch|create|update|patch|delete)\b", allowed), (resource, account)


def test_the_limits_are_told() -> None:
    limits = text_of(ROOT / "docs" / "concepts.md").partition("## Limits")[2]
    for word in (
        "before-hook-creation",
        "hook-succeeded",
        "app.kubernetes.io/component=db-migration",
        "firstInstall",
    ):
        assert word in limits
    assert "(docs/concepts.md#limits)" in TEXT


def test_messages_name_no_command_that_does_not_exist() -> None:
    for source in (ROOT / "webhook" / "policy").rglob("*.py"):
        for name in re.findall(r"schemagate (\w+) [-{]", source.read_text(encoding="utf-8")):
            assert name in schemagate.commands, source


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
