"""The token endpoint: client credentials, authorization code, refresh token.

Source: the pages of the flows in the Microsoft identity platform documentation.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from entra_emulator.constants import GRAPH_APP_ID, OIDC_SCOPES
from entra_emulator.directory import permissions
from entra_emulator.directory.directory import Key
from entra_emulator.directory.store import Document, Kind
from entra_emulator.signin import clients, errors, flow_errors, resources, tokens
from entra_emulator.signin.clients import Form, required
from entra_emulator.signin.errors import SignInError
from entra_emulator.signin.resources import DEFAULT, Wanted
from entra_emulator.signin.sessions import REFRESH_LIFETIME, REFRESH_LIFETIME_SPA, Refresh, SignIn
from entra_emulator.signin.tokens import Client
from entra_emulator.world import World

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A form posted to the token endpoint. `version` is the endpoint's, 1 or 2."""

    form: Form
    origin: str | None
    version: int


def issue(world: World, request: TokenRequest) -> Answer:
    """The JSON of a successful answer; SignInError otherwise."""
    grant = required(request.form, "grant_type")
    if grant == "client_credentials":
        return _client_credentials(world, request)
    if grant == "authorization_code":
        return _authorization_code(world, request)
    if grant == "refresh_token":
        return _refresh_token(world, request)
    raise errors.unsupported_grant(grant)


def granted(
    world: World, client: Document, application: Document, wanted: Wanted, user: Document
) -> list[str]:
    """The scopes of the access token; SignInError if one that is wanted was not granted.

    The scopes of OpenID Connect need no grant here: every user agrees to them.
    """
    directory = world.directory
    resource = directory.replica_view(wanted.resource)
    if resource["appRoleAssignmentRequired"] and not permissions.is_assigned(
        directory, user["id"], wanted.resource
    ):
        raise errors.user_not_assigned(user["userPrincipalName"], application["displayName"])
    offered = {scope["value"] for scope in resource["oauth2PermissionScopes"] if scope["isEnabled"]}
    for scope in wanted.scopes:
        if scope not in offered:
            raise errors.unknown_permission(
                application["displayName"], resource["displayName"], scope
            )
    allowed = permissions.scopes_granted(directory, client["id"], wanted.resource.id, user["id"])
    allowed += _pre_authorized(world, resource["appId"], application["appId"])
    if resource["appId"] == GRAPH_APP_ID:
        allowed += sorted(wanted.oidc)
    usable = list(dict.fromkeys(scope for scope in allowed if scope in offered))
    if not usable or any(scope not in usable for scope in wanted.scopes):
        raise _refused(application, resource["appId"], wanted)
    return usable


def _pre_authorized(world: World, resource_app_id: str, client_id: str) -> list[str]:
    """The scopes that the resource itself lets the client use without anybody's consent."""
    application = world.directory.backing(resource_app_id, replica=True) or {}
    api: Mapping[str, Any] = application.get("api", {})
    ids = {
        permission.lower()
        for entry in api.get("preAuthorizedApplications", [])
        if entry["appId"] == client_id
        for permission in entry["delegatedPermissionIds"]
    }
    scopes = api.get("oauth2PermissionScopes", [])
    return [scope["value"] for scope in scopes if scope["id"] in ids]


def _refused(application: Document, resource_app_id: str, wanted: Wanted) -> SignInError:
    listed = {entry["resourceAppId"] for entry in application["requiredResourceAccess"]}
    if wanted.is_default and resource_app_id not in listed:
        return errors.not_requested(application["appId"], wanted.audience)
    return errors.consent_missing(application["appId"], application["displayName"])


def _client_credentials(world: World, request: TokenRequest) -> Answer:
    client = clients.confidential(world, request.form)
    wanted = resources.for_client(world, _scope(request) or required(request.form, "scope"))
    resource = world.directory.replica_view(wanted.resource)
    if resource["appRoleAssignmentRequired"] and not permissions.is_assigned(
        world.directory, client.principal["id"], wanted.resource
    ):
        raise errors.client_not_assigned(client.app_id, resource["appId"])
    token = tokens.for_application(world, client, wanted)
    answer = {
        "token_type": "Bearer",
        "expires_in": world.tokens.lifetime,
        "ext_expires_in": world.tokens.lifetime,
        "access_token": token,
    }
    return answer if request.version != 1 else _as_version_1(answer, world, wanted)


