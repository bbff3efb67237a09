"""What a noun's module works with: the call, its answer, and the route that leads to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from entra_emulator.directory.directory import Directory, Key
from entra_emulator.directory.errors import denied
from entra_emulator.directory.store import Document, Entity
from entra_emulator.graph import options, paths
from entra_emulator.graph.options import Options, Shape
from entra_emulator.world import World

OWNED_BY: Final = "Application.ReadWrite.OwnedBy"
READ_ALL: Final = "Application.Read.All"
WRITE_ALL: Final = "Application.ReadWrite.All"
DIRECTORY_READ: Final = "Directory.Read.All"
DIRECTORY_WRITE: Final = "Directory.ReadWrite.All"

IMPLIED: Final[Mapping[str, frozenset[str]]] = {
    WRITE_ALL: frozenset({READ_ALL}),
    DIRECTORY_WRITE: frozenset({DIRECTORY_READ}),
}
"""Permissions that hold another one."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: appId, object id of its service principal, application permissions."""

    app_id: str
    object_id: str
    permissions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. Without a body the answer is 204."""

    status: int = 204
    body: Mapping[str, Any] | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: method, path, who may call it, and what it costs.

    `template` is the path behind the version, `{}` for a key. The caller needs one of
    `permissions`, and where `also` names it, one of those as well (the permission tables of the
    Graph pages). `units` are the resource units of "Microsoft Graph throttling limits".
    """

    method: str
    template: str
    permissions: frozenset[str]
    handler: Callable[[Call], Answer]
    also: Mapping[str, frozenset[str]] = field(default_factory=dict)
    units: int = 1

    def allows(self, permissions: frozenset[str]) -> bool:
        """Whether a caller with these permissions may call the operation at all."""
        held = permissions.union(*(IMPLIED.get(name, frozenset()) for name in permissions))
        return any(
            name not in self.also or bool(self.also[name] & held)
            for name in self.permissions & held
        )


@dataclass(frozen=True, slots=True)
class Call:
    """One request that may be served: it is signed in, permitted, and its body is read."""

    world: World
    caller: Caller
    route: Route
    keys: tuple[Key, ...]
    options: Options
    body: Mapping[str, Any]
    creates_if_missing: bool
    path: str

    @property
    def directory(self) -> Directory:
        """The tenant's directory."""
        return self.world.directory

    def is_unrestricted(self) -> bool:
        """Whether the caller may act on objects that it does not own."""
        others = self.route.permissions - {OWNED_BY}
        return bool(others & self.caller.permissions)

    def owns(self, entity: Entity) -> bool:
        """Whether the caller owns the object, or is it."""
        return self.caller.object_id in {entity.id, *entity.owners}

    def require_owned(self, entity: Entity) -> None:
        """Raise GraphError 403 unless the caller may act on this object."""
        if not self.is_unrestricted() and not self.owns(entity):
            raise denied()

    def one(self, document: Document, shape: Shape, collection: str) -> Answer:
        """The answer of a read: one object, as far as it was selected."""
        members = options.chosen(self.options, document, shape)
        selected = f"({','.join(self.options.select)})" if self.options.select else ""
        context = self.context(f"{collection}{selected}/$entity")
        return Answer(200, {"@odata.context": context, **members})

    def many(self, found: Iterable[tuple[int, Document]], shape: Shape, collection: str) -> Answer:
        """The answer of a list: one page."""
        page = options.page(self.options, found, shape)
        selected = f"({','.join(self.options.select)})" if self.options.select else ""
        body: dict[str, Any] = {"@odata.context": self.context(f"{collection}{selected}")}
        if page.count is not None:
            body["@odata.count"] = page.count
        if page.rest is not None:
            path = quote(self.path, safe="/()'=$,:@")
            body["@odata.nextLink"] = f"{self.world.origin}{path}?{page.rest}"
        body["value"] = list(page.documents)
        return Answer(200, body)

    def created(
        self, document: Document, collection: str, directory_class: str | None = None
    ) -> Answer:
        """The answer of a creation; `directory_class` is what the Location ends with."""
        tenant = self.directory.tenant_id
        location = f"https://graph.microsoft.com/v2/{tenant}/directoryObjects/{document['id']}"
        if directory_class is not None:
            location += f"/Microsoft.DirectoryServices.{directory_class}"
        context = self.context(f"{collection}/$entity")
        return Answer(201, {"@odata.context": context, **document}, location)

    def context(self, what: str) -> str:
        """The `@odata.context` of an answer."""
        return f"{self.world.origin}/v1.0/$metadata#{what}"


def route_of(
    routes: Iterable[Route], method: str, path: list[paths.Token]
) -> tuple[Route, tuple[Key, ...]]:
    """The route that serves the path, and its keys; GraphError if there is none."""
    other_method = False
    for route in routes:
        keys = paths.match(route.template.split("/"), path)
        if keys is None:
            continue
        if route.method == method:
            return route, keys
        other_method = True
    if other_method:
        raise paths.wrong_method(method)
    raise paths.refuse(path)
