import httpx
import pytest

from tests.emulator.graph_schema import SUCCESS_TYPE, checked_transport

ID = "0a0b0c0d-0000-4000-8000-000000000001"
COMMON = {"request-id": "r", "client-request-id": "c", "date": "d"}
GOOD = {"@odata.context": "x", "id": ID, "displayName": "n", "tags": ["a"]}
OWNER = {"@odata.type": "#microsoft.graph.user", "id": ID}
ERROR = {"error": {"code": "c", "message": "m", "innerError": {"date": "d"}}}


async def ask(
    path: str,
    body: object,
    *,
    status: int = 200,
    method: str = "GET",
    headers: dict[str, str] | None = None,
) -> None:
    kind = SUCCESS_TYPE if status < 400 else "application/json"
    given = COMMON | {"content-type": kind, "odata-version": "4.0"} if headers is None else headers
    canned = httpx.MockTransport(lambda _: httpx.Response(status, json=body, headers=given))
    async with httpx.AsyncClient(transport=checked_transport(canned)) as client:
        await client.request(method, f"https://x{path}")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/v1.0/applications/{ID}", GOOD),
        ("/v1.0/applications(appId='x')", GOOD),
        ("/beta//Applications(uniqueName='a''b%2Fc')", GOOD),
        ("/v1.0/applications", {"value": [GOOD], "@odata.count": 1}),
        (f"/v1.0/applications(appId='{ID}')/owners", {"value": [OWNER]}),
        (f"/v1.0/applications/{ID}/tags", {"@odata.context": "x", "value": []}),
        ("/elsewhere", {"anything": True}),
    ],
)
async def test_what_graph_may_answer(path: str, body: object) -> None:
    await ask(path, body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/v1.0/applications/{ID}", GOOD | {"colour": "red"}),
        (f"/v1.0/applications/{ID}", GOOD | {"tags": None}),
        (f"/v1.0/applications/{ID}", GOOD | {"tags": [1]}),
        (f"/v1.0/applications/{ID}", GOOD | {"api": {"colour": "red"}}),
        (f"/v1.0/applications/{ID}", GOOD | {"createdDateTime": "today"}),
        (f"/v1.0/applications/{ID}", GOOD | {"appRoles": [{"id": "x"}]}),
        (f"/v1.0/applications/{ID}", [GOOD]),
        ("/v1.0/applications", {"value": [GOOD | {"colour": "red"}]}),
        ("/v1.0/applications", {"value": [GOOD], "colour": "red"}),
        ("/v1.0/applications", {}),
        (f"/v1.0/applications/{ID}/owners", {"value": [OWNER | {"colour": "red"}]}),
        (f"/v1.0/colours/{ID}", GOOD),
    ],
)
async def test_what_graph_may_not_answer(path: str, body: object) -> None:
    with pytest.raises(AssertionError):
        await ask(path, body)


async def test_errors_are_checked_too() -> None:
    await ask("/v1.0/applications", ERROR, status=404)
    for body in ({}, {"error": {"code": "c"}}, {"error": {"code": 1, "message": "m"}}):
        with pytest.raises(AssertionError):
            await ask("/v1.0/applications", body, status=404)


async def test_statuses_and_headers_are_checked_too() -> None:
    with pytest.raises(AssertionError, match="answers 201"):
        await ask(f"/v1.0/applications/{ID}", GOOD, status=201)
    with pytest.raises(KeyError, match="request-id"):
        await ask(f"/v1.0/applications/{ID}", GOOD, headers={})
    plain = COMMON | {"content-type": "application/json", "odata-version": "4.0"}
    with pytest.raises(AssertionError):
        await ask(f"/v1.0/applications/{ID}", GOOD, headers=plain)
