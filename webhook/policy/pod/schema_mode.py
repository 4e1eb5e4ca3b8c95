"""The patch that sets the schema-update mode in a gateway container's ``EXTRA_JAVA_ARGS``.

Pods get ``skip``, the migration Job ``liquibase-only``. Whatever the variable held before is kept, wherever it
came from, with one mode in it and ours last:

=================================  ================================================================
``EXTRA_JAVA_ARGS`` comes from     what the container gets
=================================  ================================================================
a literal in ``env``               the literal, any mode taken out, ours appended
``valueFrom`` in ``env``           the reference under another name, then ``"$(OTHER) -D…=MODE"``
``envFrom``, a ConfigMap's key     ``"$(EXTRA_JAVA_ARGS) -D…=MODE"``; a literal if the key holds a mode
``envFrom``, perhaps a Secret      an empty value, an optional reference over it, then ``"$(OTHER) …"``
nowhere                            ``-D…=MODE``
=================================  ================================================================

An undefined ``$(NAME)`` would stay literal and break the JVM; an optional reference to a missing key leaves the
variable as it was, so that an entry before it serves as the default (kubelet, Kubernetes 1.36; the API server
accepts one name twice, with a warning). Where the arguments end in the one mode that is wanted, nothing is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from webhook.policy.environment import ConfigMaps, Secretive, escape, inline, resolve
from webhook.policy.names import EXTRA_JAVA_ARGS, KEPT_JAVA_ARGS, LIQUIBASE_LOG_LEVEL
from webhook.policy.objects import Container, EnvFromSource, EnvVar, without_nulls
from webhook.policy.patch import Operation, Patch, pointer
from webhook.policy.pod.java_args import mode_flag, modes, with_mode, without_mode, words

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Injection:
    """Operations on the container's ``env``, relative to it, and the modes of the user that they replace."""

    operations: Patch = ()
    replaced: tuple[str, ...] = ()


def environment_patch(
    index: int, container: Container, config_maps: ConfigMaps, *, mode: str | None, log_level: str | None
) -> Injection:
    """Give the whole patch for the container at ``index`` of the pod.

    ``mode`` is the schema-update mode to set, ``log_level`` the ``LIQUIBASE_LOG_LEVEL``; None leaves either as
    it is. Applied a second time the patch is empty.
    """
    level = _log_level(container, log_level) if log_level else ()
    arguments = _java_args(container, config_maps, mode) if mode else Injection()
    relative = (*level, *arguments.operations)
    if relative and not container.env:
        relative = (Operation("add", "", []), *relative)
    env = pointer("spec", "containers", index, "env")
    absolute = tuple(Operation(step.op, env + step.path, step.value) for step in relative)
    return Injection(absolute, arguments.replaced)


def effective_modes(container: Container, config_maps: ConfigMaps) -> tuple[str, ...]:
    """Give the modes that the container's arguments set, as far as they are known."""
    value = resolve(container, config_maps).values.get(EXTRA_JAVA_ARGS, "")
    parts = value.parts if isinstance(value, Secretive) else (value,)
    return modes("".join(part if isinstance(part, str) else "$()" for part in parts))


def arguments_known(container: Container, config_maps: ConfigMaps) -> bool:
    """Tell whether the arguments are known: from a Secret they are not, and then say nothing of the mode."""
    return isinstance(resolve(container, config_maps).values.get(EXTRA_JAVA_ARGS, ""), str)


def _log_level(container: Container, level: str) -> Patch:
    at = _last(container, LIQUIBASE_LOG_LEVEL)
    entry = {"name": LIQUIBASE_LOG_LEVEL, "value": level}
    if at is None:
        return (Operation("add", "/-", entry),)
    current = (container.env or ())[at]
    if current.value_from is None and current.value == level:
        return ()
    return (Operation("replace", f"/{at}", entry),)


def _java_args(container: Container, config_maps: ConfigMaps, mode: str) -> Injection:
    at = _last(container, EXTRA_JAVA_ARGS)
    if at is None:
        return _from_sources(container, config_maps, mode)
    variable = (container.env or ())[at]
    if variable.value or variable.value_from is None:
        return _literal(container, config_maps, at, mode)
    return _reference(container, config_maps, at, mode)


def _literal(container: Container, config_maps: ConfigMaps, at: int, mode: str) -> Injection:
    text = (container.env or ())[at].value or ""
    before = resolve(_until(container, at), config_maps)
    # A mode may hide behind a reference, and a reference with more than the mode in the word that sets it.
    hidden = modes(inline(without_mode(text), before))
    tangled = any(word.mode is not None and "$(" in word.value for word in words(text))
    plain = inline(text, before) if hidden or tangled else text
    wanted = with_mode(plain, mode)
    if wanted == text:
        return Injection()
    # "add" on a member that exists replaces it (RFC 6902), and an empty value is left out on the wire.
    return Injection((Operation("add", f"/{at}/value", wanted),), _foreign(modes(plain), mode))


