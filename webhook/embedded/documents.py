"""YAML and JSON as Kubernetes reads them, with the place of everything and a bound on what a text may cost."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from webhook.errors import SourceError

ALIASED = 10
"""How many times larger a document may be once its aliases are written out."""
DEPTH_LIMIT = 64
"""How deep an object may be nested; the deepest of Kubernetes' own need half of it."""

# One character as two escapes: JSON has that, YAML has not.
_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: times, ``=`` and ``1:30`` are text, keys are text and stand once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """Construct a mapping with text for keys."""
        _refuse_duplicates(node)
        self.flatten_mapping(node)
        return {
            _key(self.construct_object(key, deep=True), key): self.construct_object(value, deep=deep)
            for key, value in node.value
        }


_TEXT = frozenset({"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value", "tag:yaml.org,2002:int"})
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(?:0b[01_]{1,63}|0[0-7_]{0,20}|[1-9][0-9_]{0,18}|0x[0-9a-fA-F_]{1,15})$", re.ASCII),
    list("-+0123456789"),
)


def _refuse_duplicates(node: yaml.MappingNode) -> None:
    """Refuse a key that stands twice: of the two values one would be lost."""
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value[:80]!r} is there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)


def _key(key: Any, node: yaml.Node) -> str:
    """Give a key as text, as Kubernetes does: ``on: x`` has the key ``true``."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, int | float):
        return str(key)
    raise yaml.MarkedYAMLError(problem="a key that is no text; quote it", problem_mark=node.start_mark)


def documents(text: str, path: str) -> Iterator[tuple[Any, yaml.Node]]:
    """Give each document of a text with its node, whose marks tell lines; SourceError when it is none."""
    as_json = _json(text)
    # JSON is YAML but for its tabs and its pairs of escapes: the latter is asked for the lines alone.
    text = text if as_json is None else _PAIR.sub("?", text.replace("\t", " "))
    try:
        _shallow(text, path)
        loader = _Loader(text)
        while loader.check_node():
            node: Any = loader.get_node()
            _bound(node, path)
            try:
                manifest = loader.construct_document(node) if as_json is None else as_json
            except ValueError as error:
                raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from None
            if manifest is not None:
                yield manifest, node
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, text.find(chr(error.character))) + 1
        raise SourceError(
            f"{path}:{line}: not YAML: the character U+{error.character:04X} is not allowed"
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = error.problem or error.context or "cannot be parsed"
        if text.split("\n")[line - 1].lstrip(" ").startswith("\t"):
            problem += " (a tab; indent with spaces)"
        raise SourceError(f"{path}:{line}: not YAML: {' '.join(problem.split())[:200]}") from None
    except yaml.YAMLError as error:
        raise SourceError(f"{path}:1: not YAML: {' '.join(str(error).split())[:200]}") from None


def _shallow(text: str, path: str) -> None:
    """Refuse a text that is nested too deep, event by event: libyaml composes nodes by recursion in C."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_LIMIT:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise SourceError(f"{path}:{line}: not YAML: nested more than {DEPTH_LIMIT} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _json(text: str) -> Any:
    """Give what a text is in JSON, or None when it is none."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


def _bound(root: yaml.Node, path: str) -> None:
    """Refuse a document that its aliases make endless, too deep, or many times larger."""
    sizes: dict[yaml.Node, int] = {}

    def size(node: yaml.Node, depth: int) -> int:
        if depth > DEPTH_LIMIT:
            line = node.start_mark.line + 1
            raise SourceError(f"{path}:{line}: not YAML: nested more than {DEPTH_LIMIT} deep by its aliases")
        if node not in sizes:
            value = () if isinstance(node, yaml.ScalarNode) else node.value
            children = (part for pair in value for part in pair) if isinstance(node, yaml.MappingNode) else value
            sizes[node] = 1 + sum(size(child, depth + 1) for child in children)
        return sizes[node]

    if size(root, 1) > 10_000 + ALIASED * len(sizes):
        raise SourceError(
            f"{path}:{root.start_mark.line + 1}: not YAML: its aliases make it {ALIASED} times larger"
        )
