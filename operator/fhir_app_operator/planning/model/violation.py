"""What a manifest asks for although the tenant's policy does not allow it."""

from __future__ import annotations

from dataclasses import dataclass

from fhir_app_operator.planning.model.application import Application, ResourceAccess


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One permission, one redirect URI, or one scope that a client is to have without consent."""

    what: str
    """How messages call it."""
    access: ResourceAccess | None = None
    redirect_uri: str | None = None
    pre_authorized: tuple[str, str] | None = None
    """Client id, and the scope's value."""

    def is_in(self, application: Application) -> bool:
        """Whether the application has it."""
        uris = application.redirect_uris
        return (
            self.access in application.resource_access
            or self.redirect_uri in uris.web | uris.spa | uris.public_client
            or self.pre_authorized in _pre_authorized(application)
        )


def _pre_authorized(application: Application) -> frozenset[tuple[str, str]]:
    values = {scope.id: scope.value for scope in application.scopes}
    return frozenset(
        (entry.app_id, values[each])
        for entry in application.pre_authorized
        for each in entry.scope_ids & values.keys()
    )
