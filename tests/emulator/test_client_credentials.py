import base64
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from entra_emulator import (
    ADMIN_CLIENT_ID,
    GRAPH_APP_ID,
    OPERATOR_CLIENT_ID,
    TENANT_ID,
    Emulator,
    FederatedTrust,
    ManualClock,
    Seeds,
)
from tests.emulator.cloud import ADMIN_SECRET, GRAPH, OPERATOR_SECRET, TOKEN, Cloud, aadsts, role

FHIR = "https://fhir.clinic.example"
V1 = f"https://sts.windows.net/{TENANT_ID}/"
V2 = f"https://entra.test/{TENANT_ID}/v2.0"
OPERATOR = {"client_id": OPERATOR_CLIENT_ID, "client_secret": OPERATOR_SECRET}


async def test_an_answer_has_the_members_of_the_real_one(cloud: Cloud) -> None:
    answer = await cloud.token(**OPERATOR, scope=GRAPH)

    assert set(answer.json()) == {"token_type", "expires_in", "ext_expires_in", "access_token"}
    assert answer.json()["expires_in"] == 3599
    assert answer.headers["cache-control"] == "no-store, no-cache"
    assert answer.headers["date"] == "Mon, 01 Jun 2026 12:00:00 GMT"


async def test_claims_for_microsoft_graph(cloud: Cloud, clock: ManualClock) -> None:
    claims = await cloud.claims(**OPERATOR, scope=GRAPH)

    now = int(clock.now().timestamp())
    assert claims["aud"] == "https://graph.microsoft.com"
    assert (claims["iss"], claims["ver"], claims["tid"]) == (V1, "1.0", TENANT_ID)
    assert (claims["appid"], claims["appidacr"]) == (OPERATOR_CLIENT_ID, "1")
    assert (claims["iat"], claims["nbf"], claims["exp"]) == (now, now, now + 3599)
    assert claims["roles"] == ["Application.ReadWrite.OwnedBy"]
    assert (claims["app_displayname"], claims["idtyp"]) == ("FHIR App Operator", "app")
    assert claims["oid"] == claims["sub"]


@pytest.mark.parametrize(
    "resource",
    [
        "https://graph.microsoft.com",
        "https://graph.microsoft.com/",
        GRAPH_APP_ID,
        "https://entra.test",
        "https://entra.test/",
    ],
)
async def test_every_name_of_graph_opens_graph(cloud: Cloud, resource: str) -> None:
    answer = await cloud.token(**OPERATOR, scope=f"{resource}/.default")
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    assert cloud.verified(answer.json()["access_token"])["aud"] == resource
    assert (await cloud.anybody.get("/v1.0/applications", headers=headers)).status_code == 200


@pytest.mark.parametrize("version", [None, 1, 2])
async def test_the_resource_decides_the_token_version(cloud: Cloud, version: int | None) -> None:
    server = await cloud.register(
        identifierUris=[FHIR], api={"requestedAccessTokenVersion": version}
    )
    client = await cloud.register()
    form = {"client_id": client.app_id, "client_secret": await cloud.secret(client)}

    by_uri = await cloud.claims(**form, scope=f"{FHIR}/.default")
    by_id = await cloud.claims(**form, scope=f"{server.app_id}/.default")

    if version == 2:
        assert by_uri["aud"] == by_id["aud"] == server.app_id
        assert (by_uri["iss"], by_uri["ver"]) == (V2, "2.0")
        assert (by_uri["azp"], by_uri["azpacr"]) == (client.app_id, "1")
        assert "appid" not in by_uri
    else:
        assert (by_uri["aud"], by_id["aud"]) == (FHIR, server.app_id)
        assert (by_uri["iss"], by_uri["ver"]) == (V1, "1.0")
        assert (by_uri["appid"], by_uri["appidacr"]) == (client.app_id, "1")
        assert by_uri["idp"] == V1
        assert "azp" not in by_uri
    assert by_uri["oid"] == by_uri["sub"] == client.principal_id
    assert "scp" not in by_uri


