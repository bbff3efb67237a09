"""App management policies, concurrent credential writes, and access tokens that end early."""

from datetime import timedelta

import httpx
import pytest

from entra_emulator import OPERATOR_CLIENT_ID, ManualClock
from tests.emulator.certified import certified
from tests.emulator.cloud import GRAPH, OPERATOR_SECRET, App, Cloud, error_of

APPS = "/v1.0/applications"
LIFETIME = {"restrictionType": "passwordLifetime", "state": "enabled", "maxLifetime": "P180D"}
ADDITION = {"restrictionType": "passwordAddition", "state": "enabled"}


async def restrict(cloud: Cloud, *passwords: dict, keys: tuple[dict, ...] = ()) -> None:
    body = {"passwordCredentials": list(passwords), "keyCredentials": list(keys)}
    answer = await cloud.anybody.put("/_emulator/policies", json=body)
    assert answer.status_code == 200, answer.text
    assert (await cloud.anybody.get("/_emulator/policies")).json() == body


async def add(cloud: Cloud, app: App, end: str | None = None) -> httpx.Response:
    wishes = {} if end is None else {"endDateTime": end}
    path = f"{APPS}/{app.id}/addPassword"
    return await cloud.operator.post(path, json={"passwordCredential": wishes})


async def test_a_policy_can_forbid_secrets(cloud: Cloud) -> None:
    app = await cloud.register()
    kept = await cloud.secret(app)
    await restrict(cloud, ADDITION)

    answer = await add(cloud, app, "2026-06-02T00:00:00Z")

    assert error_of(answer) == (400, "CredentialTypeNotAllowedAsPerAppPolicy")
    assert cloud.emulator.directory.accepts(app.app_id, kept)


async def test_a_policy_can_limit_the_lifetime_of_secrets(cloud: Cloud) -> None:
    app = await cloud.register()
    await restrict(cloud, LIFETIME)

    longer = await add(cloud, app, "2026-11-28T12:00:01Z")
    default = await add(cloud, app)
    exact = await add(cloud, app, "2026-11-28T12:00:00Z")

    code = "CredentialInvalidLifetimeAsPerAppPolicy"
    assert error_of(longer) == error_of(default) == (400, code)
    assert "exceeds the max value allowed as per assigned policy" in longer.text
    assert exact.status_code == 200


async def test_passwords_of_a_creation_are_restricted_too(cloud: Cloud) -> None:
    await restrict(cloud, LIFETIME)
    body = {"displayName": "x", "passwordCredentials": [{"displayName": "p"}]}

    answer = await cloud.operator.post(APPS, json=body)

    assert error_of(answer) == (400, "CredentialInvalidLifetimeAsPerAppPolicy")


async def test_a_policy_that_is_disabled_restricts_nothing(cloud: Cloud) -> None:
    app = await cloud.register()
    await restrict(cloud, ADDITION | {"state": "disabled"})

    assert (await add(cloud, app)).status_code == 200


async def test_a_policy_may_concern_later_applications_only(
    cloud: Cloud, clock: ManualClock
) -> None:
    older = await cloud.register("older")
    since = {"restrictForAppsCreatedAfterDateTime": "2026-06-01T12:00:00Z"}
    await restrict(cloud, ADDITION | since)
    clock.advance(timedelta(seconds=1))
    newer = await cloud.register("newer")

    assert (await add(cloud, older)).status_code == 200
    assert (await add(cloud, newer)).status_code == 400


async def test_a_policy_can_limit_the_lifetime_of_certificates(cloud: Cloud) -> None:
    app = await cloud.register()
    entry = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": certified().der}
    path = f"{APPS}/{app.id}"

    async def put(*entries: dict) -> httpx.Response:
        return await cloud.operator.patch(path, json={"keyCredentials": list(entries)})

    assert (await put(entry)).status_code == 204
    kind = {"restrictionType": "asymmetricKeyLifetime", "state": "enabled", "maxLifetime": "P90D"}
    await restrict(cloud, keys=(kind,))
    read = await cloud.operator.get(path, params={"$select": "keyCredentials"})
    [present] = read.json()["keyCredentials"]

    again = await put(entry, present | {"key": None})
    kept = await put(present | {"key": None})

    assert error_of(again) == (400, "CredentialInvalidLifetimeAsPerAppPolicy")
    assert kept.status_code == 204


