"""No input may bring the emulator down: whatever is sent is answered with less than 500.

In process an unexpected exception comes through the transport, so it fails the test by itself.
"""

import asyncio
import string
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entra_emulator import ADMIN_CLIENT_ID, Emulator, ManualClock, Seeds
from entra_emulator.directory.entities import APPLICATION, SERVICE_PRINCIPAL
from tests.emulator.cloud import (
    ADMIN_SECRET,
    AUTHORIZE,
    OPERATOR_SECRET,
    TOKEN,
    Cloud,
    role,
    scope,
)

SETTINGS = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10)
    | st.sampled_from(
        ["00000003-0000-0000-c000-000000000000", "2026-01-01T00:00:00Z", "https://a.example", "*"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
TEXT = st.text(alphabet=string.printable + "äß²\u2028", max_size=40)


def near(members: list[str], sound: dict[str, object]) -> st.SearchStrategy[dict[str, object]]:
    """Bodies that start out sound and have some members replaced."""
    broken = st.dictionaries(st.sampled_from(members), JSON, max_size=3)
    return broken.map(lambda changes: {**sound, **changes})


APPLICATIONS = near(
    [*APPLICATION.members, "owners@odata.bind"], {"displayName": "x", "appRoles": [role("a")]}
)
NESTED = st.fixed_dictionaries(
    {"displayName": st.just("x")},
    optional={
        "api": st.fixed_dictionaries(
            {},
            optional={
                "oauth2PermissionScopes": st.lists(near(list(scope("a")), scope("a")), max_size=2),
                "preAuthorizedApplications": JSON,
                "requestedAccessTokenVersion": st.sampled_from([None, 1, 2]) | JSON,
            },
        ),
        "appRoles": st.lists(near(list(role("a")), role("a")), max_size=2),
        "web": st.fixed_dictionaries({}, optional={"redirectUris": st.lists(TEXT) | JSON}),
        "identifierUris": st.lists(TEXT.map("https://".__add__) | TEXT, max_size=3),
        "optionalClaims": JSON,
    },
)
PRINCIPALS = near(list(SERVICE_PRINCIPAL.members), {})
CREDENTIALS = st.fixed_dictionaries(
    {},
    optional={
        "displayName": JSON,
        "startDateTime": st.datetimes().map(lambda moment: moment.isoformat() + "Z") | JSON,
        "endDateTime": st.datetimes().map(lambda moment: moment.isoformat() + "+05:00") | JSON,
    },
)


def run(scenario) -> None:
    """Play a scenario against a fresh emulator."""

    async def play() -> None:
        clock = ManualClock(datetime(2026, 6, 1, tzinfo=UTC))
        seeds = Seeds(operator_secret=OPERATOR_SECRET, admin_secret=ADMIN_SECRET)
        async with Cloud(Emulator(clock=clock, admin=True, seeds=seeds)) as cloud:
            await scenario(cloud)

    asyncio.run(play())


def sound(answer: httpx.Response) -> httpx.Response:
    assert answer.status_code < 500
    return answer


@SETTINGS
@given(st.lists(APPLICATIONS | NESTED, min_size=1, max_size=3))
def test_applications(bodies: list[dict]) -> None:
    async def scenario(cloud: Cloud) -> None:
        app = await cloud.register()
        for body in bodies:
            path = f"/v1.0/applications/{app.id}"
            made = sound(await cloud.operator.post("/v1.0/applications", json=body))
            sound(await cloud.operator.patch(path, json=body))
            assert (await cloud.operator.get(path)).status_code == 200
            if made.status_code == 201:
                app_id = {"appId": made.json()["appId"]}
                sound(await cloud.operator.post("/v1.0/servicePrincipals", json=app_id))
        assert (await cloud.operator.get("/v1.0/servicePrincipals")).status_code == 200

    run(scenario)


@SETTINGS
@given(PRINCIPALS, CREDENTIALS | JSON, JSON)
def test_service_principals_and_credentials(body: dict, wish: object, other: object) -> None:
    async def scenario(cloud: Cloud) -> None:
        app = await cloud.register()
        path = f"/v1.0/servicePrincipals/{app.principal_id}"
        sound(await cloud.operator.patch(path, json=body))
        sound(await cloud.operator.post("/v1.0/servicePrincipals", json=body))
        given = {"passwordCredential": wish}
        sound(await cloud.operator.post(f"/v1.0/applications/{app.id}/addPassword", json=given))
        keys = {"keyId": other}
        sound(await cloud.operator.post(f"{path}/removePassword", json=keys))
        sound(await cloud.admin.post(f"{path}/appRoleAssignedTo", json={"principalId": other}))
        sound(await cloud.admin.post("/v1.0/oauth2PermissionGrants", json={"scope": other}))
        assert (await cloud.operator.get(path)).status_code == 200

    run(scenario)


@SETTINGS
@given(
    st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]),
    st.lists(st.sampled_from(["applications", "owners", "$ref", "('x')", "x"]) | TEXT, max_size=4),
    st.dictionaries(
        st.sampled_from(["$filter", "$top", "$select", "$count", "$skiptoken"]), TEXT, max_size=3
    ),
    st.binary(max_size=30),
)
def test_paths_and_queries(method: str, parts: list, query: dict, content: bytes) -> None:
    async def scenario(cloud: Cloud) -> None:
        path = quote("/v1.0/" + "/".join(parts), safe="/()'$=")
        url = httpx.URL(f"https://entra.test{path}", params=query)
        sound(await cloud.admin.request(method, url, content=content))

    run(scenario)


