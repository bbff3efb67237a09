"""How the operator starts: not before the API server says everything that Kopf will ask it."""

import asyncio

import pytest

from fhir_app_operator.controller.process import Missing, require_kinds

pytestmark = pytest.mark.looptime

ROOT = "/apis/fhirapps.dev/v1alpha1"
KINDS = ("entratenants", "fhirappregistrations")


class JustInstalled:
    """An API server that serves kinds before it lists them, as after `kubectl apply -k crds`."""

    def __init__(self, group_after, kinds_after):
        self.group_after = group_after
        self.kinds_after = kinds_after
        self.served = set(KINDS)

    async def get(self, path, what, query=()):
        now = asyncio.get_running_loop().time()
        if path == "/apis":
            listed = ["apps", "fhirapps.dev"] if now >= self.group_after else ["apps"]
            return {"groups": [{"name": name} for name in listed]}
        if path == ROOT:
            return {"resources": [{"name": k} for k, s in self.kinds_after.items() if now >= s]}
        return {"items": []} if path.removeprefix(f"{ROOT}/") in self.served else None


@pytest.mark.parametrize(
    ("group_after", "kinds_after"),
    [
        (4.0, dict.fromkeys(KINDS, 0.0)),
        (0.0, {"entratenants": 0.0, "fhirappregistrations": 4.0}),
        (0.0, {"entratenants": 4.0, "fhirappregistrations": 0.0}),
    ],
)
async def test_kinds_that_are_served_and_not_yet_listed_are_waited_for(group_after, kinds_after):
    await require_kinds(JustInstalled(group_after, kinds_after))
    assert asyncio.get_running_loop().time() == pytest.approx(4.0)


async def test_kinds_that_are_never_listed_end_the_start_with_a_message():
    never = {"entratenants": 0.0, "fhirappregistrations": float("inf")}
    with pytest.raises(Missing, match="does not list fhirappregistrations and entratenants"):
        await require_kinds(JustInstalled(0.0, never))


async def test_a_kind_without_a_crd_is_named():
    api = JustInstalled(0.0, dict.fromkeys(KINDS, 0.0))
    api.served.remove("entratenants")
    with pytest.raises(Missing, match=r"'entratenants' is not installed: kubectl apply -k crds/"):
        await require_kinds(api)