async def test_a_wish_can_be_cut_without_a_refusal(cloud: Cloud) -> None:
    app = await cloud.register()
    await cloud.anybody.put("/_emulator/credentials", json={"maxSeconds": 86_400})

    answer = await add(cloud, app, "2027-01-01T00:00:00Z")

    assert answer.json()["endDateTime"] == "2026-06-02T12:00:00Z"


@pytest.mark.parametrize("status", [409, 503])
async def test_credential_writes_must_be_apart(
    cloud: Cloud, clock: ManualClock, status: int
) -> None:
    app, other = await cloud.register(), await cloud.register()
    body = {"spacingSeconds": 5, "spacingStatus": status}
    await cloud.anybody.put("/_emulator/credentials", json=body)
    await add(cloud, app)

    early = await add(cloud, app)
    elsewhere = await add(cloud, other)
    clock.advance(timedelta(seconds=5))
    late = await add(cloud, app)

    assert error_of(early) == (status, "Directory_ConcurrencyViolation")
    assert (elsewhere.status_code, late.status_code) == (200, 200)
    shown = (await cloud.operator.get(f"{APPS}/{app.id}")).json()
    assert len(shown["passwordCredentials"]) == 2


async def test_tokens_live_as_long_as_is_set(cloud: Cloud, clock: ManualClock) -> None:
    await cloud.anybody.put("/_emulator/tokens", json={"lifetimeSeconds": 600})
    form = {"client_id": OPERATOR_CLIENT_ID, "client_secret": OPERATOR_SECRET, "scope": GRAPH}

    answer = await cloud.token(**form)
    client = await cloud.signed_in(OPERATOR_CLIENT_ID, OPERATOR_SECRET)
    clock.advance(timedelta(seconds=600 + 300))

    assert answer.json()["expires_in"] == 600
    expired = await client.get(APPS)
    assert error_of(expired) == (401, "InvalidAuthenticationToken")
    assert "expired" in expired.text


async def test_tokens_can_be_revoked_in_flight(cloud: Cloud) -> None:
    assert (await cloud.operator.get(APPS)).status_code == 200
    await cloud.anybody.post("/_emulator/tokens/revoke")

    refused = await cloud.operator.get(APPS)
    renewed = await cloud.signed_in(OPERATOR_CLIENT_ID, OPERATOR_SECRET)

    assert error_of(refused) == (401, "InvalidAuthenticationToken")
    assert "insufficient_claims" in refused.headers["www-authenticate"]
    assert (await renewed.get(APPS)).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"passwords": []}, "passwords"),
        ({"passwordCredentials": {}}, "passwordCredentials"),
        ({"passwordCredentials": [5]}, "passwordCredentials"),
        ({"passwordCredentials": [{"state": "enabled"}]}, "restrictionType"),
        ({"passwordCredentials": [ADDITION | {"state": "on"}]}, "state"),
        ({"passwordCredentials": [ADDITION | {"colour": 1}]}, "colour"),
        ({"passwordCredentials": [ADDITION | {"maxLifetime": "P1D"}]}, "maxLifetime"),
        ({"passwordCredentials": [LIFETIME | {"maxLifetime": None}]}, "maxLifetime"),
        ({"passwordCredentials": [LIFETIME | {"maxLifetime": "1 month"}]}, "maxLifetime"),
        ({"passwordCredentials": [LIFETIME | {"maxLifetime": "P"}]}, "maxLifetime"),
        ({"keyCredentials": [LIFETIME]}, "restrictionType"),
        (
            {
                "passwordCredentials": [
                    ADDITION | {"restrictForAppsCreatedAfterDateTime": "yesterday"}
                ]
            },
            "restrictForAppsCreatedAfterDateTime",
        ),
    ],
)
async def test_a_policy_that_is_none_is_told_by_its_member(
    cloud: Cloud, body: dict, field: str
) -> None:
    answer = await cloud.anybody.put("/_emulator/policies", json=body)

    assert answer.status_code == 400
    assert field in answer.json()["error"]
