"""Azure CLI as a person has it: a folder with its settings and accounts, commands, JSON.

It runs in an environment of its own, which `make test-clients` makes: its pins are not ours.
"""

import json
import os
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from entra_emulator import TENANT_ID
from entra_emulator.server import Running

PROGRAM = Path(__file__).parents[2] / ".venv-clients" / "bin" / "az"
TIMEOUT = 300
"""Seconds; against a machine that is busy with something else."""
CLOUD = "emulator"


@dataclass(frozen=True)
class Emulated:
    """The emulator that commands are led to, and the tools of whoever runs them."""

    running: Running
    proxy: str
    ca_file: Path
    admin_id: str
    admin_secret: str

    def http(self) -> httpx.Client:
        """A client for what no command of Azure CLI does."""
        trust = ssl.create_default_context(cafile=self.ca_file)
        return httpx.Client(base_url=self.running.origin, verify=trust, trust_env=False)


@dataclass(frozen=True)
class Refusal:
    """What a command that failed leaves behind."""

    status: int
    message: str


class AzureCli:
    """The commands of one person, whose home is `home`.

    Whatever it attaches to, the proxy is the only way out: nothing reaches the real cloud.
    """

    def __init__(self, emulated: Emulated, home: Path, *, own_cloud: bool) -> None:
        self.home = home
        self._emulated = emulated
        self._own_cloud = own_cloud
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AZURE_CONFIG_DIR": str(home / "azure"),
            "AZURE_CORE_COLLECT_TELEMETRY": "false",
            "AZURE_CORE_SURVEY_MESSAGE": "false",
            "AZURE_CORE_INSTANCE_DISCOVERY": "false",
            "REQUESTS_CA_BUNDLE": str(emulated.ca_file),
            "HTTPS_PROXY": emulated.proxy,
            "NO_PROXY": "localhost",
        }
        if own_cloud:
            self._register_cloud()

    def elsewhere(self) -> Self:
        """The same on another computer, where nobody has signed in yet."""
        home = Path(tempfile.mkdtemp(dir=self.home))
        return type(self)(self._emulated, home, own_cloud=self._own_cloud)

    def __call__(self, *arguments: str) -> Any:
        """The answer of a command; AssertionError, with what it said, if it fails."""
        done = self._run(arguments)
        assert done.returncode == 0, f"az {' '.join(arguments[:3])}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def refused(self, *arguments: str) -> Refusal:
        """The failure of a command; AssertionError if it succeeds."""
        done = self._run(arguments)
        assert done.returncode != 0, f"az {' '.join(arguments[:3])} succeeded"
        return Refusal(done.returncode, done.stderr)

    def _register_cloud(self) -> None:
        origin = self._emulated.running.origin
        endpoints = {
            "active-directory": origin,
            "active-directory-resource-id": "https://management.core.windows.net/",
            "resource-manager": f"{origin}/",
            "microsoft-graph-resource-id": f"{origin}/",
        }
        told = [text for name, url in endpoints.items() for text in (f"--endpoint-{name}", url)]
        self("cloud", "register", "--name", CLOUD, "--skip-endpoint-discovery", *told)
        self("cloud", "set", "--name", CLOUD)

    def login(self, client_id: str, *proof: str) -> Any:
        """Sign in as an application of the tenant; the accounts that there are then."""
        who = ("--service-principal", "--username", client_id, "--tenant", TENANT_ID)
        return self("login", *who, *proof, "--allow-no-subscriptions")

    def login_refused(self, client_id: str, *proof: str) -> Refusal:
        """Fail to sign in."""
        who = ("--service-principal", "--username", client_id, "--tenant", TENANT_ID)
        return self.refused("login", *who, *proof, "--allow-no-subscriptions")

    def _run(self, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *arguments, "--output", "json"],
            env=self._environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