def _reference(container: Container, config_maps: ConfigMaps, at: int, mode: str) -> Injection:
    variable = (container.env or ())[at]
    value = resolve(_until(container, at + 1), config_maps).certain(EXTRA_JAVA_ARGS)
    if value is not None and with_mode(value, mode) == value:
        return Injection()
    if value is not None and modes(value):
        entry = {"name": EXTRA_JAVA_ARGS, "value": with_mode(escape(value), mode)}
        return Injection((Operation("replace", f"/{at}", entry),), _foreign(modes(value), mode))
    renamed = Operation("replace", f"/{at}/name", KEPT_JAVA_ARGS)
    ours = Operation("add", f"/{at + 1}", {"name": EXTRA_JAVA_ARGS, "value": _after(KEPT_JAVA_ARGS, mode)})
    defaults, replaced = _defaults(_until(container, at), config_maps) if _optional(variable) else ([], ())
    seeds = [Operation("add", f"/{at + offset}", entry) for offset, entry in enumerate(defaults)]
    return Injection((renamed, ours, *seeds), _foreign(replaced, mode))


def _from_sources(container: Container, config_maps: ConfigMaps, mode: str) -> Injection:
    value, maybe = _sources(container, config_maps)
    if value is not None and not modes(value):
        return Injection((_append(EXTRA_JAVA_ARGS, _after(EXTRA_JAVA_ARGS, mode)),))
    if value is not None and not maybe and with_mode(value, mode) == value:
        return Injection()
    kept = escape(without_mode(value or ""))
    replaced = _foreign(modes(value or ""), mode)
    if not maybe:
        return Injection((_append(EXTRA_JAVA_ARGS, with_mode(kept, mode)),), replaced)
    chain = [_append(KEPT_JAVA_ARGS, kept), *(Operation("add", "/-", entry) for entry in maybe)]
    return Injection((*chain, _append(EXTRA_JAVA_ARGS, _after(KEPT_JAVA_ARGS, mode))), replaced)


def _defaults(container: Container, config_maps: ConfigMaps) -> tuple[list[Entry], tuple[str, ...]]:
    """Give the entries that hold what the variable was before an optional reference, and the modes left out."""
    earlier = [variable for variable in container.env or () if variable.name == EXTRA_JAVA_ARGS]
    certain = resolve(container, config_maps).certain(EXTRA_JAVA_ARGS)
    value, maybe = _sources(container, config_maps) if certain is None else (certain, [])
    hidden = certain is None and not all(_optional(variable) for variable in earlier)
    if hidden or (value is not None and not modes(value)):
        # Set for sure, and as far as we know without a mode.
        return [{"name": KEPT_JAVA_ARGS, "value": f"$({EXTRA_JAVA_ARGS})"}], ()
    if certain is None:
        maybe += [_kept_reference(variable) for variable in earlier]
    kept = escape(without_mode(value or ""))
    return [{"name": KEPT_JAVA_ARGS, "value": kept}, *maybe], modes(value or "")


def _sources(container: Container, config_maps: ConfigMaps) -> tuple[str | None, list[Entry]]:
    """Look through ``envFrom``: the value a ConfigMap gives, and optional references to what may override it."""
    value, maybe = None, list[Entry]()
    for source in container.env_from or ():
        key = EXTRA_JAVA_ARGS.removeprefix(source.prefix)
        if not EXTRA_JAVA_ARGS.startswith(source.prefix) or not key:
            continue
        known = config_maps.get(source.config_map_ref.name) if source.config_map_ref else None
        if known is None:
            maybe.append(_optional_reference(source, key))
        elif key in (known.data or {}):
            value, maybe = (known.data or {})[key], []
    return value, maybe


def _optional_reference(source: EnvFromSource, key: str) -> Entry:
    kind, reference = (
        ("secretKeyRef", source.secret_ref) if source.secret_ref else ("configMapKeyRef", source.config_map_ref)
    )
    name = reference.name if reference else ""
    return {"name": KEPT_JAVA_ARGS, "valueFrom": {kind: {"name": name, "key": key, "optional": True}}}


def _kept_reference(variable: EnvVar) -> Entry:
    return {"name": KEPT_JAVA_ARGS, "valueFrom": without_nulls(msgspec.to_builtins(variable.value_from))}


def _optional(variable: EnvVar) -> bool:
    """Tell whether the entry may leave its variable as it was."""
    source = variable.value_from
    reference = (source.config_map_key_ref or source.secret_key_ref or source.file_key_ref) if source else None
    return bool(reference and reference.optional and not variable.value)


def _last(container: Container, name: str) -> int | None:
    entries = container.env or ()
    return next((at for at in reversed(range(len(entries))) if entries[at].name == name), None)


def _until(container: Container, at: int) -> Container:
    return msgspec.structs.replace(container, env=(container.env or ())[:at])


def _append(name: str, value: str) -> Operation:
    return Operation("add", "/-", {"name": name, "value": value})


def _after(name: str, mode: str) -> str:
    return f"$({name}) {mode_flag(mode)}"


def _foreign(found: Sequence[str], mode: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(other for other in found if other != mode))
