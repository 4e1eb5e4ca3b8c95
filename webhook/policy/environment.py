"""A small model of how the kubelet builds a container's environment.

Rules as in ``makeEnvironmentVariables`` of pkg/kubelet/kubelet_pods.go and third_party/forked/golang/expansion
(Kubernetes 1.36): ``envFrom`` in order, later sources win; then ``env`` in order, which beats ``envFrom``;
``$(NAME)`` expands from what is set so far, ``$$`` is an escaped dollar, and an undefined ``$(NAME)`` stays
literal; an optional reference to a missing key leaves the variable as it was.

Secrets are never read, so a value may be unknown.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from webhook.policy.objects import ConfigMap, Container, EnvVar, EnvVarSource

_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")


@dataclass(frozen=True, slots=True)
class Secretive:
    """A value that comes from where we do not look; ``origin`` names the place, never the value.

    One that is put together from several places has ``parts``: known text and unknown values in order. The text
    may hold credentials.
    """

    origin: str
    parts: "tuple[Value, ...]" = field(default=(), repr=False)


Value = str | Secretive

EXPANDED_LIMIT = 64 * 1024
"""Longest value with references in it that is worked out, in characters.

Thirty variables that each name the one before twice would fill any memory.
"""
TOO_LONG = Secretive("longer than 64 KiB")
ConfigMaps = Mapping[str, ConfigMap | None]


@dataclass(slots=True)
class Environment:
    """What a container's variables are, as far as ConfigMaps and literals tell.

    ``missing`` holds the ConfigMaps (or ``map/key``) that must exist and do not. A key of an ``envFrom`` Secret
    is not in ``values``, since nobody here knows that it exists; ``unsure`` are the names with a value that such
    a key may override.
    """

    values: dict[str, Value] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)

    def known(self, name: str) -> str | None:
        """Give the variable's text if it is set to a known one, else None."""
        value = self.values.get(name)
        return value if isinstance(value, str) else None

    def certain(self, name: str) -> str | None:
        """Give the variable's text if nothing that is not read may change it, else None."""
        return None if name in self.unsure else self.known(name)


def expand(text: str, lookup: Callable[[str], Value | None]) -> Value:
    """Expand ``$(NAME)`` as the kubelet does; unknown as soon as a part is unknown, or it grows past all use."""
    parts: list[Value] = []
    at, size = 0, 0
    for found in _REFERENCE.finditer(text):
        value = "$" if found[1] == "$" else lookup(found[2])
        part = found[0] if value is None else value
        parts += (text[at : found.start()], part)
        size += found.start() - at + (len(part) if isinstance(part, str) else 1 + len(part.parts))
        if size > EXPANDED_LIMIT or part == TOO_LONG:
            return TOO_LONG
        at = found.end()
    return _joined([*parts, text[at:]])


def _joined(parts: Iterable[Value]) -> Value:
    leaves = [
        leaf for part in parts for leaf in (part.parts or (part,) if isinstance(part, Secretive) else (part,))
    ]
    leaves = [leaf for leaf in leaves if leaf != ""]
    origins = dict.fromkeys(leaf.origin for leaf in leaves if isinstance(leaf, Secretive))
    if not origins:
        return "".join(leaf for leaf in leaves if isinstance(leaf, str))
    return leaves[0] if len(leaves) == 1 else Secretive("+".join(origins), tuple(leaves))


def escape(text: str) -> str:
    """Give a literal that the kubelet expands to exactly this text, whatever stands next to it."""
    return text.replace("$", "$$")


def inline(text: str, environment: Environment) -> str:
    """Write the values of all references that are certain in their place; the kubelet makes the same of it."""
    if expand(text, environment.certain) == TOO_LONG:
        return text

    def replace(found: re.Match[str]) -> str:
        value = None if found[1] == "$" else environment.certain(found[2])
        return found[0] if value is None else escape(value)

    return _REFERENCE.sub(replace, text)


def config_maps_of(container: Container) -> frozenset[str]:
    """Give the names of all ConfigMaps that the container's environment refers to."""
    named = {source.config_map_ref.name for source in container.env_from or () if source.config_map_ref}
    for variable in container.env or ():
        if variable.value_from and variable.value_from.config_map_key_ref:
            named.add(variable.value_from.config_map_key_ref.name)
    return frozenset(named)


def resolve(container: Container, config_maps: ConfigMaps) -> Environment:
    """Work out the container's environment from the ConfigMaps given by name (None or absent: no such map)."""
    environment = Environment()
    for source in container.env_from or ():
        if source.config_map_ref is None:
            environment.unsure.update(name for name in environment.values if name.startswith(source.prefix))
            continue
        config_map = config_maps.get(source.config_map_ref.name)
        if config_map is None:
            if not source.config_map_ref.optional:
                environment.missing.append(source.config_map_ref.name)
            continue
        for key, value in (config_map.data or {}).items():
            environment.values[source.prefix + key] = value
            environment.unsure.discard(source.prefix + key)
    for variable in container.env or ():
        value_or_none = _value_of(variable, environment, config_maps)
        if value_or_none is not None:
            environment.values[variable.name] = value_or_none
            environment.unsure.discard(variable.name)
    return environment


def _value_of(variable: EnvVar, environment: Environment, config_maps: ConfigMaps) -> Value | None:
    """Give the value of one ``env`` entry, or None when it leaves the variable as it was."""
    if variable.value:
        return expand(variable.value, environment.values.get)
    if variable.value_from is None:
        return ""
    reference = variable.value_from.config_map_key_ref
    if reference is None:
        return Secretive(_origin(variable.value_from))
    config_map = config_maps.get(reference.name)
    value = (config_map.data or {}).get(reference.key) if config_map else None
    if value is None and not reference.optional:
        environment.missing.append(f"{reference.name}/{reference.key}")
    return value


def _origin(source: EnvVarSource) -> str:
    if source.secret_key_ref:
        return f"secret:{source.secret_key_ref.name}/{source.secret_key_ref.key}"
    if source.file_key_ref:
        file = source.file_key_ref
        return f"file:{file.volume_name}/{file.path}/{file.key}"
    return f"field:{source.field_ref.field_path}" if source.field_ref else "field"
