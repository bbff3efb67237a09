"""What triggers a pass. The only importer of Kopf, which serves as informer and process shell.

Handlers do nothing but put keys into the queue: Kopf writes nothing to any object. Its change
handlers, timers, daemons and indices are not used; each of them breaks a rule of the design.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, Protocol

import kopf

from fhir_app_operator.api import names
from fhir_app_operator.controller.keys import Index, Key, RegistrationKey, TenantKey
from fhir_app_operator.controller.sessions import Sessions
from fhir_app_operator.kube.secrets import is_as_written

_TOKEN_LIFE: Final = timedelta(minutes=5)
"""After which the projected token is read again, long before its end."""
_SERVER_TIMEOUT: Final = 300
WATCH_LIMIT: Final = _SERVER_TIMEOUT + 120.0
"""Seconds within which every watch is asked for anew: the server ends it, then it is tried again
every half minute at least."""
_PATHS: Final = (
    f"/apis/{names.GROUP}/{names.VERSION}/{names.REGISTRATION_PLURAL}",
    f"/apis/{names.GROUP}/{names.VERSION}/{names.TENANT_PLURAL}",
    "/api/v1/namespaces",
)
_SECRETS: Final = "/api/v1/secrets"
_OURS: Final = frozenset({_PATHS[0], _SECRETS})


WatchSettings = kopf.OperatorSettings


@dataclass(frozen=True, slots=True)
class Backoffs:
    """Endless jittered delays: Kopf would end the process after a minute of failing answers."""

    longest: float = 30.0

    def __iter__(self) -> Iterator[float]:
        """Yield delays from half a second up to `longest` seconds, for ever."""
        delay = 0.5
        while True:
            yield random.uniform(delay / 2, delay)  # noqa: S311 - jitter
            delay = min(self.longest, delay * 2)


class Add(Protocol):
    """How keys get into the queue."""

    def __call__(self, key: Key, *, urgent: bool) -> None:
        """Queue `key`, before calmer work if `urgent`."""
        ...


class _News(Enum):
    """What an event says that was not known before."""

    NOTHING = "nothing"
    FIRST_SIGHT = "first sight"
    """A listing shows it for the first time: its dependents are in the listings too."""
    CHANGE = "change"


class Triggers:
    """Decides which watch events are worth a pass; our own status writes are not.

    What a listing shows anew wakes nobody else, and is calm work if its status says that its spec
    was dealt with: after a restart a new registration must not wait for thousands of old ones.
    What it shows changed is as good as an event: after a lost watch (410 Gone) nothing else tells.
    A standby keeps what it sees to itself until it leads.
    """

    def __init__(self, index: Index, add: Add) -> None:
        """Take the index to keep and the queue's `add(key, urgent)`."""
        self._index = index
        self._queue = add
        self._leading = False
        self._waited_for: set[RegistrationKey] = set()
        self._seen: dict[tuple[str, str, str], tuple[Any, ...]] = {}
        self._listed: set[str] = set()

    def listed(self, path: str) -> None:
        """The API server answered a listing of `path`, instead of going on with the watch.

        Any but the first says that events were lost (410 Gone): what was deleted meanwhile is in
        no listing. So everything that is known is looked at again.
        """
        first = path not in self._listed
        self._listed.add(path)
        if not first and path in _OURS:
            for key in self._index.all():
                self._add(key, urgent=False)

    def lead(self) -> None:
        """Queue what was seen so far as if it were listed now; from now on, whatever happens."""
        self._leading = True
        for kind, namespace, name in tuple(self._seen):
            if kind == "registration":
                key = RegistrationKey(namespace, name)
                self._add(key, urgent=key in self._waited_for)
            elif kind == "tenant":
                self._add(TenantKey(name), urgent=False)
        self._waited_for.clear()

    def registration(self, event: kopf.RawEvent) -> None:
        """A registration was listed, changed or deleted."""
        body = event["object"]
        meta = body["metadata"]
        key = RegistrationKey(meta["namespace"], meta["name"])
        server = self._index.server_of(key)
        if event["type"] == "DELETED":
            self._release_tenant(key)
            self._index.forget(key, meta.get("uid"))
        else:
            self._index.update(key, dict(body))
        # What a listing shows of old is in the server's count already.
        if event["type"] is not None or _is_waited_for(body):
            self._recount(server, self._index.server_of(key))
        self._note_waiting(key, event)
        news = self._news(event, "registration", _intent(meta))
        if news is not _News.NOTHING:
            self._add(key, urgent=news is _News.CHANGE or _is_waited_for(body))
        if news is _News.CHANGE:
            for other in (*self._index.clients_of(key), *self._index.pre_authorizing(key)):
                self._add(other, urgent=True)

    def tenant(self, event: kopf.RawEvent) -> None:
        """A tenant was listed, changed or deleted."""
        meta = event["object"]["metadata"]
        news = self._news(event, "tenant", _intent(meta))
        if news is not _News.NOTHING:
            self._add(TenantKey(meta["name"]), urgent=news is _News.CHANGE)
        if news is _News.CHANGE:
            for key in self._index.of_tenant(meta["name"]):
                self._add(key, urgent=True)

    def namespace(self, event: kopf.RawEvent) -> None:
        """A namespace was listed, or its labels changed."""
        meta = event["object"]["metadata"]
        known = None if event["type"] == "DELETED" else (meta.get("labels") or {})
        self._index.label(meta["name"], known)
        if self._news(event, "namespace", tuple(sorted((known or {}).items()))) is _News.CHANGE:
            for key in self._index.in_namespace(meta["name"]):
                self._add(key, urgent=True)
                server = self._index.server_of(key)
                if server is not None and server.namespace != key.namespace:
                    self._recount(server, None)

    def secret(self, event: kopf.RawEvent) -> None:
        """A Secret of ours was deleted or edited, or one that a registration follows changed."""
        body = event["object"]
        if event["type"] is None or (event["type"] != "DELETED" and is_as_written(dict(body))):
            return
        meta = body["metadata"]
        label = (meta.get("labels") or {}).get(names.REGISTRATION_LABEL, "")
        named = RegistrationKey(meta["namespace"], label)
        key = named if named in self._index else self._index.by_uid(label)
        # A label is anybody's to write: what happens in one namespace must not wake another.
        if key is not None and key.namespace == meta["namespace"]:
            self._add(key, urgent=True)

    def forget(self, key: Key) -> None:
        """Drop what was seen of an object that is gone, should no event have told so."""
        if isinstance(key, RegistrationKey):
            self._seen.pop(("registration", key.namespace, key.name), None)
        else:
            self._seen.pop(("tenant", "", key.name), None)

    def _note_waiting(self, key: RegistrationKey, event: kopf.RawEvent) -> None:
        """Keep apart, as a standby, what the leader has not dealt with yet."""
        self._waited_for.discard(key)
        if not self._leading and event["type"] != "DELETED" and _is_waited_for(event["object"]):
            self._waited_for.add(key)

    def _add(self, key: Key, *, urgent: bool) -> None:
        if self._leading:
            self._queue(key, urgent=urgent)

    def _recount(self, before: RegistrationKey | None, after: RegistrationKey | None) -> None:
        """Let servers look how many clients they have, if a reference to them came or went."""
        for server in (before, after) if before != after else ():
            if server is not None:
                self._add(server, urgent=False)

    def _release_tenant(self, key: RegistrationKey) -> None:
        """Let the tenant look at once: it may be waiting for its last registration to go."""
        tenant = self._index.tenant_of(key)
        if tenant is not None:
            self._add(TenantKey(tenant), urgent=False)

    def _news(self, event: kopf.RawEvent, kind: str, facts: tuple[Any, ...]) -> _News:
        meta = event["object"]["metadata"]
        place = (kind, meta.get("namespace", ""), meta["name"])
        if event["type"] == "DELETED":
            self._seen.pop(place, None)
            return _News.CHANGE
        known = self._seen.get(place)
        self._seen[place] = facts
        if known == facts:
            return _News.NOTHING
        return _News.FIRST_SIGHT if known is None and event["type"] is None else _News.CHANGE


