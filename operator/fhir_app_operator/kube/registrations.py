"""Reads and writes of our own two kinds. What a status says is decided in planning."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1 import (
    EntraTenant,
    FhirAppRegistration,
    RegistrationStatus,
    TenantStatus,
)
from fhir_app_operator.errors import Invalid
from fhir_app_operator.kube.api_server import APPLY_PATCH, MERGE_PATCH, ApiServer, Request

_ROOT: Final = f"/apis/{names.GROUP}/{names.VERSION}"
_PAGE: Final = "500"

M = TypeVar("M", bound=BaseModel)


def registration_path(namespace: str, name: str) -> str:
    """Return the path of a registration."""
    return f"{_ROOT}/namespaces/{namespace}/{names.REGISTRATION_PLURAL}/{name}"


def tenant_path(name: str) -> str:
    """Return the path of a tenant."""
    return f"{_ROOT}/{names.TENANT_PLURAL}/{name}"


class Registrations:
    """The FhirAppRegistrations and EntraTenants of the cluster; errors as in `ApiServer`."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    async def registration(self, namespace: str, name: str) -> FhirAppRegistration | None:
        """Return the registration as it is now.

        Raises:
            Invalid: it cannot be read as this version of the kind.
        """
        path = registration_path(namespace, name)
        body = await self._api.get(path, f"FhirAppRegistration '{namespace}/{name}'")
        return None if body is None else parse_registration(body)

    async def readable(self, namespace: str, name: str) -> FhirAppRegistration | None:
        """Return the registration as it is now; None, too, if it cannot be read: it says so itself.

        For who refers to it, that it exists and cannot be read would tell as much as that it can.
        """
        try:
            return await self.registration(namespace, name)
        except Invalid:
            return None

    async def tenant(self, name: str) -> EntraTenant | None:
        """Return the tenant as it is now.

        Raises:
            Invalid: it cannot be read as this version of the kind.
        """
        body = await self._api.get(tenant_path(name), f"EntraTenant '{name}'")
        return None if body is None else _parse(EntraTenant, body)

    async def all(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every registration of the cluster as the API server sends it, page by page.

        Thousands of them at once would be the most that the operator ever holds in memory.
        """
        path, what = f"{_ROOT}/{names.REGISTRATION_PLURAL}", "FhirAppRegistrations"
        more = ""
        while True:
            query = (("limit", _PAGE), *((("continue", more),) if more else ()))
            body = await self._api.get(path, what, query) or {}
            for item in body.get("items") or ():
                yield item
            more = (body.get("metadata") or {}).get("continue") or ""
            if not more:
                return

    async def dry_run(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Return what applying `manifest` would give, with defaults; nothing is stored.

        Raises:
            Stalled: the API server refuses it; the message has the fields at fault.
        """
        meta = manifest.get("metadata") or {}
        namespace, name = meta.get("namespace") or "default", meta.get("name") or ""
        query = (("dryRun", "All"), ("fieldManager", "plan"), ("force", "true"),
                 ("fieldValidation", "Strict"))  # fmt: skip
        return await self._api.send(
            Request(method="PATCH", path=registration_path(namespace, name), query=query,
                    what=f"FhirAppRegistration '{namespace}/{name}'", body=manifest,
                    content_type=APPLY_PATCH, quotable=True)
        )  # fmt: skip

    async def set_finalizers(
        self, thing: FhirAppRegistration | EntraTenant, finalizers: Iterable[str]
    ) -> dict[str, Any]:
        """Replace the list of finalizers, guarded by resourceVersion; return the object.

        Raises:
            Conflict: the object changed since it was read.
        """
        metadata = {
            "resourceVersion": thing.metadata.resource_version,
            "finalizers": list(finalizers),
        }
        path, what = _place(thing)
        return await self._api.send(
            Request(method="PATCH", path=path, what=what, body={"metadata": metadata},
                    content_type=MERGE_PATCH)
        )  # fmt: skip

    async def apply_status(
        self,
        thing: FhirAppRegistration | EntraTenant,
        status: RegistrationStatus | TenantStatus,
    ) -> dict[str, Any]:
        """Make `status` the whole status, guarded by resourceVersion.

        A merge patch with `null` for what is not set: it also takes away what others put there,
        which server-side apply would leave for ever.

        Raises:
            Conflict: the object changed since it was read. (A wrong uid alone would not be
                refused on `/status`, so only the version guards.)
        """
        path, what = _place(thing)
        metadata = {"resourceVersion": thing.metadata.resource_version}
        body = {"metadata": metadata, "status": status_document(status)}
        return await self._api.send(
            Request(method="PATCH", path=f"{path}/status", what=f"the status of {what}",
                    query=(("fieldManager", names.FIELD_MANAGER),), body=body,
                    content_type=MERGE_PATCH)
        )  # fmt: skip


def status_document(status: RegistrationStatus | TenantStatus) -> dict[str, Any]:
    """Return `status` as JSON, `null` for what is not set."""
    document = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    unset = {field.alias or name: None for name, field in type(status).model_fields.items()}
    return unset | {key: value for key, value in document.items() if value != []}


def parse_registration(body: dict[str, Any]) -> FhirAppRegistration:
    """Return the registration in `body`.

    Raises:
        Invalid: it cannot be read as this version of the kind.
    """
    return _parse(FhirAppRegistration, body)


def parse_tenant(body: dict[str, Any]) -> EntraTenant:
    """Return the tenant in `body`; errors as `parse_registration`."""
    return _parse(EntraTenant, body)


def _parse(kind: type[M], body: dict[str, Any]) -> M:
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        where = "; ".join(
            f"`{'.'.join(map(str, e['loc']))}`: {e['msg']}"
            for e in error.errors(include_input=False)[:3]
        )
        raise Invalid(f"the object does not fit this version's CRD: {where}") from None


def _place(thing: FhirAppRegistration | EntraTenant) -> tuple[str, str]:
    meta = thing.metadata
    if isinstance(thing, FhirAppRegistration):
        what = f"{names.REGISTRATION_KIND} '{meta.namespace}/{meta.name}'"
        return registration_path(meta.namespace, meta.name), what
    return tenant_path(meta.name), f"{names.TENANT_KIND} '{meta.name}'"
