"""Following a certificate in a Secret of somebody else's: read, register, try, publish its name.

The private key is read with it, used once to sign in, and kept nowhere. What has to be done is
decided in `planning.following`.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import SecretStr

from fhir_app_operator.api.v1alpha1 import CredentialType, FhirAppRegistration
from fhir_app_operator.controller import certificates, credentials, observe, proof, publication
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import Conflict, Stalled, Waiting
from fhir_app_operator.graph.auth import ClientCredential
from fhir_app_operator.kube.secrets import NewCredential, TlsSecret
from fhir_app_operator.planning import following
from fhir_app_operator.planning.model import FollowCertificate, Following, KeyCredential
from fhir_app_operator.planning.model.secret import THUMBPRINT_KEY

_FIELD = "`credential.certificate.secretRef`"


async def followed(world: World, registration: FhirAppRegistration) -> Following | None:
    """Return the certificate that `registration` follows; None if it follows none.

    Raises:
        Waiting: `CertificateNotFound`, the Secret is not there or holds none.
        Stalled: `CertificateNotSupported`, Entra would not take it.
    """
    credential = registration.spec.credential
    certificate = credential.certificate if credential else None
    if certificate is None or certificate.secret_ref is None:
        return None
    name = certificate.secret_ref.name
    found = await _read(world, registration.metadata.namespace, name)
    leaf = _leaf(world, name, found)
    return Following(
        secret_name=name, thumbprint=leaf.thumbprint, nonce=following.nonce(leaf.fingerprint),
        end=leaf.end,
    )  # fmt: skip


async def follow(
    world: World, work: Pass, connection: Connection, action: FollowCertificate
) -> None:
    """Register the certificate, sign in with its key, and write its thumbprint to the Secret.

    Each step may be taken again: the key id follows from the certificate.

    Raises:
        Conflict: the followed Secret, or ours, changed meanwhile.
        Stalled: `CertificateNotSupported`, key and certificate do not fit.
        Waiting: Entra does not accept it yet.
    """
    application, now = work.known_application(), world.clock()
    name = action.certificate.secret_name
    found = await _read(world, work.identity.namespace, name)
    leaf = _leaf(world, name, found)
    if following.nonce(leaf.fingerprint) != action.certificate.nonce:
        raise Conflict("the certificate that is followed changed in between")
    if found.private_key is None or not certificates.fits(leaf, found.private_key):
        raise _unsupported(name, "holds no `tls.key` that fits its certificate")
    key = KeyCredential(
        key_id=action.key_id, start=observe.directory_time(world, work), end=leaf.end,
        display_name=work.identity.credential_name(action.certificate.nonce),
    )  # fmt: skip
    credential = NewCredential(
        type=CredentialType.CERTIFICATE, key_id=key.key_id, nonce=action.certificate.nonce,
        values={THUMBPRINT_KEY: SecretStr(leaf.thumbprint)}, expires_at=key.end, written_at=now,
    )  # fmt: skip
    await publication.rehearse(world, work, credential)
    await connection.key_credentials.add(
        application, key, leaf.der, now=now, expected=credentials.known_keys(world, work),
        young=observe.is_young(application, now, world.policy),
    )  # fmt: skip
    registered = application.without_credential(key.key_id).with_credential(key)
    work.observed = replace(work.observed, application=registered)
    connection.own_writes.added(work.identity.uid, key.key_id)
    signer = ClientCredential(private_key=found.private_key, certificate=leaf.pem)
    await proof.until_accepted(world, connection, application.app_id, signer)
    credential = replace(credential, written_at=world.clock())
    await publication.publish(world, work, credential, publication.Delivery())


async def _read(world: World, namespace: str, name: str) -> TlsSecret:
    found = await world.secrets.tls(namespace, name)
    if found is None or not found.certificate:
        raise Waiting(
            "CertificateNotFound",
            f"{_FIELD}: Secret '{name}' is not there, or its `tls.crt` is empty",
        )
    if found.type != "kubernetes.io/tls":
        raise _unsupported(name, "must be of type kubernetes.io/tls")
    return found


def _leaf(world: World, name: str, found: TlsSecret) -> certificates.Leaf:
    try:
        leaf = certificates.leaf(found.certificate)
    except certificates.NoCertificate:
        raise _unsupported(name, "holds no certificate in `tls.crt` that can be read") from None
    if leaf.key_type != "RSA":
        raise _unsupported(
            name,
            f"holds a certificate with {leaf.key_type} key, Entra takes RSA only; for "
            "cert-manager, set `privateKey.algorithm: RSA`",
        )
    if leaf.end <= world.clock():
        raise _unsupported(name, f"holds a certificate that ended at {leaf.end:%Y-%m-%dT%H:%M:%SZ}")
    return leaf


def _unsupported(name: str, why: str) -> Stalled:
    return Stalled("CertificateNotSupported", f"{_FIELD}: Secret '{name}' {why}")
