"""Which process heeds which setting, found in the code that reads them."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

from webhook.settings import Settings

WEBHOOK: Final = Path(__file__).parents[2] / "webhook"
_STARTED: Final = ("cli/process.py", "kube/certificates/settings.py:own_of")
_SERVING: Final = ("runtime/front.py", "runtime/tls.py")
_READERS: Final = {
    "webhook": (*_STARTED, *_SERVING, "runtime/webhook.py", "runtime/certificates.py"),
    "controller": (*_STARTED, "runtime/controller.py", "kube/certificates/settings.py:policy_of"),
    "serve": (*_SERVING, "cli/serve.py", "runtime/embedded.py"),
}
"""The files that are given a process's settings, or functions in them."""
_NOT_USED: Final = {"serve": frozenset({"tls_ca"})}
"""What is read and then asked by nobody: no webhook of an embedded cluster is registered."""
PROCESSES: Final = tuple(_READERS)


@cache
def heeded(process: str) -> frozenset[str]:
    """Give the names of the settings that this process reads."""
    text = "\n".join(_text(*reader.partition(":")[::2]) for reader in _READERS[process])
    names = set(re.findall(r"settings\.(\w+)", text))
    if "terms" in names:
        names |= set(re.findall(r"self\.(\w+)", _text("settings.py", "terms")))
    return frozenset(names & Settings.model_fields.keys()) - _NOT_USED.get(process, frozenset())


def _text(file: str, function: str) -> str:
    """Give a file's text, or that of a function in it with those that it calls by name there."""
    text = (WEBHOOK / file).read_text(encoding="utf-8")
    if not function:
        return text
    found = {node.name: node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    called = {
        node.func.id
        for node in ast.walk(found[function])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return "\n".join(ast.unparse(found[name]) for name in [function, *sorted(called & found.keys())])