async def test_roles_are_those_assigned_and_enabled(cloud: Cloud) -> None:
    read, write = role("read"), role("write")
    server = await cloud.register(identifierUris=[FHIR], appRoles=[read, write, role("rest")])
    client = await cloud.register()
    form = {
        "client_id": client.app_id,
        "client_secret": await cloud.secret(client),
        "scope": f"{FHIR}/.default",
    }

    none = await cloud.claims(**form)
    for item in (read, write):
        await cloud.assign(client.principal_id, server, item["id"])
    both = await cloud.claims(**form)
    path = f"/v1.0/applications/{server.id}"
    disabled = [read, {**write, "isEnabled": False}, role("rest", isEnabled=False)]
    current = (await cloud.operator.get(path)).json()["appRoles"]
    disabled[2]["id"] = current[2]["id"]
    await cloud.operator.patch(path, json={"appRoles": disabled})
    one = await cloud.claims(**form)

    assert "roles" not in none
    assert (both["roles"], one["roles"]) == (["read", "write"], ["read"])


async def test_a_resource_may_demand_an_assignment(cloud: Cloud) -> None:
    server = await cloud.register(identifierUris=[FHIR])
    await cloud.operator.patch(
        f"/v1.0/servicePrincipals/{server.principal_id}", json={"appRoleAssignmentRequired": True}
    )

    answer = await cloud.token(**OPERATOR, scope=f"{FHIR}/.default")

    assert aadsts(answer) == (400, "invalid_grant", 501051)


async def test_a_secret_works_within_its_lifetime(cloud: Cloud, clock: ManualClock) -> None:
    app = await cloud.register()
    start, end = "2026-06-02T12:00:00Z", "2026-06-03T12:00:00Z"
    secret = await cloud.secret(app, startDateTime=start, endDateTime=end)
    form = {"client_id": app.app_id, "client_secret": secret, "scope": GRAPH}
    answers = []

    for _ in range(3):
        answers.append(await cloud.token(**form))
        clock.advance(timedelta(days=1))

    assert aadsts(answers[0]) == (401, "invalid_client", 7000222)
    assert answers[1].status_code == 200
    assert aadsts(answers[2]) == (401, "invalid_client", 7000222)


async def test_a_removed_secret_is_wrong(cloud: Cloud) -> None:
    app = await cloud.register()
    path = f"/v1.0/applications/{app.id}"
    made = (await cloud.operator.post(f"{path}/addPassword")).json()
    await cloud.operator.post(f"{path}/removePassword", json={"keyId": made["keyId"]})

    answer = await cloud.token(client_id=app.app_id, client_secret=made["secretText"], scope=GRAPH)

    assert aadsts(answer) == (401, "invalid_client", 7000215)


ZERO = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("form", "refusal"),
    [
        ({"client_secret": "wrong"}, (401, "invalid_client", 7000215)),
        ({"client_secret": ""}, (401, "invalid_client", 7000218)),
        ({"client_id": ""}, (400, "invalid_request", 90014)),
        ({"client_id": ZERO}, (400, "unauthorized_client", 700016)),
        ({"client_id": "portal"}, (400, "unauthorized_client", 700038)),
        ({"client_id": GRAPH_APP_ID}, (400, "unauthorized_client", 700016)),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", 70003)),
        ({"grant_type": ""}, (400, "invalid_request", 900144)),
        ({"scope": ""}, (400, "invalid_request", 90014)),
        ({"scope": "https://nowhere.example/.default"}, (400, "invalid_resource", 500011)),
        ({"scope": f"{ZERO}/.default"}, (400, "invalid_resource", 500011)),
        ({"scope": "https://graph.microsoft.com/User.Read"}, (400, "invalid_scope", 1002012)),
        ({"scope": f"{GRAPH} openid"}, (400, "invalid_scope", 1002012)),
        ({"scope": ".default"}, (400, "invalid_scope", 1002012)),
        ({"scope": "/.default"}, (400, "invalid_scope", 1002012)),
    ],
)
async def test_refusals(cloud: Cloud, form: dict, refusal: tuple) -> None:
    answer = await cloud.token(**{**OPERATOR, "scope": GRAPH, **form})

    assert aadsts(answer) == refusal
    body = answer.json()
    for member in ("timestamp", "trace_id", "correlation_id", "error_uri"):
        assert body[member]


async def test_a_disabled_client_gets_nothing(cloud: Cloud) -> None:
    app = await cloud.register()
    secret = await cloud.secret(app)
    await cloud.operator.patch(
        f"/v1.0/servicePrincipals/{app.principal_id}", json={"accountEnabled": False}
    )

    answer = await cloud.token(client_id=app.app_id, client_secret=secret, scope=GRAPH)

    assert aadsts(answer) == (400, "unauthorized_client", 7000112)


