"""The credential inside a Secret: under which keys its parts stand, and whether they are ours.

An annotation names the keys where they are not the parts' own names, so that a renewal, a repair or
a new name in the manifest finds the credential again. The digest covers it.
"""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Mapping
from typing import Final

from pydantic import SecretStr

from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.planning.model import NEEDED_OF, OWN_NAMES, PARTS_OF
from fhir_app_operator.planning.model.secret import (
    CERTIFICATE_KEY,
    COMBINED_KEY,
    PRIVATE_KEY_KEY,
    THUMBPRINT_KEY,
)

Values = Mapping[str, SecretStr]
Notes = Mapping[str, str | None]
NOTES: Final = (
    names.CREDENTIAL_TYPE_ANNOTATION,
    names.CREDENTIAL_KEYS_ANNOTATION,
    names.KEY_ID_ANNOTATION,
    names.NONCE_ANNOTATION,
    names.EXPIRES_AT_ANNOTATION,
    names.WRITTEN_AT_ANNOTATION,
)
"""The annotations that say what the credential is; all of them are in its digest."""
PART_NAMES: Final = frozenset(part for parts in PARTS_OF.values() for part in parts)


def kind_of(notes: Notes) -> CredentialType | None:
    """Return what was published last, as the annotations say; None: nothing that is known."""
    text = notes.get(names.CREDENTIAL_TYPE_ANNOTATION)
    return CredentialType(text) if text in set(CredentialType) else None


def keys_of(notes: Notes) -> dict[str, str] | None:
    """Return which part each key holds; None: each is called as its part.

    An annotation that makes no sense names no key: then nothing in the Secret is a credential.
    """
    text = notes.get(names.CREDENTIAL_KEYS_ANNOTATION)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(found, dict) or not PART_NAMES.issuperset(map(str, found.values())):
        return {}
    return found


def keys_note(kind: CredentialType, keys: Mapping[str, str]) -> str | None:
    """Return the annotation for `keys`; None if each is called as its part."""
    return None if keys == OWN_NAMES[kind] else json.dumps(dict(keys), sort_keys=True)


def parts(data: Values, kind: CredentialType | None, keys: Mapping[str, str] | None) -> Values:
    """Return the parts of the credential that stands in `data` under `keys`."""
    if kind is None:
        return {}
    places = OWN_NAMES[kind] if keys is None else keys
    return {part: data[key] for key, part in places.items() if key in data}


def placed(found: Values, kind: CredentialType, keys: Mapping[str, str]) -> Values:
    """Return the parts under `keys`; parts that can be made of others are made anew."""
    whole = dict(found)
    if kind is CredentialType.CERTIFICATE:
        whole = {**_made_of(whole, set(keys.values()) - whole.keys()), **whole}
    return {key: whole[part] for key, part in keys.items() if part in whole}


def _made_of(found: Values, missing: set[str]) -> dict[str, SecretStr]:
    """Return the parts among `missing` that key and certificate are enough for."""
    made: dict[str, SecretStr] = {}
    if not missing or not found.keys() >= set(NEEDED_OF[CredentialType.CERTIFICATE]):
        return made
    certificate = found[CERTIFICATE_KEY].get_secret_value()
    if COMBINED_KEY in missing:
        private = found[PRIVATE_KEY_KEY].get_secret_value()
        made[COMBINED_KEY] = SecretStr(private + certificate)
    if THUMBPRINT_KEY in missing:
        made[THUMBPRINT_KEY] = SecretStr(_thumbprint(certificate))
    return made


def _thumbprint(certificate: str) -> str:
    """SHA-1 in upper-case hex, as Entra and MSAL call a certificate by."""
    der = ssl.PEM_cert_to_DER_cert(certificate)
    return hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()


def digest_of_data(uid: str, data: Values) -> str:
    """SHA-256 over the UID and the data: equal values of two Secrets do not look equal."""
    values = {key: value.get_secret_value() for key, value in data.items()}
    text = json.dumps([uid, values], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest(uid: str, credential: Values, notes: Notes) -> str:
    """Digest of the values and of the annotations that decide when it is renewed and retired.

    Args:
        uid: the registration's.
        credential: its values under the keys that they have in the Secret.
        notes: all annotations.
    """
    said = {name: SecretStr(notes.get(name) or "") for name in NOTES}
    return digest_of_data(uid, {**credential, **said})
