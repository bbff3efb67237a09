"""One request to Microsoft Graph: token, retries, `Retry-After`, size caps, errors by consequence.

Knows no noun of the directory. Answers are untrusted input: bodies and their time are capped, next
links must stay on the same origin, redirects are not followed (see `graph.answers`).
"""

from __future__ import annotations

import asyncio
import random
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

import httpx
from pydantic import SecretStr

from fhir_app_operator.errors import OperatorError, Waiting
from fhir_app_operator.graph.answers import (
    Answer,
    TooLarge,
    decode,
    members,
    read_capped,
    success,
    unreadable,
)
from fhir_app_operator.graph.auth import SignInRefused
from fhir_app_operator.graph.errors import (
    Problem,
    consequence,
    is_transient,
    is_young_object_answer,
    parse_problem,
)
from fhir_app_operator.graph.governor import BACKGROUND, Governor
from fhir_app_operator.graph.server_clock import ServerClock
from fhir_app_operator.graph.transport import PATIENCE

MAX_PAGES: Final = 1000
_ATTEMPTS: Final = 3
_BASE_DELAY: Final = 1.0
_GOES_OUT: Final = ("http11.send_request_headers.started", "http11.send_request_body.started")
_LONGEST_PAUSE: Final = 5.0
"""Longer waits give the worker back to the queue."""
_KEY: Final = re.compile(r"\((\w+)='[^']*'\)")
_WORD: Final = re.compile(r"[A-Za-z]+(\.[A-Za-z]+)*(\(\{\w+\}\))?")

Observe = Callable[[str, int | None, float], None]
"""Called with (operation, status or None, seconds) after each answer, for metrics."""


class Tokens(Protocol):
    """Where access tokens come from."""

    async def token(self, *, refused: SecretStr | None = None) -> SecretStr:
        """Return a token, never the `refused` one."""
        ...


