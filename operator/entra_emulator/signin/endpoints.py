"""HTTP of sign-in: routes, forms in, JSON, redirects and pages out."""

from __future__ import annotations

import base64
import html
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from entra_emulator.reading import BodyTooLarge, read_body
from entra_emulator.signin import admin_consent, discovery, errors, token
from entra_emulator.signin.authorize import ChooseUser, Return, authorize
from entra_emulator.signin.errors import SignInError
from entra_emulator.signin.token import TokenRequest
from entra_emulator.world import World

Handler = Callable[[Request], Awaitable[Response]]
MAX_FORM = 256 * 1024
_NO_STORE = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}
_ALIASES = frozenset({"common", "organizations"})


def routes(world: World) -> list[Route]:
    """The endpoints of one emulated cloud."""
    pages = _Endpoints(world)
    listed: list[tuple[str, list[str], Handler]] = [
        ("/{tenant}/.well-known/openid-configuration", ["GET"], pages.metadata(1)),
        ("/{tenant}/v2.0/.well-known/openid-configuration", ["GET"], pages.metadata(2)),
        ("/{tenant}/discovery/keys", ["GET"], pages.keys),
        ("/{tenant}/discovery/v2.0/keys", ["GET"], pages.keys),
        ("/common/discovery/instance", ["GET"], pages.instance),
        ("/{tenant}/oauth2/authorize", ["GET", "POST"], pages.authorize(1)),
        ("/{tenant}/oauth2/v2.0/authorize", ["GET", "POST"], pages.authorize(2)),
        ("/{tenant}/adminconsent", ["GET", "POST"], pages.consent),
        ("/{tenant}/oauth2/token", ["POST"], pages.token(1)),
        ("/{tenant}/oauth2/v2.0/token", ["POST"], pages.token(2)),
        ("/{tenant}/oauth2/token", ["OPTIONS"], pages.preflight),
        ("/{tenant}/oauth2/v2.0/token", ["OPTIONS"], pages.preflight),
    ]
    return [Route(path, handler, methods=methods) for path, methods, handler in listed]


class _Endpoints:
    def __init__(self, world: World) -> None:
        self._world = world

    def metadata(self, version: int) -> Handler:
        async def handle(request: Request) -> Response:
            return self._guarded(
                request,
                lambda: _json(discovery.openid_configuration(self._at(request), version)),
                aliases=_ALIASES,
            )

        return handle

    async def keys(self, request: Request) -> Response:
        return self._guarded(request, lambda: _json(self._world.key.jwk_set()), aliases=_ALIASES)

    async def instance(self, request: Request) -> Response:
        return _json(discovery.instance(self._at(request)))

    async def preflight(self, request: Request) -> Response:
        """Pages redeem codes cross-origin, so browsers ask first."""
        return Response(headers=_cors(request) | {"Access-Control-Allow-Methods": "POST, OPTIONS"})

    def token(self, version: int) -> Handler:
        async def handle(request: Request) -> Response:
            try:
                form = await _form(request)
            except SignInError as error:
                return self._refusal(request, error)
            form = _with_basic(request, form)
            request.state.caller = form.get("client_id")
            self._world.directory.store.replicas.turn_to_sign_in()
            wanted = TokenRequest(form, request.headers.get("origin"), version)
            answer = self._guarded(
                request,
                lambda: JSONResponse(token.issue(self._at(request), wanted), headers=_NO_STORE),
            )
            answer.headers.update(_cors(request))
            return answer

        return handle

    async def consent(self, request: Request) -> Response:
        """A page that asks; what it posts, to the same address, is the administrator's word."""
        try:
            self._check_tenant(request, _ALIASES)
            query = await _query(request)
            request.state.caller = query.get("client_id")
            wanted = admin_consent.read(self._at(request), query)
            if request.method == "GET":
                return _ask(wanted)
            admin_consent.grant(self._at(request), wanted)
        except SignInError as error:
            return self._refusal_page(error)
        if wanted.back is None:
            return _page("Consent granted", "<p>You can close this page.</p>", 200)
        answer = {"admin_consent": "True", "tenant": self._world.directory.tenant_id}
        state = {"state": query["state"]} if "state" in query else {}
        return _return(Return(wanted.back, "query", answer | state))

    def authorize(self, version: int) -> Handler:
        async def handle(request: Request) -> Response:
            try:
                self._check_tenant(request, _ALIASES)
                query = await (_form(request) if request.method == "POST" else _query(request))
                request.state.caller = query.get("client_id")
                self._world.directory.store.replicas.turn_to_sign_in()
                outcome = authorize(self._at(request), query, version)
            except SignInError as error:
                return self._refusal_page(error)
            if isinstance(outcome, ChooseUser):
                return _choice(request, query, outcome)
            return _return(outcome)

        return handle

    def _at(self, request: Request) -> World:
        return self._world.seen_at(request.headers.get("host"))

    def _guarded(
        self,
        request: Request,
        answer: Callable[[], Response],
        aliases: frozenset[str] = frozenset(),
    ) -> Response:
        try:
            self._check_tenant(request, aliases)
            return answer()
        except SignInError as error:
            return self._refusal(request, error)

    def _check_tenant(self, request: Request, aliases: frozenset[str]) -> None:
        directory = self._world.directory
        tenant = request.path_params["tenant"].lower()
        if tenant not in {directory.tenant_id, *directory.domains, *aliases}:
            raise errors.unknown_tenant(tenant)

    def _refusal_page(self, error: SignInError) -> Response:
        text = error.body(self._world.clock.now())["error_description"]
        return _page("Sign in", f"<p>{html.escape(text)}</p>", error.status)

    def _refusal(self, request: Request, error: SignInError) -> Response:
        correlation = request.headers.get("client-request-id")
        body = error.body(self._world.clock.now(), correlation)
        return JSONResponse(body, error.status, headers=_NO_STORE)


