"""What an operator lets be seen of the secrets that pass through it: all that it says is collected.

Every logger speaks at DEBUG through the product's own formatter. What is a secret is found where it
passes: in requests to sign in, in answers, and in the keys that are made.
"""

import base64
import contextlib
import inspect
import io
import json
import logging
import random
import traceback
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, quote_plus

import structlog

from fhir_app_operator.errors import OperatorError
from fhir_app_operator.telemetry import logs
from tests.protocol import virtual_time
from tests.protocol.cloud import OPERATOR_SECRET, make_key_pair
from tests.protocol.operators import RESYNC, Parts
from tests.protocol.world import CLOCK, World

LOGGERS = ("", *logs._QUIET, "azure", "msal.token_cache", "msal.application", "httpcore.http11")
_LINE = 40
"""A line of that length, in a key or in base64, is no coincidence."""
_NOUNS = (
    "applications", "service_principals", "deleted_items", "key_credentials",
    "federated_identity_credentials", "sign_in", "inventory", "openid",
)  # fmt: skip


@dataclass
class Overheard:
    """All that came out of one run, and the secrets that went through it."""

    said: io.StringIO = field(default_factory=io.StringIO)
    errors: int = 0
    struck: int = 0
    secrets: set = field(default_factory=set)

    def write(self, *things):
        self.said.write("\n".join(map(str, things)) + "\n")

    def note_error(self, error):
        """Take in all that Python would tell of `error`, and of what it came from."""
        self.errors += 1
        self.write(*traceback.format_exception(error))
        while error is not None:
            self.write(repr(error), error)
            hidden = error.__suppress_context__
            error = error.__cause__ or (None if hidden else error.__context__)

    def note_object(self, _kind, _place, body):
        """Take in an object as it is written; of a Secret all but its data."""
        self.write(json.dumps({k: v for k, v in body.items() if k != "data"}))

    def leaks(self):
        """The secrets that can be found in what was said, each cut to be recognised."""
        said = self.said.getvalue()
        return {f"{s[:12]}…" for s in self.secrets if any(n in said for n in needles(s))}


def needles(secret):
    """The forms in which a secret would be recognised: plain, in a URL, in base64, in part."""
    if "-----BEGIN" in secret:
        lines = [line for line in secret.splitlines() if len(line) >= _LINE and "-" not in line]
        return [*lines, _base64(secret)[_LINE : 2 * _LINE]]
    if secret.count(".") == 2 and secret.startswith("ey"):
        return [part for part in secret.split(".")[1:] if len(part) >= _LINE]
    return [secret, quote_plus(secret), _base64(secret).rstrip("=")]


def _base64(text):
    return base64.b64encode(text.encode()).decode()


class Listening(Parts):
    """The product as it is; the errors that its gateways raise are heard."""

    def __init__(self, overheard):
        self._overheard = overheard

    def secrets(self, gateway):
        return _Ear(gateway, self._overheard)

    def registrations(self, gateway):
        return _Ear(gateway, self._overheard)

    def connections(self, connections):
        return _Ears(connections, self._overheard)


class _Ear:
    def __init__(self, inner, overheard):
        self._inner = inner
        self._overheard = overheard

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def listen(*given, **named):
            try:
                return await found(*given, **named)
            except OperatorError as error:
                self._overheard.note_error(error)
                raise

        return listen


class _Ears(_Ear):
    async def get(self, tenant):
        connection = await self._inner.get(tenant)
        nouns = {name: _Ear(getattr(connection, name), self._overheard) for name in _NOUNS}
        return replace(connection, **nouns)


class Careless(Listening):
    """An operator that logs the text of whatever fails: it must be caught."""

    def secrets(self, gateway):
        return _Mouth(gateway, self._overheard)

    def connections(self, connections):
        return _Mouths(connections, self._overheard)


class _Mouth(_Ear):
    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def talk(*given, **named):
            try:
                return await found(*given, **named)
            except Exception as error:
                structlog.get_logger("careless").error("failed", why=str(error))
                raise

        return talk


class _Mouths(_Ear):
    async def get(self, tenant):
        connection = await self._inner.get(tenant)
        return replace(connection, applications=_Mouth(connection.applications, self._overheard))


@contextlib.contextmanager
def loud(overheard, *, redacted=True):
    """Let every logger speak at DEBUG into `overheard`, and the standard streams as well.

    Args:
        overheard: where to.
        redacted: False takes the product's second net away.
    """
    root, before = logging.getLogger(), structlog.get_config()
    handlers, levels = root.handlers[:], {n: logging.getLogger(n).level for n in LOGGERS}
    said = overheard.said
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        logs.configure("DEBUG", "json")
        chains = [
            structlog.get_config()["processors"],
            root.handlers[0].formatter.foreign_pre_chain,
        ]
        for chain in () if redacted else chains:
            chain.remove(logs.redact)
        # Loggers of modules outlive the run: they must not remember where they wrote to.
        structlog.configure(processors=chains[0], cache_logger_on_first_use=False)
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
            structlog.configure(**before)


def listen(scenario, plan=(), parts=Listening, *, redacted=True):
    """Play `scenario` until its goal, with the faults of `plan`.

    Returns what was overheard, and the calls.
    """
    overheard = Overheard()
    start = scenario.start()
    random.seed(0)
    play = _play(scenario, start, dict(plan), parts(overheard), overheard)
    with loud(overheard, redacted=redacted):
        history, _ = virtual_time.run(play, start.now, CLOCK)
    return overheard, history


async def _play(scenario, start, plan, parts, overheard):
    world = World(start, plan, parts)
    world.cloud.directory.store.lag = scenario.lag
    world.kube.watchers.append(overheard.note_object)
    world.start_operator()
    scenario.act(world)
    # What a person must see to is tried again with the resync.
    reached = await world.until(
        lambda: scenario.goal(world) and not world.calls.pending, 3 * RESYNC
    )
    assert reached, f"{scenario.name} {plan}: not as it should be"
    overheard.write(world.operator.metrics.render().decode())
    for body in world.kube.objects.values():
        overheard.note_object(None, None, body)
    await world.operator.stop()
    history = world.calls.history
    overheard.struck = sum(entry.fault is not None for entry in history)
    overheard.secrets |= {OPERATOR_SECRET, *_secrets_in(history), *world.oracle.values}
    return history


def _secrets_in(history):
    """The secrets that went to and fro at the token endpoint, and the private keys."""
    moment = CLOCK.now()
    yield make_key_pair("canary", 0, moment, moment).private_key.get_secret_value()
    for entry in history:
        if entry.call.side != "token" or entry.answer is None:
            continue
        form = parse_qs(entry.call.body or "")
        for name in ("client_secret", "client_assertion"):
            yield from form.get(name, ())
        if entry.answer.status_code == 200:
            token = entry.answer.json().get("access_token")
            if token:
                yield token
