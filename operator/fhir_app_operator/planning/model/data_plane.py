"""What opens the data of a managed FHIR service, beside the token."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlane:
    """The Azure RBAC role that a client needs, or its users."""

    role: str
    for_users: bool
    """Each user needs it, not the client."""
    azure_resource_id: str | None = None
    """The managed service; None: the manifest does not say."""
