"""The real API server with the CRDs, and its word on a manifest.

Not here: the manifests.
"""

import base64
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.api.manifests import NAMESPACE


@pytest.fixture(scope="session")
def cluster(control_plane):
    control_plane.kubectl("apply", "--server-side", "-k", str(Path(__file__).parents[2] / "crds"))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
    return control_plane


@dataclass(frozen=True)
class Answer:
    """What the API server says to a manifest."""

    accepted: bool
    body: dict[str, Any]

    @property
    def said(self):
        return self.body.get("message", "")


class Admission:
    """Sends manifests as kubectl does, without a process for each."""

    def __init__(self, http):
        self._http = http

    def attempt(self, document):
        """As `kubectl create --dry-run=server`."""
        asked = {"dryRun": "All", "fieldValidation": "Strict"}
        return _answer(self._http.post(_place(document), params=asked, json=document))

    def apply(self, document):
        """As `kubectl apply --server-side`."""
        path = f"{_place(document)}/{document['metadata']['name']}"
        asked = {"fieldManager": "test", "fieldValidation": "Strict"}
        content_type = {"Content-Type": "application/apply-patch+yaml"}
        return _answer(
            self._http.patch(path, params=asked, content=json.dumps(document), headers=content_type)
        )


def _place(document):
    root = "/apis/fhirapps.dev/v1alpha1"
    return {
        "EntraTenant": f"{root}/entratenants",
        "FhirAppRegistration": f"{root}/namespaces/{NAMESPACE}/fhirappregistrations",
    }[document["kind"]]


def _answer(response):
    return Answer(response.is_success, response.json())


@pytest.fixture(scope="session")
def admission(cluster, tmp_path_factory):
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    (user,) = (each["user"] for each in config["users"])
    pair = tmp_path_factory.mktemp("administrator") / "pair.pem"
    pair.write_bytes(
        base64.b64decode(user["client-certificate-data"])
        + base64.b64decode(user["client-key-data"])
    )
    context = ssl.create_default_context(cadata=cluster.ca_pem.decode())
    context.load_cert_chain(pair)
    with httpx.Client(base_url=cluster.url, verify=context, trust_env=False) as http:
        yield Admission(http)
