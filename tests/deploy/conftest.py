"""What the tests of the manifests share: rendering and applying them.

Not here: the control plane they are applied to, which is in `tests/conftest.py`.
"""

import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def render(control_plane):
    """The documents that kustomize makes of a folder of this repository."""

    def documents(folder: str) -> list[dict]:
        rendered = control_plane.kubectl("kustomize", str(ROOT / folder)).stdout
        return list(yaml.safe_load_all(rendered))

    return documents


@pytest.fixture
def apply(control_plane):
    """`kubectl apply -k` of a folder; server-side, so that applying twice is no clash."""

    def run(folder: str, *options: str) -> subprocess.CompletedProcess[str]:
        kustomize = f"--kustomize={ROOT / folder}"
        return control_plane.kubectl("apply", "--server-side", kustomize, *options)

    return run


@pytest.fixture
def kinds(control_plane, apply):
    """The CRDs, served."""
    apply("crds")
    crds = ["crd/entratenants.fhirapps.dev", "crd/fhirappregistrations.fhirapps.dev"]
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", *crds)
