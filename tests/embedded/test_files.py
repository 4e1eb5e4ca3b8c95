"""Objects from files: what is read, and what a person is told when it cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from webhook.embedded.files import Located, load
from webhook.errors import SourceError

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ssg\n"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def _write(content: str | bytes, name: str = "objects.yaml") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return _write


def told(path: str) -> str:
    with pytest.raises(SourceError) as error:
        load([path])
    text = str(error.value)
    assert "\n" not in text
    return text


def data_of(items: list[Located]) -> dict[str, object]:
    found: dict[str, object] = items[0].manifest["data"]
    return found


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("a: b\nc: [1\nd: e\n", 3, "expected ',' or ']'"),
        ("kind: x\nspec:\n\tname: y\n", 3, "(a tab; indent with spaces)"),
        (f"{CONFIG_MAP}---\nc: {{\n", 7, ""),
        ("a: *nothing\n", 1, "undefined alias"),
        ("a: !!python/object:os.system {}\n", 1, "could not determine a constructor"),
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' is there twice"),
        ("a: 1\n? [x]\n: 1\n", 2, "a key that is no text"),
        ("~: 1\n", 1, "a key that is no text"),
        ("a: b\nc: \x01\n", 2, "U+0001 is not allowed"),
        ("- kind: x\n", 1, "got a list"),
        ("hello\n", 1, "got a scalar"),
        ("---\n---\n\nkind: Pod\n", 4, "no apiVersion"),
        ("apiVersion: v1\nspec: {}\n", 1, "no kind"),
        ("apiVersion: v1\nkind: [Pod]\n", 1, "no kind"),
        ("apiVersion: v1\nkind: Pod\n", 1, "Pod has no metadata.name"),
        ("apiVersion: v1\nkind: Pod\nmetadata: ssg\n", 1, "Pod has no metadata.name"),
        ("apiVersion: extensions/v1beta1\nkind: Deployment\n", 2, "expected apps/v1"),
        ("apiVersion: apps/v1\nkind: Deploymnet\n", 2, "unknown kind Deploymnet; expected Deployment (apps/v1)"),
        ("apiVersion: schemagate.io/v1\nkind: Migration\n", 2, "expected GatewayMigration"),
        ("apiVersion: schemagate.io/v1\nkind: GatewayMigration\n", 2, "expected schemagate.io/v1alpha1"),
        ("apiVersion: security.brcmlab.com/v1\nkind: Gateway\n", 2, "expected security.brcmlabs.com/v1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(
    write: Callable[..., Any], content: str, line: int, said: str
) -> None:
    path = write(content)
    text = told(path)
    assert text.startswith(f"{path}:{line}: ")
    assert said in text


def test_a_value_that_is_no_number_of_any_kind_names_its_line(write: Callable[..., Any]) -> None:
    path = write(f"{CONFIG_MAP}data: {{a: !!int x}}\n")
    assert told(path).startswith(f"{path}:")


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "{a: " * 100_000, "a: " + "[" * 300 + "]" * 300])
def test_deep_nesting_is_refused(write: Callable[..., Any], text: str) -> None:
    assert "nested more than 64 deep" in told(write(text))


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, levels))]
    return f"{CONFIG_MAP}spec:\n" + "".join(f"  {line}\n" for line in lines)


def test_a_bomb_of_aliases_is_refused_before_it_is_built(write: Callable[..., Any]) -> None:
    assert "aliases" in told(write(bomb(60)))


def test_an_alias_to_itself_is_refused(write: Callable[..., Any]) -> None:
    assert "nested" in told(write(f"{CONFIG_MAP}spec: &a\n  b: *a\n"))


def test_honest_aliases_and_merges_are_read(write: Callable[..., Any]) -> None:
    found = load([write(f"{CONFIG_MAP}x: &x {{a: b}}\ndata:\n  <<: *x\n  c: d\n")])
    assert data_of(found) == {"a": "b", "c": "d"}


def test_a_file_too_large_is_refused() -> None:
    assert "larger than 64 MiB" in told("/dev/zero")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
        ("12:30", "12:30"),
        ("=", "="),
        ("99999999999999999999999", "99999999999999999999999"),
        ("017", 15),
        ("-1", -1),
        ("0", 0),
        ("3306", 3306),
        ("yes", True),
    ],
)
def test_scalars_mean_what_they_mean_to_kubernetes(write: Callable[..., Any], text: str, value: Any) -> None:
    assert data_of(load([write(f"{CONFIG_MAP}data: {{a: {text}}}\n")])) == {"a": value}


def test_keys_are_text(write: Callable[..., Any]) -> None:
    found = load([write(f"{CONFIG_MAP}data:\n  on: a\n  1: b\n  1.5: c\n")])
    assert data_of(found) == {"true": "a", "1": "b", "1.5": "c"}


def test_documents_have_their_lines(write: Callable[..., Any]) -> None:
    path = write(f"# a comment\n---\n{CONFIG_MAP}---\n# nothing\n---\n{CONFIG_MAP}")
    assert [item.where for item in load([path])] == [f"{path}:3", f"{path}:10"]


def test_carriage_returns_and_byte_order_marks_are_no_matter(write: Callable[..., Any]) -> None:
    text = f"{CONFIG_MAP}data: {{a: b}}\n---\n{CONFIG_MAP}".replace("\n", "\r\n")
    found = load([write(b"\xef\xbb\xbf" + text.encode())])
    assert [item.line for item in found] == [1, 7]
    assert data_of(found) == {"a": "b"}


def test_what_is_not_utf_8_is_told(write: Callable[..., Any]) -> None:
    path = write(b"a: b\nc: \xff\n")
    assert told(path) == f"{path}:2: not UTF-8 text (byte 8)"


def test_lists_are_taken_apart_each_item_with_its_line(write: Callable[..., Any]) -> None:
    path = write(
        "apiVersion: v1\nkind: List\nitems:\n"
        "- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n"
        "- apiVersion: v1\n  kind: List\n  items:\n"
        "  - apiVersion: v1\n    kind: Namespace\n    metadata: {name: b}\n"
    )
    assert [(item.kind, item.line) for item in load([path])] == [("ConfigMap", 4), ("Namespace", 10)]


def test_items_of_a_typed_list_may_leave_their_kind_to_it(write: Callable[..., Any]) -> None:
    path = write("apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: a}\n")
    assert load([path])[0].manifest == {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}


@pytest.mark.parametrize("items", ["items: []", "items: null"])
def test_an_empty_list_is_empty(write: Callable[..., Any], items: str) -> None:
    assert load([write(f"apiVersion: apps/v1\nkind: DeploymentList\n{items}\n")]) == []


def test_items_from_a_merge_are_not_lost(write: Callable[..., Any]) -> None:
    path = write(
        "apiVersion: v1\nkind: List\n<<: {items: [{apiVersion: v1, kind: Namespace, metadata: {name: a}}]}\n"
    )
    assert [item.kind for item in load([path])] == ["Namespace"]


def test_a_bad_item_of_a_list_names_its_own_line(write: Callable[..., Any]) -> None:
    path = write("apiVersion: v1\nkind: List\nitems:\n- kind: Pod\n- 5\n")
    assert told(path) == f"{path}:4: expected a Kubernetes object, but it has no apiVersion"


def test_json_is_read(write: Callable[..., Any]) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssg"}, "data": {"a": "b\u2192\t"}}
    assert data_of(load([write(json.dumps(manifest, indent="\t"), "objects.json")])) == {"a": "b\u2192\t"}


def test_json_may_write_a_character_as_two_escapes(write: Callable[..., Any]) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssg"}, "data": {"a": "\U0001f600"}}
    assert data_of(load([write(json.dumps(manifest))])) == {"a": "\U0001f600"}


def test_half_a_character_is_refused(write: Callable[..., Any]) -> None:
    path = write(CONFIG_MAP + 'data: {a: "\\ud83d"}\n')
    assert told(path) == f"{path}:5: not YAML: found invalid Unicode character escape code"


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("gateway.networking.k8s.io/v1", "Gateway"),
        ("networking.istio.io/v1", "Gateway"),
        ("batch.volcano.sh/v1alpha1", "Job"),
    ],
)
def test_kinds_of_others_with_the_same_name_are_left_alone(
    write: Callable[..., Any], version: str, kind: str
) -> None:
    found = load([write(f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n")])
    assert found[0].kind == f"{kind}.{version.partition('/')[0]}"
    assert not found[0].used


@pytest.mark.parametrize(
    ("version", "kind"),
    [("v1", "Secret"), ("apps/v1", "StatefulSet"), ("security.brcmlabs.com/v1", "Repository"), ("v1", "Event")],
)
def test_kinds_that_are_not_read_pass(write: Callable[..., Any], version: str, kind: str) -> None:
    assert not load([write(f"apiVersion: {version}\nkind: {kind}\n")])[0].used


def test_folders_are_searched_through_in_order(write: Callable[..., Any], tmp_path: Path) -> None:
    write(CONFIG_MAP, "b/two.yml")
    write(CONFIG_MAP, "a/one.yaml")
    write("nothing of ours", "a/readme.md")
    write('{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}', "c.json")
    found = load([str(tmp_path)])
    assert [Path(item.path).name for item in found] == ["one.yaml", "two.yml", "c.json"]


def test_a_folder_without_objects_is_told(tmp_path: Path) -> None:
    assert "no .yaml, .yml or .json file" in told(str(tmp_path))


@pytest.mark.parametrize("name", ["missing.yaml", "x" * 5000, ""])
def test_a_file_that_cannot_be_opened_is_told(name: str) -> None:
    assert "cannot be read" in told(name)


@pytest.mark.parametrize("content", ["", "\n\n", "---\n---\n", "# nothing\n", "~\n"])
def test_an_empty_file_holds_no_object(write: Callable[..., Any], content: str) -> None:
    assert load([write(content)]) == []
