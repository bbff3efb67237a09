"""Types of properties, and how a request body is read by them and merged into an object.

Shapes only: which members a resource has, what JSON each takes, what may be null, and lengths.
Rules that look at more than one value are in the modules of the resources. Merging follows the
Graph update pages: a member that is left out stays, a complex property is merged, a collection is
replaced as a whole.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from entra_emulator.directory.errors import (
    GraphError,
    bad_request,
    invalid_value,
    missing_value,
    read_only,
)

GUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?(Z|[+-]\d\d:\d\d)", re.ASCII
)
_INT32 = 2**31


@dataclass(frozen=True, slots=True)
class Context:
    """Where a value stands: for the wording of refusals."""

    kind: str
    prop: str

    def inside(self, member: str) -> Context:
        """The context of a member of this value."""
        return Context(self.kind, f"{self.prop}.{member}" if self.prop else member)

    def refuse(self, why: str = "") -> GraphError:
        """The refusal of this value."""
        return invalid_value(self.prop, self.kind, why)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A JSON value that `check` accepts and brings into the form in which it is kept."""

    check: Callable[[Any, Context], Any]
    nullable: bool = True
    default: Any = None


@dataclass(frozen=True, slots=True)
class ListOf:
    """A collection; replaced as a whole, never null."""

    item: Scalar | Complex


@dataclass(frozen=True, slots=True)
class Complex:
    """A complex type. `required` members must be in every entry of a collection of it."""

    name: str
    members: Mapping[str, Property]
    required: frozenset[str] = frozenset()
    nullable: bool = False
    """Whether the property that holds it is null until it is set, rather than filled."""


Type = Scalar | ListOf | Complex


@dataclass(frozen=True, slots=True)
class Property:
    """A member of a resource or complex type."""

    type: Type
    read_only: bool = False
    on_create: bool = True
    """Whether a creation fills it; else it appears when something sets it."""


@dataclass(frozen=True, slots=True)
class Resource:
    """An entity type: its members in the order in which Graph writes them."""

    name: str
    odata_type: str
    members: Mapping[str, Property]

    @property
    def title(self) -> str:
        """The name as refusals spell it."""
        return self.name[0].upper() + self.name[1:]


def text(*, max_length: int | None = None, nullable: bool = True) -> Scalar:
    """Edm.String of at most `max_length` characters."""

    def check(value: Any, where: Context) -> str:
        if not isinstance(value, str):
            raise _mismatch(value, "Edm.String")
        if max_length is not None and len(value) > max_length:
            raise where.refuse(f"The value must not be longer than {max_length} characters.")
        return value

    return Scalar(check, nullable)


def choice(*values: str, nullable: bool = True, default: str | None = None) -> Scalar:
    """One of `values`."""

    def check(value: Any, where: Context) -> str:
        if not isinstance(value, str):
            raise _mismatch(value, "Edm.String")
        if value not in values:
            raise where.refuse(f"The value must be one of: {', '.join(values)}.")
        return value

    return Scalar(check, nullable, default)


def flag(*, nullable: bool = True, default: bool | None = None) -> Scalar:
    """Edm.Boolean."""

    def check(value: Any, _where: Context) -> bool:
        if not isinstance(value, bool):
            raise _mismatch(value, "Edm.Boolean")
        return value

    return Scalar(check, nullable, default)


def integer() -> Scalar:
    """Edm.Int32."""

    def check(value: Any, _where: Context) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not -_INT32 <= value < _INT32:
            raise _mismatch(value, "Edm.Int32")
        return value

    return Scalar(check)


def guid(*, nullable: bool = True) -> Scalar:
    """Edm.Guid, kept in lower case."""

    def check(value: Any, _where: Context) -> str:
        if not isinstance(value, str) or not GUID.fullmatch(value):
            raise _mismatch(value, "Edm.Guid")
        return value.lower()

    return Scalar(check, nullable)


def moment() -> Scalar:
    """Edm.DateTimeOffset, kept as UTC with whole seconds."""

    def check(value: Any, _where: Context) -> str:
        return read_moment(value).strftime("%Y-%m-%dT%H:%M:%SZ")

    return Scalar(check)


