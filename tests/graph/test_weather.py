"""What the client concludes from answers that are spoilt, late, stale or refused: nothing wrong."""

import asyncio
from datetime import timedelta

import pytest

from entra_emulator import Replica, Spoilt
from fhir_app_operator.errors import Stalled, Waiting
from fhir_app_operator.graph.transport import PATIENCE
from fhir_app_operator.planning.model import ApplicationChanges
from tests.graph.weather import CHANGES, END, open_sky

READS = {
    "by key": lambda sky, _app: sky.applications.by_unique_name("key"),
    "by object id": lambda sky, app: sky.applications.by_object_id(app.object_id),
    "by client id": lambda sky, app: sky.applications.by_app_id(app.app_id),
    "service principal": lambda sky, app: sky.principals.id_of(app.app_id),
    "permissions": lambda sky, app: sky.principals.api(app.app_id),
    "lists": lambda sky, _app: sky.inventory.snapshot(timedelta(0)),
    "bin": lambda sky, app: sky.bin.application(app.object_id),
}
WRITES = {
    "update": lambda sky, app: sky.applications.update(
        app, ApplicationChanges(notes="n"), young=False
    ),
    "delete": lambda sky, app: sky.applications.delete(app.object_id),
    "add password": lambda sky, app: sky.applications.add_password(app, "q", END, young=False),
}
UNREADABLE = [
    Spoilt.TRUNCATED, Spoilt.INTERRUPTED, Spoilt.HUGE, Spoilt.SLOW, Spoilt.HTML, Spoilt.EMPTY,
    Spoilt.NO_CONTENT, Spoilt.WRONG_TYPES, Spoilt.NULLS, Spoilt.WITHOUT,
]  # fmt: skip
COLLECTIONS = [
    "passwordCredentials", "tags", "appRoles", "requiredResourceAccess", "identifierUris",
    "redirectUris", "oauth2PermissionScopes",
]  # fmt: skip


@pytest.fixture
async def sky():
    async with open_sky() as made:
        yield made


async def unavailable(call):
    with pytest.raises(Waiting) as caught:
        await call
    assert caught.value.reason == "GraphUnavailable"
    return caught.value


@pytest.mark.looptime
@pytest.mark.parametrize("how", UNREADABLE)
@pytest.mark.parametrize("read", [name for name in READS if name != "bin"])
async def test_a_spoilt_read_is_weather_and_never_an_absence(sky, read, how):
    app = await sky.registered()
    sky.fault(times=99, answer=how)
    error = await unavailable(READS[read](sky, app))
    assert "GET /" in error.message
    assert len(sky.calls()) <= 3


@pytest.mark.looptime
@pytest.mark.parametrize("how", UNREADABLE)
async def test_a_spoilt_read_of_the_bin_is_no_absence_either(sky, how):
    app = await sky.registered()
    await sky.applications.delete(app.object_id)
    sky.fault(times=99, answer=how)
    await unavailable(READS["bin"](sky, app))


@pytest.mark.parametrize("how", [Spoilt.WRONG_TYPES, Spoilt.NULLS, Spoilt.WITHOUT])
@pytest.mark.parametrize("member", COLLECTIONS)
async def test_a_collection_that_is_none_is_not_an_empty_one(sky, member, how):
    await sky.registered()
    sky.fault(answer=how, members=frozenset({member}))
    error = await unavailable(sky.applications.by_unique_name("key"))
    assert "nothing was concluded" in error.message


@pytest.mark.parametrize("how", [Spoilt.WRONG_TYPES, Spoilt.NULLS, Spoilt.WITHOUT])
async def test_a_list_without_members_is_not_an_empty_one(sky, how):
    await sky.registered()
    sky.fault(path="ownedObjects", answer=how, members=frozenset({"value"}))
    await unavailable(sky.inventory.snapshot(timedelta(0)))