def _is_waited_for(body: Any) -> bool:
    """Whether somebody waits for a pass over a registration: its spec or deletion is news."""
    observed = (body.get("status") or {}).get("observedGeneration")
    meta = body["metadata"]
    return bool(observed != meta.get("generation") or meta.get("deletionTimestamp"))


def _intent(meta: Any) -> tuple[Any, ...]:
    """What makes an event of our kinds worth a pass: identity, generation, deletion, a request."""
    annotations = meta.get("annotations") or {}
    requested = tuple(annotations.get(name) for name in names.REQUEST_ANNOTATIONS)
    return (meta.get("uid"), meta.get("generation"), meta.get("deletionTimestamp"), requested)


def build_registry(
    triggers: Triggers,
    sessions: Sessions,
    stop: asyncio.Event,
    drain: Callable[[], Awaitable[None]],
    *,
    watch_secrets: bool,
) -> kopf.OperatorRegistry:
    """Return Kopf's handlers, on a registry of their own.

    Args:
        triggers: what to do with events.
        sessions: the way to the API server.
        stop: set when Kopf ends, else its own waiter for it would hold the exit for 5 seconds.
        drain: ends the queue; called before Kopf cancels what runs in its loop.
        watch_secrets: whether to watch the Secrets that we made (needs list and watch).
    """
    registry = kopf.OperatorRegistry()
    on = {"registry": registry}

    @kopf.on.login(**on)  # type: ignore[arg-type]
    async def sign_in(**_: Any) -> kopf.AiohttpSession:
        session = await sessions.open()
        return kopf.AiohttpSession(
            server=session.server, aiohttp_session=session.http,
            expiration=datetime.now(UTC) + _TOKEN_LIFE,
        )  # fmt: skip

    @kopf.on.cleanup(**on)  # type: ignore[arg-type]
    async def end(**_: Any) -> None:
        stop.set()
        await drain()

    @kopf.on.event(names.GROUP, names.VERSION, names.REGISTRATION_PLURAL, **on)  # type: ignore[arg-type]
    async def registration(event: kopf.RawEvent, **_: Any) -> None:
        triggers.registration(event)

    @kopf.on.event(names.GROUP, names.VERSION, names.TENANT_PLURAL, **on)  # type: ignore[arg-type]
    async def tenant(event: kopf.RawEvent, **_: Any) -> None:
        triggers.tenant(event)

    @kopf.on.event("v1", "namespaces", **on)  # type: ignore[arg-type]
    async def namespace(event: kopf.RawEvent, **_: Any) -> None:
        triggers.namespace(event)

    if watch_secrets:

        @kopf.on.event("v1", "secrets", **on)  # type: ignore[arg-type]
        async def secret(event: kopf.RawEvent, **_: Any) -> None:
            triggers.secret(event)

    return registry


