"""The sign-in service in bad weather, over sockets since MSAL blocks: no answer proves anything."""

import asyncio
import re
import ssl

import httpx
import pytest
from pydantic import SecretStr

from entra_emulator import OPERATOR_CLIENT_ID, TENANT_ID, Emulator, Fault, Seeds, Spoilt
from entra_emulator.server import serve
from fhir_app_operator.errors import Waiting
from fhir_app_operator.graph.auth import ClientCredential, Probe, SignIn, SignInRefused
from fhir_app_operator.graph.openid import OpenIdConfigurations
from fhir_app_operator.graph.transport import fetch
from fhir_app_operator.planning.clouds import Directory

SECRET = ClientCredential(client_secret=SecretStr("s"))
SENSELESS = [how for how in Spoilt if how not in {Spoilt.SLOW, Spoilt.NEXT_LINK, Spoilt.EMPTIED}]
ANSWERS = ("/token$", "/openid-configuration$")


@pytest.fixture(scope="module")
def running():
    with serve(Emulator(seeds=Seeds(operator_secret="s"))) as made:
        yield made


@pytest.fixture
def weather(running):
    running.emulator.reset()
    return running.emulator.weather


@pytest.fixture
def directory(running):
    return Directory(tenant_id=TENANT_ID, authority_host=running.origin, graph_url=running.origin)


@pytest.fixture
def tls(running):
    return ssl.create_default_context(cadata=running.ca_pem.decode())


@pytest.fixture
def http(tls):
    with httpx.Client(verify=tls, trust_env=False, timeout=0.3) as client:
        yield client


@pytest.fixture
def sign_in(directory, http):
    return SignIn(directory, http)


def spoil(weather, path, **members):
    weather.add(Fault(re.compile(path), times=99, **members))


async def test_in_fair_weather_a_secret_is_accepted(weather, sign_in):
    assert weather.faults == []
    token, lifetime = await sign_in.acquire(OPERATOR_CLIENT_ID, SECRET)
    assert token.get_secret_value()
    assert lifetime.total_seconds() == 3599


@pytest.mark.parametrize("how", SENSELESS)
@pytest.mark.parametrize("path", ANSWERS)
async def test_a_senseless_answer_is_neither_a_token_nor_an_acceptance(weather, sign_in, path, how):
    spoil(weather, path, answer=how)
    with pytest.raises((Waiting, SignInRefused)) as caught:
        await sign_in.acquire(OPERATOR_CLIENT_ID, SECRET)
    if isinstance(caught.value, SignInRefused):
        assert caught.value.transient
    try:
        proven = await sign_in.probe(OPERATOR_CLIENT_ID, SECRET)
    except Waiting as error:
        assert error.reason == "GraphUnavailable"
    else:
        assert proven is Probe.NOT_YET


@pytest.mark.parametrize("fault", [{"hang": True}, {"drop": True}, {"status": 503}])
@pytest.mark.parametrize("path", ANSWERS)
async def test_no_answer_is_weather(weather, sign_in, path, fault):
    spoil(weather, path, **fault)
    with pytest.raises((Waiting, SignInRefused)) as caught:
        await sign_in.acquire(OPERATOR_CLIENT_ID, SECRET)
    if isinstance(caught.value, SignInRefused):
        assert caught.value.transient


def test_a_slow_answer_has_a_time_limit_as_a_whole(weather, running, http):
    spoil(weather, "keys$", answer=Spoilt.SLOW, seconds=30)
    url = f"{running.origin}/{TENANT_ID}/discovery/keys"
    with pytest.raises(httpx.ReadTimeout):
        fetch(http, "GET", url, patience=0.1, timeout=5)


def test_a_huge_answer_is_not_read_to_its_end(weather, running, http):
    spoil(weather, "keys$", answer=Spoilt.HUGE)
    with pytest.raises(httpx.ReadError, match="too large"):
        fetch(http, "GET", f"{running.origin}/{TENANT_ID}/discovery/keys")


@pytest.mark.parametrize("how", SENSELESS)
async def test_a_senseless_openid_configuration_is_not_published(weather, directory, tls, how):
    spoil(weather, "/openid-configuration$", answer=how)
    async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=0.3) as client:
        with pytest.raises(Waiting) as caught:
            await OpenIdConfigurations(directory, client).issuer(2)
    assert caught.value.reason == "GraphUnavailable"


async def test_a_hanging_openid_configuration_ends_with_the_transports_time_out(
    weather, directory, tls
):
    spoil(weather, "/openid-configuration$", hang=True)
    async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=0.3) as client:
        with pytest.raises(Waiting, match="ReadTimeout"):
            async with asyncio.timeout(20):
                await OpenIdConfigurations(directory, client).issuer(1)