FIELDS = [
    "grant_type",
    "client_id",
    "client_secret",
    "scope",
    "code",
    "refresh_token",
    "redirect_uri",
    "client_assertion",
    "client_assertion_type",
    "code_verifier",
    "resource",
    "response_type",
    "response_mode",
    "login_hint",
    "code_challenge",
    "code_challenge_method",
    "prompt",
]
VALUES = TEXT | st.sampled_from(
    [
        "client_credentials",
        "authorization_code",
        "refresh_token",
        ADMIN_CLIENT_ID,
        ADMIN_SECRET,
        "https://graph.microsoft.com/.default",
        "code",
        "form_post",
        "openid",
        "a.b.c",
        "S256",
    ]
)


@SETTINGS
@given(
    st.dictionaries(st.sampled_from(FIELDS), VALUES),
    st.dictionaries(st.sampled_from(FIELDS), VALUES),
)
def test_sign_in(form: dict, query: dict) -> None:
    async def scenario(cloud: Cloud) -> None:
        sound(await cloud.anybody.post(TOKEN, data=form))
        sound(await cloud.anybody.get(AUTHORIZE, params=query))
        registered = {"client_id": ADMIN_CLIENT_ID, "redirect_uri": "https://a.example/"}
        sound(await cloud.anybody.get(AUTHORIZE, params={**query, **registered}))

    run(scenario)


RESTRICTION = near(
    ["restrictionType", "state", "maxLifetime", "restrictForAppsCreatedAfterDateTime", "x"],
    {"restrictionType": "passwordLifetime", "state": "enabled", "maxLifetime": "P1D"},
)
SWITCHES = {
    "faults": near(
        ["path", "times", "when", "status", "retryAfter", "drop", "answer", "members", "skip"],
        {"path": ".", "answer": "wrongTypes"},
    ),
    "lag": near(["seconds", "signInSeconds", "order", "seed"], {"seconds": 1}),
    "latency": near(["seconds"], {}),
    "skew": near(["seconds"], {"seconds": 1e6}),
    "tokens": near(["lifetimeSeconds"], {"lifetimeSeconds": 60}),
    "credentials": near(["maxSeconds", "spacingSeconds", "spacingStatus"], {"maxSeconds": 60}),
    "policies": st.fixed_dictionaries(
        {},
        optional={"passwordCredentials": st.lists(RESTRICTION, max_size=2), "keyCredentials": JSON},
    ),
    "throttling": near(["enabled", "size"], {"enabled": True}),
    "clock": near(["advanceSeconds"], {"advanceSeconds": 1e9}),
}


@SETTINGS
@given(
    st.sampled_from(sorted(SWITCHES)).flatmap(lambda p: st.tuples(st.just(p), SWITCHES[p] | JSON))
)
def test_the_admin_api(switch: tuple[str, object]) -> None:
    path, body = switch

    async def scenario(cloud: Cloud) -> None:
        method = "POST" if path in {"faults", "clock"} else "PUT"
        answer = sound(await cloud.anybody.request(method, f"/_emulator/{path}", json=body))
        if answer.is_success and path not in {"faults", "latency"}:
            sound(await cloud.operator.post("/v1.0/applications", json={"displayName": "x"}))

    run(scenario)
