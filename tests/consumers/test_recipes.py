"""The recipes of docs/secrets.md: each comes to exactly the keys that it names."""

import re
from pathlib import Path

import pytest
import yaml

from fhir_app_operator.planning import secret_data
from tests.planning.worlds import desired, made

PAGE = (Path(__file__).parents[2] / "docs" / "secrets.md").read_text()
TYPES = ["Service", "Service", "Resource", "Resource", "Confidential", "Resource"]
"""Of the registrations, as the page has them; the fifth is Blaze's frontend."""


def recipes():
    _, _, rest = PAGE.partition("\n## Recipes\n")
    section = rest.partition("\n## ")[0]
    for block in re.findall(r"```yaml\n(.*?)```", section, re.DOTALL):
        yield from (document["secret"] for document in yaml.safe_load_all(block))


@pytest.mark.parametrize(("kind", "secret"), list(zip(TYPES, recipes(), strict=True)))
def test_a_recipe_comes_to_the_keys_that_it_names(kind, secret):
    wanted = desired(kind, secret=secret)
    keys = secret_data.data(wanted, made("app")).keys()
    if wanted.credential:
        keys |= wanted.credential_keys[wanted.credential.type].keys()
    named = {entry["to"] for entry in secret["keys"]}
    assert named <= keys
    if not secret["presets"]:
        assert keys == named