def binary() -> Scalar:
    """Edm.Binary: base64 (either alphabet, white space ignored), kept in the standard alphabet."""

    def check(value: Any, _where: Context) -> str:
        if not isinstance(value, str):
            raise _mismatch(value, "Edm.Binary")
        compact = "".join(value.split()).replace("-", "+").replace("_", "/").rstrip("=")
        try:
            raw = base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
        except (binascii.Error, ValueError) as error:
            raise _mismatch(value, "Edm.Binary") from error
        return base64.b64encode(raw).decode()

    return Scalar(check)


def read_moment(value: Any) -> datetime:
    """A time stamp in Graph's form, as UTC."""
    match = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _mismatch(value, "Edm.DateTimeOffset")
    try:
        return datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00")).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _mismatch(value, "Edm.DateTimeOffset") from error


def create(resource: Resource, body: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a new object: defaults, with the body's values laid over them.

    A null for a collection counts as left out here: clients send it for members they do not set.
    """
    given = {
        name: value for name, value in body.items() if not _is_null_list(resource, name, value)
    }
    blank = {name: _default(prop.type) for name, prop in resource.members.items() if prop.on_create}
    return update(resource, blank, given)


def update(
    resource: Resource, current: Mapping[str, Any], body: Mapping[str, Any]
) -> dict[str, Any]:
    """The document after a PATCH: `body` laid over `current`.

    Raises GraphError for unknown, read-only and ill-typed members. A read-only member is let
    through if it repeats the current value: clients send back what they have read.
    """
    merged = dict(current)
    for name, value in _members(body).items():
        prop = resource.members.get(name)
        if prop is None:
            raise bad_request(f"Invalid property '{name}'.")
        if prop.read_only:
            if value != current.get(name):
                raise read_only(name)
            continue
        where = Context(resource.title, name)
        merged[name] = _read(prop.type, current.get(name), value, where)
    return merged


def entry(kind: Complex, title: str, value: Any, prop: str) -> dict[str, Any]:
    """A complex value on its own, such as the parameter of an action."""
    return _entry(kind, value, Context(title, prop))


def _read(kind: Type, current: Any, value: Any, where: Context) -> Any:
    if isinstance(kind, Scalar):
        return _scalar(kind, value, where)
    if isinstance(kind, ListOf):
        if not isinstance(value, list):
            raise _mismatch(value, "Collection")
        return [
            _entry(kind.item, item, where)
            if isinstance(kind.item, Complex)
            else _scalar(kind.item, item, where)
            for item in value
        ]
    if value is None:
        return _default(kind)
    return _merge(kind, current if current is not None else _filled(kind), value, where)


def _scalar(kind: Scalar, value: Any, where: Context) -> Any:
    if value is None:
        if not kind.nullable:
            raise where.refuse("The value must not be null.")
        return None
    return kind.check(value, where)


def _merge(kind: Complex, current: Mapping[str, Any], value: Any, where: Context) -> Any:
    if not isinstance(value, dict):
        raise _mismatch(value, kind.name)
    merged = dict(current)
    for name, item in _members(value).items():
        prop = kind.members.get(name)
        if prop is None:
            raise bad_request(f"Invalid property '{name}'.")
        if prop.read_only:
            continue
        merged[name] = _read(prop.type, current.get(name), item, where.inside(name))
    return merged


def _entry(kind: Complex, value: Any, where: Context) -> dict[str, Any]:
    merged: dict[str, Any] = _merge(kind, _filled(kind), value, where)
    for name in kind.required:
        if merged.get(name) is None or name not in value:
            raise missing_value(where.inside(name).prop, where.kind)
    return merged


def _default(kind: Type) -> Any:
    if isinstance(kind, Scalar):
        return kind.default
    if isinstance(kind, ListOf):
        return []
    return None if kind.nullable else _filled(kind)


def _filled(kind: Complex) -> dict[str, Any]:
    return {name: _default(prop.type) for name, prop in kind.members.items() if prop.on_create}


def _members(value: Mapping[str, Any]) -> dict[str, Any]:
    """The members without OData annotations, which say nothing about the object's state."""
    return {name: item for name, item in value.items() if "@odata." not in name}


def _is_null_list(resource: Resource, name: str, value: Any) -> bool:
    prop = resource.members.get(name)
    return value is None and prop is not None and isinstance(prop.type, ListOf)


def _mismatch(value: Any, expected: str) -> GraphError:
    shown = type(value).__name__ if isinstance(value, (dict, list)) else repr(value)[:60]
    return bad_request(
        f"Cannot convert the literal {shown} to the expected type '{expected}'.",
        code="BadRequest",
    )