async def test_a_member_that_cannot_be_read_is_left_to_a_live_read(sky):
    app = await sky.registered()
    sky.fault(path="ownedObjects", answer=Spoilt.WITHOUT, members=frozenset({"tags"}))
    snapshot = await sky.inventory.snapshot(timedelta(0))
    assert app.object_id not in snapshot.applications
    assert app.app_id in snapshot.service_principals


async def test_half_a_list_is_no_list(sky):
    await sky.registered()
    sky.fault(path="ownedObjects", status=404)
    await unavailable(sky.inventory.snapshot(timedelta(0)))


async def test_a_list_whose_next_page_is_elsewhere_is_no_list(sky):
    await sky.registered()
    sky.fault(path="ownedObjects", answer=Spoilt.NEXT_LINK)
    error = await unavailable(sky.inventory.snapshot(timedelta(0)))
    assert "another origin" in error.message


@pytest.mark.parametrize("how", [Spoilt.HTML, Spoilt.TRUNCATED])
@pytest.mark.parametrize("read", ["by key", "service principal", "lists"])
async def test_one_spoilt_answer_is_asked_for_again(sky, read, how):
    app = await sky.registered()
    sky.fault(answer=how)
    assert await READS[read](sky, app)
    assert len(sky.pauses) == 1


@pytest.mark.looptime
@pytest.mark.parametrize("how", [Spoilt.HTML, Spoilt.INTERRUPTED, Spoilt.SLOW])
@pytest.mark.parametrize("write", WRITES)
async def test_a_write_whose_answer_is_spoilt_has_an_unknown_outcome(sky, write, how):
    app = await sky.registered()
    sky.fault(times=99, answer=how)
    await unavailable(WRITES[write](sky, app))
    if write == "add password":
        assert len(sky.calls("POST")) == 1


async def test_a_deletion_whose_answer_was_spoilt_is_found_done(sky):
    app = await sky.registered()
    sky.fault(method="DELETE", answer=Spoilt.HTML)
    assert await sky.applications.delete(app.object_id) is False
    assert await sky.bin.application(app.object_id) is not None


@pytest.mark.parametrize(
    "how", [Spoilt.EMPTY, Spoilt.NO_CONTENT, Spoilt.TRUNCATED, Spoilt.WRONG_TYPES, Spoilt.NULLS]
)
async def test_addpassword_is_not_sent_again_for_a_spoilt_answer(sky, how):
    app = await sky.registered()
    sky.fault(path="addPassword", answer=how)
    error = await unavailable(sky.applications.add_password(app, "q", END, young=False))
    assert "addPassword" in error.message
    assert sky.calls() == [("POST", 200)]
    shown = await sky.applications.by_unique_name("key")
    assert [password.display_name for password in shown.passwords] == ["p", "q"]


@pytest.mark.parametrize("member", ["endDateTime", "startDateTime", "secretText", "keyId"])
async def test_an_issued_password_without_its_dates_or_value_is_not_taken(sky, member):
    app = await sky.registered()
    sky.fault(path="addPassword", answer=Spoilt.WITHOUT, members=frozenset({member}))
    await unavailable(sky.applications.add_password(app, "q", END, young=False))


@pytest.mark.parametrize("how", [Spoilt.NO_CONTENT, Spoilt.HTML, Spoilt.TRUNCATED])
async def test_an_upsert_whose_answer_is_spoilt_reads_what_it_made(sky, how):
    sky.fault(path="uniqueName", method="PATCH", answer=how)
    made = await sky.applications.upsert("key", CHANGES)
    assert made == await sky.applications.by_unique_name("key")
    assert len(list(sky.emulator.directory.store.all("application"))) == 3


@pytest.mark.looptime
@pytest.mark.parametrize("fault", [{"hang": True}, {"answer": Spoilt.SLOW}])
async def test_an_answer_has_a_time_limit_as_a_whole(sky, fault):
    await sky.registered()
    loop = asyncio.get_running_loop()
    sky.fault(times=9, **fault)
    started = loop.time()
    error = await unavailable(sky.applications.by_unique_name("key"))
    assert loop.time() - started == pytest.approx(PATIENCE)
    assert "TimeoutError" in error.message
    assert len(sky.calls()) == 1


