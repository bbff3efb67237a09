"""A FHIR server's front door: it holds no data, it only says who gets in.

On 127.0.0.1, on a free port, in a thread. What it must know of Entra comes from the Secret of its
Resource registration and from nowhere else; what it trusts for TLS is given apart, as to any Pod.
"""

import contextlib
import json
import re
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.fhir_server.access import AZURE_ROLES, ROLES, Denied, actions_of, check
from tests.fhir_server.tokens import Refused, TokenCheck

_PATH = re.compile(r"/(?P<type>[A-Z][A-Za-z]+)(?:/(?P<id>[A-Za-z0-9.-]{1,64}))?")
_INTERACTIONS = {
    ("GET", False): "search", ("GET", True): "read", ("POST", False): "create",
    ("PUT", True): "update", ("DELETE", True): "delete",
}  # fmt: skip
_SECURITY = "FhirServer__Security__"
"""Where the open-source server's settings are, in its environment."""
_CODES = {400: "invalid", 401: "login", 403: "forbidden", 404: "not-found"}


@dataclass
class FhirServer:
    """What a server is configured with.

    Without `azure_roles` it is the open-source one: the claim `roles` decides. With them it is
    managed: they say which of Azure's roles each object id has, and the token's `oid` decides.
    """

    check_token: TokenCheck
    roles_claim: str = "roles"
    scope_claims: tuple[str, ...] = ("scp",)
    azure_roles: dict[str, str] | None = None
    url: str = field(default="", init=False)

    @classmethod
    def from_secret(cls, secret, ca_file, **more):
        """The server that got this Secret by `envFrom`: with the preset FhirServer that is all.

        With the preset AzureSdk somebody has told it by hand what the FHIR_* keys say.
        """
        told = {
            name.removeprefix(_SECURITY): value
            for name, value in secret.items()
            if name.startswith(_SECURITY)
        } or settings(secret["FHIR_AUTHORITY"], secret["FHIR_AUDIENCE"])
        if (told["Enabled"], told["Authorization__Enabled"]) != ("true", "true"):
            raise ValueError("everybody would get in: security is not enabled")
        tls = ssl.create_default_context(cafile=str(ca_file))
        return cls(
            TokenCheck(told["Authentication__Authority"], told["Authentication__Audience"], tls),
            roles_claim=told["Authorization__RolesClaim"],
            scope_claims=tuple(
                value
                for name, value in sorted(told.items())
                if name.startswith("Authorization__ScopesClaim__")
            ),
            **more,
        )

    def decide(self, method, path, authorization):
        """Status and reason of the answer to a request."""
        found = _PATH.fullmatch(path)
        interaction = found and _INTERACTIONS.get((method, found["id"] is not None))
        if interaction is None:
            return 404, f"no {method} {path} here"
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return 401, "no bearer token"
        try:
            claims = self.check_token.claims(token)
            check(interaction, found["type"], granted=self._granted(claims),
                  scopes=self._scopes(claims))  # fmt: skip
        except Refused as refused:
            return 401, str(refused)
        except Denied as denied:
            return denied.status, str(denied)
        return (201 if interaction == "create" else 200), "all is well"

    def _granted(self, claims):
        if self.azure_roles is None:
            return actions_of(claims.get(self.roles_claim, ()), ROLES)
        return actions_of([self.azure_roles.get(claims["oid"])], AZURE_ROLES)

    def _scopes(self, claims):
        values = (claims.get(name, ()) for name in self.scope_claims)
        return [scope for value in values for scope in (
            value.split() if isinstance(value, str) else value
        )]  # fmt: skip


def settings(authority, audience):
    """What a server must be told, without the prefix."""
    return {
        "Enabled": "true", "Authorization__Enabled": "true", "Authorization__RolesClaim": "roles",
        "Authorization__ScopesClaim__0": "scp", "Authorization__ScopesClaim__1": "roles",
        "Authentication__Authority": authority, "Authentication__Audience": audience,
    }  # fmt: skip


def outcome(status, why):
    """The OperationOutcome that says so."""
    severity, code = (
        ("error", _CODES[status]) if status >= 400 else ("information", "informational")
    )
    issue = {"severity": severity, "code": code, "diagnostics": why}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


@contextlib.contextmanager
def serving(server):
    """`server` behind its `url` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path
            status, why = server.decide(self.command, path, self.headers["Authorization"])
            body = json.dumps(outcome(status, why)).encode()
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", "Bearer")
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_):
            """Nothing: a request holds a token."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
        thread.start()
        server.url = f"http://127.0.0.1:{listening.server_port}"
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
