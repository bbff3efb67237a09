"""A gateway that signs users in as the FHIR server's own application: `resource.frontDoor`.

App Service Authentication ("EasyAuth") works like that, and fhir-proxy behind it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fhir_app_operator.api.v1alpha1.schema import LIST_SET, ApiModel
from fhir_app_operator.api.v1alpha1.uris import BrowserRedirectUri


class FrontDoor(ApiModel):
    """Where the gateway receives those who signed in."""

    redirect_uris: Annotated[
        tuple[BrowserRedirectUri, ...],
        Field(min_length=1, max_length=20, json_schema_extra=LIST_SET),
    ] = Field(
        description="Redirect URIs of the platform `web`, such as "
        "`https://proxy.example/.auth/login/aad/callback`."
    )