@pytest.mark.looptime
@pytest.mark.parametrize("when", ["before", "after"])
async def test_addpassword_that_hangs_is_not_sent_again(sky, when):
    app = await sky.registered()
    sky.fault(path="addPassword", hang=True, when=when)
    await unavailable(sky.applications.add_password(app, "q", END, young=False))
    shown = await sky.applications.by_unique_name("key")
    assert len(shown.passwords) == 1 + (when == "after")


@pytest.mark.parametrize("status", [409, 503])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_concurrency_violation_is_backed_off_from(sky, status, when):
    app = await sky.registered()
    code = "Directory_ConcurrencyViolation"
    sky.fault(status=status, code=code, when=when)
    changed = await sky.applications.update(app, ApplicationChanges(notes="n"), young=False)
    assert changed.notes == "n"
    assert len(sky.pauses) == 1
    sky.fault(path="addPassword", status=status, code=code, when=when)
    sky.emulator.requests.clear()
    await unavailable(sky.applications.add_password(app, "q", END, young=False))
    assert len(sky.calls()) == 1


@pytest.mark.parametrize("status", [409, 503])
async def test_a_removal_that_collided_after_its_effect_is_a_success(sky, status):
    app = await sky.registered()
    code = "Directory_ConcurrencyViolation"
    sky.fault(path="removePassword", status=status, code=code, when="after")
    await sky.applications.remove_password(app.object_id, app.passwords[0].key_id)
    assert (await sky.applications.by_unique_name("key")).passwords == ()


async def test_a_removed_password_that_a_replica_still_shows_is_gone(sky):
    app = await sky.registered()
    sky.later(hours=1)
    sky.emulator.directory.store.lag = timedelta(minutes=20)
    for _ in range(2):
        await sky.applications.remove_password(app.object_id, app.passwords[0].key_id)
    assert len((await sky.applications.by_unique_name("key")).passwords) == 1


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("Sun, 01 Mar 2026 00:02:00 GMT", 120.0),
        ("Sat, 28 Feb 2026 00:00:00 GMT", 1.0),
        ("Tue, 01 Mar 2033 00:00:00 GMT", 300.0),
        (0, 1.0),
        ("99999999999999999999", None),
        ("9999999999", 300.0),
        ("nan", None),
        ("-5", None),
        ("soon", None),
        (None, None),
    ],
)
async def test_retry_after_is_read_in_all_its_forms_and_capped(sky, header, wait):
    await sky.registered()
    sky.fault(times=9, status=429, retry_after=header)
    with pytest.raises(Waiting) as caught:
        await sky.applications.by_unique_name("key")
    assert (caught.value.reason, caught.value.retry_after) == ("GraphThrottled", wait)


async def test_a_date_is_read_against_the_servers_own_clock(sky):
    sky.emulator.weather.skew = timedelta(hours=3)
    sky.fault(times=9, status=429, retry_after="Sun, 01 Mar 2026 03:01:00 GMT")
    with pytest.raises(Waiting) as caught:
        await sky.applications.by_unique_name("key")
    assert caught.value.retry_after == 60.0


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_what_is_not_graphs_is_no_verdict(sky, status):
    """A proxy or gateway in between refuses: neither "gone" nor "denied" follows from that."""
    app = await sky.registered()
    sky.fault(times=99, status=status)
    sky.emulator.app = foreign(sky.emulator.app)
    sky.graph._http._transport.app = sky.emulator.app
    error = await unavailable(sky.applications.by_object_id(app.object_id))
    assert f"HTTP {status}, but not by Microsoft Graph" in error.message


