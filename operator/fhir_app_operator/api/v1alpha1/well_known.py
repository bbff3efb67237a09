"""APIs that are not registered here: by client id, or by the name of one of Microsoft's."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fhir_app_operator.api.v1alpha1.schema import rule


class WellKnownApi(StrEnum):
    """APIs of Microsoft's that go by a name instead of their client id."""

    MICROSOFT_GRAPH = "MicrosoftGraph"
    AZURE_HEALTHCARE_APIS = "AzureHealthcareApis"
    AZURE_API_FOR_DICOM = "AzureApiForDicom"


WELL_KNOWN_APP_IDS: Final = {
    WellKnownApi.MICROSOFT_GRAPH: "00000003-0000-0000-c000-000000000000",
    WellKnownApi.AZURE_HEALTHCARE_APIS: "4f6778d8-5aef-43dc-a1ff-b073724b9495",
    WellKnownApi.AZURE_API_FOR_DICOM: "75e725bf-66ce-4cea-9b9a-5c4caae57f33",
}
"""Source: Microsoft's lists of first-party applications; the same in every tenant."""
GRAPH_APP_ID: Final = WELL_KNOWN_APP_IDS[WellKnownApi.MICROSOFT_GRAPH]

NOT_BOTH: Final = rule(
    "!has(self.appId) || !has(self.wellKnown)",
    "an API must be named by one of `appId` and `wellKnown`, not by both",
    field=".wellKnown",
)
IS_GRAPH: Final = (
    "(has(self.wellKnown) && self.wellKnown == 'MicrosoftGraph') || "
    f"(has(self.appId) && self.appId == '{GRAPH_APP_ID}')"
)
"""CEL: whether an entry with `appId` or `wellKnown` means Microsoft Graph."""


def client_id(app_id: str | None, well_known: WellKnownApi | None) -> str | None:
    """Return the client id that one of the two stands for; None if neither is set."""
    return WELL_KNOWN_APP_IDS[well_known] if well_known else app_id