async def test_a_client_without_service_principal_is_unknown(cloud: Cloud) -> None:
    app = await cloud.register()
    secret = await cloud.secret(app)
    await cloud.operator.delete(f"/v1.0/servicePrincipals/{app.principal_id}")

    answer = await cloud.token(client_id=app.app_id, client_secret=secret, scope=GRAPH)

    assert aadsts(answer) == (400, "unauthorized_client", 700016)


async def test_the_correlation_id_is_the_clients(cloud: Cloud) -> None:
    headers = {"client-request-id": "0a0b0c0d-0000-4000-8000-000000000001"}

    answer = await cloud.anybody.post(TOKEN, data={"grant_type": "x"}, headers=headers)

    assert answer.json()["correlation_id"] == headers["client-request-id"]


async def test_the_secret_may_come_in_a_header(cloud: Cloud) -> None:
    pair = base64.b64encode(f"{OPERATOR_CLIENT_ID}:{OPERATOR_SECRET}".encode()).decode()
    form = {"grant_type": "client_credentials", "scope": GRAPH}

    good = await cloud.anybody.post(TOKEN, data=form, headers={"Authorization": f"Basic {pair}"})
    bad = await cloud.anybody.post(TOKEN, data=form, headers={"Authorization": "Basic §".encode()})

    assert good.status_code == 200
    assert aadsts(bad) == (400, "invalid_request", 90014)


async def test_the_version_1_endpoint_takes_a_resource(cloud: Cloud) -> None:
    form = {
        **OPERATOR,
        "grant_type": "client_credentials",
        "resource": "https://graph.microsoft.com",
    }

    answer = await cloud.anybody.post(f"/{TENANT_ID}/oauth2/token", data=form)

    assert answer.json()["resource"] == "https://graph.microsoft.com"
    assert answer.json()["expires_in"] == "3599"
    assert cloud.verified(answer.json()["access_token"])["aud"] == "https://graph.microsoft.com"


@pytest.mark.parametrize("tenant", ["clinic.example", "clinic.onmicrosoft.com", TENANT_ID.upper()])
async def test_a_tenant_has_names(cloud: Cloud, tenant: str) -> None:
    form = {**OPERATOR, "grant_type": "client_credentials", "scope": GRAPH}

    assert (await cloud.anybody.post(f"/{tenant}/oauth2/v2.0/token", data=form)).status_code == 200


@pytest.mark.parametrize("tenant", ["other.example", ZERO, "common"])
async def test_other_tenants_are_not_here(cloud: Cloud, tenant: str) -> None:
    answer = await cloud.anybody.post(f"/{tenant}/oauth2/v2.0/token", data=OPERATOR)

    assert aadsts(answer) == (400, "invalid_request", 90002)


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (b"{}", "application/json"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded"),
        (b"grant_type=\xff", "application/x-www-form-urlencoded"),
        (b"a=1&a=2", "application/x-www-form-urlencoded"),
        (b"a=" + b"x" * 300_000, "application/x-www-form-urlencoded"),
    ],
)
async def test_forms_that_cannot_be_read(cloud: Cloud, content: bytes, media: str) -> None:
    answer = await cloud.anybody.post(TOKEN, content=content, headers={"Content-Type": media})

    assert aadsts(answer) == (400, "invalid_request", 900561)


# ---- federated credentials

ISSUER, SUBJECT = "https://cluster.example", "system:serviceaccount:ns:operator"
AUDIENCE = "api://AzureADTokenExchange"


@pytest.fixture(scope="module")
def issuer_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def emulator(clock: ManualClock, issuer_key: RSAPrivateKey) -> Emulator:
    pem = issuer_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    trust = FederatedTrust(ISSUER, SUBJECT, AUDIENCE, pem.decode())
    seeds = Seeds(operator_secret=OPERATOR_SECRET, admin_secret=ADMIN_SECRET, federated=trust)
    return Emulator(clock=clock, seeds=seeds)


def assertion(key: RSAPrivateKey, now: datetime, *, algorithm: str = "RS256", **more: Any) -> str:
    stamp = now.timestamp()
    claims = {
        "iss": ISSUER,
        "sub": SUBJECT,
        "aud": [AUDIENCE],
        "iat": stamp,
        "exp": stamp + 600.5,
        **more,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, key, algorithm=algorithm)


async def exchange(cloud: Cloud, text: str, client_id: str = OPERATOR_CLIENT_ID, **more: str):
    form = {
        "client_id": client_id,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": text,
        "scope": GRAPH,
        **more,
    }
    return await cloud.token(**form)


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
