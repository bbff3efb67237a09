"""Who a registration is, and the marks it leaves on what it owns."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import dataclass
from typing import Final

from fhir_app_operator.api.names import GROUP

FOLLOWED: Final = "followed-"
"""How the nonces of certificates begin that the operator did not make."""
CREDENTIAL_PREFIX: Final = "fhirapps"
"""Display names of our password credentials are `fhirapps:<uid>:<nonce>`."""
_FEDERATED_DIGITS: Final = 16
_FEDERATED_DIGEST: Final = re.compile(f"[0-9a-f]{{{_FEDERATED_DIGITS}}}")
OWNER_TAG_PREFIX: Final = f"{GROUP}/owner:"
REGISTRATION_TAG_PREFIX: Final = f"{GROUP}/registration:"
PERMISSION_TAG_PREFIX: Final = f"{GROUP}/permission:"
"""Before the id of a role or scope that is ours although we did not derive its id."""
CLIENT_TAG_PREFIX: Final = f"{GROUP}/pre-authorized:"
"""Before the client id of a client that we have pre-authorized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Who a registration is: all that names and marks are made of."""

    namespace: str
    name: str
    uid: str
    cluster_id: str

    @property
    def unique_name(self) -> str:
        """The application's alternate key in Graph; a second create finds the first one."""
        return f"fhirapps-{self.cluster_id}-{self.uid}"

    @property
    def owner_tag(self) -> str:
        """The tag that says whose the application is; checked before every write."""
        return f"{OWNER_TAG_PREFIX}{self.cluster_id}/{self.uid}"

    @property
    def registration_tag(self) -> str:
        """The tag that tells a person in the portal which manifest this is."""
        return f"{REGISTRATION_TAG_PREFIX}{self.namespace}/{self.name}"

    def credential_name(self, nonce: str) -> str:
        """The display name of the credential that `nonce` stands for."""
        return f"{CREDENTIAL_PREFIX}:{self.uid}:{nonce}"

    def key_id(self, nonce: str) -> str:
        """The key id that the certificate of `nonce` is registered under: ours to choose."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.credential_name(nonce)))

    def is_followed(self, display_name: str | None) -> bool:
        """Whether a credential of that display name is a certificate that others keep."""
        return (self.nonce_of(display_name) or "").startswith(FOLLOWED)

    @property
    def federated_prefix(self) -> str:
        """How the names of our federated credentials begin."""
        return f"{CREDENTIAL_PREFIX}-{self.uid}-"

    def federated_name(self, issuer: str, subject: str, audience: str) -> str:
        """The name of a federated credential, which decides all that is in it."""
        content = json.dumps([issuer, subject, audience])
        digest = hashlib.sha256(content.encode()).hexdigest()[:_FEDERATED_DIGITS]
        return f"{self.federated_prefix}{digest}"

    def is_federated_name(self, name: str) -> bool:
        """Whether `name` is one that we give: nobody else's may look like ours by its beginning."""
        digest = name.removeprefix(self.federated_prefix)
        return digest != name and _FEDERATED_DIGEST.fullmatch(digest) is not None

    def nonce_of(self, display_name: str | None) -> str | None:
        """The nonce in a credential's display name; None for a credential that is not ours."""
        prefix = self.credential_name("")
        if display_name and display_name.startswith(prefix):
            return display_name.removeprefix(prefix)
        return None
