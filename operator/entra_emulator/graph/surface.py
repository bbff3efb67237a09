"""All operations of Graph that are served. A new noun adds its module's routes here."""

from __future__ import annotations

from typing import Final

from entra_emulator.graph import (
    applications,
    assignments,
    deleted_items,
    grants,
    service_principals,
)
from entra_emulator.graph.calls import Route

ROUTES: Final[tuple[Route, ...]] = (
    *applications.ROUTES,
    *service_principals.ROUTES,
    *assignments.ROUTES,
    *grants.ROUTES,
    *deleted_items.ROUTES,
)
