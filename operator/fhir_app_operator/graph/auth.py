"""Sign-in through MSAL: the operator's own tokens, and the probe of a fresh credential.

The only importer of msal, which is untyped and blocking: it runs in threads. A new MSAL object is
made for every attempt, because MSAL replays a refused sign-in from memory for 60 seconds.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

import httpx
import msal
from pydantic import SecretStr

from fhir_app_operator.errors import Waiting
from fhir_app_operator.graph.errors import word
from fhir_app_operator.graph.flight import Flight
from fhir_app_operator.graph.transport import fetch
from fhir_app_operator.planning.clouds import Directory

_REFRESH_BEFORE: Final = timedelta(minutes=5)
_NOT_YET: Final = frozenset({
    7000215, 7000216, 7000218, 7000222, 7000229, 700016, 700027, 700038, 70021, 700211, 700213,
})  # fmt: skip
"""AADSTS codes that a fresh credential or application gets until it has spread."""
_TRANSIENT: Final = frozenset({50000, 50196, 90006, 90012, 90024, 90033, 90055})
"""AADSTS codes that say nothing about the credential: throttled, timed out, failing."""
_TRANSIENT_ERRORS: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down"})


class Probe(Enum):
    """What the sign-in service thinks of a credential."""

    ACCEPTED = "accepted"
    NOT_YET = "not yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredential:
    """What a client proves itself with: a secret, an assertion, or key and certificate."""

    client_secret: SecretStr | None = None
    assertion: SecretStr | None = None
    private_key: SecretStr | None = None
    """PEM; with `certificate`."""
    certificate: str | None = None
    """PEM, the leaf first."""

    def for_msal(self) -> str | dict[str, Any]:
        """Return it in the form that MSAL's `client_credential` takes."""
        if self.assertion is not None:
            # A function, though it returns the same for ever: MSAL warns of plain text.
            return {"client_assertion": self.assertion.get_secret_value}
        if self.private_key is not None and self.certificate is not None:
            return {
                "private_key": self.private_key.get_secret_value(),
                "public_certificate": self.certificate,
            }
        return self.client_secret.get_secret_value() if self.client_secret else ""


class SignInRefused(Exception):
    """The sign-in service answered with a refusal. Carries codes only, never its text."""

    def __init__(self, error: str, codes: frozenset[int], trace_id: str) -> None:
        numbers = ", ".join(f"AADSTS{code}" for code in sorted(codes)) or error
        super().__init__(f"{numbers} (request-id {trace_id or 'unknown'})")
        self.codes = codes
        self.transient = not codes or error in _TRANSIENT_ERRORS or bool(codes & _TRANSIENT)


class _MsalHttp:
    """httpx for MSAL, which was written for requests: form values may be bytes.

    httpx would send the text `b'…'` for them: signed assertions then end in AADSTS50027. Answers
    are capped in size and time, as Graph's are.
    """

    def __init__(self, http: httpx.Client, known: dict[str, httpx.Response]) -> None:
        self._http = http
        self._known = known

    def get(self, url: str, **arguments: Any) -> httpx.Response:
        """Send a GET as MSAL asks for it: for the tenant's openid-configuration, once for all.

        Every MSAL object would ask for it anew, and a probe makes one for each try.
        """
        found = self._known.get(url)
        if found is None:
            found = self._known[url] = fetch(self._http, "GET", url, **arguments)
        return found

    def post(
        self, url: str, data: Mapping[str, Any] | None = None, **arguments: Any
    ) -> httpx.Response:
        """Send a form as MSAL asks for it."""
        form = {k: v.decode() if isinstance(v, bytes) else v for k, v in (data or {}).items()}
        return fetch(self._http, "POST", url, data=form, **arguments)

    def close(self) -> None:
        """Keep the connections: their owner closes them."""


