"""The recipes of docs/secrets.md: each comes to exactly the keys that it names."""

import re
from pathlib import Path

import pytest
import yaml

from fhir_app_operator.planning import secret_data
from tests.planning.worlds import desired, made

PAGE = (Path(__file__).parents[2] / "docs" / "secrets.md").read_text()
DOOR = {
    "url": "https://proxy.clinic.example",
    "frontDoor": {"redirectUris": ["https://proxy.clinic.example/.auth/login/aad/callback"]},
}
MANIFESTS = [
    ("Service", {}),
    ("Resource", {"resource": DOOR}),
    ("Service", {}),
    ("Resource", {}),
    ("Resource", {}),
    ("Confidential", {}),
    ("Resource", {}),
]
"""The registrations, as the page has them; the last but one is Blaze's frontend."""


def recipes():
    _, _, rest = PAGE.partition("\n## Recipes\n")
    section = rest.partition("\n## ")[0]
    for block in re.findall(r"```yaml\n(.*?)```", section, re.DOTALL):
        yield from (document["secret"] for document in yaml.safe_load_all(block))


@pytest.mark.parametrize(("manifest", "secret"), list(zip(MANIFESTS, recipes(), strict=True)))
def test_a_recipe_comes_to_the_keys_that_it_names(manifest, secret):
    kind, spec = manifest
    wanted = desired(kind, secret=secret, **spec)
    keys = secret_data.data(wanted, made("app")).keys()
    if wanted.credential:
        keys |= wanted.credential_keys[wanted.credential.type].keys()
    named = {entry["to"] for entry in secret["keys"]}
    assert named <= keys
    if not secret["presets"]:
        assert keys == named
