"""The administrator's side of the API server: applies many objects at once, watches them turn.

Raw requests: a kubectl for each object would take longer than the operator. Not here: what is
applied (`fleet.py`), what the figures mean (`scenario.py`).
"""

import asyncio
import base64
import json
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import httpx
import yaml

from benchmarks.errors import BenchmarkError
from benchmarks.fleet import Manifest, key_of

_REGISTRATIONS: Final = "/apis/fhirapps.dev/v1alpha1/fhirappregistrations"
_AT_ONCE: Final = 32
_REQUEST_SECONDS: Final = 60.0
_SHOWN: Final = 5

Key = tuple[str, str]
"""Namespace and name of a registration."""


class ApiServer:
    """The API server, as the administrator of a kubeconfig with a client certificate."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def create_namespaces(self, names: Collection[str]) -> None:
        """Create namespaces that are not there yet."""
        for name in names:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await self._create("/api/v1/namespaces", body)

    async def create(self, manifests: Collection[Manifest]) -> None:
        """Create registrations, in their order, a few dozen requests at a time."""
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(manifest: Manifest) -> None:
            async with turns:
                namespace = manifest["metadata"]["namespace"]
                group, _, plural = _REGISTRATIONS.rpartition("/")
                await self._create(f"{group}/namespaces/{namespace}/{plural}", manifest)

        async with asyncio.TaskGroup() as tasks:
            for manifest in manifests:
                tasks.create_task(one(manifest))

    async def registrations(self) -> tuple[list[dict[str, Any]], str]:
        """All registrations, and the resource version of the list."""
        answer = await self._http.get(_REGISTRATIONS)
        body = answer.raise_for_status().json()
        return body["items"], body["metadata"]["resourceVersion"]

    @asynccontextmanager
    async def readiness(self) -> AsyncIterator["Readiness"]:
        """Watch all registrations from now on, while the block runs."""
        readiness = Readiness()
        version = await self._list(readiness)
        watching = asyncio.create_task(self._watch(readiness, version))
        try:
            yield readiness
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _list(self, readiness: "Readiness") -> str:
        items, version = await self.registrations()
        for item in items:
            readiness.note(item)
        return version

    async def _watch(self, readiness: "Readiness", version: str) -> None:
        """Follow from `version` on; the API server closes watches that are slow or old."""
        try:
            while True:
                query: dict[str, Any] = {"watch": "true", "resourceVersion": version}
                with suppress(httpx.ReadError, httpx.RemoteProtocolError):
                    await self._follow(query, readiness)
                version = await self._list(readiness)
        except (httpx.HTTPError, ValueError) as error:
            readiness.end(type(error).__name__)

    async def _follow(self, query: Mapping[str, Any], readiness: "Readiness") -> None:
        async with self._http.stream("GET", _REGISTRATIONS, params=query, timeout=None) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                readiness.note(event["object"])

    async def _create(self, path: str, body: Mapping[str, Any]) -> None:
        answer = await self._http.post(path, json=body)
        if answer.is_error:
            raise BenchmarkError(
                f"the API server refused {body['metadata']['name']}: {answer.json()['message']}"
            )


class Readiness:
    """When each registration was first seen Ready for its spec, by the monotonic clock."""

    def __init__(self) -> None:
        self._ready: dict[Key, float] = {}
        self._why_not: dict[Key, str] = {}
        self._changed = asyncio.Event()
        self._broken = ""

    def note(self, body: Mapping[str, Any]) -> None:
        """Take note of a state of a registration."""
        key = key_of(dict(body))
        status = body.get("status", {})
        ready: Mapping[str, str] = next(
            (each for each in status.get("conditions", ()) if each["type"] == "Ready"), {}
        )
        current = status.get("observedGeneration") == body["metadata"]["generation"]
        if ready.get("status") == "True" and current:
            self._ready.setdefault(key, time.monotonic())
        self._why_not[key] = f"{ready.get('reason', 'no status')}: {ready.get('message', '')}"
        self._changed.set()

    def end(self, why: str) -> None:
        """The watch has ended: nothing more will be seen."""
        self._broken = why
        self._changed.set()

    async def wait(self, keys: Collection[Key], seconds: float) -> dict[Key, float]:
        """Wait until all `keys` were Ready once, and tell when each was.

        Raises BenchmarkError, with some reasons, after `seconds` or when the watch breaks.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self._ready.keys() >= set(keys):
                    if self._broken:
                        raise BenchmarkError(f"the watch has ended: {self._broken}")
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise BenchmarkError(self._late(keys, seconds)) from None
        return {key: self._ready[key] for key in keys}

    def _late(self, keys: Collection[Key], seconds: float) -> str:
        late = [key for key in keys if key not in self._ready]
        reasons = [
            f"  {'/'.join(key)}: {self._why_not.get(key, 'not seen')}" for key in late[:_SHOWN]
        ]
        head = f"{len(late)} of {len(keys)} are not Ready after {seconds:.0f} s, such as:"
        return "\n".join([head, *reasons])


@asynccontextmanager
async def administrator(kubeconfig: str) -> AsyncIterator[ApiServer]:
    """The API server of a kubeconfig (its text), whose user has a client certificate inside."""
    config = yaml.safe_load(kubeconfig)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=_text(cluster["certificate-authority-data"]))
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:  # ssl reads files only
        pair.write(_text(user["client-key-data"]) + _text(user["client-certificate-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    async with httpx.AsyncClient(
        base_url=cluster["server"], verify=context, trust_env=False, timeout=_REQUEST_SECONDS
    ) as http:
        yield ApiServer(http)


def _text(data: str) -> str:
    return base64.b64decode(data).decode()
