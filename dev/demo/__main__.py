"""`python -m dev.demo`: the steps in order, each shown as it happens; exit code 0 if all held."""

import base64
import json
import signal
import sys
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any

import httpx
import requests
from rich.console import Console

from dev.cluster.control_plane import KubectlError
from dev.cluster.errors import ControlPlaneError
from dev.demo import tables
from dev.demo.administrator import Administrator, signed_in
from dev.demo.errors import DemoError
from dev.demo.signing_in import Trust, is_loopback, service_token, user_token, verified_claims
from dev.demo.tables import SignInReport
from dev.sandbox.environment import ROOT, Environment, running_environment
from dev.sandbox.errors import SandboxError

_NAMESPACE = "clinic"
_EXAMPLES = f"examples/{_NAMESPACE}"
_READY_SECONDS = 120.0
_POLL_SECONDS = 0.2
_DEFAULT_SCOPES = ["user_impersonation"]
_WIDTH_WITHOUT_TERMINAL = 120
_INTERRUPTED = 130

Registration = Mapping[str, Any]


class Demo:
    """The steps, on a running environment."""

    def __init__(self, console: Console, environment: Environment) -> None:
        self._console = console
        self._environment = environment
        self._trust = Trust(environment.entra.ca_file)
        self._steps = 1

    def run(self) -> None:
        """All steps; raises DemoError at the first that does not hold."""
        self.step(f"The platform team applies {_EXAMPLES}/ (kubectl apply -k)")
        self._environment.cluster.kubectl("apply", f"--kustomize={ROOT / _EXAMPLES}")
        registrations = self._wait_until_ready()
        self.show(tables.registrations(registrations))
        with signed_in(self._environment.entra, self._trust) as administrator:
            self._show_entra(administrator, registrations)
        secrets = {r["status"]["secretName"]: self._secret(r) for r in registrations}
        self.step("The Secrets beside the registrations: all that a workload needs")
        self.show(tables.secrets(secrets))
        self.step("Each client signs in by MSAL with its Secret; the FHIR server checks the token")
        clients = [r for r in registrations if r["spec"]["type"] != "Resource"]
        reports = [self._sign_in(r, secrets[r["status"]["secretName"]]) for r in clients]
        self.show(tables.sign_ins(reports))

    def step(self, text: str) -> None:
        """Announce a step."""
        self._steps += 1
        announce(self._console, self._steps, text)

    def show(self, table: Any) -> None:
        """Print a table."""
        self._console.print(table)

    def _wait_until_ready(self) -> list[Registration]:
        started, known = time.monotonic(), set[str]()
        with self._console.status("waiting until every registration is Ready"):
            while time.monotonic() - started < _READY_SECONDS:
                registrations = self._environment.objects("fhirapp", _NAMESPACE)
                for name in sorted({_name(r) for r in registrations if _is_ready(r)} - known):
                    self._console.print(f"{name} is Ready ({time.monotonic() - started:.1f} s)")
                    known.add(name)
                if registrations and len(known) == len(registrations):
                    return list(registrations)
                time.sleep(_POLL_SECONDS)
        states = [f"{_name(r)}: {_ready(r)}" for r in registrations if not _is_ready(r)]
        raise DemoError("not Ready in time: " + "; ".join(states))

    def _show_entra(self, administrator: Administrator, registrations: list[Registration]) -> None:
        self.step("What the operator made of them in Entra")
        app_ids = [r["status"]["appId"] for r in registrations]
        self.show(tables.applications(administrator.application(app_id) for app_id in app_ids))
        self.step("The tenant's administrator grants what the manifests ask for, through Graph")
        self.show(tables.grants(g for app_id in app_ids for g in administrator.consent(app_id)))

    def _secret(self, registration: Registration) -> dict[str, str]:
        name = registration["status"]["secretName"]
        secret = self._environment.cluster.kubectl(
            "get", "secret", name, f"--namespace={_NAMESPACE}", "--output=json"
        )
        data: dict[str, str] = json.loads(secret.stdout)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def _sign_in(self, registration: Registration, secret: Mapping[str, str]) -> SignInReport:
        spec = registration["spec"]
        if spec["type"] == "Service":
            flow, claim, asked = "client credentials", "roles", spec["appRoles"]
            token = service_token(secret, self._trust)
        else:
            flow, claim = "authorization code, PKCE", "scp"
            asked = spec.get("scopes", _DEFAULT_SCOPES)
            token = user_token(
                secret,
                self._trust,
                redirect_uri=_redirect_uri(secret),
                user=self._environment.entra.users[0],
            )
            flow += " and secret" if "AZURE_CLIENT_SECRET" in secret else ", no secret"
        claims = verified_claims(token, secret, self._trust)
        granted = claims.get(claim, [])
        if sorted(granted.split() if isinstance(granted, str) else granted) != sorted(asked):
            raise DemoError(f"{_name(registration)} asked for {asked} and got {claim}={granted}")
        return SignInReport(_name(registration), flow, claims)


def main() -> None:
    """Run the demo and leave nothing behind."""
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(
        width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL, highlight=False
    )
    started = time.monotonic()
    try:
        _run(console)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except (ControlPlaneError, KubectlError, SandboxError) as error:
        _fail(console, str(error))
    seconds = time.monotonic() - started
    console.print(f"\n[bold green]All of it held.[/] {seconds:.0f} s, and nothing of it is left.")
    console.print("To try it yourself: [bold]make sandbox[/]")


def _run(console: Console) -> None:
    announce(
        console, 1, "A Kubernetes API server, an emulated Entra, and the operator between them"
    )
    with running_environment(log=lambda line: console.print(line, markup=False)) as environment:
        try:
            Demo(console, environment).run()
        except (DemoError, KubectlError, httpx.HTTPError, requests.RequestException) as error:
            _fail(
                console, f"{error}\n\nThe operator's log ends:\n{environment.operator.log_tail()}"
            )


def announce(console: Console, number: int, text: str) -> None:
    """Print the heading of a step."""
    console.print(f"\n[bold cyan]{number}. {text}[/]")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(console: Console, message: str) -> None:
    console.print("[bold red]The demo failed.[/]")
    console.print(message, markup=False)
    sys.exit(1)


def _name(registration: Registration) -> str:
    return str(registration["metadata"]["name"])


def _ready(registration: Registration) -> Mapping[str, Any]:
    conditions = registration.get("status", {}).get("conditions", ())
    return next((c for c in conditions if c["type"] == "Ready"), {})


def _is_ready(registration: Registration) -> bool:
    return _ready(registration).get("status") == "True"


def _redirect_uri(secret: Mapping[str, str]) -> str:
    """Where MSAL can receive the code: it sends no Origin header, which the platform spa wants."""
    uris = secret["FHIR_REDIRECT_URIS"].split(",")
    if "AZURE_CLIENT_SECRET" in secret:
        return uris[0]
    return next((uri for uri in uris if is_loopback(uri)), uris[-1])


if __name__ == "__main__":
    main()
