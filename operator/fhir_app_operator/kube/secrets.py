"""The one Secret of a registration: read with its marks, written under a precondition.

First by POST, later by JSON merge patch with the live resourceVersion and `null` for each key that
must go. Not by server-side apply, which would keep keys that the POST created. Secret values stay
in this module's objects; planning sees `SecretState` only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import SecretStr

from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.api.v1alpha1.schema import reckonable
from fhir_app_operator.errors import Stalled
from fhir_app_operator.kube import secret_template
from fhir_app_operator.kube.api_server import MERGE_PATCH, ApiServer, Request
from fhir_app_operator.planning.desired import (
    CERTIFICATE_KEY,
    CLIENT_SECRET_KEY,
    COMBINED_KEY,
    PRIVATE_KEY_KEY,
    THUMBPRINT_KEY,
)
from fhir_app_operator.planning.model import Registration, SecretState, SecretTemplate

KEYS_OF: Final[Mapping[CredentialType | None, frozenset[str]]] = {
    None: frozenset(),
    CredentialType.CLIENT_SECRET: frozenset({CLIENT_SECRET_KEY}),
    CredentialType.CERTIFICATE: frozenset(
        {CERTIFICATE_KEY, PRIVATE_KEY_KEY, COMBINED_KEY, THUMBPRINT_KEY}
    ),
    CredentialType.FEDERATED_IDENTITY: frozenset(),
}
"""The data keys that a credential may have, by its type."""
_CREDENTIAL_KEYS: Final = frozenset().union(*KEYS_OF.values())
_CREDENTIAL_NOTES: Final = (
    names.CREDENTIAL_TYPE_ANNOTATION,
    names.KEY_ID_ANNOTATION,
    names.NONCE_ANNOTATION,
    names.EXPIRES_AT_ANNOTATION,
    names.WRITTEN_AT_ANNOTATION,
)
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSecret:
    """A Secret as it was read: what planning may know, and the rest for the next write."""

    state: SecretState
    resource_version: str
    metadata: Mapping[str, Any]
    data: Mapping[str, SecretStr]
    """Decoded values; bytes that are no UTF-8 read as a value that nobody wants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCredential:
    """A credential that is to be published: the values of its data keys, and what is noted.

    One that is federated has neither values nor key id, nonce and end.
    """

    type: CredentialType
    values: Mapping[str, SecretStr] = field(default_factory=dict)
    key_id: str | None = None
    nonce: str | None = None
    expires_at: datetime | None = None
    written_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a Secret should hold.

    Args:
        registration: whose it is.
        name: its name.
        data: everything but the credential.
        owned: whether it goes with the registration.
        template: labels and annotations that the manifest asks for.
        keep_credential: whether the live credential stays; a `credential` replaces it.
        credential: a new one.
    """

    registration: Registration
    name: str
    data: Mapping[str, str]
    owned: bool
    template: SecretTemplate = field(default_factory=SecretTemplate)
    keep_credential: bool = True
    credential: NewCredential | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSecret:
    """A Secret of somebody else's, as far as a certificate is concerned."""

    type: str
    certificate: str
    """PEM, the leaf first; empty if there is none."""
    private_key: SecretStr | None


