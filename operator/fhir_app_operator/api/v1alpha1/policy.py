"""`EntraTenant.spec.policy`: what registrations in the tenant may ask for at all.

Whether it is also granted without an administrator is `grants`. How patterns match, and what is
never meant by a `*`, is decided in `planning.policy`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from fhir_app_operator.api.v1alpha1.grants import Patterns
from fhir_app_operator.api.v1alpha1.schema import LIST_SET, ApiModel

_HostPattern = Annotated[str, Field(pattern=r"^[a-z0-9.+*:-]+$", min_length=1, max_length=253)]
_HostPatterns = Annotated[
    tuple[_HostPattern, ...], Field(max_length=100, json_schema_extra=LIST_SET)
]


class Existing(StrEnum):
    """What becomes of what the directory already has and the policy does not allow."""

    REPORT = "Report"
    WITHDRAW = "Withdraw"


class TenantPolicy(ApiModel):
    """Which roles, scopes and redirect URIs registrations may ask for."""

    app_roles: Patterns = Field(
        default=("*",),
        description="App roles of any API, as Entra spells them; `*` stands for any characters. "
        "Roles of an administrator's grade are never meant by a `*`, and must be listed by name: "
        "`globalAdmin`, `Administrator`, `system.*.all` and its like, all of Microsoft Graph.",
    )
    scopes: Patterns = Field(
        default=("*",), description="Delegated permissions of any API, as Entra spells them."
    )
    redirect_hosts: _HostPatterns = Field(
        default=("*",),
        description="Hosts of redirect URIs (`*.clinic.example`, `localhost`); an application's "
        "own scheme is listed with its colon (`msal*:`).",
    )
    existing: Existing = Field(
        default=Existing.REPORT,
        description="What happens to what the directory has when the policy does not allow it any "
        "more. `Report`: it stays, and the registration's condition `PolicyViolated` lists it. "
        "`Withdraw`: it is taken out of the application, and what the operator granted is taken "
        "back; the registration is Stalled until its manifest is corrected.",
    )

    @property
    def withdraws(self) -> bool:
        """Whether what is not allowed any more is taken back."""
        return self.existing is Existing.WITHDRAW
