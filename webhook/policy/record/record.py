"""A stored record as a value: read from its wire form and written to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError

from webhook.errors import InvalidObjectError
from webhook.policy.names import MANAGED_BY, PRODUCT, RECORD_API_VERSION, RECORD_KIND, RETRY
from webhook.policy.objects import ObjectMeta, view, without_nulls
from webhook.policy.record.spec import RecordSpec
from webhook.policy.record.status import RecordStatus

_TOLD_BY_US = {
    "unexpected_keyword_argument": "there is no such field",
    "dataclass_type": "Input should be an object",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A stored GatewayMigration: as named as its Deployment. ``managed`` when schemagate made it."""

    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""
    generation: int = 1
    managed: bool = False
    retry: str = ""
    spec: RecordSpec = field(default_factory=RecordSpec)
    status: RecordStatus = field(default_factory=RecordStatus)

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any], *, strict: bool = False) -> "Record":
        """Read a GatewayMigration; InvalidObjectError names each bad field and what it takes.

        ``strict`` refuses unknown fields too, for objects that a person just wrote. What an API server
        stored may come from a newer version of the product, so there they are ignored.
        """
        try:
            meta = view(ObjectMeta, manifest.get("metadata") or {})
        except msgspec.ValidationError as error:
            raise InvalidObjectError(f"metadata: {error}") from None
        return cls(
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            resource_version=meta.resource_version,
            generation=meta.generation or 1,
            managed=(meta.labels or {}).get(MANAGED_BY) == PRODUCT,
            retry=meta.annotation(RETRY) or "",
            spec=read_spec(manifest.get("spec") or {}, strict=strict),
            status=_validated(_STATUS, "status", manifest.get("status") or {}, strict=strict),
        )

    def to_manifest(self) -> dict[str, Any]:
        """Give the wire form."""
        meta: dict[str, Any] = {"namespace": self.namespace, "name": self.name}
        optional = {
            "uid": self.uid,
            "resourceVersion": self.resource_version,
            "generation": self.generation,
            "labels": {MANAGED_BY: PRODUCT} if self.managed else {},
            "annotations": {RETRY: self.retry} if self.retry else {},
        }
        meta |= {key: value for key, value in optional.items() if value}
        return {
            "apiVersion": RECORD_API_VERSION,
            "kind": RECORD_KIND,
            "metadata": meta,
            "spec": _SPEC.dump_python(self.spec, mode="json", by_alias=True, exclude_defaults=True),
            "status": _filled(
                _STATUS.dump_python(self.status, mode="json", by_alias=True),
                _STATUS.dump_python(self.status, mode="json", by_alias=True, exclude_defaults=True),
            ),
        }


def _filled(whole: Any, sparse: Any) -> Any:
    """Give ``whole`` without what is empty by default.

    Other defaults are written out: what was observed must not change when they do.
    """
    if isinstance(whole, dict):
        told: dict[str, Any] = sparse if isinstance(sparse, dict) else {}
        return {
            name: _filled(item, told.get(name))
            for name, item in whole.items()
            if name in told or item not in (None, "", [], {})
        }
    if isinstance(whole, list):
        same = sparse if isinstance(sparse, list) else [None] * len(whole)
        return [_filled(item, like) for item, like in zip(whole, same, strict=True)]
    return whole


_SPEC = TypeAdapter(RecordSpec)
_STATUS = TypeAdapter(RecordStatus)


def read_spec(fields: Mapping[str, Any], *, strict: bool = False) -> RecordSpec:
    """Read a record's spec from its wire form; InvalidObjectError names each bad field and what it takes."""
    spec: RecordSpec = _validated(_SPEC, "spec", fields, strict=strict)
    return spec


def _validated(adapter: TypeAdapter[Any], part: str, fields: Mapping[str, Any], *, strict: bool) -> Any:
    try:
        return adapter.validate_python(without_nulls(fields), extra="forbid" if strict else "ignore")
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(step) for step in (part, *problem['loc']))}: "
            f"{_TOLD_BY_US.get(problem['type'], problem['msg'])}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise InvalidObjectError("; ".join(problems)) from None