@dataclass(frozen=True, slots=True)
class _Failure:
    """No answer, or none that can be read; `again`: whether another try makes sense now."""

    error: Waiting
    again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One logical request.

    Args:
        method, path: path below `/v1.0`, quoted where it holds values.
        params, payload, headers: as httpx takes them.
        repeatable: may be sent again although the outcome of the first try is unknown.
        young: the object may be too young to be seen (see `errors.is_young_object_answer`).
        continues: the operation whose next page this is: links are Graph's to choose.
    """

    method: str
    path: str
    params: Mapping[str, str] | None = None
    payload: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    repeatable: bool = True
    young: bool = False
    continues: str | None = None

    @property
    def operation(self) -> str:
        """Method and path without query, as conditions name it."""
        return f"{self.method} {self.path}"

    @property
    def kind(self) -> str:
        """The operation without ids and names, as metrics name it: `GET /applications/{id}`."""
        if self.continues is not None:
            return self.continues
        parts = _KEY.sub(r"({\1})", self.path).split("/")
        return f"{self.method} " + "/".join(
            part if not part or _WORD.fullmatch(part) else "{id}" for part in parts
        )


class GraphClient:
    """Microsoft Graph v1.0 at one origin, as one identity.

    Args:
        graph_url: origin, without `/v1.0`.
        http: the connection pool; closed by its owner.
        tokens: access tokens for it.
        governor: keeps all calls together below the quotas.
        sleep: how to pause between tries; tests pass a virtual one.
        patience: seconds that one answer may take, from the request to its last byte.
        observe: told of each answer, or that there was none.
        fence: called right before each write; raises if it must not start.
    """

    def __init__(
        self,
        graph_url: str,
        http: httpx.AsyncClient,
        tokens: Tokens,
        *,
        governor: Governor | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        patience: float = PATIENCE,
        observe: Observe = lambda _operation, _status, _seconds: None,
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        self._base = f"{graph_url}/v1.0"
        self._http = http
        self._tokens = tokens
        self._governor = governor or Governor()
        self._sleep = sleep
        self._patience = patience
        self._observe = observe
        self._fence = fence
        self.server_clock = ServerClock()
        """What time Graph says it is."""

    def object_url(self, object_id: str) -> str:
        """Return the URL of a directory object, as `@odata.bind` takes it."""
        return f"{self._base}/directoryObjects/{object_id}"

    async def get(
        self, path: str, params: Mapping[str, str] | None = None
    ) -> dict[str, Any] | None:
        """Return the object at `path`, or None if the directory does not show it.

        Raises:
            Stalled, Waiting: by consequence.
        """
        answer = await self.send(Call(method="GET", path=path, params=params))
        return answer.body if answer else None

    async def pages(
        self, path: str, params: Mapping[str, str] | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the members of a collection, page by page.

        Raises:
            Stalled, Waiting: by consequence; Waiting for a next link to another origin, and for
                a collection that is not there or does not end: half a list is no list.
        """
        first = Call(method="GET", path=path, params=params)
        call, known = first, set[str]()
        for _ in range(MAX_PAGES):
            answer = await self.send(call)
            if answer is None:
                raise Waiting("GraphUnavailable", f"GET {path} found no collection")
            for member in members(answer.body, first.operation):
                yield member
            link = answer.body.get("@odata.nextLink")
            if link is None:
                return
            call = Call(method="GET", path=self._below(link), continues=first.kind)
            if call.path in known:
                break
            known.add(call.path)
        raise Waiting("GraphUnavailable", f"GET {path} does not end")

    def _below(self, link: Any) -> str:
        if not isinstance(link, str) or not link.startswith(f"{self._base}/"):
            raise Waiting("GraphUnavailable", "Microsoft Graph sent a next link to another origin")
        return link.removeprefix(self._base)

    async def send(self, call: Call) -> Answer | None:
        """Send `call`, trying again where that is safe; None if an object not young is not there.

        Raises:
            Stalled: Graph refused, and only a person can change that.
            Waiting: throttled, out of reach, or the object is not visible yet; `NotLeading`.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            outcome = await self._try(call)
            if isinstance(outcome, Answer):
                return outcome
            if isinstance(outcome, Problem):
                if outcome.is_negative and not call.young:
                    return None
                pause = self._pause(call, outcome, attempt)
                error: OperatorError = consequence(outcome, young=call.young)
            else:
                pause = self._backoff(attempt) if outcome.again and call.repeatable else None
                error = outcome.error
            if pause is None or attempt == _ATTEMPTS:
                raise error
            await self._sleep(pause)
        raise AssertionError  # the loop returns or raises

    def _pause(self, call: Call, problem: Problem, attempt: int) -> float | None:
        """Return how long to wait before the next try; None: do not try again here."""
        if problem.status == HTTPStatus.TOO_MANY_REQUESTS:
            pause = problem.retry_after
            self._governor.hold(pause or _BASE_DELAY)
            return pause if pause is not None and pause <= _LONGEST_PAUSE else None
        if is_transient(problem) and call.repeatable:
            return self._backoff(attempt)
        if call.young and is_young_object_answer(problem):
            return self._backoff(attempt)
        return None

    def _backoff(self, attempt: int) -> float:
        ceiling: float = min(_LONGEST_PAUSE, _BASE_DELAY * 2**attempt)
        return random.uniform(_BASE_DELAY / 2, ceiling)  # noqa: S311 - jitter

    async def _try(self, call: Call) -> Answer | Problem | _Failure:
        token = await self._token(None)
        outcome = await self._once(call, token)
        if isinstance(outcome, Problem) and outcome.status == HTTPStatus.UNAUTHORIZED:
            outcome = await self._once(call, await self._token(token))
        return outcome

    async def _token(self, refused: SecretStr | None) -> SecretStr:
        try:
            return await self._tokens.token(refused=refused)
        except SignInRefused as error:
            raise Waiting(
                "TenantNotReady", f"the operator's own sign-in was refused: {error}"
            ) from None
        except Waiting as error:
            if error.reason != "CredentialNotFound":
                raise
            raise Waiting(
                "TenantNotReady", f"the operator cannot sign in: {error.message}"
            ) from None

    async def _once(self, call: Call, token: SecretStr) -> Answer | Problem | _Failure:
        held = self._governor.held_for
        if held > _LONGEST_PAUSE:
            pause = Waiting("GraphThrottled", "Microsoft Graph asked for a pause", held)
            return _Failure(pause, again=False)
        is_write = call.method != "GET"
        await self._governor.admit(write=is_write)
        if is_write:
            self._fence()
        status: int | None = None
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._patience), self._http.stream(
                call.method, self._base + call.path, params=call.params, json=call.payload,
                headers=self._headers(call, token),
                extensions={"trace": self._last_look} if is_write else None,
            ) as response:  # fmt: skip
                status = response.status_code
                body = decode(await read_capped(response))
                headers = {key.lower(): value for key, value in response.headers.items()}
                if status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    self.server_clock.note(headers.get("date"))
        except (httpx.HTTPError, httpx.InvalidURL, TooLarge, TimeoutError) as error:
            return _silence(call, error)
        finally:
            self._observe(call.kind, status, time.monotonic() - started)
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            return parse_problem(status, body, headers, call.operation)
        return success(status, body) or _Failure(
            unreadable(call.operation, f"HTTP {status}"), again=True
        )

    async def _last_look(self, event: str, _info: Mapping[str, Any]) -> None:
        """Ask the fence again when the write goes out.

        The way to a connection may be long, and a process may be stopped between the headers and
        the body, which makes the request whole.
        """
        if event in _GOES_OUT:
            self._fence()

    def _headers(self, call: Call, token: SecretStr) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {token.get_secret_value()}",
            "client-request-id": str(uuid.uuid4()),
            "return-client-request-id": "true",
            "x-ms-throttle-priority": "Low" if BACKGROUND.get() else "Normal",
            **(call.headers or {}),
        }


def _silence(call: Call, error: Exception) -> _Failure:
    """What came instead of an answer. After a time-out the worker is better used elsewhere."""
    kind = type(error).__name__
    return _Failure(
        Waiting("GraphUnavailable", f"Microsoft Graph gave no answer to {call.operation} ({kind})"),
        again=not isinstance(error, (TimeoutError, httpx.TimeoutException, TooLarge)),
    )
