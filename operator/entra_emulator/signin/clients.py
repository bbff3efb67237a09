"""Who the client of a token request is, and how it proves that.

Source: the pages of the flows, and the code flow's rules per platform. What an assertion must say
is in `assertions`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from entra_emulator.directory import credentials
from entra_emulator.directory.directory import Key
from entra_emulator.directory.store import Document, Kind
from entra_emulator.signin import assertions, errors, flow_errors
from entra_emulator.signin.tokens import Client
from entra_emulator.world import World

_CLIENT_ID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
Form = Mapping[str, str]


def find(world: World, client_id: str) -> tuple[Document, Document]:
    """Service principal and application of the client, as the token service sees them."""
    if not _CLIENT_ID.fullmatch(client_id):
        raise errors.invalid_client_id(client_id)
    directory = world.directory
    application = directory.lookup(Kind.APPLICATION, Key(client_id, "appId"))
    principal = directory.lookup(Kind.SERVICE_PRINCIPAL, Key(client_id, "appId"))
    if application is None or principal is None:
        raise errors.unknown_client(client_id, directory.tenant_id)
    seen_principal, seen_application = directory.seen(principal), directory.seen(application)
    if seen_principal is None or seen_application is None:
        raise errors.unknown_client(client_id, directory.tenant_id)
    if seen_principal["accountEnabled"] is False or seen_application["isDisabled"]:
        raise errors.disabled_client(client_id)
    return seen_principal, seen_application


def confidential(world: World, form: Form) -> Client:
    """The client, which must show a secret or an assertion."""
    principal, application = find(world, required(form, "client_id"))
    if form.get("client_assertion"):
        _check_assertion(world, application, principal, form)
        return Client(principal, application, "2")
    if not form.get("client_secret"):
        raise errors.secret_missing()
    _check_secret(world, (application, principal), form["client_secret"])
    return Client(principal, application, "1")


def for_platform(world: World, form: Form, platform: str, origin: str | None) -> Client:
    """The client that redeems a code or refresh token made for a redirect URI on `platform`.

    `origin` is the request's Origin header: only pages send it.
    """
    if platform == "spa":
        if origin is None:
            raise flow_errors.not_cross_origin()
        return _public(world, form)
    if origin is not None:
        raise flow_errors.cross_origin(origin)
    return _public(world, form) if platform == "publicClient" else confidential(world, form)


def required(form: Form, name: str) -> str:
    """A parameter that must be there."""
    value = form.get(name)
    if not value:
        raise errors.missing_parameter(name)
    return value


def _public(world: World, form: Form) -> Client:
    principal, application = find(world, required(form, "client_id"))
    if form.get("client_secret") or form.get("client_assertion"):
        raise errors.secret_from_public()
    return Client(principal, application, "0")


def _check_secret(world: World, holders: Sequence[Document], secret: str) -> None:
    """A secret may be the application's or the service principal's."""
    passwords = world.directory.passwords
    matching = [found for one in holders if (found := passwords.matching(one, secret)) is not None]
    if not matching:
        raise errors.wrong_secret(holders[0]["appId"])
    if not any(credentials.is_usable(found, world.clock.now()) for found in matching):
        raise errors.expired_secret(holders[0]["appId"])


def _check_assertion(world: World, application: Document, principal: Document, form: Form) -> None:
    if form.get("client_assertion_type") != assertions.TYPE:
        raise errors.assertion_type()
    assertions.check(world, application, principal, form["client_assertion"])
