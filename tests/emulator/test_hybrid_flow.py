"""An id token beside the code, as App Service Authentication asks for it."""

import pytest

from tests.emulator.clinic import SCOPE, Clinic
from tests.emulator.cloud import returned
from tests.emulator.registrations import patch

HYBRID = {"response_type": "code id_token", "nonce": "n", "scope": f"openid {SCOPE}"}


async def allow(clinic: Clinic) -> None:
    settings = {"implicitGrantSettings": {"enableIdTokenIssuance": True}}
    answer = await patch(clinic.cloud, {"id": clinic.client.id}, web=settings)
    assert answer.status_code == 204, answer.text


@pytest.mark.parametrize("order", ["code id_token", "id_token code"])
async def test_it_comes_in_a_fragment_for_the_client_and_its_nonce(
    clinic: Clinic, order: str
) -> None:
    await allow(clinic)

    answer = await clinic.cloud.authorize(**clinic.request(**HYBRID | {"response_type": order}))

    assert "#code=" in answer.headers["location"]
    claims = clinic.cloud.verified(returned(answer)["id_token"])
    assert (claims["aud"], claims["nonce"]) == (clinic.client.app_id, "n")
    assert (await clinic.redeem(returned(answer)["code"])).status_code == 200


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ({"response_mode": "query"}, 70007),
        ({"response_type": "code token"}, 700054),
        ({"nonce": None}, 90014),
    ],
)
async def test_what_it_is_not_given_for(
    clinic: Clinic, query: dict[str, str | None], number: int
) -> None:
    await allow(clinic)
    answer = await clinic.cloud.authorize(**clinic.request(**HYBRID | query))
    assert f"AADSTS{number}" in returned(answer)["error_description"]


async def test_an_application_that_may_not_have_one_is_refused(clinic: Clinic) -> None:
    answer = await clinic.cloud.authorize(**clinic.request(**HYBRID))
    assert "AADSTS700054" in returned(answer)["error_description"]