class SignIn:
    """Client-credentials sign-in in one directory.

    Args:
        directory: the tenant.
        http: blocking client with the tenant's TLS trust; closed by its owner.
        executor: where the blocking calls run; None: asyncio's default.
    """

    def __init__(
        self, directory: Directory, http: httpx.Client, *, executor: Executor | None = None
    ) -> None:
        self._directory = directory
        self._http = http
        self._executor = executor
        self._discovered: dict[str, httpx.Response] = {}
        """Where the token endpoint is, until something goes wrong with it."""

    async def acquire(
        self, client_id: str, credential: ClientCredential, *, scope: str | None = None
    ) -> tuple[SecretStr, timedelta]:
        """Return an access token and how long it lives: for Graph, unless `scope` is another API's.

        Raises:
            SignInRefused: the service said no.
            Waiting: `GraphUnavailable`, the service is out of reach or failing.
        """
        loop = asyncio.get_running_loop()
        wanted = scope or self._directory.graph_scope
        answer = await loop.run_in_executor(
            self._executor, self._ask, client_id, credential, wanted
        )
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if token is None:
            raise _refusal(answer)
        if not isinstance(token, str) or not isinstance(seconds, int):
            raise self._unusable("an answer that makes no sense")
        return SecretStr(token), timedelta(seconds=seconds)

    def _ask(self, client_id: str, credential: ClientCredential, scope: str) -> dict[str, Any]:
        try:
            application = msal.ConfidentialClientApplication(
                client_id,
                client_credential=credential.for_msal(),
                authority=self._directory.sign_in_authority,
                instance_discovery=False,
                http_client=_MsalHttp(self._http, self._discovered),
            )
            answer: dict[str, Any] = application.acquire_token_for_client(scopes=[scope])
        except Exception as error:  # noqa: BLE001 - MSAL fails in many ways on senseless answers
            self._discovered.clear()
            # `from None`: msal's own errors may quote the response.
            raise self._unusable(type(error).__name__) from None
        if "access_token" not in answer and not answer.get("error_codes"):
            self._discovered.clear()
        return answer

    def _unusable(self, why: str) -> Waiting:
        return Waiting(
            "GraphUnavailable",
            f"the sign-in service {self._directory.authority_host} cannot be used ({why}); check "
            "the tenant id, the endpoints, `caBundle` and the network",
        )

    async def probe(self, client_id: str, credential: ClientCredential) -> Probe:
        """Ask once whether `credential` works already.

        Any refusal for another reason (conditional access, for instance) means that the
        credential itself was taken.

        Raises:
            Waiting: as `acquire`.
        """
        try:
            await self.acquire(client_id, credential)
        except SignInRefused as refusal:
            unproven = refusal.transient or refusal.codes & _NOT_YET
            return Probe.NOT_YET if unproven else Probe.ACCEPTED
        return Probe.ACCEPTED


def _refusal(answer: Mapping[str, Any]) -> SignInRefused:
    codes = answer.get("error_codes")
    return SignInRefused(
        word(answer.get("error")) or "unknown_error",
        frozenset(code for code in codes if isinstance(code, int))
        if isinstance(codes, list)
        else frozenset(),
        word(answer.get("trace_id")),
    )


def claims_of(token: SecretStr) -> dict[str, Any]:
    """Return what an access token says, empty if that cannot be read.

    Nothing is verified: that is for the API that the token is for, and it came to us over TLS.
    """
    try:
        payload = token.get_secret_value().split(".")[1]
        claims: Any = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


class TokenSource:
    """The operator's access token for Graph, renewed five minutes before its end.

    Args:
        sign_in: where tokens come from.
        client_id: the operator's application.
        credential: reads the credential anew each time, so that a rotated one is picked up.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        sign_in: SignIn,
        client_id: str,
        credential: Callable[[], Awaitable[ClientCredential]],
        clock: Callable[[], datetime],
    ) -> None:
        self._sign_in = sign_in
        self._client_id = client_id
        self._credential = credential
        self._clock = clock
        self._sign_ins: Flight[SecretStr] = Flight()
        self._token: SecretStr | None = None
        self._fresh_until: datetime | None = None

    async def token(self, *, refused: SecretStr | None = None) -> SecretStr:
        """Return a token; never the one that the caller was `refused` with.

        Raises:
            SignInRefused: the credential is wrong, or the application is not in the tenant.
            Waiting: the service is out of reach, or the credential cannot be read.
        """
        if self._token is None or self._is_old() or self._token is refused:
            return await self._sign_ins.join(None, self._renew)
        return self._token

    async def _renew(self) -> SecretStr:
        credential = await self._credential()
        token, lifetime = await self._sign_in.acquire(self._client_id, credential)
        # A token that lives for less is used for half of its life.
        fresh = max(lifetime - _REFRESH_BEFORE, lifetime / 2)
        self._token, self._fresh_until = token, self._clock() + fresh
        return token

    def _is_old(self) -> bool:
        return self._fresh_until is None or self._clock() >= self._fresh_until
