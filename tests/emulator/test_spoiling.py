"""Answers that arrive spoilt, in process and over sockets."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import httpx
import pytest

from entra_emulator import ConnectionDropped, Emulator, Seeds
from entra_emulator.server import serve
from entra_emulator.spoiling import ELSEWHERE, HUGE, Spoilt
from tests.emulator.cloud import GRAPH, OPERATOR_SECRET, TOKEN, Cloud

APPS = "/v1.0/applications"
NEW = {"displayName": "x"}


@pytest.fixture
async def raw(cloud: Cloud) -> AsyncIterator[httpx.AsyncClient]:
    """The operator without the check of answers."""
    headers = {"Authorization": cloud.operator.headers["Authorization"]}
    transport = httpx.ASGITransport(app=cloud.emulator.app)
    async with httpx.AsyncClient(
        transport=transport, base_url=cloud.emulator.origin, headers=headers
    ) as client:
        yield client


async def spoil(cloud: Cloud, answer: str, **members: object) -> None:
    body = {"path": "/applications", "answer": answer, **members}
    made = await cloud.anybody.post("/_emulator/faults", json=body)
    assert made.status_code == 201, made.text


async def count(cloud: Cloud) -> int:
    return len((await cloud.operator.get(APPS)).json()["value"])


@pytest.mark.parametrize("how", [each for each in Spoilt if each is not Spoilt.INTERRUPTED])
async def test_a_call_whose_answer_is_spoilt_has_its_effect_once(
    cloud: Cloud, raw: httpx.AsyncClient, how: str
) -> None:
    before = await count(cloud)
    more = {"seconds": 0} if how == "slow" else {}
    await spoil(cloud, how, method="POST", **more)

    await raw.post(APPS, json=NEW)
    sound = await cloud.operator.post(APPS, json=NEW)

    assert sound.status_code == 201
    assert await count(cloud) == before + 2


async def test_a_truncated_answer_is_no_json(cloud: Cloud, raw: httpx.AsyncClient) -> None:
    sound = (await raw.get(APPS)).content
    await spoil(cloud, "truncated")

    answer = await raw.get(APPS)

    assert answer.status_code == 200
    assert answer.content == sound[: len(sound) // 2]
    assert answer.headers["content-length"] == str(len(answer.content))
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|Expecting"):
        answer.json()


async def test_an_interrupted_answer_is_a_transport_error(
    cloud: Cloud, raw: httpx.AsyncClient
) -> None:
    before = await count(cloud)
    await spoil(cloud, "interrupted", method="POST")

    with pytest.raises(ConnectionDropped):
        await raw.post(APPS, json=NEW)

    assert await count(cloud) == before + 1


async def test_a_huge_answer_is_sound_for_who_reads_it_all(
    cloud: Cloud, raw: httpx.AsyncClient
) -> None:
    sound = (await raw.get(APPS)).json()
    await spoil(cloud, "huge")

    answer = await raw.get(APPS)

    assert len(answer.content) > HUGE
    assert "content-length" not in answer.headers
    found = answer.json()
    assert len(found.pop("padding")) == HUGE
    assert found == sound


@pytest.mark.looptime
async def test_a_slow_answer_drips(cloud: Cloud, raw: httpx.AsyncClient) -> None:
    loop = asyncio.get_running_loop()
    sound = (await raw.get(APPS)).json()
    await spoil(cloud, "slow", seconds=90)
    started = loop.time()

    answer = await raw.get(APPS)

    assert answer.json() == sound
    assert loop.time() - started == pytest.approx(90)


async def test_a_page_of_html_has_status_200(cloud: Cloud, raw: httpx.AsyncClient) -> None:
    await spoil(cloud, "html")

    answer = await raw.get(APPS)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")
    assert answer.text.startswith("<!doctype html>")


async def test_no_content_has_neither_body_nor_type(cloud: Cloud, raw: httpx.AsyncClient) -> None:
    await spoil(cloud, "noContent", method="POST")

    answer = await raw.post(APPS, json=NEW)

    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert answer.headers["request-id"]


async def test_an_empty_object(cloud: Cloud, raw: httpx.AsyncClient) -> None:
    await spoil(cloud, "empty")

    assert (await raw.get(APPS)).json() == {}


async def test_a_next_link_leads_to_another_host(cloud: Cloud, raw: httpx.AsyncClient) -> None:
    sound = (await raw.get(APPS)).json()
    await spoil(cloud, "nextLink")

    assert (await raw.get(APPS)).json() == sound | {"@odata.nextLink": ELSEWHERE}


async def test_members_are_spoilt_at_every_depth_and_no_others(
    cloud: Cloud, raw: httpx.AsyncClient
) -> None:
    app = await cloud.register("mine")
    await cloud.secret(app)
    query = {"$select": "displayName,passwordCredentials"}
    sound = (await raw.get(f"{APPS}/{app.id}", params=query)).json()
    [credential] = sound["passwordCredentials"]

    async def spoilt(how: str, *members: str) -> dict:
        await spoil(cloud, how, members=list(members))
        return (await raw.get(f"{APPS}/{app.id}", params=query)).json()

    changed = await spoilt("wrongTypes", "passwordCredentials")
    assert changed == sound | {"passwordCredentials": "of another type"}
    assert await spoilt("nulls", "passwordCredentials") == sound | {"passwordCredentials": None}
    bare = {name: value for name, value in sound.items() if name != "passwordCredentials"}
    assert await spoilt("without", "passwordCredentials") == bare
    assert await spoilt("emptied") == sound | {"passwordCredentials": []}
    assert await spoilt("wrongTypes", "keyId") == sound | {
        "passwordCredentials": [credential | {"keyId": 7}]
    }


async def test_without_names_every_member_is_spoilt_but_annotations(
    cloud: Cloud, raw: httpx.AsyncClient
) -> None:
    await spoil(cloud, "wrongTypes")

    found = (await raw.get(APPS)).json()

    assert found["value"] == "of another type"
    assert found["@odata.context"].startswith("https://")


async def test_a_call_can_pass_before_a_fault_strikes(cloud: Cloud) -> None:
    body = {"path": "/applications$", "status": 500, "skip": 2}
    await cloud.anybody.post("/_emulator/faults", json=body)

    statuses = [(await cloud.operator.get(APPS)).status_code for _ in range(4)]

    assert statuses == [200, 200, 500, 200]


@pytest.mark.looptime
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_call_that_hangs_ends_when_the_client_gives_up(cloud: Cloud, when: str) -> None:
    before = await count(cloud)
    body = {"path": "/applications$", "method": "POST", "hang": True, "when": when}
    await cloud.anybody.post("/_emulator/faults", json=body)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(120):
            await cloud.operator.post(APPS, json=NEW)

    assert await count(cloud) == before + (when == "after")
    assert [entry.status for entry in cloud.emulator.requests][-2] is None


async def test_retry_after_may_be_any_text(cloud: Cloud) -> None:
    for given in ("Mon, 01 Jun 2026 12:00:30 GMT", "soon", "-1", "99999999999999999999"):
        body = {"path": "/applications", "status": 429, "retryAfter": given}
        await cloud.anybody.post("/_emulator/faults", json=body)

        assert (await cloud.operator.get(APPS)).headers["retry-after"] == given


async def test_a_concurrency_violation_says_what_the_real_one_says(cloud: Cloud) -> None:
    for status in (409, 503):
        body = {"path": ".", "status": status, "code": "Directory_ConcurrencyViolation"}
        await cloud.anybody.post("/_emulator/faults", json=body)

        answer = await cloud.operator.get(APPS)

        assert answer.status_code == status
        assert "concurrent requests" in answer.json()["error"]["message"]


async def test_the_date_of_answers_can_be_wrong(cloud: Cloud) -> None:
    await cloud.anybody.put("/_emulator/skew", json={"seconds": -420})

    answer = await cloud.operator.get(APPS)

    assert answer.headers["date"] == "Mon, 01 Jun 2026 11:53:00 GMT"


def test_over_sockets_as_in_process() -> None:
    with serve(Emulator(admin=True, seeds=Seeds(operator_secret=OPERATOR_SECRET))) as running:
        context = ssl.create_default_context(cadata=running.ca_pem.decode())
        with httpx.Client(base_url=running.origin, verify=context, trust_env=False) as client:
            form = {
                "grant_type": "client_credentials",
                "client_id": "22222222-2222-2222-2222-222222222222",
                "client_secret": OPERATOR_SECRET,
                "scope": GRAPH,
            }
            token = client.post(TOKEN, data=form).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            sound = client.get(APPS).json()

            def spoilt(**fault: object) -> httpx.Response:
                body = {"path": "/applications$", **fault}
                client.post("/_emulator/faults", json=body).raise_for_status()
                return client.get(APPS, timeout=0.2)

            assert len(spoilt(answer="huge").content) > HUGE
            assert spoilt(answer="slow", seconds=0.05).json() == sound
            assert spoilt(answer="noContent").status_code == 204
            with pytest.raises(httpx.RemoteProtocolError):
                spoilt(answer="interrupted")
            with pytest.raises(httpx.ReadTimeout):
                spoilt(hang=True)
            with pytest.raises(httpx.ReadTimeout):
                spoilt(answer="slow", seconds=3600)
            assert client.get(APPS).json() == sound