class Secrets:
    """The Secrets of the cluster; errors as in `ApiServer`."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    async def read(self, registration: Registration, name: str) -> LiveSecret | None:
        """Return the Secret called `name` beside the registration, None if there is none."""
        body = await self._api.get(_path(registration.namespace, name), f"Secret '{name}'")
        return None if body is None else live_secret(registration, body)

    async def value(self, namespace: str, name: str, key: str) -> SecretStr | None:
        """Return one value of a Secret, None if it is not there."""
        body = await self._api.get(_path(namespace, name), f"Secret '{namespace}/{name}'")
        value = ((body or {}).get("data") or {}).get(key)
        return None if value is None else _decoded(value)

    async def tls(self, namespace: str, name: str) -> TlsSecret | None:
        """Return certificate and key of a Secret of any owner, None if there is none."""
        body = await self._api.get(_path(namespace, name), f"Secret '{name}'")
        if body is None:
            return None
        data = {key: _decoded(value) for key, value in (body.get("data") or {}).items()}
        certificate = data.get(CERTIFICATE_KEY)
        return TlsSecret(
            type=str(body.get("type") or ""),
            certificate=certificate.get_secret_value() if certificate else "",
            private_key=data.get(PRIVATE_KEY_KEY),
        )

    async def rehearse(self, live: LiveSecret | None, content: Content) -> None:
        """Find out whether `write` would be let through, without writing: a dry run.

        Raises:
            Conflict, Stalled: as `write`; quotas, admission webhooks and immutability speak here.
        """
        await self.write(live, content, dry_run=True)

    async def write(
        self, live: LiveSecret | None, content: Content, *, dry_run: bool = False
    ) -> LiveSecret:
        """Create the Secret, or patch the one that was read; return it as written.

        Raises:
            Conflict: it appeared, changed or went since `live` was read.
            Stalled: `SecretConflict`, the API server does not let it change (immutable).
        """
        document = _document(live, content)
        what = f"Secret '{content.name}'"
        namespace = content.registration.namespace
        query = (("dryRun", "All"),) if dry_run else ()
        if live is None:
            request = Request(
                method="POST", path=_path(namespace), what=what, body=document, query=query
            )
        else:
            request = Request(
                method="PATCH", path=_path(namespace, content.name), what=what, body=document,
                query=query, content_type=MERGE_PATCH,
            )  # fmt: skip
        try:
            body = await self._api.send(request)
        except Stalled as error:
            if error.reason != "RequestRefused":
                raise
            raise Stalled(
                "SecretConflict", f"{error.message}; is it `immutable`? Delete it to have it back"
            ) from None
        return live_secret(content.registration, body)

    async def set_owned(
        self, live: LiveSecret, registration: Registration, name: str, *, owned: bool
    ) -> None:
        """Put our owner reference on, or take it off so that the Secret outlives the registration.

        Raises:
            Conflict: it changed since `live` was read.
        """
        content = Content(registration=registration, name=name, data={}, owned=owned)
        owners = _owners(live, content)
        metadata = {"resourceVersion": live.resource_version, "ownerReferences": owners}
        await self._api.send(
            Request(method="PATCH", path=_path(registration.namespace, name),
                    what=f"Secret '{name}'", body={"metadata": metadata},
                    content_type=MERGE_PATCH)
        )  # fmt: skip


def live_secret(registration: Registration, body: Mapping[str, Any]) -> LiveSecret:
    """Return the Secret in `body`, as the API server sends it, seen from `registration`."""
    metadata = body.get("metadata") or {}
    data = {key: _decoded(value) for key, value in (body.get("data") or {}).items()}
    return LiveSecret(
        state=_state(registration, metadata, data),
        resource_version=metadata.get("resourceVersion", ""),
        metadata=metadata,
        data=data,
    )


def is_as_written(body: Mapping[str, Any]) -> bool:
    """Whether a Secret of ours holds exactly the data that we wrote last, by its digest."""
    metadata = body.get("metadata") or {}
    uid = (metadata.get("labels") or {}).get(names.REGISTRATION_LABEL, "")
    data = {key: _decoded(value) for key, value in (body.get("data") or {}).items()}
    annotations = metadata.get("annotations") or {}
    return bool(annotations.get(names.DATA_DIGEST_ANNOTATION) == _digest(uid, data))


def _state(
    registration: Registration, metadata: Mapping[str, Any], data: Mapping[str, SecretStr]
) -> SecretState:
    labels = metadata.get("labels") or {}
    notes = metadata.get("annotations") or {}
    uid = registration.uid
    kind = _type(notes.get(names.CREDENTIAL_TYPE_ANNOTATION))
    credential = {key: value for key, value in data.items() if key in KEYS_OF[kind]}
    complete = kind is CredentialType.FEDERATED_IDENTITY or (
        bool(credential) and bool(notes.get(names.KEY_ID_ANNOTATION))
    )
    digest = _credential_digest(uid, credential, notes)
    return SecretState(
        ours=labels.get(names.REGISTRATION_LABEL) == uid,
        leftover=_has_predecessor(metadata, registration),
        current=labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY
        and notes.get(names.DATA_DIGEST_ANNOTATION) == _digest(uid, data),
        owner_reference=_is_owner(metadata, uid),
        template=secret_template.applied(metadata),
        data={k: v.get_secret_value() for k, v in data.items() if k not in _CREDENTIAL_KEYS},
        type=kind,
        holds_credential=bool(credential),
        credential_intact=complete and notes.get(names.CREDENTIAL_DIGEST_ANNOTATION) == digest,
        key_id=notes.get(names.KEY_ID_ANNOTATION),
        nonce=notes.get(names.NONCE_ANNOTATION),
        expires_at=_moment(notes.get(names.EXPIRES_AT_ANNOTATION)),
        written_at=_moment(notes.get(names.WRITTEN_AT_ANNOTATION)),
    )


def _document(live: LiveSecret | None, content: Content) -> dict[str, Any]:
    uid = content.registration.uid
    values = {key: SecretStr(value) for key, value in content.data.items()}
    if content.credential is not None:
        values |= content.credential.values
    elif live is not None and content.keep_credential:
        values |= {key: live.data[key] for key in KEYS_OF[live.state.type] & live.data.keys()}
    data: dict[str, str | None] = {key: _encoded(value) for key, value in values.items()}
    metadata = _metadata(live, content) | {"ownerReferences": _owners(live, content)}
    metadata["annotations"][names.DATA_DIGEST_ANNOTATION] = _digest(uid, values)
    if live is None:
        present = {k: v for k, v in metadata["annotations"].items() if v is not None}
        metadata |= {"name": content.name, "annotations": present}
        return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
                "metadata": metadata}  # fmt: skip
    metadata["resourceVersion"] = live.resource_version
    return {"metadata": metadata, "data": data | dict.fromkeys(live.data.keys() - data.keys())}


def _metadata(live: LiveSecret | None, content: Content) -> dict[str, Any]:
    """Labels and annotations, ours and the manifest's; those of others are not mentioned."""
    labels, annotations = secret_template.changes(live.metadata if live else {}, content.template)
    uid = content.registration.uid
    ours = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.REGISTRATION_LABEL: uid}
    return {"labels": labels | ours, "annotations": annotations | _annotations(live, content)}


