"""The Graph client against servers that are not Graph, or not well."""

import json

import httpx
import pytest
from pydantic import SecretStr

from fhir_app_operator.errors import Stalled, Waiting
from fhir_app_operator.graph.applications import Applications
from fhir_app_operator.graph.client import Call, GraphClient
from fhir_app_operator.graph.transport import MAX_BODY
from tests.graph.weather import Pauses


def hostile(handler):
    class Fixed:
        async def token(self, *, refused=None):
            return SecretStr("t")

    http = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    return GraphClient("https://entra.test", http, Fixed(), sleep=Pauses())


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b"{", b'{"id": 5}', b'{"id": "x", "appId": null}', b"[" * 100_000],
    ids=["html", "list", "truncated", "wrong type", "null", "deep"],
)
async def test_answers_that_make_no_sense_are_weather(body):
    graph = hostile(lambda _request: httpx.Response(200, content=body))
    with pytest.raises(Waiting) as caught:
        await Applications(graph).by_unique_name("key")
    assert caught.value.reason == "GraphUnavailable"


async def test_a_huge_answer_is_not_read_to_its_end():
    served = 0

    async def endless():
        nonlocal served
        while True:
            served += 1
            yield b"x" * 1024 * 1024

    graph = hostile(lambda _request: httpx.Response(200, content=endless()))
    with pytest.raises(Waiting, match="TooLarge"):
        await graph.get("/applications")
    assert served <= 3 * (MAX_BODY // (1024 * 1024) + 2)


@pytest.mark.parametrize(
    "link", ["https://evil.example/v1.0/applications", "https://entra.test.evil/v1.0/x", 7]
)
async def test_a_next_link_to_another_origin_is_not_followed(link):
    asked = []

    def handler(request):
        asked.append(str(request.url))
        return httpx.Response(200, json={"value": [{}], "@odata.nextLink": link})

    with pytest.raises(Waiting, match="another origin"):
        async for _ in hostile(handler).pages("/applications"):
            pass
    assert len(asked) == 1


async def test_pages_are_followed_to_the_end():
    def handler(request):
        page = int(request.url.params.get("page", 0))
        more = {"@odata.nextLink": f"https://entra.test/v1.0/x?page={page + 1}"} if page < 2 else {}
        return httpx.Response(200, json={"value": [{"n": page}]} | more)

    assert [m["n"] async for m in hostile(handler).pages("/x")] == [0, 1, 2]


async def test_a_redirect_is_not_followed():
    def handler(_request):
        return httpx.Response(302, headers={"location": "https://evil.example/"})

    with pytest.raises(Waiting, match="HTTP 302, but not by Microsoft Graph"):
        await hostile(handler).get("/applications")


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "X", "message": {"value": "canary"}}},
        {"error": {"code": ["canary"], "details": {"code": "Y"}}},
        {"error": "canary"},
        "canary",
    ],
)
async def test_error_bodies_of_any_shape_are_survived_and_never_quoted(body):
    graph = hostile(lambda _r: httpx.Response(400, content=json.dumps(body)))
    with pytest.raises((Stalled, Waiting)) as caught:
        await graph.send(Call(method="PATCH", path="/applications/x", payload={}))
    assert "canary" not in str(caught.value)
