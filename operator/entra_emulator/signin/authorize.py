"""The authorization endpoint: a user signs in, the client gets a code.

A user named by `login_hint` is signed in at once; otherwise a page asks who it shall be. There is
no password and no consent page: only what an administrator granted can be had. Source:
"Microsoft identity platform and OAuth 2.0 authorization code flow"; for an id token
beside the code, "OpenID Connect on the Microsoft identity platform".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from entra_emulator.directory import redirect_uris
from entra_emulator.directory.directory import Key
from entra_emulator.directory.store import Document, Entity, Kind
from entra_emulator.signin import clients, errors, flow_errors, resources, token, tokens
from entra_emulator.signin.clients import required
from entra_emulator.signin.errors import SignInError
from entra_emulator.signin.resources import DEFAULT
from entra_emulator.signin.sessions import CODE_LIFETIME, SignIn
from entra_emulator.world import World

_MODES: Final = frozenset({"query", "fragment", "form_post"})
_HYBRID: Final = frozenset({"code", "id_token"})
_CHALLENGE_SIZE: Final = range(43, 129)


@dataclass(frozen=True, slots=True)
class Return:
    """What goes back to the client, by way of the user's browser."""

    redirect_uri: str
    mode: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ChooseUser:
    """The page must ask who signs in."""

    users: tuple[Document, ...]


def authorize(world: World, query: Mapping[str, str], version: int) -> Return | ChooseUser:
    """Decide an authorization request.

    Raises SignInError if the client or its redirect URI is wrong: then nothing may be sent there.
    Any other refusal is returned to the client.
    """
    principal, application = clients.find(world, required(query, "client_id"))
    uri = required(query, "redirect_uri")
    platform = redirect_uris.match(application, uri)
    if platform is None:
        raise flow_errors.redirect_mismatch(uri, application["appId"])
    hybrid = frozenset(query.get("response_type", "").split()) == _HYBRID
    mode = query.get("response_mode", "fragment" if hybrid else "query")
    if mode not in _MODES:
        raise errors.malformed(f"The response_mode '{mode}' is not valid.")
    try:
        parameters = _decide(world, query, version, (principal, application, platform))
    except SignInError as error:
        parameters = _error_parameters(world, error)
    if parameters is None:
        return ChooseUser(tuple(user.document for user in world.directory.live(Kind.USER)))
    if "state" in query:
        parameters["state"] = query["state"]
    return Return(uri, mode, parameters)


def _decide(
    world: World,
    query: Mapping[str, str],
    version: int,
    client: tuple[Document, Document, str],
) -> dict[str, str] | None:
    """The parameters of the answer; None if the user must be asked for."""
    principal, application, platform = client
    hybrid = _is_hybrid(query, application)
    challenge, method = _challenge(query, platform)
    scope = _scope(query, version)
    wanted = resources.for_user(world, scope)
    user = _user(world, query)
    if user is None:
        return None
    token.granted(world, principal, application, wanted, user.document)
    sign_in = SignIn(
        client_id=application["appId"],
        user_id=user.id,
        scope=scope,
        platform=platform,
        redirect_uri=query["redirect_uri"],
        nonce=query.get("nonce"),
        challenge=challenge,
        challenge_method=method,
        expires=world.clock.now() + CODE_LIFETIME,
    )
    parameters = {"code": world.sessions.issue_code(sign_in)}
    if hybrid:
        parameters["id_token"] = tokens.id_token(
            world, application["appId"], user.document, nonce=sign_in.nonce, version=version
        )
    if query.get("client_info"):
        parameters["client_info"] = tokens.client_info(world, user.document)
    return parameters


def _is_hybrid(query: Mapping[str, str], application: Document) -> bool:
    """Whether an id token is asked for beside the code; it never comes in the query."""
    wanted = required(query, "response_type")
    if wanted == "code":
        return False
    if frozenset(wanted.split()) != _HYBRID or not _issues_id_tokens(application):
        raise flow_errors.unsupported_response(wanted)
    if query.get("response_mode") == "query":
        raise flow_errors.token_in_query()
    required(query, "nonce")
    return True


def _issues_id_tokens(application: Document) -> bool:
    settings: Mapping[str, Any] = application["web"].get("implicitGrantSettings") or {}
    return bool(settings.get("enableIdTokenIssuance"))


def _challenge(query: Mapping[str, str], platform: str) -> tuple[str | None, str]:
    challenge = query.get("code_challenge")
    method = query.get("code_challenge_method", "plain")
    if challenge is None:
        if platform == "spa":
            raise flow_errors.challenge_missing()
        return None, method
    if method not in {"S256", "plain"}:
        raise flow_errors.challenge_method()
    if len(challenge) not in _CHALLENGE_SIZE:
        raise flow_errors.challenge_invalid()
    return challenge, method


def _scope(query: Mapping[str, str], version: int) -> str:
    """The scopes; the version 1 endpoint takes a resource besides those of OpenID Connect."""
    if version == 1 and query.get("resource"):
        return f"{query['resource']}/{DEFAULT} {query.get('scope', 'openid')}"
    return required(query, "scope")


def _user(world: World, query: Mapping[str, str]) -> Entity | None:
    hint = query.get("login_hint")
    if not hint:
        if query.get("prompt") == "none":
            raise flow_errors.nobody_signed_in()
        return None
    user = world.directory.lookup(Kind.USER, Key(hint, "userPrincipalName"))
    if user is None:
        raise errors.user_unknown(hint, world.directory.tenant_id)
    return user


def _error_parameters(world: World, error: SignInError) -> dict[str, str]:
    body: Mapping[str, Any] = error.body(world.clock.now())
    consent = error.code in {errors.CONSENT_MISSING, errors.NOT_REQUESTED}
    return {
        "error": "consent_required" if consent else error.error,
        "error_description": body["error_description"],
        "error_uri": body["error_uri"],
    }