def _authorization_code(world: World, request: TokenRequest) -> Answer:
    code = required(request.form, "code")
    sign_in = world.sessions.codes.get(code)
    if sign_in is None:
        raise (
            flow_errors.code_redeemed()
            if code in world.sessions.redeemed
            else flow_errors.code_invalid()
        )
    client = clients.for_platform(world, request.form, sign_in.platform, request.origin)
    _check_code(world, sign_in, client, request.form)
    world.sessions.redeem(code)
    return _user_answer(world, request, client, sign_in)


def _refresh_token(world: World, request: TokenRequest) -> Answer:
    refresh = world.sessions.refreshes.get(required(request.form, "refresh_token"))
    if refresh is None:
        raise flow_errors.refresh_invalid()
    client = clients.for_platform(world, request.form, refresh.platform, request.origin)
    _check_session(world, refresh, client)
    return _user_answer(world, request, client, refresh)


def _user_answer(
    world: World, request: TokenRequest, client: Client, session: SignIn | Refresh
) -> Answer:
    scope = _scope(request) or session.scope
    wanted = resources.for_user(world, scope)
    user = world.directory.resolve(Kind.USER, Key(session.user_id)).document
    scopes = granted(world, client.principal, client.application, wanted, user)
    oidc = wanted.oidc | (frozenset(session.scope.split()) & OIDC_SCOPES)
    answer: dict[str, Any] = {
        "token_type": "Bearer",
        "scope": " ".join(_qualified(world, wanted, scopes)),
        "expires_in": world.tokens.lifetime,
        "ext_expires_in": world.tokens.lifetime,
        "access_token": tokens.for_user(world, client, wanted, user, scopes),
    }
    if "offline_access" in oidc:
        answer["refresh_token"] = _new_refresh(world, session)
    if "openid" in oidc:
        answer["id_token"] = tokens.id_token(
            world, client.app_id, user, nonce=session.nonce, version=request.version
        )
    if request.form.get("client_info"):
        answer["client_info"] = tokens.client_info(world, user)
    return answer if request.version != 1 else _as_version_1(answer, world, wanted)


def _new_refresh(world: World, session: SignIn | Refresh) -> str:
    """A refresh token. Redeeming one at a single-page application does not prolong it."""
    lifetime = REFRESH_LIFETIME_SPA if session.platform == "spa" else REFRESH_LIFETIME
    expires = world.clock.now() + lifetime
    if isinstance(session, Refresh) and session.platform == "spa":
        expires = session.expires
    return world.sessions.issue_refresh(
        Refresh(
            client_id=session.client_id,
            user_id=session.user_id,
            scope=session.scope,
            platform=session.platform,
            nonce=None,
            expires=expires,
        )
    )


def _check_code(world: World, sign_in: SignIn, client: Client, form: Form) -> None:
    _check_session(world, sign_in, client)
    if form.get("redirect_uri") != sign_in.redirect_uri:
        raise flow_errors.redirect_differs()
    if sign_in.challenge is not None:
        _check_verifier(sign_in, form.get("code_verifier"))


def _check_session(world: World, session: SignIn | Refresh, client: Client) -> None:
    if session.client_id != client.app_id:
        raise flow_errors.issued_to_other()
    if world.clock.now() >= session.expires:
        raise flow_errors.grant_expired()


def _check_verifier(sign_in: SignIn, verifier: str | None) -> None:
    if not verifier:
        raise flow_errors.verifier_missing()
    found = verifier.encode("utf-8", "replace")
    if sign_in.challenge_method == "S256":
        found = base64.urlsafe_b64encode(hashlib.sha256(found).digest()).rstrip(b"=")
    if not secrets.compare_digest(found, str(sign_in.challenge).encode("utf-8", "replace")):
        raise flow_errors.verifier_wrong()


def _scope(request: TokenRequest) -> str:
    """The scope asked for; at the version 1 endpoint it is made from `resource`."""
    resource = request.form.get("resource")
    if request.version == 1 and resource:
        return f"{resource}/{DEFAULT}"
    return request.form.get("scope", "")


def _qualified(world: World, wanted: Wanted, scopes: list[str]) -> list[str]:
    """The granted scopes as the answer writes them: with the resource, unless it is Graph."""
    bare = resources.is_graph(world, wanted.audience)
    return [scope if bare else f"{wanted.audience}/{scope}" for scope in scopes]


def _as_version_1(answer: Answer, world: World, wanted: Wanted) -> Answer:
    """The version 1 endpoint writes numbers as text and names the resource."""
    now = int(world.clock.now().timestamp())
    return dict(answer) | {
        "expires_in": str(world.tokens.lifetime),
        "ext_expires_in": str(world.tokens.lifetime),
        "expires_on": str(now + world.tokens.lifetime),
        "not_before": str(now),
        "resource": wanted.audience,
    }
