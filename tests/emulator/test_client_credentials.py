import base64
from datetime import timedelta

import pytest

from entra_emulator import (
    GRAPH_APP_ID,
    OPERATOR_CLIENT_ID,
    TENANT_ID,
    ManualClock,
)
from tests.emulator.cloud import GRAPH, OPERATOR_SECRET, TOKEN, Cloud, aadsts, role

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
