"""The libraries on the real wires, at DEBUG: none of them tells a secret that passes through it."""

import re
from datetime import timedelta

import pytest

from entra_emulator import Fault
from tests.controller.lab import OPERATOR_SECRET
from tests.controller.test_certificates import CERTIFICATE
from tests.protocol.canary import Overheard, loud

pytestmark = pytest.mark.control_plane

LOGGER = re.compile(r"\"logger\": \"([a-z0-9_.]+)\"")
WEATHER = (
    Fault(path=re.compile(r"/addPassword$"), when="after", drop=True),
    Fault(path=re.compile(r"/applications"), method="PATCH", status=500, when="after"),
    Fault(path=re.compile(r"/oauth2/v2.0/token$"), status=401, code="7000215"),
    Fault(path=re.compile(r"/oauth2/v2.0/token$"), drop=True, when="after"),
)


@pytest.mark.parametrize("credential", [{"clientSecret": {}}, CERTIFICATE], ids=["secret", "key"])
async def test_no_library_tells_a_secret_that_passes_through_it(lab, credential):
    await lab.ready("Resource")
    overheard = Overheard()
    with loud(overheard):
        for fault in WEATHER:
            lab.emulator.weather.add(fault)
        name = await lab.register("Service", credential=credential)
        await lab.settle(name, passes=30)
        lab.pass_time(timedelta(days=150))
        await lab.settle(name, passes=30)
        await lab.delete("fhirapp", name)
        data = await lab.secret(name)
        await lab.settle(name, passes=30)
    token = await (await lab.connection()).tokens.token()
    held = ("AZURE_CLIENT_SECRET", "tls.key")
    overheard.secrets = {OPERATOR_SECRET, token.get_secret_value()}
    overheard.secrets |= {data[key] for key in held if key in data}
    assert len(overheard.secrets) == 3
    said = overheard.said.getvalue()
    assert {"httpcore.http11", "httpx", "msal.token_cache"} <= set(LOGGER.findall(said))
    assert overheard.leaks() == set()
