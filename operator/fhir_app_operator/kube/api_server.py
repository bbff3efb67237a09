"""One request to the API server: status codes checked in one place, errors by consequence.

Knows no kind. Uses the kubernetes package's asynchronous client for transport and sign-in, raw
dictionaries for bodies: its typed models cost more than they give here.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration

from fhir_app_operator.errors import Conflict, Stalled, Waiting
from fhir_app_operator.kube.access import ClusterAccess, NoCluster, adopt_token

MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
_JSON: Final = "application/json"
_TIMEOUT: Final = 10
_RELOAD_AFTER: Final = 300.0
"""Seconds after which a projected token is read again, long before its end."""


_NO_FIELD: Final = "<nil>"
"""The field of a cause that says only that other rules were not looked at."""
_UNTYPED: Final = re.compile(r"failed to create typed patch object \([^)]*\): (.+)", re.DOTALL)
_UNDECLARED: Final = "field not declared in schema"

Observe = Callable[[str, str, int | None, float], None]
"""Called with (host, method, status or None, seconds) after each answer, for metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; `what` names the object in messages.

    With `quotable`, the body holds no secret: a refusal's message may say what is wrong with it.
    """

    method: str
    path: str
    what: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None
    content_type: str = _JSON
    accept: str = _JSON
    quotable: bool = False


class ApiServer:
    """The Kubernetes API server, as the operator's ServiceAccount.

    Use `await ApiServer.connect(...)` and close it with `await close()`.
    """

    def __init__(
        self,
        access: ClusterAccess,
        configuration: Configuration,
        observe: Observe,
        fence: Callable[[], None],
    ) -> None:
        self._access = access
        self._fence = fence
        self._configuration = configuration
        self._client = ApiClient(configuration)
        self._observe = observe
        self._host = urlsplit(configuration.host).netloc
        self._loaded_at = time.monotonic()
        self._lock = asyncio.Lock()

    @classmethod
    async def connect(
        cls,
        access: ClusterAccess,
        observe: Observe = lambda _host, _method, _status, _seconds: None,
        fence: Callable[[], None] = lambda: None,
    ) -> ApiServer:
        """Return a gateway with freshly read configuration.

        Args:
            access: where the configuration comes from.
            observe: told of each answer, or that there was none.
            fence: called right before each write; raises if it must not start.

        Raises:
            NoCluster: the configuration cannot be read.
        """
        return cls(access, await access.load(), observe, fence)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def get(
        self, path: str, what: str, query: tuple[tuple[str, str], ...] = ()
    ) -> dict[str, Any] | None:
        """Return the object at `path`, None if there is none.

        Raises:
            Stalled: `PermissionDenied`, the ServiceAccount lacks the verb.
            Waiting: `ApiServerUnavailable`.
        """
        try:
            return await self.send(Request(method="GET", path=path, what=what, query=query))
        except Gone:
            return None

    async def send(self, request: Request) -> dict[str, Any]:
        """Send `request` and return the object in the answer.

        Raises:
            Gone: 404.
            Conflict: 409, a precondition failed or the object exists already.
            Stalled: 403 and 422; says what is missing.
            Waiting: everything that may be different in a moment; `NotLeading`.
        """
        if time.monotonic() - self._loaded_at > _RELOAD_AFTER:
            await self._reload()
        status, body = await self._once(request)
        if status == HTTPStatus.UNAUTHORIZED:
            await self._reload()
            status, body = await self._once(request)
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return body
        raise consequence(request, status, body)

    async def _reload(self) -> None:
        async with self._lock:
            try:
                adopt_token(self._configuration, await self._access.load())
            except NoCluster as error:
                raise Waiting("ApiServerUnavailable", str(error)) from None
            self._loaded_at = time.monotonic()

    async def _once(self, request: Request) -> tuple[int, dict[str, Any]]:
        status: int | None = None
        arguments = await self._client.param_serialize(
            request.method, request.path, query_params=list(request.query),
            header_params={"Accept": request.accept, "Content-Type": request.content_type},
            body=request.body, auth_settings=["BearerToken"],
        )  # fmt: skip
        if request.method != "GET":
            self._fence()
        started = time.monotonic()
        try:
            response = await self._client.call_api(*arguments, _request_timeout=_TIMEOUT)
            status = int(response.status)
            raw = await response.read()  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unanswered(request, type(error).__name__) from None
        finally:
            seconds = time.monotonic() - started
            self._observe(self._host, request.method, status, seconds)
        return status, _decode(raw)


class Gone(Conflict):
    """404: the object of a write is not there (any more)."""


def _decode(raw: bytes | None) -> dict[str, Any]:
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def unanswered(request: Request, why: str) -> Waiting:
    """Return the error of a request whose outcome is unknown; `why` is the kind of failure."""
    return Waiting(
        "ApiServerUnavailable",
        f"the Kubernetes API server did not answer {request.method} {request.what} ({why})",
    )


def consequence(request: Request, status: int, body: Mapping[str, Any]) -> Exception:
    """Return the error that an answer to `request` with that HTTP status and body means."""
    action = f"{request.method} {request.what}"
    match status:
        case HTTPStatus.NOT_FOUND:
            return Gone(f"{request.what} does not exist")
        case HTTPStatus.CONFLICT:
            return Conflict(f"{request.what} changed in between")
        case HTTPStatus.FORBIDDEN if _terminating(body):
            return Waiting("NamespaceTerminating", f"{request.what}: its namespace is terminating")
        case HTTPStatus.FORBIDDEN if "exceeded quota" in str(body.get("message")):
            return Stalled(
                "QuotaExceeded", f"a ResourceQuota of the namespace does not allow {request.what}"
            )
        case HTTPStatus.FORBIDDEN:
            return Stalled(
                "PermissionDenied",
                f"the operator's ServiceAccount may not {action}: apply the RBAC of this version",
            )
        case HTTPStatus.UNPROCESSABLE_ENTITY | HTTPStatus.BAD_REQUEST:
            why = _causes(body) if request.quotable else _fields(body)
            return Stalled("RequestRefused", f"the API server refused {action}: {why}")
        case _ if request.quotable and (misfits := _misfits(body)):
            return Stalled("RequestRefused", f"the API server refused {action}: {misfits}")
        case _:
            return Waiting("ApiServerUnavailable", f"{action} failed with HTTP {status}")


def _terminating(body: Mapping[str, Any]) -> bool:
    causes = (body.get("details") or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


def _fields(body: Mapping[str, Any]) -> str:
    """The fields at fault; the message itself may quote values."""
    causes = (body.get("details") or {}).get("causes") or ()
    named = (cause.get("field") for cause in causes)
    fields = sorted({str(field) for field in named if field and field != _NO_FIELD})
    return ", ".join(fields) or str(body.get("reason", "no reason given"))


def _causes(body: Mapping[str, Any]) -> str:
    """What is wrong with each field; for a body that holds no secret."""
    causes = (body.get("details") or {}).get("causes") or ()
    found = [f"{cause['field']}: {cause.get('message')}" for cause in causes
             if cause.get("field", _NO_FIELD) != _NO_FIELD]  # fmt: skip
    return "; ".join(found) or str(body.get("message") or body.get("reason") or "no reason given")


def _misfits(body: Mapping[str, Any]) -> str:
    """What of a server-side apply does not fit the schema; empty: that is not the matter.

    The API server answers that with 500 (structured-merge-diff, `AsTyped`).
    """
    found = _UNTYPED.search(str(body.get("message")))
    lines = found[1].splitlines() if found else ()
    return "; ".join(_misfit(line.strip()) for line in lines if line.strip().startswith("."))


def _misfit(line: str) -> str:
    field, _, problem = line.removeprefix(".").partition(": ")
    return f'unknown field "{field}"' if problem == _UNDECLARED else f"{field}: {problem}"
