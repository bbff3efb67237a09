"""Who signs the cluster's ServiceAccount tokens, as the real API server says it."""

from datetime import UTC, datetime, timedelta

import pytest

from fhir_app_operator.errors import Stalled
from fhir_app_operator.kube.token_issuer import TokenIssuers

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Scripted:
    """An API server that has these documents only, and counts what it is asked."""

    def __init__(self, documents):
        self.documents = documents
        self.asked = 0

    async def get(self, path, what):
        self.asked += 1
        return self.documents.get(path)

    async def send(self, request):
        return self.documents[request.path]


@pytest.mark.control_plane
async def test_the_clusters_issuer_is_discovered(api, control_plane):
    found = await TokenIssuers(api, lambda: NOW).cluster()
    assert found.issuer == control_plane.issuer
    assert found.algorithms == {"RS256"}


@pytest.mark.parametrize(
    ("keys", "algorithms"),
    [
        ([{"kty": "RSA", "alg": "RS256"}, {"kty": "EC", "alg": "ES256"}], {"RS256", "ES256"}),
        ([{"kty": "RSA"}, {"kty": "EC"}, "rubbish"], {"RS256", "EC"}),
        ([], set()),
    ],
)
async def test_keys_are_known_by_their_algorithms(keys, algorithms):
    api = Scripted({
        "/.well-known/openid-configuration": {"issuer": "https://oidc.example"},
        "/openid/v1/jwks": {"keys": keys},
    })  # fmt: skip
    assert (await TokenIssuers(api, lambda: NOW).cluster()).algorithms == algorithms


async def test_what_was_read_is_kept_for_a_while():
    api = Scripted({
        "/.well-known/openid-configuration": {"issuer": "https://oidc.example"},
        "/openid/v1/jwks": {"keys": []},
    })  # fmt: skip
    now = [NOW]
    issuers = TokenIssuers(api, lambda: now[0])
    await issuers.cluster()
    await issuers.cluster()
    assert api.asked == 1
    now[0] += timedelta(minutes=10)
    await issuers.cluster()
    assert api.asked == 2


@pytest.mark.parametrize("document", [None, {}, {"issuer": 1}])
async def test_a_cluster_that_does_not_say_is_explained(document):
    documents = {
        "/.well-known/openid-configuration": document,
        "/openid/v1/jwks": {"keys": []},
    }
    with pytest.raises(Stalled) as caught:
        await TokenIssuers(Scripted(documents), lambda: NOW).cluster()
    assert caught.value.reason == "IssuerNotSupported"
