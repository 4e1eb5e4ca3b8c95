"""How a kubelet builds a container's environment, written again from its source and from nothing of ours.

``makeEnvironmentVariables`` in pkg/kubelet/kubelet_pods.go and ``Expand`` in third_party/forked/golang/expansion.
"""

from collections.abc import Mapping
from typing import Any

Store = Mapping[str, Mapping[str, str]]


class CannotStartError(Exception):
    """The container waits in CreateContainerConfigError."""


def expand(text: str, known: Mapping[str, str]) -> str:
    """Walk the text as the Go code does, character by character."""
    out, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            out, at = out + text[at], at + 1
        elif text[at + 1] == "$":
            out, at = out + "$", at + 2
        elif text[at + 1] == "(" and ")" in text[at + 2 :]:
            end = text.index(")", at + 2)
            name = text[at + 2 : end]
            out, at = out + known.get(name, f"$({name})"), end + 1
        else:
            out, at = out + text[at : at + 2], at + 2
    return out


def environment(container: Mapping[str, Any], config_maps: Store, secrets: Store) -> dict[str, str]:
    """Give the variables that the container starts with; CannotStartError when something required is missing."""
    stores = {"configMap": config_maps, "secret": secrets}
    env: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        for kind, store in stores.items():
            reference = source.get(f"{kind}Ref")
            if reference is None:
                continue
            if reference["name"] not in store and not reference.get("optional"):
                raise CannotStartError(reference["name"])
            for key, value in store.get(reference["name"], {}).items():
                env[source.get("prefix", "") + key] = value
    for entry in container.get("env") or []:
        if entry.get("value"):
            env[entry["name"]] = expand(entry["value"], env)
        elif "valueFrom" not in entry:
            env[entry["name"]] = ""
        else:
            env |= _referred(entry["name"], entry["valueFrom"], stores)
    return env


def _referred(name: str, source: Mapping[str, Any], stores: Mapping[str, Store]) -> dict[str, str]:
    """Give the variable, or nothing where an optional reference leads nowhere."""
    if "fieldRef" in source:
        return {name: "10.0.0.7"}
    kind = next(kind for kind in stores if f"{kind}KeyRef" in source)
    reference = source[f"{kind}KeyRef"]
    found = stores[kind].get(reference["name"], {}).get(reference["key"])
    if found is None and not reference.get("optional"):
        raise CannotStartError(f"{reference['name']}/{reference['key']}")
    return {} if found is None else {name: found}
