"""How to reach the API server: a kubeconfig, or the Pod's ServiceAccount; tokens are read anew.

Loading is the kubernetes package's; this module only decides from where, and when to reload.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

_load_pod: Callable[..., None] = config.load_incluster_config
_load_kubeconfig: Callable[..., Awaitable[None]] = config.load_kube_config
_TOKEN: Final = "BearerToken"  # noqa: S105 - the name of a security scheme
_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class NoCluster(Exception):
    """There is no usable configuration for the API server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAccess:
    """Where the configuration comes from; `kubeconfig` None means the Pod's, else the user's."""

    kubeconfig: Path | None = None

    async def load(self) -> Configuration:
        """Return a freshly read configuration: server, trust and a current token.

        Raises:
            NoCluster: it cannot be read; the message names the file.
        """
        loaded = Configuration()
        try:
            if self.kubeconfig is None and _SERVICE_ACCOUNT.exists():
                _load_pod(client_configuration=loaded, try_refresh_token=False)
            else:
                await _load_kubeconfig(
                    config_file=str(self.kubeconfig) if self.kubeconfig else None,
                    client_configuration=loaded,
                )
        except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError) as error:
            where = self.kubeconfig or "the default kubeconfig"
            msg = f"no usable configuration for the Kubernetes API server in {where}: {error}"
            raise NoCluster(msg) from None
        # As Kopf's own connections: a proxy of the environment is for the cloud, not for the
        # API server.
        loaded.client_session_kwargs = {"trust_env": False}
        # Any number, and False is one, makes it repeat reads that failed with a 5xx, unseen: the
        # queue has the back-off, and status must say what is wrong.
        loaded.retries = None
        return loaded


def bearer_token(configuration: Configuration) -> str | None:
    """Return the token in `configuration` without its scheme, if it has one."""
    value = configuration.api_key.get(_TOKEN)
    if value is None:
        return None
    return str(value).removeprefix("Bearer ").strip()


def adopt_token(configuration: Configuration, fresh: Configuration) -> None:
    """Make `configuration` use the token of `fresh`."""
    configuration.api_key.update(fresh.api_key)
