"""Graph's answers to a client in another process, held against Microsoft's description."""

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entra_emulator.exchange import SPOILT
from tests.emulator.graph_schema import check


class Checked:
    """The emulator's application, with every Graph answer held against Microsoft's schema."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.problems: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)
            await send(message)

        await self.app(scope, receive, keep)
        if scope.get(SPOILT):
            return  # not what Graph would send, on purpose
        if sent and sent[-1]["type"] == "http.response.body" and not sent[-1].get("more_body"):
            try:
                self.hold(scope, sent)
            except Exception as problem:  # noqa: BLE001 - told at the end of the test
                self.problems.append(f"{type(problem).__name__}: {problem}")

    def hold(self, scope: Scope, sent: list[Message]) -> None:
        url = httpx.URL("https://localhost").copy_with(raw_path=scope["raw_path"])
        request = httpx.Request(scope["method"], url, headers=scope["headers"])
        response = httpx.Response(sent[0]["status"], headers=sent[0]["headers"])
        check(request, response, b"".join(m.get("body", b"") for m in sent[1:]))
