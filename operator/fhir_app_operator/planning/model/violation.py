"""What a manifest asks for although the tenant's policy does not allow it."""

from __future__ import annotations

from dataclasses import dataclass

from fhir_app_operator.planning.model.application import (
    Application,
    ApplicationChanges,
    ResourceAccess,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One permission or one redirect URI."""

    what: str
    """How messages call it."""
    access: ResourceAccess | None = None
    redirect_uri: str | None = None

    def is_in(self, application: Application) -> bool:
        """Whether the directory has it already."""
        uris = application.redirect_uris
        return self._is_among(application.resource_access, uris.web | uris.spa | uris.public_client)

    def is_sent(self, changes: ApplicationChanges) -> bool:
        """Whether `changes` would write it."""
        sent = (
            changes.web_redirect_uris, changes.spa_redirect_uris,
            changes.public_client_redirect_uris,
        )  # fmt: skip
        uris = frozenset(uri for collection in sent for uri in collection or ())
        return self._is_among(changes.resource_access or frozenset(), uris)

    def _is_among(self, access: frozenset[ResourceAccess], uris: frozenset[str]) -> bool:
        return self.access in access or self.redirect_uri in uris
