"""The emulator in process: asked directly, without sockets, threads or suspension.

And the ways to it for an operator's clients, each request through the counted point.
"""

import asyncio
import base64
import functools
import json
from datetime import timedelta

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.x509 import load_pem_x509_certificate

from entra_emulator import OPERATOR_CLIENT_ID, TENANT_ID, Emulator, Seeds
from entra_emulator.directory import permissions
from entra_emulator.directory.store import Kind
from entra_emulator.signin import assertions, clients
from entra_emulator.signin.errors import SignInError
from entra_emulator.signin.issued import LIFETIME
from fhir_app_operator.controller.certificates import certified
from fhir_app_operator.controller.pools import Pools
from tests.protocol.calls import Answered, Babble, Babbled, Call, NoAnswer
from tests.protocol.virtual_time import NoThreads

OPERATOR_SECRET = "the-operators-own"
LATENCY = 0.05
"""Seconds that a call takes."""
RETRY_AFTER = 7
_ERRORS = {429: "TooManyRequests", 503: "ServiceUnavailable"}


class Cloud:
    """One emulated cloud, whose directory can be put back to an earlier state."""

    def __init__(self, clock):
        self.emulator = Emulator(clock=clock, seeds=Seeds(operator_secret=OPERATOR_SECRET))

    @property
    def directory(self):
        return self.emulator.directory

    def tenant_document(self):
        origin = self.emulator.origin
        return {
            "apiVersion": "fhirapps.dev/v1alpha1",
            "kind": "EntraTenant",
            "metadata": {"name": "default"},
            "spec": {
                "tenantId": TENANT_ID,
                "clientId": OPERATOR_CLIENT_ID,
                "cloud": "Custom",
                "endpoints": {"authorityHost": origin, "graphUrl": origin},
                "auth": {"clientSecret": {"secretRef": {"name": "entra"}}},
                "allowedNamespaces": {"from": "All"},
            },
        }

    def issue_tokens_for(self, lifetime=timedelta(seconds=LIFETIME)):
        """Let access tokens live for that long from now on; as long as Entra's if not told."""
        self.emulator._world.tokens.lifetime = int(lifetime.total_seconds())

    def answer(self, request, body):
        """The emulator's answer to an httpx request with that body."""
        sent = []
        chunks = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            return chunks.pop() if chunks else {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        url = request.url
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "root_path": "",
            "server": (url.host, 443),
            "client": ("127.0.0.1", 1),
        }
        try:
            self.emulator.app(scope, receive, send).send(None)
        except StopIteration:
            content = b"".join(message.get("body", b"") for message in sent[1:])
            return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=content)
        raise AssertionError("the emulator waits for something")

    def signs_in(self, data):
        """Whether the token endpoint, which sees the replica, takes what is in a Secret now."""
        form = {"client_id": data.get("AZURE_CLIENT_ID")}
        if "AZURE_CLIENT_SECRET" in data:
            form["client_secret"] = data["AZURE_CLIENT_SECRET"]
        elif "tls.key" in data:
            hour = int(self.emulator.clock.now().timestamp()) // 3600
            form["client_assertion_type"] = assertions.TYPE
            form["client_assertion"] = _assertion(
                self.emulator.origin, form["client_id"], data["tls.crt"], data["tls.key"], hour
            )
        try:
            clients.confidential(self.emulator._world, form)
        except SignInError:
            return False
        return True

    def applications(self):
        """All applications that were made through Graph, the deleted ones too."""
        store = self.directory.store
        return [e for e in store.all(Kind.APPLICATION) if e.document.get("uniqueName")]

    def principals(self, app_id):
        """The live service principals of an application; the directory allows one."""
        found = self.directory.store.find(Kind.SERVICE_PRINCIPAL, "appId", app_id)
        return [each for each in found if not each.is_deleted]

    def consented(self, application):
        """The scopes of all APIs that all users consented to for an application."""
        return [
            scope
            for principal in self.principals(application.document["appId"])
            for entity in permissions.grants_to(self.directory, principal.id)
            for scope in entity.document["scope"].split()
        ]

    def consent(self, application):
        """Let an administrator grant the app roles that an application asks for and lacks."""
        directory = self.directory
        for principal in self.principals(application.document["appId"]):
            held = {
                (e.document["resourceId"], e.document["appRoleId"])
                for e in permissions.assignments_to(directory, principal.id)
            }
            for api in application.document["requiredResourceAccess"]:
                roles = [each["id"] for each in api["resourceAccess"] if each["type"] == "Role"]
                for resource in self.principals(api["resourceAppId"]):
                    for role_id in roles:
                        if (resource.id, role_id) not in held:
                            wanted = {"principalId": principal.id, "resourceId": resource.id}
                            permissions.assign(directory, wanted | {"appRoleId": role_id})