def kopf_settings() -> kopf.OperatorSettings:
    """Return Kopf's settings: it persists nothing, posts nothing, and never gives up."""
    settings = kopf.OperatorSettings()
    # Must differ from our own finalizers: Kopf strips its finalizer from objects for which none
    # of its own handlers needs it.
    settings.persistence.finalizer = f"{names.GROUP}/kopf-unused"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(
        prefix=names.GROUP, v1=False
    )
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(
        prefix=names.GROUP, v1=False
    )
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 0.5
    settings.queueing.exit_timeout = 2
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = Backoffs()
    # Only the sign-in is retried with it, when a token cannot be read: it may be there in a moment.
    settings.execution.default_backoff = 5
    settings.watching.label_selectors["v1/secrets"] = names.REGISTRATION_LABEL
    settings.watching.server_timeout = _SERVER_TIMEOUT
    settings.watching.reconnect_backoff = 1
    settings.watching.chunk_size = 500
    return settings


def watched_paths(*, watch_secrets: bool) -> tuple[str, ...]:
    """Return the paths of what is watched, as `build_registry` has it."""
    return (*_PATHS, _SECRETS) if watch_secrets else _PATHS


async def watch(
    registry: kopf.OperatorRegistry, settings: kopf.OperatorSettings, ready: asyncio.Event,
    stop: asyncio.Event,
) -> None:  # fmt: skip
    """Run Kopf until `stop` is set or the process gets SIGTERM or SIGINT.

    Args:
        registry: from `build_registry`.
        settings: from `kopf_settings`.
        ready: set once the watches run.
        stop: ends it.
    """
    await kopf.operator(
        registry=registry, settings=settings, clusterwide=True, ready_flag=ready, stop_flag=stop,
        # Kopf would ask for the user's name, which a Pod's uid need not have.
        identity=names.FIELD_MANAGER,  # type: ignore[arg-type]
    )  # fmt: skip
