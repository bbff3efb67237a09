"""Microsoft's clouds: where sign-in and Graph are, and the URLs that follow from them.

Source: Microsoft Graph, "National cloud deployments".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fhir_app_operator.api.v1alpha1 import Cloud, TenantSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One tenant in its cloud."""

    tenant_id: str
    authority_host: str
    """Origin of the sign-in service, without a trailing slash."""
    graph_url: str
    """Origin of Microsoft Graph, without `/v1.0`."""
    exchange_audience: str = "api://AzureADTokenExchange"
    """The `aud` claim of tokens that are exchanged here: Entra's, one for each cloud."""

    @property
    def sign_in_authority(self) -> str:
        """The authority of the tenant, for MSAL."""
        return f"{self.authority_host}/{self.tenant_id}"

    @property
    def graph_scope(self) -> str:
        """The scope of an application token for Microsoft Graph."""
        return f"{self.graph_url}/.default"

    @property
    def authorization_url(self) -> str:
        """Where a browser is sent to sign a user in."""
        return f"{self.sign_in_authority}/oauth2/v2.0/authorize"

    @property
    def token_url(self) -> str:
        """Where codes, secrets and assertions become tokens."""
        return f"{self.sign_in_authority}/oauth2/v2.0/token"

    def admin_consent_url(self, app_id: str) -> str:
        """Where an administrator consents to all that the application asks for.

        Source: Microsoft Entra, "Grant tenant-wide admin consent to an application".
        """
        return f"{self.sign_in_authority}/adminconsent?client_id={app_id}"

    def authority(self, token_version: int) -> str:
        """The authority whose tokens have version `token_version` (1 or 2).

        Source: Microsoft identity platform, "Access token claims reference" (`iss`).
        """
        suffix = "/v2.0" if token_version == 2 else ""  # noqa: PLR2004 - Entra's version number
        return f"{self.sign_in_authority}{suffix}"

    def openid_configuration_url(self, token_version: int) -> str:
        """Where issuer and keys of tokens of that version are published."""
        return f"{self.authority(token_version)}/.well-known/openid-configuration"


_ENDPOINTS: Final = {
    Cloud.PUBLIC: ("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    Cloud.US_GOVERNMENT: ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    Cloud.US_GOVERNMENT_DOD: (
        "https://login.microsoftonline.us",
        "https://dod-graph.microsoft.us",
    ),
    Cloud.CHINA: (
        "https://login.partner.microsoftonline.cn",
        "https://microsoftgraph.chinacloudapi.cn",
    ),
}


_AUDIENCE_SUFFIXES: Final = {
    Cloud.US_GOVERNMENT: "USGov",
    Cloud.US_GOVERNMENT_DOD: "USGov",
    Cloud.CHINA: "China",
}
"""Source: Microsoft Entra, "Workload identity federation" (national clouds)."""


def directory(spec: TenantSpec) -> Directory:
    """Return where the tenant of `spec` is.

    Raises:
        ValueError: a Custom cloud without endpoints, which the CRD refuses.
    """
    if spec.cloud is Cloud.CUSTOM:
        if spec.endpoints is None:
            msg = "`endpoints` must be set for cloud Custom"
            raise ValueError(msg)
        authority_host, graph_url = spec.endpoints.authority_host, spec.endpoints.graph_url
    else:
        authority_host, graph_url = _ENDPOINTS[spec.cloud]
    return Directory(
        tenant_id=spec.tenant_id, authority_host=authority_host, graph_url=graph_url,
        exchange_audience=f"api://AzureADTokenExchange{_AUDIENCE_SUFFIXES.get(spec.cloud, '')}",
    )  # fmt: skip
