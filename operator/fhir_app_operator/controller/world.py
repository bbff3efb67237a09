"""What a pass works with: the gateways it was given, and what it knows so far.

No decision and no I/O of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fhir_app_operator.api.v1alpha1 import Condition, EntraTenant, FhirAppRegistration
from fhir_app_operator.controller.certificates import KeyPair, self_signed
from fhir_app_operator.controller.connections import Connection, Connections
from fhir_app_operator.errors import Waiting
from fhir_app_operator.kube.config_maps import ConfigMaps, LiveConfigMap
from fhir_app_operator.kube.events import Events
from fhir_app_operator.kube.namespaces import Namespaces
from fhir_app_operator.kube.registrations import Registrations
from fhir_app_operator.kube.secrets import LiveSecret, Secrets
from fhir_app_operator.kube.token_issuer import TokenIssuers
from fhir_app_operator.planning.grants import Report
from fhir_app_operator.planning.model import (
    Action,
    Application,
    Desired,
    GrantAction,
    Observed,
    Policy,
    RecordedGrant,
    Registration,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Every way in which a pass touches the outside; all of it is injected."""

    registrations: Registrations
    secrets: Secrets
    config_maps: ConfigMaps
    namespaces: Namespaces
    connections: Connections
    events: Events
    token_issuers: TokenIssuers
    cluster_id: str
    clock: Callable[[], datetime]
    """The time, in UTC."""
    sleep: Callable[[float], Awaitable[None]]
    nonce: Callable[[], str]
    """A new random mark for a credential; letters and digits."""
    make_key_pair: Callable[[str, int, datetime, datetime], KeyPair] = self_signed
    """A new key with a certificate: name, bits, start, end; blocks for a while."""
    policy: Policy = field(default_factory=Policy)
    snapshot_age: timedelta = timedelta(minutes=15)
    """How old a list of what we own may be to confirm that nothing differs."""
    verify_every: timedelta = timedelta(days=1)
    """How often each application is read by itself, spread over that time by the UIDs."""
    probe_timeout: timedelta = timedelta(seconds=120)
    """How long a fresh credential is tried before the pass gives up on it."""

    def identity(self, registration: FhirAppRegistration) -> Registration:
        """Return the names and marks of `registration`."""
        return Registration(
            namespace=registration.metadata.namespace,
            name=registration.metadata.name,
            uid=registration.metadata.uid,
            cluster_id=self.cluster_id,
        )


@dataclass(slots=True, kw_only=True)
class Pass:
    """One pass over one registration, growing as it goes; answers of writes are folded in."""

    registration: FhirAppRegistration
    identity: Registration
    conditions_before: tuple[Condition, ...] = ()
    """The conditions at the start: status may be written in between."""
    settled: bool = False
    """Whether nobody waits for it: Ready and in sync for its spec when the pass began."""
    fenced: bool = False
    """Whether status was written, guarded, since the pass began: nobody else is at it."""
    created_lately: bool = False
    """Whether a create may have been sent that the directory need not show yet."""
    entra_read: bool = False
    doubted: bool = False
    """Whether a read was corrected by what we know: it must be looked at again."""
    namespace_labels: dict[str, str] = field(default_factory=dict)
    """The labels of the registration's namespace, once its tenant was asked whether it may."""
    tenant: EntraTenant | None = None
    """The tenant as the pass found it: what it decides on."""
    connection: Connection | None = None
    secret: LiveSecret | None = None
    secret_read: bool = False
    config_map: LiveConfigMap | None = None
    desired: Desired | None = None
    observed: Observed = field(default_factory=Observed)
    withdrawn: list[str] = field(default_factory=list)
    """The clients whose grants were taken back, for what they were granted goes."""
    applied: list[Action] = field(default_factory=list)
    """The actions that were taken."""
    underway: Action | None = None
    """The action that is being taken, or that failed."""
    consent: Report | None = None
    """What is known of consent; None: there is nothing to consent to."""
    consent_read: bool = False
    """Whether `consent` counts; if not, what the pass before found."""
    grants: tuple[RecordedGrant, ...] | None = None
    """The account of what the operator granted; None: as status has it."""
    granted: list[GrantAction] = field(default_factory=list)
    """The grants that were made or taken back."""
    granting: GrantAction | None = None
    """The one that is being made or taken back, or that failed."""

    @property
    def name(self) -> str:
        """The name of the registration, for logs."""
        return f"{self.identity.namespace}/{self.identity.name}"

    def known_application(self) -> Application:
        """Return the application that was observed.

        Raises:
            Waiting: `NotYetReplicated`, there is none.
        """
        if self.observed.application is None:
            raise Waiting("NotYetReplicated", "the application is not visible in Entra yet")
        return self.observed.application

    def wanted(self) -> Desired:
        """Return what is desired; a plan cannot be applied before."""
        if self.desired is None:
            msg = "a plan was applied before anything was desired"
            raise RuntimeError(msg)
        return self.desired

    def done(self) -> list[str]:
        """The actions that were taken, with their reasons, for the log."""
        taken = (*self.applied, *self.granted)
        return [f"{type(action).__name__}({action.reason})" for action in taken]