def _annotations(live: LiveSecret | None, content: Content) -> dict[str, str | None]:
    """The credential's annotations: of the new one, of the kept one (untouched), or none."""
    new = content.credential
    if new is not None:
        notes: dict[str, str | None] = {
            names.CREDENTIAL_TYPE_ANNOTATION: new.type.value,
            names.KEY_ID_ANNOTATION: new.key_id,
            names.NONCE_ANNOTATION: new.nonce,
            names.EXPIRES_AT_ANNOTATION: _text(new.expires_at) if new.expires_at else None,
            names.WRITTEN_AT_ANNOTATION: _text(new.written_at),
        }
        digest = _credential_digest(content.registration.uid, new.values, notes)
        return notes | {names.CREDENTIAL_DIGEST_ANNOTATION: digest}
    if live is not None and content.keep_credential and live.state.type is not None:
        return {}
    return dict.fromkeys((*_CREDENTIAL_NOTES, names.CREDENTIAL_DIGEST_ANNOTATION))


def _owners(live: LiveSecret | None, content: Content) -> list[dict[str, Any]]:
    """Owner references: ours never blocks the owner's deletion, others stay."""
    who = content.registration
    others = _other_owners(live.metadata, who.uid) if live else []
    ours = {
        "apiVersion": names.API_VERSION, "kind": names.REGISTRATION_KIND,
        "name": who.name, "uid": who.uid,
    }  # fmt: skip
    return [*others, ours] if content.owned else others


def _other_owners(metadata: Mapping[str, Any], uid: str) -> list[dict[str, Any]]:
    return [ref for ref in metadata.get("ownerReferences") or () if ref.get("uid") != uid]


def _is_owner(metadata: Mapping[str, Any], uid: str) -> bool:
    return any(ref.get("uid") == uid for ref in metadata.get("ownerReferences") or ())


def _has_predecessor(metadata: Mapping[str, Any], registration: Registration) -> bool:
    """Whether an owner is a registration of our name with another UID, which can only be gone."""
    return any(
        ref.get("kind") == names.REGISTRATION_KIND
        and ref.get("name") == registration.name
        and ref.get("uid") != registration.uid
        for ref in metadata.get("ownerReferences") or ()
    )


def _digest(uid: str, data: Mapping[str, SecretStr]) -> str:
    """SHA-256 over the UID and the data: equal values of two Secrets do not look equal."""
    values = {key: value.get_secret_value() for key, value in data.items()}
    text = json.dumps([uid, values], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _credential_digest(
    uid: str, credential: Mapping[str, SecretStr], notes: Mapping[str, str | None]
) -> str:
    """Digest of the value and of the annotations that decide when it is renewed and retired."""
    said = {name: SecretStr(notes.get(name) or "") for name in _CREDENTIAL_NOTES}
    return _digest(uid, {**credential, **said})


def _encoded(value: SecretStr) -> str:
    return base64.b64encode(value.get_secret_value().encode()).decode()


def _decoded(value: Any) -> SecretStr:
    try:
        return SecretStr(base64.b64decode(value or "", validate=True).decode())
    except (binascii.Error, UnicodeDecodeError, TypeError, ValueError):
        return SecretStr("\ufffd")


def _type(text: str | None) -> CredentialType | None:
    return CredentialType(text) if text in set(CredentialType) else None


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(_TIME)


def _moment(text: str | None) -> datetime | None:
    try:
        return reckonable(datetime.strptime(text, _TIME).replace(tzinfo=UTC)) if text else None
    except ValueError:
        return None


def _path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/secrets" + (f"/{name}" if name else "")
