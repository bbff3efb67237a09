import jwt
import pytest

from entra_emulator import OPERATOR_CLIENT_ID, TENANT_ID
from tests.emulator.cloud import GRAPH, OPERATOR_SECRET, Cloud, aadsts

V1 = f"/{TENANT_ID}/.well-known/openid-configuration"
V2 = f"/{TENANT_ID}/v2.0/.well-known/openid-configuration"


async def test_the_two_versions_name_their_endpoints(cloud: Cloud) -> None:
    one = (await cloud.anybody.get(V1)).json()
    two = (await cloud.anybody.get(V2)).json()

    origin = f"https://entra.test/{TENANT_ID}"
    assert one["issuer"] == f"https://sts.windows.net/{TENANT_ID}/"
    assert two["issuer"] == f"{origin}/v2.0"
    assert one["token_endpoint"] == f"{origin}/oauth2/token"
    assert two["token_endpoint"] == f"{origin}/oauth2/v2.0/token"
    assert two["authorization_endpoint"] == f"{origin}/oauth2/v2.0/authorize"
    assert two["msgraph_host"] == "entra.test"


@pytest.mark.parametrize("path", [V1, V2])
async def test_published_keys_verify_tokens(cloud: Cloud, path: str) -> None:
    token = (
        await cloud.token(client_id=OPERATOR_CLIENT_ID, client_secret=OPERATOR_SECRET, scope=GRAPH)
    ).json()["access_token"]
    where = (await cloud.anybody.get(path)).json()["jwks_uri"]
    keys = jwt.PyJWKSet.from_dict((await cloud.anybody.get(where)).json())

    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(
        token,
        key.key,
        algorithms=["RS256"],
        audience="https://graph.microsoft.com",
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
    assert claims["appid"] == OPERATOR_CLIENT_ID


@pytest.mark.parametrize("tenant", ["common", "organizations", "clinic.example"])
async def test_metadata_by_other_names(cloud: Cloud, tenant: str) -> None:
    answer = await cloud.anybody.get(f"/{tenant}/v2.0/.well-known/openid-configuration")

    assert answer.json()["issuer"].endswith(f"/{TENANT_ID}/v2.0")


async def test_an_unknown_tenant_has_no_metadata(cloud: Cloud) -> None:
    answer = await cloud.anybody.get("/other/v2.0/.well-known/openid-configuration")

    assert aadsts(answer) == (400, "invalid_request", 90002)


async def test_instance_discovery_knows_this_host_only(cloud: Cloud) -> None:
    answer = (await cloud.anybody.get("/common/discovery/instance?api-version=1.1")).json()

    assert answer["tenant_discovery_endpoint"] == f"https://entra.test{V2}"
    assert answer["metadata"][0]["aliases"] == ["entra.test"]


async def test_nothing_else_is_served(cloud: Cloud) -> None:
    assert (await cloud.anybody.get("/nothing")).status_code == 404
    assert (await cloud.anybody.get(f"/{TENANT_ID}/oauth2/v2.0/token")).status_code == 405
