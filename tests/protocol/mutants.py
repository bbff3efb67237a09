"""The product with one piece of the protocol taken out, by what is injected into it.

Each must turn the suite red: `test_mutations`. Nothing in the product knows of this.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from fhir_app_operator.api import names
from fhir_app_operator.graph.auth import Probe
from fhir_app_operator.kube.api_server import MERGE_PATCH
from fhir_app_operator.planning.model import Policy
from tests.protocol.operators import Parts

_LONG = timedelta(days=3650)


class _Around:
    """Everything that `inner` can do; subclasses override what is to be broken."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)


class _NoIntent(_Around):
    async def apply_status(self, thing, status):
        if "pending_credential" in type(status).model_fields:
            status = status.model_copy(update={"pending_credential": None})
        return await self._inner.apply_status(thing, status)


class WithoutIntent(Parts):
    """The intent never becomes durable."""

    registrations = _NoIntent


class _NoGuard(_Around):
    async def send(self, request):
        if "/secrets" not in request.path or request.method not in ("POST", "PATCH"):
            return await self._inner.send(request)
        metadata = {k: v for k, v in request.body["metadata"].items() if k != "resourceVersion"}
        free = replace(request, body=request.body | {"metadata": metadata})
        if request.method == "POST":
            path = f"{request.path}/{metadata['name']}"
            if await self._inner.get(path, request.what) is not None:
                free = replace(free, method="PATCH", path=path, content_type=MERGE_PATCH)
        return await self._inner.send(free)


class WithoutGuard(Parts):
    """Secrets are overwritten, whatever they hold by now."""

    api = _NoGuard


class WithoutSweep(Parts):
    """What nobody holds stays."""

    policy = Policy(sweep_after=_LONG)


class _Claiming(_Around):
    async def by_unique_name(self, unique_name):
        found = await self._inner.by_unique_name(unique_name)
        uid = unique_name.removeprefix("fhirapps-cluster-")
        tag = f"{names.GROUP}/owner:cluster/{uid}"
        return found and replace(found, tags=found.tags | {tag})


class _NoOwners(_Around):
    async def get(self, tenant):
        connection = await self._inner.get(tenant)
        return replace(connection, applications=_Claiming(connection.applications))


class WithoutOwnership(Parts):
    """Whatever is found by the key counts as ours."""

    connections = _NoOwners


class _Backdated(_Around):
    async def read(self, *where):
        return _aged(await self._inner.read(*where))

    async def write(self, live, content, **how):
        return _aged(await self._inner.write(live, content, **how))


def _aged(live):
    if live is None or live.state.written_at is None:
        return live
    return replace(live, state=replace(live.state, written_at=live.state.written_at - _LONG))


class WithoutOverlap(Parts):
    """What was replaced counts as replaced long ago."""

    secrets = _Backdated


class _Credulous(_Around):
    async def probe(self, *_what):
        return Probe.ACCEPTED


class _NoProbes(_Around):
    async def get(self, tenant):
        connection = await self._inner.get(tenant)
        return replace(connection, sign_in=_Credulous(connection.sign_in))


class WithoutProbe(Parts):
    """A fresh credential is published untried."""

    connections = _NoProbes


@dataclass(frozen=True)
class Mutant:
    """What is taken out, the story in which that shows, and by which rules.

    Not by S6, which would see an unguarded write before it did any harm.
    """

    parts: type
    scenario: str
    rules: frozenset


MUTANTS = {
    "intent": Mutant(WithoutIntent, "create service", frozenset({"S4"})),
    "resourceVersion guard": Mutant(WithoutGuard, "renew", frozenset({"S2"})),
    "sweep": Mutant(WithoutSweep, "renew", frozenset({"L2"})),
    "ownership check": Mutant(WithoutOwnership, "handed over", frozenset({"S5"})),
    "overlap": Mutant(WithoutOverlap, "renew", frozenset({"S3"})),
    "probe": Mutant(WithoutProbe, "renew", frozenset({"S2"})),
}
