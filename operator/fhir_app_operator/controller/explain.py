"""What `fhir-app-operator explain` finds out: reads only, but for the sign-in that it may try.

What follows from the facts is decided in `planning.explain` and `planning.expectation`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import TypeVar

from fhir_app_operator.api.v1alpha1 import AppType, FhirAppRegistration
from fhir_app_operator.controller import fhir_servers, observe, references
from fhir_app_operator.controller.connections import Connection
from fhir_app_operator.controller.proof import proof_in
from fhir_app_operator.controller.world import Pass, World
from fhir_app_operator.errors import OperatorError, Stalled
from fhir_app_operator.graph.auth import SignInRefused, claims_of
from fhir_app_operator.planning import explain as chain
from fhir_app_operator.planning.expectation import OK, Expectation, Verdict, judge
from fhir_app_operator.planning.explain import Facts
from fhir_app_operator.planning.model import Asked
from fhir_app_operator.planning.refusals import Refusal, refusal
from fhir_app_operator.planning.server import Server

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A sign-in with the credential of the Secret: what the server answers, or why there is none.

    `note` says what could not be tried.
    """

    verdict: Verdict | None = None
    refused: Refusal | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that there is to show of one registration."""

    name: str
    links: tuple[chain.Link, ...]
    permissions: tuple[chain.Permission, ...]
    consent_url: str | None
    """Where an administrator consents; None: there is no application yet."""
    expected: Expectation | None
    attempt: Attempt | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, as far as that can be seen without a user."""
        refused = self.attempt is not None and (
            self.attempt.refused is not None
            or (self.attempt.verdict is not None and self.attempt.verdict.status != OK)
        )
        missing = any(each.granted is chain.Granted.NO for each in self.permissions)
        broken = any(link.remedy and link.is_missing for link in self.links)
        return not (refused or missing or broken)


async def explain(world: World, namespace: str, name: str, *, sign_in: bool) -> Explanation:
    """Return the chain of the registration `namespace`/`name`; with `sign_in`, try its credential.

    Raises:
        Stalled: `NotFound`, there is no such registration.
    """
    registration = await world.registrations.registration(namespace, name)
    if registration is None:
        raise Stalled("NotFound", f"FhirAppRegistration '{namespace}/{name}' does not exist")
    work = Pass(registration=registration, identity=world.identity(registration))
    facts, connection = await _facts(world, work)
    expected = chain.expectation(facts)
    attempt = None
    if sign_in:
        attempt = await _attempt(world, work, connection, facts, expected)
    return Explanation(
        name=work.name, links=chain.links(facts), permissions=chain.permissions(facts),
        consent_url=_consent_url(work, connection), expected=expected, attempt=attempt,
    )  # fmt: skip


async def _facts(world: World, work: Pass) -> tuple[Facts, Connection | None]:
    """What can be found out, up to the first error."""
    registration = work.registration
    facts = Facts(registration=registration, observed=work.observed, now=world.clock())
    connection = None
    try:
        tenant = await references.tenant_of(world, registration)
        connection = await world.connections.get(tenant)
        await observe.read_secret(world, work)
        await observe.observe_entra(world, work, connection)
        await references.preconditions(world, work)
        server = await fhir_servers.server_of(world, work, connection)
        wanted = await references.desired_state(world, work, connection)
        facts = replace(facts, observed=work.observed, server=server, desired=wanted)
        facts = await _with_grants(facts, connection, wanted.asked)
    except OperatorError as error:
        facts = replace(facts, stopped=error)
    return replace(facts, observed=work.observed), connection


def _consent_url(work: Pass, connection: Connection | None) -> str | None:
    application = work.observed.application
    if connection is None or application is None:
        return None
    return connection.directory.admin_consent_url(application.app_id)


async def _with_grants(facts: Facts, connection: Connection, asked: tuple[Asked, ...]) -> Facts:
    """`facts` with what is granted, by whomever, as far as the operator may read that."""
    principal = facts.observed.service_principal_id
    if principal is None:
        return replace(facts, assignments=(), consents=())
    resources = {api.app_id: await _read(connection.apis.service_principal(api.app_id))
                 for api in asked}  # fmt: skip
    roles, scopes = any(api.app_roles for api in asked), any(api.scopes for api in asked)
    assignments = connection.app_role_assignments.of_principal
    consents = connection.permission_grants.of_client
    return replace(
        facts,
        resources={app_id: found for app_id, found in resources.items() if found is not None},
        assignments=await _read(assignments(principal)) if roles else (),
        consents=await _read(consents(principal)) if scopes else (),
        pre_authorized=await _pre_authorized(facts, connection) if scopes else frozenset(),
    )


async def _pre_authorized(facts: Facts, connection: Connection) -> frozenset[str]:
    """Ids of the scopes for which the server's application names the client."""
    server, client = facts.server, facts.observed.application
    if server is None or client is None:
        return frozenset()
    application = await _read(connection.applications.by_app_id(server.app_id))
    entries = application.pre_authorized if application is not None else frozenset()
    return frozenset(
        scope_id for entry in entries if entry.app_id == client.app_id
        for scope_id in entry.scope_ids
    )  # fmt: skip


async def _read(reading: Awaitable[T]) -> T | None:
    try:
        return await reading
    except OperatorError:
        return None


async def _attempt(
    world: World,
    work: Pass,
    connection: Connection | None,
    facts: Facts,
    expected: Expectation | None,
) -> Attempt:
    kind, server = work.registration.spec.type, facts.server
    if kind is AppType.RESOURCE:
        return Attempt(note="a FHIR server does not sign in: ask for one of its clients")
    if kind is AppType.PUBLIC:
        return Attempt(note="a public client has no credential: only a user can sign in to it")
    proof = proof_in(work.secret) if work.secret is not None else None
    if connection is None or expected is None or server is None:
        return Attempt(note="not tried: the chain is not complete")
    if proof is None:
        return Attempt(note=_no_proof(work.registration))
    try:
        token, _ = await connection.sign_in.acquire(
            expected.client_id or "", proof, scope=f"{server.identifier_uri}/.default"
        )
    except SignInRefused as refused:
        return Attempt(refused=refusal(refused.codes, str(refused)))
    except OperatorError as error:
        return Attempt(refused=Refusal(what=error.reason, remedy=error.message))
    as_itself = expected if kind is AppType.SERVICE else replace(expected, claim=None)
    verdict = judge(as_itself, claims_of(token), world.clock())
    return Attempt(verdict=verdict, note=_untried(kind, server))


def _untried(kind: AppType, server: Server) -> str:
    """What a token of the client itself does not show."""
    if kind is not AppType.SERVICE:
        return "signed in as itself: only a user's token has `scp`"
    return "what it may do there, Azure decides: `DataPlaneAccess`" if server.managed else ""


def _no_proof(registration: FhirAppRegistration) -> str:
    credential = registration.spec.credential
    if credential is not None and credential.federated is not None:
        return "not tried: only the Pods of the named ServiceAccounts can sign in"
    if credential is not None and credential.certificate and credential.certificate.secret_ref:
        return "not tried: the key is in somebody else's Secret"
    return "not tried: the Secret holds no credential"
