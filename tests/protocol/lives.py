"""The life of each type of credential: made, renewed, rotated, changed, taken away."""

import base64
import functools
from dataclasses import replace
from datetime import timedelta

from tests.protocol.cloud import make_key_pair
from tests.protocol.playing import DAY, prepared
from tests.protocol.scenarios import SCENARIOS, Scenario, delete, is_gone
from tests.protocol.starts import SPECS, with_certificate, with_server
from tests.protocol.world import CLOCK

NO_TYPE = dict.fromkeys(("clientSecret", "certificate", "federated"))
FEDERATED = {"federated": {"serviceAccounts": [{"name": "ingest"}]}}
FOLLOWED = {"certificate": {"issue": None, "secretRef": {"name": "keeper-tls"}}}
_SECRETS = "/api/v1/namespaces/clinic/secrets"
_SHORT_LAG = timedelta(seconds=2)


def keep(world, days):
    """Let somebody keep a certificate of that life in a Secret."""
    pair = make_key_pair("keeper", 1024, CLOCK.now(), CLOCK.now() + timedelta(days=days))
    data = {"tls.crt": pair.certificate, "tls.key": pair.private_key.get_secret_value()}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    if world.secret("keeper-tls") is None:
        body = {"metadata": {"name": "keeper-tls"}, "type": "kubernetes.io/tls", "data": encoded}
        world.ask("POST", _SECRETS, body)
    else:
        world.patch_secret("keeper-tls", {"data": encoded})


def publish_issuer(world):
    """Let the API server say who signs the tokens of ServiceAccounts."""
    world.kube.objects |= {
        "/.well-known/openid-configuration": {"issuer": "https://oidc.example/c", "metadata": {}},
        "/openid/v1/jwks": {"keys": [{"kty": "RSA", "alg": "RS256"}], "metadata": {}},
    }


@functools.cache
def with_outsiders():
    """A FHIR server, a certificate that somebody keeps, and an issuer that is known."""

    def act(world):
        keep(world, 90)
        publish_issuer(world)

    return prepared(with_server, act, lambda _world: True, rest=timedelta(minutes=1))


def _ready_with(credential):
    spec = SPECS["service"] | {"credential": credential}
    return prepared(
        with_outsiders, lambda world: world.register("service", **spec),
        lambda world: world.is_ready("service"), rest=DAY, judged=False,
    )  # fmt: skip


@functools.cache
def with_followed():
    """A client whose certificate somebody else keeps."""
    return _ready_with({"certificate": {"secretRef": {"name": "keeper-tls"}}})


@functools.cache
def with_federated():
    """A client whose Pods sign in with their own tokens."""
    return _ready_with(FEDERATED)


def _made_with(name, credential):
    spec = SPECS["service"] | {"credential": credential}
    return Scenario(
        name=name, start=with_outsiders, lag=_SHORT_LAG,
        act=lambda world: world.register("service", **spec),
        goal=lambda world: world.is_ready("service"),
    )  # fmt: skip


def _change(start, name, credential):
    """Change the type of credential."""
    return Scenario(
        name=name, start=start, lag=_SHORT_LAG,
        act=lambda world: world.edit("service", credential=NO_TYPE | credential),
        goal=lambda world: world.is_ready("service"),
    )  # fmt: skip


def _renewed_by_its_keeper(world):
    return world.is_ready("service") and len(world.credentials("service")) > 1


def _gone(start, name):
    return Scenario(name=name, start=start, act=delete("Delete"), goal=is_gone)


_SECRET = SPECS["service"]["credential"]
LIVES = {
    each.name: each
    for each in (
        SCENARIOS["create service"],
        SCENARIOS["renew"],
        SCENARIOS["rotate and revoke"],
        SCENARIOS["delete"],
        _made_with("create with certificate", {"certificate": {"issue": {"duration": "240h"}}}),
        SCENARIOS["renew certificate"],
        SCENARIOS["switch to client secret and revoke"],
        _gone(with_certificate, "delete with certificate"),
        _made_with("create with a followed one", {
            "certificate": {"secretRef": {"name": "keeper-tls"}}}),
        replace(
            _change(with_followed, "a followed one changes", FOLLOWED),
            act=lambda world: keep(world, 80), goal=_renewed_by_its_keeper,
        ),
        _change(with_followed, "from followed to secret", _SECRET),
        _made_with("create federated", FEDERATED),
        _change(with_federated, "from federated to certificate", {"certificate": {"issue": {}}}),
        _gone(with_federated, "delete federated"),
    )
}  # fmt: skip