def foreign(app):
    """The application, with a page instead of Graph's envelope in every error."""

    async def serve(scope, receive, send):
        failed = False

        async def changed(message):
            nonlocal failed
            if message["type"] == "http.response.start" and message["status"] >= 400:
                failed = True
                message = {**message, "headers": [(b"content-type", b"text/html")]}
            elif failed:
                message = {**message, "body": b"<html>no</html>"}
            await send(message)

        await app(scope, receive, changed)

    return serve


async def test_a_404_with_another_code_is_no_absence(sky):
    app = await sky.registered()
    sky.fault(times=9, status=404, code="UnknownError")
    await unavailable(sky.applications.by_object_id(app.object_id))


@pytest.mark.looptime
async def test_a_token_revoked_in_flight_is_renewed_once(sky):
    await sky.registered()
    asked = sky.sign_in.asked
    sky.emulator.tokens.revoke()
    sky.emulator.weather.latency = 1
    found = await asyncio.gather(*(sky.applications.by_unique_name("key") for _ in range(5)))
    assert all(found)
    assert sky.sign_in.asked == asked + 1
    assert [status for _, status in sky.calls()].count(401) == 5


@pytest.mark.parametrize(
    ("seconds", "later", "asked"), [(3599, 3000, 1), (240, 100, 1), (240, 130, 2)]
)
async def test_a_token_is_used_until_it_nears_its_end_however_short_it_lives(
    sky, seconds, later, asked
):
    sky.emulator.tokens.lifetime = seconds
    await sky.applications.by_unique_name("key")
    sky.later(seconds=later)
    await sky.applications.by_unique_name("key")
    assert sky.sign_in.asked == asked


async def test_addpassword_is_sent_again_after_a_refused_token(sky):
    app = await sky.registered()
    sky.emulator.tokens.revoke()
    await sky.applications.add_password(app, "q", END, young=False)
    assert sky.calls() == [("POST", 401), ("POST", 200)]


async def test_tokens_that_are_always_refused_are_the_tenants_fault(sky):
    await sky.registered()
    sky.fault(times=99, status=401)
    with pytest.raises(Waiting) as caught:
        await sky.applications.by_unique_name("key")
    assert caught.value.reason == "TenantNotReady"
    assert len(sky.calls()) == 2


POLICY = {"restrictionType": "passwordLifetime", "state": "enabled", "maxLifetime": "P90D"}


@pytest.mark.parametrize(
    ("restriction", "told"),
    [
        (POLICY, "shorten `credential.clientSecret.duration`"),
        ({"restrictionType": "passwordAddition", "state": "enabled"}, "forbids client secrets"),
    ],
)
async def test_a_policy_is_told_with_what_to_do(sky, restriction, told):
    app = await sky.registered()
    sky.emulator.directory.policies.set({"passwordCredentials": [restriction]})
    with pytest.raises(Stalled) as caught:
        await sky.applications.add_password(app, "q", END, young=False)
    assert caught.value.reason == "PolicyBlocked"
    assert told in caught.value.message
    assert "app management policy 00000000-0000-0000-0000-00000000d0a1" in caught.value.message
    assert len(sky.calls("POST")) == 1


async def test_a_shorter_lifetime_is_taken_as_it_was_granted(sky):
    app = await sky.registered()
    sky.emulator.directory.policies.granted_lifetime = timedelta(days=7)
    issued = await sky.applications.add_password(app, "q", END, young=False)
    assert issued.credential.end - issued.credential.start == timedelta(days=7)


async def test_a_key_that_a_stale_replica_hides_is_not_in_the_bin(sky):
    sky.emulator.directory.store.lag = timedelta(minutes=20)
    sky.emulator.directory.store.replicas.serve_in_order([Replica.LAGGING])
    await sky.applications.upsert("key", CHANGES)
    with pytest.raises(Waiting) as caught:
        await sky.applications.upsert("key", CHANGES, young=True)
    assert caught.value.reason == "NotYetReplicated"
