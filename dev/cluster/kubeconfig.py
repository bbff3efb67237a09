"""Kubeconfig files: for a client certificate, and for a token that is read from a file.

Not here: whose they are.
"""

import base64
import os
from pathlib import Path
from typing import Any

import yaml

from dev.cluster.certificates import KeyPair

_CLUSTER = "fhir-app-operator-local"


def write_private(path: Path, content: bytes) -> Path:
    """Write `content` to `path`, readable by this user only from the first byte; gives `path`."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return path


def write_certificate_kubeconfig(path: Path, url: str, ca_pem: bytes, client: KeyPair) -> Path:
    """A kubeconfig that signs in with a client certificate; everything is inside the file."""
    user = {
        "client-certificate-data": _base64(client.public),
        "client-key-data": _base64(client.private),
    }
    return _write(path, url, ca_pem, user)


def write_token_kubeconfig(path: Path, url: str, ca_pem: bytes, token_file: Path) -> Path:
    """A kubeconfig that signs in with the bearer token in `token_file`.

    Clients read that file again now and then, so the token can be renewed in place.
    """
    return _write(path, url, ca_pem, {"tokenFile": str(token_file.absolute())})


def _write(path: Path, url: str, ca_pem: bytes, user: dict[str, str]) -> Path:
    cluster = {"server": url, "certificate-authority-data": _base64(ca_pem)}
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _CLUSTER, "cluster": cluster}],
        "users": [{"name": _CLUSTER, "user": user}],
        "contexts": [{"name": _CLUSTER, "context": {"cluster": _CLUSTER, "user": _CLUSTER}}],
        "current-context": _CLUSTER,
    }
    return write_private(path, yaml.safe_dump(config, sort_keys=False).encode())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
