"""The Secret's keys without its values: which presets, which names, where a credential stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fhir_app_operator.api.v1alpha1 import AppType, CredentialType, SecretKey, SecretPreset

CLIENT_SECRET_KEY: Final = "AZURE_CLIENT_SECRET"  # noqa: S105 - the name of a key, not a secret
CERTIFICATE_KEY: Final = "tls.crt"
PRIVATE_KEY_KEY: Final = "tls.key"
COMBINED_KEY: Final = "tls-combined.pem"
"""Private key and certificate in one file, as azure-identity takes them; cert-manager's name."""
THUMBPRINT_KEY: Final = "AZURE_CLIENT_CERTIFICATE_THUMBPRINT"

PARTS_OF: Final[Mapping[CredentialType, tuple[str, ...]]] = {
    CredentialType.CLIENT_SECRET: (CLIENT_SECRET_KEY,),
    CredentialType.CERTIFICATE: (CERTIFICATE_KEY, PRIVATE_KEY_KEY, COMBINED_KEY, THUMBPRINT_KEY),
    CredentialType.FEDERATED_IDENTITY: (),
}
"""What a credential consists of, by its type; each part is called by its key in `AzureSdk`."""
NEEDED_OF: Final[Mapping[CredentialType, tuple[str, ...]]] = {
    CredentialType.CLIENT_SECRET: (CLIENT_SECRET_KEY,),
    CredentialType.CERTIFICATE: (CERTIFICATE_KEY, PRIVATE_KEY_KEY),
    CredentialType.FEDERATED_IDENTITY: (),
}
"""The parts that the others can be made of: nobody else has them once they are published."""

CredentialKeys = Mapping[CredentialType, Mapping[str, str]]
"""By type, which part of a credential each of its data keys holds."""
OWN_NAMES: Final[CredentialKeys] = {
    kind: {part: part for part in parts} for kind, parts in PARTS_OF.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretShape:
    """What the manifest says about the Secret's keys, and what their values hang on."""

    type: AppType = AppType.RESOURCE
    credential: CredentialType | None = None
    followed: bool = False
    """The certificate is somebody else's: all that the Secret has of it is its thumbprint."""
    presets: tuple[SecretPreset, ...] = (SecretPreset.AZURE_SDK,)
    keys: tuple[SecretKey, ...] = ()
