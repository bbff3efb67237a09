"""The one Secret of a registration: read with its marks, written under a precondition.

First by POST, later by JSON merge patch with the live resourceVersion and `null` for each key that
must go. Not by server-side apply, which would keep keys that the POST created. Secret values stay
in this module's objects; planning sees `SecretState` only.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import SecretStr

from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1 import CredentialType
from fhir_app_operator.api.v1alpha1.schema import reckonable
from fhir_app_operator.errors import Stalled
from fhir_app_operator.kube import ownership, secret_credential, secret_template
from fhir_app_operator.kube.api_server import MERGE_PATCH, ApiServer, Request
from fhir_app_operator.kube.secret_credential import digest_of_data
from fhir_app_operator.planning.model import (
    OWN_NAMES,
    CredentialKeys,
    Registration,
    SecretState,
    SecretTemplate,
)
from fhir_app_operator.planning.model.secret import CERTIFICATE_KEY, PRIVATE_KEY_KEY

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSecret:
    """A Secret as it was read: what planning may know, and the rest for the next write."""

    state: SecretState
    resource_version: str
    metadata: Mapping[str, Any]
    data: Mapping[str, SecretStr]
    """Decoded values; bytes that are no UTF-8 read as a value that nobody wants."""

    @property
    def credential(self) -> Mapping[str, SecretStr]:
        """The parts of the credential, whatever keys they stand under."""
        return secret_credential.parts(self.data, self.state.type, self.state.credential_keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCredential:
    """A credential that is to be published: the values of its parts, and what is noted.

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
        credential_keys: where a credential is to stand, by its type.
    """

    registration: Registration
    name: str
    data: Mapping[str, str]
    owned: bool
    template: SecretTemplate = field(default_factory=SecretTemplate)
    keep_credential: bool = True
    credential: NewCredential | None = None
    credential_keys: CredentialKeys = field(default_factory=lambda: OWN_NAMES)


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
        owners = ownership.owner_references(live.metadata, registration, owned=owned)
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
    return bool(annotations.get(names.DATA_DIGEST_ANNOTATION) == digest_of_data(uid, data))


def _state(
    registration: Registration, metadata: Mapping[str, Any], data: Mapping[str, SecretStr]
) -> SecretState:
    labels = metadata.get("labels") or {}
    notes = metadata.get("annotations") or {}
    uid = registration.uid
    kind, keys = secret_credential.kind_of(notes), secret_credential.keys_of(notes)
    places = OWN_NAMES[kind] if kind and keys is None else keys or {}
    credential = {key: value for key, value in data.items() if key in places}
    complete = kind is CredentialType.FEDERATED_IDENTITY or (
        bool(credential) and bool(notes.get(names.KEY_ID_ANNOTATION))
    )
    digest = secret_credential.digest(uid, credential, notes)
    hidden = places.keys() | secret_credential.PART_NAMES
    return SecretState(
        ours=ownership.is_ours(metadata, registration),
        leftover=ownership.has_predecessor(metadata, registration),
        current=labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY
        and notes.get(names.DATA_DIGEST_ANNOTATION) == digest_of_data(uid, data),
        owner_reference=ownership.is_owned(metadata, registration),
        template=secret_template.applied(metadata),
        data={k: v.get_secret_value() for k, v in data.items() if k not in hidden},
        type=kind,
        credential_keys=keys,
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
        kind = content.credential.type
        keys = content.credential_keys[kind]
        values |= secret_credential.placed(content.credential.values, kind, keys)
    elif live is not None and _keeps(live, content):
        values |= _kept(live, content)
    data: dict[str, str | None] = {key: _encoded(value) for key, value in values.items()}
    owners = ownership.owner_references(
        live.metadata if live else {}, content.registration, owned=content.owned
    )
    metadata = _metadata(live, content) | {"ownerReferences": owners}
    metadata["annotations"][names.DATA_DIGEST_ANNOTATION] = digest_of_data(uid, values)
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
    ours = ownership.labels_of(content.registration)
    return {"labels": labels | ours, "annotations": annotations | _annotations(live, content)}


def _annotations(live: LiveSecret | None, content: Content) -> dict[str, str | None]:
    """The credential's annotations: of the new one, of the kept one (untouched), or none."""
    new = content.credential
    if new is not None:
        keys = content.credential_keys[new.type]
        notes: dict[str, str | None] = {
            names.CREDENTIAL_TYPE_ANNOTATION: new.type.value,
            names.CREDENTIAL_KEYS_ANNOTATION: secret_credential.keys_note(new.type, keys),
            names.KEY_ID_ANNOTATION: new.key_id,
            names.NONCE_ANNOTATION: new.nonce,
            names.EXPIRES_AT_ANNOTATION: _text(new.expires_at) if new.expires_at else None,
            names.WRITTEN_AT_ANNOTATION: _text(new.written_at),
        }
        values = secret_credential.placed(new.values, new.type, keys)
        digest = secret_credential.digest(content.registration.uid, values, notes)
        return notes | {names.CREDENTIAL_DIGEST_ANNOTATION: digest}
    if live is not None and _keeps(live, content):
        return _moved_notes(live, content)
    return dict.fromkeys((*secret_credential.NOTES, names.CREDENTIAL_DIGEST_ANNOTATION))


def _keeps(live: LiveSecret, content: Content) -> bool:
    """Whether the live credential stays; one that we did not write must not be in the way."""
    if not content.keep_credential or live.state.type is None:
        return False
    taken = live.state.credential_keys or {}
    return live.state.credential_intact or not taken.keys() & content.data.keys()


def _kept(live: LiveSecret, content: Content) -> Mapping[str, SecretStr]:
    """The live credential under the keys that are asked for; where it is if it was edited."""
    kind = live.state.type
    if kind is None:
        return {}
    if live.state.credential_intact:
        return secret_credential.placed(live.credential, kind, content.credential_keys[kind])
    places = live.state.credential_keys
    keys = OWN_NAMES[kind] if places is None else places
    return {key: live.data[key] for key in keys.keys() & live.data.keys()}


def _moved_notes(live: LiveSecret, content: Content) -> dict[str, str | None]:
    """The annotations of a credential that gets other keys; none if it stays where it is."""
    kind = live.state.type
    if kind is None or not live.state.credential_intact:
        return {}
    wanted = secret_credential.keys_note(kind, content.credential_keys[kind])
    notes = live.metadata.get("annotations") or {}
    if wanted == notes.get(names.CREDENTIAL_KEYS_ANNOTATION):
        return {}
    moved: dict[str, str | None] = {names.CREDENTIAL_KEYS_ANNOTATION: wanted}
    digest = secret_credential.digest(
        content.registration.uid, _kept(live, content), {**notes, **moved}
    )
    return moved | {names.CREDENTIAL_DIGEST_ANNOTATION: digest}


def _encoded(value: SecretStr) -> str:
    return base64.b64encode(value.get_secret_value().encode()).decode()


def _decoded(value: Any) -> SecretStr:
    try:
        return SecretStr(base64.b64decode(value or "", validate=True).decode())
    except (binascii.Error, UnicodeDecodeError, TypeError, ValueError):
        return SecretStr("\ufffd")


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(_TIME)


def _moment(text: str | None) -> datetime | None:
    try:
        return reckonable(datetime.strptime(text, _TIME).replace(tzinfo=UTC)) if text else None
    except ValueError:
        return None


def _path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/secrets" + (f"/{name}" if name else "")