def refusal_of_fault(world: World, status: int, code: str | None) -> Response:
    """The answer of an injected fault at the token endpoint; `code` is an AADSTS number."""
    known = {429: "temporarily_unavailable", 401: "invalid_client", 400: "invalid_request"}
    number = int(code) if code and code.isdecimal() else 90033
    error = SignInError(
        status,
        known.get(status, "temporarily_unavailable"),
        number,
        "A transient error has occurred. Please try again.",
    )
    return JSONResponse(error.body(world.clock.now()), status, headers=_NO_STORE)


async def _form(request: Request) -> Mapping[str, str]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise errors.malformed("The request body must be application/x-www-form-urlencoded.")
    try:
        return _parameters(await read_body(request, MAX_FORM))
    except BodyTooLarge as error:
        raise errors.malformed("The request body is too long.") from error


def _with_basic(request: Request, form: Mapping[str, str]) -> Mapping[str, str]:
    """The form with the client id and secret of an Authorization header (RFC 6749, 2.3.1)."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic" or "client_secret" in form:
        return form
    try:
        client_id, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        return form
    return {**form, "client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}


async def _query(request: Request) -> Mapping[str, str]:
    return _parameters(request.scope["query_string"])


def _parameters(raw: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise errors.malformed("The request cannot be decoded.") from error
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name in parameters:
            raise errors.malformed(f"The parameter '{name[:50]}' is duplicated.")
        parameters[name] = value
    return parameters


def _json(body: Mapping[str, Any]) -> Response:
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=86400, private"}
    return JSONResponse(body, headers=headers)


def _cors(request: Request) -> dict[str, str]:
    origin = request.headers.get("origin")
    if origin is None or not origin.isascii():
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Headers": "*",
        "Vary": "Origin",
    }


def _return(outcome: Return) -> Response:
    if outcome.mode == "form_post":
        fields = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in outcome.parameters.items()
        )
        action = html.escape(outcome.redirect_uri)
        form = (
            f'<form method="post" action="{action}">{fields}'
            '<noscript><button type="submit">Continue</button></noscript></form>'
            "<script>document.forms[0].submit()</script>"
        )
        return _page("Working...", form, 200)
    encoded = urlencode(outcome.parameters)
    separator = "&" if "?" in outcome.redirect_uri else "?"
    if outcome.mode == "fragment":
        separator = "#"
    return RedirectResponse(f"{outcome.redirect_uri}{separator}{encoded}", 302, headers=_NO_STORE)


def _ask(wanted: admin_consent.Request) -> Response:
    """Who asks for what, and a button."""
    listed = "".join(
        f"<li>{html.escape(each.value)} of {html.escape(each.resource_name)}: "
        f"{'by itself' if each.kind == 'Role' else 'for each user'}</li>"
        for each in wanted.permissions
    )
    name = html.escape(wanted.application["displayName"])
    button = '<form method="post"><button type="submit">Accept</button></form>'
    return _page("Permissions requested", f"<p>{name} asks for:</p><ul>{listed}</ul>{button}", 200)


def _choice(request: Request, query: Mapping[str, str], outcome: ChooseUser) -> Response:
    """A list of links, each the same request with a login hint."""
    links = "".join(
        f'<li><a href="{html.escape(_with_hint(request, query, user["userPrincipalName"]))}">'
        f"{html.escape(user['displayName'])} ({html.escape(user['userPrincipalName'])})</a></li>"
        for user in outcome.users
    )
    return _page("Pick an account", f"<ul>{links}</ul>", 200)


def _with_hint(request: Request, query: Mapping[str, str], user: str) -> str:
    return f"{request.url.path}?{urlencode({**query, 'login_hint': user})}"


def _page(title: str, body: str, status: int) -> Response:
    return HTMLResponse(
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title></head>"
        f"<body><h1>{title}</h1>{body}</body></html>",
        status,
        headers=_NO_STORE,
    )
