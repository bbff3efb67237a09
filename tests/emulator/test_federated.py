from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from entra_emulator import (
    ADMIN_CLIENT_ID,
    OPERATOR_CLIENT_ID,
    Emulator,
    FederatedTrust,
    ManualClock,
    Seeds,
)
from tests.emulator.cloud import ADMIN_SECRET, OPERATOR_SECRET, Cloud, aadsts
from tests.emulator.federation import AUDIENCE, ISSUER, SUBJECT, assertion, exchange


@pytest.fixture(scope="module")
def issuer_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def emulator(clock: ManualClock, issuer_key: RSAPrivateKey) -> Emulator:
    pem = issuer_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    trust = FederatedTrust(ISSUER, SUBJECT, AUDIENCE, pem.decode())
    seeds = Seeds(operator_secret=OPERATOR_SECRET, admin_secret=ADMIN_SECRET, federated=trust)
    return Emulator(clock=clock, seeds=seeds)


async def test_a_trusted_assertion_signs_in(
    cloud: Cloud, clock: ManualClock, issuer_key: RSAPrivateKey
) -> None:
    answer = await exchange(cloud, assertion(issuer_key, clock.now()))

    assert cloud.verified(answer.json()["access_token"])["appidacr"] == "2"


@pytest.mark.parametrize(
    ("claims", "refusal"),
    [
        ({"iss": ISSUER + "/"}, (401, "invalid_client", 700211)),
        ({"iss": None}, (401, "invalid_client", 700211)),
        ({"sub": SUBJECT.upper()}, (401, "invalid_client", 700213)),
        ({"aud": "other"}, (401, "invalid_client", 700212)),
        ({"aud": None}, (401, "invalid_client", 700212)),
        ({"exp": 0}, (401, "invalid_client", 700024)),
        ({"exp": None}, (401, "invalid_client", 700024)),
        ({"exp": "soon"}, (401, "invalid_client", 700024)),
        ({"nbf": 2**40}, (401, "invalid_client", 700024)),
        ({"nbf": -(2**80)}, None),
        ({"exp": float("inf")}, None),
        ({"exp": float("nan")}, (401, "invalid_client", 700024)),
        ({"exp": True}, (401, "invalid_client", 700024)),
        (
            {"iss": OPERATOR_CLIENT_ID, "sub": OPERATOR_CLIENT_ID},
            (401, "invalid_client", 700027),
        ),
    ],
)
async def test_assertions_by_claim(
    cloud: Cloud, clock: ManualClock, issuer_key: RSAPrivateKey, claims: dict, refusal: tuple
) -> None:
    answer = await exchange(cloud, assertion(issuer_key, clock.now(), **claims))

    if refusal is None:
        assert answer.status_code == 200, answer.text
    else:
        assert aadsts(answer) == refusal


async def test_assertions_of_another_key_or_algorithm_are_refused(
    cloud: Cloud, clock: ManualClock, issuer_key: RSAPrivateKey
) -> None:
    other = generate_private_key(public_exponent=65537, key_size=2048)

    for text in (
        assertion(other, clock.now()),
        assertion(issuer_key, clock.now(), algorithm="PS256"),
    ):
        assert aadsts(await exchange(cloud, text)) == (401, "invalid_client", 50013)


async def test_an_unsigned_assertion_is_refused(cloud: Cloud, clock: ManualClock) -> None:
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "exp": 2**40}

    answer = await exchange(cloud, jwt.encode(claims, None, algorithm="none"))

    assert aadsts(answer) == (401, "invalid_client", 50013)


@pytest.mark.parametrize("text", ["x", "a.b.c", "ä", "e30.e30.x", "W10.W10.x"])
async def test_what_is_no_assertion(cloud: Cloud, text: str) -> None:
    answer = await exchange(cloud, text)

    assert answer.status_code == 401
    assert aadsts(answer)[2] in {50027, 700211}


async def test_an_assertion_has_a_type(
    cloud: Cloud, clock: ManualClock, issuer_key: RSAPrivateKey
) -> None:
    text = assertion(issuer_key, clock.now())

    answer = await exchange(cloud, text, client_assertion_type="saml")

    assert answer.status_code == 400


async def test_an_application_without_trust_trusts_nobody(
    cloud: Cloud, clock: ManualClock, issuer_key: RSAPrivateKey
) -> None:
    answer = await exchange(cloud, assertion(issuer_key, clock.now()), client_id=ADMIN_CLIENT_ID)

    assert aadsts(answer) == (400, "invalid_request", 70021)


async def test_an_assertion_is_good_for_its_time(
    cloud: Cloud, clock: ManualClock, issuer_key: RSAPrivateKey
) -> None:
    text = assertion(issuer_key, clock.now())

    clock.advance(timedelta(minutes=20))

    assert aadsts(await exchange(cloud, text)) == (401, "invalid_client", 700024)


def test_a_trust_needs_a_public_key() -> None:
    with pytest.raises(ValueError, match="PEM"):
        FederatedTrust(ISSUER, SUBJECT, AUDIENCE, "no key")
