"""What those who read a Secret are given here: only what is in it, and whom to trust."""

import pytest

from tests.controller.conftest import cluster, entra, lab

__all__ = ["cluster", "entra", "lab"]

_AMBIENT = (
    *("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)


@pytest.fixture
def ca_file(entra, tmp_path):
    """The authority that the emulator's certificate is from."""
    path = tmp_path / "ca.pem"
    path.write_bytes(entra.ca_pem)
    return str(path)


@pytest.fixture
def env_from(monkeypatch):
    """Puts a Secret into the environment as `envFrom` does, with nothing else for a client there.

    Keys that are no names of variables are left out, as the kubelet does.
    """

    def put(data):
        for name in _AMBIENT:
            monkeypatch.delenv(name, raising=False)
        for name, value in data.items():
            monkeypatch.setenv(name, value)

    return put
