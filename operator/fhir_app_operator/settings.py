"""The operator's settings: the only reader of the environment.

Every variable starts with `FHIR_APP_OPERATOR_`, but for those that others define: `KUBECONFIG`,
`AZURE_FEDERATED_TOKEN_FILE` (the azure-workload-identity webhook), `HTTPS_PROXY`, `NO_PROXY`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from fhir_app_operator.api import names
from fhir_app_operator.api.v1alpha1.schema import parse_duration

_FOREIGN: Final = {
    "kubeconfig": "KUBECONFIG",
    "token_file": "AZURE_FEDERATED_TOKEN_FILE",
    "https_proxy": "HTTPS_PROXY",
    "no_proxy": "NO_PROXY",
}


class WrongSettings(Exception):
    """One or more settings cannot be used; the message names each and what it must be."""


def _positive(length: timedelta) -> timedelta:
    if length <= timedelta(0):
        msg = "must be longer than 0s"
        raise ValueError(msg)
    return length


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the last port
        msg = "must be an address and a port, such as 0.0.0.0:8080"
        raise ValueError(msg)
    return text


def _proxy(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # Without the value: it may hold a password.
        msg = "must be an http:// or https:// URL, such as http://proxy.example:3128"
        raise ValueError(msg)
    return url


_Length = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(_positive)]


class Settings(BaseSettings):
    """All settings, with their defaults; the field's name in upper case is the variable's end."""

    model_config = SettingsConfigDict(
        env_prefix=names.ENVIRONMENT_PREFIX, extra="forbid", frozen=True, env_ignore_empty=True,
        populate_by_name=True,
    )  # fmt: skip

    namespace: str = Field(
        default=names.DEFAULT_NAMESPACE,
        description="The operator's own namespace; tenants' client secrets are read there.",
    )
    cluster_id: str = Field(
        default="",
        pattern=r"^[a-z0-9-]{0,63}$",
        description="Names this cluster in Entra. Default: the UID of namespace kube-system.",
    )
    resync_interval: _Length = Field(
        default=timedelta(hours=1),
        description="How often everything is compared with Entra, plus or minus a tenth.",
    )
    verify_interval: _Length = Field(
        default=timedelta(days=1),
        description="How often each application is read by itself, beside the lists of all.",
    )
    replication_window: _Length = Field(
        default=timedelta(minutes=15),
        description="How long Entra may not show what was just made.",
    )
    sweep_after: _Length = Field(
        default=timedelta(hours=24),
        description="When a credential of ours that no Secret holds is removed.",
    )
    probe_timeout: _Length = Field(
        default=timedelta(seconds=120),
        description="How long a fresh credential is tried before it is given up.",
    )
    workers: int = Field(
        default=50, ge=1, le=500, description="How many registrations are worked on at once."
    )
    leader_election: bool = Field(
        default=True,
        description="Work only while holding the Lease `fhir-app-operator` in the operator's own "
        "namespace; `false` only where no second process can be.",
    )
    lease_duration: _Length = Field(
        default=timedelta(seconds=10),
        description="A standby takes over from a leader that has not renewed for so long.",
    )
    renew_deadline: _Length = Field(
        default=timedelta(seconds=7),
        description="A leader starts no write later than this after its last renewal; below the "
        "duration.",
    )
    retry_period: _Length = Field(
        default=timedelta(seconds=2),
        description="How often the leader renews the Lease; a standby looks twice as often.",
    )
    watch_secrets: bool = Field(
        default=False,
        description="Watch the Secrets that the operator made or follows, to act at once; needs "
        "list and watch on Secrets.",
    )
    listen_address: Annotated[str, AfterValidator(_address)] = Field(
        default="127.0.0.1:8080", description="Where /healthz, /readyz and /metrics are served."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least severe entries that are logged."
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="`json` for machines, `console` for people."
    )
    kubeconfig: Path | None = Field(default=None, validation_alias="KUBECONFIG")
    token_file: Path | None = Field(default=None, validation_alias="AZURE_FEDERATED_TOKEN_FILE")
    https_proxy: Annotated[str, AfterValidator(_proxy)] | None = Field(
        default=None, validation_alias="HTTPS_PROXY"
    )
    no_proxy: str = Field(default="", validation_alias="NO_PROXY")

    @model_validator(mode="after")
    def _lease_is_renewed_in_time(self) -> Self:
        """What is between deadline and duration pays for calls that were under way."""
        if 2 * self.retry_period <= self.renew_deadline < self.lease_duration:
            return self
        msg = "must be at least twice the retry period, and less than the lease duration"
        raise PydanticCustomError("lease", msg)

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The address to listen on."""
        host, _, port = self.listen_address.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def direct_hosts(self) -> tuple[str, ...]:
        """The suffixes of hosts that are reached without the proxy."""
        return tuple(part.strip() for part in self.no_proxy.split(",") if part.strip())


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings in the environment.

    Args:
        environment: variables instead of the process's own, for tests.

    Raises:
        WrongSettings: a value cannot be used, or a variable with our prefix is unknown.
    """
    variables = dict(os.environ if environment is None else environment)
    known = {names.ENVIRONMENT_PREFIX + field.upper() for field in Settings.model_fields}
    unknown = sorted(
        name
        for name in variables
        if name.startswith(names.ENVIRONMENT_PREFIX) and name not in known
    )
    problems = [f"{name} is not a setting of this version" for name in unknown]
    try:
        settings = Settings.model_validate(_values(variables))
    except ValidationError as error:
        problems += [_problem(entry) for entry in error.errors(include_input=False)]
    if problems:
        raise WrongSettings("; ".join(problems))
    return settings


def _values(variables: Mapping[str, str]) -> dict[str, Any]:
    named = {
        field: variables.get(_FOREIGN.get(field, names.ENVIRONMENT_PREFIX + field.upper()), "")
        for field in Settings.model_fields
    }
    return {field: value for field, value in named.items() if value}


def _problem(entry: Any) -> str:
    # The one rule between settings is about the deadline.
    field = str(entry["loc"][0]) if entry["loc"] else "renew_deadline"
    variable = (
        field if field.isupper() else _FOREIGN.get(field, names.ENVIRONMENT_PREFIX + field.upper())
    )
    return f"{variable}: {str(entry['msg']).removeprefix('Value error, ')}"