@functools.lru_cache(maxsize=64)
def _assertion(origin, client_id, certificate, key, hour):
    """What a workload signs with its key; good for that hour."""
    der = load_pem_x509_certificate(certificate.encode())
    thumbprint = base64.urlsafe_b64encode(der.fingerprint(SHA1())).decode().rstrip("=")
    claims = {
        "aud": f"{origin}/{TENANT_ID}/oauth2/v2.0/token",
        "iss": client_id,
        "sub": client_id,
        "nbf": hour * 3600,
        "exp": (hour + 1) * 3600,
        "jti": "protocol",
    }
    return jwt.encode(claims, key, algorithm="RS256", headers={"x5t": thumbprint})


@functools.cache
def _key():
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)


def make_key_pair(name, _bits, start, end):
    """A new certificate for one weak key: making and loading a good one takes longer than a run."""
    return certified(_key(), name, start, end)


def open_pools(cloud, calls, process):
    """A factory of pools for one life of an operator."""

    def opened(_tenant, _where):
        transport = _Transport(cloud, calls, process)
        return Pools(
            graph=httpx.AsyncClient(transport=transport, trust_env=False),
            login=httpx.AsyncClient(transport=transport, trust_env=False),
            blocking=httpx.Client(transport=transport, trust_env=False),
            sign_ins=NoThreads(),
        )

    return opened


class _Transport(httpx.AsyncBaseTransport, httpx.BaseTransport):
    def __init__(self, cloud, calls, process):
        self._cloud = cloud
        self._calls = calls
        self._process = process

    async def handle_async_request(self, request):
        await asyncio.sleep(LATENCY)
        return self._ask(request, await request.aread())

    def handle_request(self, request):
        return self._ask(request, request.read())

    def _ask(self, request, body):
        call = _call(request, body)
        try:
            return self._calls.take(self._process, call, lambda: self._cloud.answer(request, body))
        except NoAnswer:
            raise httpx.ReadTimeout("no answer", request=request) from None
        except Answered as answered:
            return _refusal(call, answered.status)
        except Babbled as babbled:
            return _babble(request, body, call, babbled)


def _babble(request, body, call, babbled):
    """Raise or return what quotes a request with its headers and form, and the answer to it."""
    text = f"{request.method} {request.url} {request.headers.raw} {body} {babbled.answer.content}"
    match babbled.how:
        case Babble.FORESEEN:
            raise httpx.ReadError(text, request=request)
        case Babble.UNFORESEEN:
            raise RuntimeError(text)
        case Babble.CHAINED:
            raise ValueError(text) from KeyError(text)
    if call.side == "token":
        document = {"error": "invalid_request", "error_description": text, "error_codes": [90014],
                    "trace_id": text, "correlation_id": text, "error_uri": text}  # fmt: skip
    else:
        document = {"error": {"code": "Request_BadRequest", "message": text, "target": text,
                              "innerError": {"request-id": text, "code": text}}}  # fmt: skip
    return httpx.Response(400, headers={"request-id": "r"}, json=document)


def _call(request, body):
    path = request.url.path
    side = "graph" if path.startswith("/v1.0") else "token"
    writes = side == "graph" and request.method != "GET"
    content = json.loads(body) if writes and body else body.decode()
    return Call(side, request.method, path.removeprefix("/v1.0"), writes, content)


def _refusal(call, status):
    headers = {"Retry-After": str(RETRY_AFTER)} if status == 429 else {}
    if call.side == "token":
        document = {"error": "temporarily_unavailable", "error_codes": [90033], "trace_id": "t"}
    else:
        document = {"error": {"code": _ERRORS[status], "message": "Weather."}}
    return httpx.Response(status, headers=headers, json=document)
