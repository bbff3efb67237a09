"""Federated credentials: a Pod's own token signs it in, on the real API server and the emulator."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from entra_emulator import TENANT_ID
from fhir_app_operator.errors import Stalled
from fhir_app_operator.graph.auth import ClientCredential, SignInRefused
from fhir_app_operator.kube.api_server import Request
from tests.controller.test_certificates import CERTIFICATE, signs_in

pytestmark = pytest.mark.control_plane

AUDIENCE = "api://AzureADTokenExchange"
_TEN_YEARS = 10 * 365 * 86_400
"""The API server signs by the computer's clock, and the emulator's is ahead of it by all tests."""


def federated(*names, **fields):
    return {"federated": {"serviceAccounts": [{"name": name} for name in names]} | fields}


@pytest.fixture
def trusted_cluster(cluster, lab):
    """Entra reads the cluster's keys at its issuer; the emulator is told them."""
    keys = lab.emulator.directory.issuer_keys
    keys[cluster.issuer] = cluster.service_account_public_key.decode()
    return cluster


@pytest.fixture
async def workload(lab, trusted_cluster):
    """A Ready Service whose ServiceAccount is `ingest`."""
    await lab.ready("Resource")
    name = await lab.ready("Service", credential=federated("ingest"))
    lab.forget_calls()
    return name


async def token(lab, account, audience=AUDIENCE):
    """A token as the kubelet projects it into the account's Pods."""
    root = f"/api/v1/namespaces/{lab.namespace}/serviceaccounts"
    if await lab.api.get(f"{root}/{account}", "account") is None:
        body = {"metadata": {"name": account}}
        await lab.api.send(Request(method="POST", path=root, what="account", body=body))
    answer = await lab.api.send(
        Request(method="POST", path=f"{root}/{account}/token", what="token",
                body={"spec": {"audiences": [audience], "expirationSeconds": _TEN_YEARS}})
    )  # fmt: skip
    return answer["status"]["token"]


async def refusal(lab, data, assertion):
    """AADSTS codes for the Secret's client with a ServiceAccount's token; none if it signs in."""
    connection = await lab.connection()
    credential = ClientCredential(assertion=SecretStr(assertion))
    try:
        await connection.sign_in.acquire(data["AZURE_CLIENT_ID"], credential)
    except SignInRefused as refused:
        return refused.codes
    return frozenset()


async def trusted(lab, name):
    found = (await lab.application(name))["federatedIdentityCredentials"]
    return {entry["subject"].rpartition(":")[2]: entry for entry in found}


async def test_a_pod_signs_in_with_its_own_token_and_the_secret_holds_none(lab, workload):
    data = await lab.secret(workload)
    assert not {"AZURE_CLIENT_SECRET", "tls.key"} & data.keys()
    assert data["AZURE_TENANT_ID"] == TENANT_ID
    assert not await refusal(lab, data, await token(lab, "ingest"))
    assert await refusal(lab, data, await token(lab, "somebody-else")) == {700213}
    assert await refusal(lab, data, await token(lab, "ingest", "another")) == {700212}
    application = await lab.application(workload)
    assert application["passwordCredentials"] == application["keyCredentials"] == []
    [reported] = (await lab.status(workload))["credentials"]
    assert (reported["type"], reported["state"]) == ("FederatedIdentity", "Active")
    assert "endTime" not in reported


async def test_a_settled_one_costs_nothing(lab, workload):
    versions = [await lab.read(kind, workload) for kind in ("fhirapp", "secret")]
    for process in (lab, lab.restarted()):
        outcome = await process.reconcile(workload)
        assert (outcome.result, outcome.changed) == ("success", False)
        await process.world.connections.close()
    assert lab.writes() == []
    assert [await lab.read(kind, workload) for kind in ("fhirapp", "secret")] == versions


async def test_the_set_is_kept_exactly_and_others_are_reported(lab, workload):
    theirs = {
        "name": "by-hand", "issuer": "https://ci.example", "subject": "repo:x",
        "audiences": [AUDIENCE],
    }  # fmt: skip
    entity = lab.emulator.directory.store.locate((await lab.status(workload))["objectId"])
    [own] = entity.document["federatedIdentityCredentials"]
    edited = {**own, "subject": "system:serviceaccount:elsewhere:x"}
    foreign = {**own, **theirs, "id": "0f0f0f0f-0000-4000-8000-000000000001"}
    lab.emulator.directory.store.replace(
        entity, {**entity.document, "federatedIdentityCredentials": [edited, foreign]}
    )
    accounts = [{"name": "ingest"}, {"name": "backup"}]
    spec = {"credential": {"federated": {"serviceAccounts": accounts}}}
    await lab.patch("fhirapp", workload, {"spec": spec})
    await lab.settle(workload)
    assert set(await trusted(lab, workload)) == {"ingest", "backup", "x"}
    assert "1 federated credential" in await lab.message(workload, "Synced")
    spec["credential"]["federated"]["serviceAccounts"] = [{"name": "backup"}]
    await lab.patch("fhirapp", workload, {"spec": spec})
    await lab.settle(workload)
    data = await lab.secret(workload)
    assert set(await trusted(lab, workload)) == {"backup", "x"}
    assert not await refusal(lab, data, await token(lab, "backup"))
    assert await refusal(lab, data, await token(lab, "ingest")) == {700213}


async def test_issuer_and_audience_of_the_manifest_replace_the_clusters(lab, workload):
    fields = {"issuer": "https://oidc.example/cluster", "audience": "mine"}
    await lab.patch("fhirapp", workload, {"spec": {"credential": federated("ingest", **fields)}})
    await lab.settle(workload)
    entry = (await trusted(lab, workload))["ingest"]
    assert (entry["issuer"], entry["audiences"]) == (fields["issuer"], ["mine"])
    assert len(await trusted(lab, workload)) == 1
    fields["audience"] = "other"
    await lab.patch("fhirapp", workload, {"spec": {"credential": federated("ingest", **fields)}})
    await lab.settle(workload)
    assert (await trusted(lab, workload))["ingest"]["audiences"] == ["other"]


async def test_another_issuer_needs_nothing_of_the_clusters(lab, workload):
    class Silent:
        async def cluster(self):
            raise Stalled("IssuerNotSupported", "the API server does not say")

    deaf = replace(lab, world=replace(lab.world, token_issuers=Silent()))
    fields = {"issuer": "https://oidc.example/elsewhere"}
    await lab.patch("fhirapp", workload, {"spec": {"credential": federated("ingest", **fields)}})
    await deaf.settle(workload)
    assert (await trusted(lab, workload))["ingest"]["issuer"] == fields["issuer"]
    await lab.patch("fhirapp", workload, {"spec": {"credential": {"federated": {"issuer": None}}}})
    assert (await deaf.reconcile(workload)).reason == "IssuerNotSupported"


async def test_more_than_entra_takes_is_a_persons_matter(lab, workload):
    entity = lab.emulator.directory.store.locate((await lab.status(workload))["objectId"])
    [own] = entity.document["federatedIdentityCredentials"]
    others = [
        {**own, "name": f"n{n}", "subject": f"s{n}", "id": f"0f0f0f0f-0000-4000-8000-{n:012}"}
        for n in range(19)
    ]
    lab.emulator.directory.store.replace(
        entity, {**entity.document, "federatedIdentityCredentials": [own, *others]}
    )
    wanted = federated("ingest", "backup")
    await lab.patch("fhirapp", workload, {"spec": {"credential": wanted}})
    assert (await lab.settle(workload)).result == "stalled"
    assert (await lab.conditions(workload))["Stalled"] == ("True", "CredentialConflict")
    assert len((await lab.application(workload))["federatedIdentityCredentials"]) == 20


async def test_deletion_takes_the_trust_away_first(lab, workload):
    object_id = (await lab.status(workload))["objectId"]
    await lab.delete("fhirapp", workload)
    await lab.settle(workload)
    entity = lab.emulator.directory.store.locate(object_id)
    assert entity.document["federatedIdentityCredentials"] == []


async def works(lab, data):
    """Whether what a Secret said still signs in, whichever type it is of."""
    if "AZURE_CLIENT_SECRET" in data:
        return lab.emulator.directory.accepts(data["AZURE_CLIENT_ID"], data["AZURE_CLIENT_SECRET"])
    if "tls.key" in data:
        return await signs_in(lab, data)
    return not await refusal(lab, data, await token(lab, "ingest"))


TYPES = {
    "secret": {"clientSecret": {}},
    "certificate": CERTIFICATE,
    "federated": federated("ingest"),
}
OF_TYPE = {
    "secret": {"AZURE_CLIENT_SECRET"},
    "certificate": {
        "tls.crt", "tls.key", "tls-combined.pem", "AZURE_CLIENT_CERTIFICATE_THUMBPRINT",
    },
    "federated": set(),
}  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"), [(old, new) for old in TYPES for new in TYPES if old != new]
)
async def test_a_switch_overlaps_and_leaves_no_key_of_the_old_type(lab, trusted_cluster, old, new):
    await lab.ready("Resource")
    name = await lab.ready("Service", credential=TYPES[old])
    before = await lab.secret(name)
    kinds = {key: None for part in TYPES.values() for key in part}
    await lab.patch("fhirapp", name, {"spec": {"credential": kinds | TYPES[new]}})
    await lab.settle(name)
    after = await lab.secret(name)
    assert (await lab.conditions(name))["Ready"] == ("True", "Succeeded")
    every = set().union(*OF_TYPE.values())
    assert every & after.keys() == OF_TYPE[new]
    assert {k: v for k, v in before.items() if k not in every} == {
        k: v for k, v in after.items() if k not in every
    }
    assert await works(lab, after)
    assert await works(lab, before)
    lab.pass_time(timedelta(hours=23))
    await lab.settle(name)
    assert await works(lab, before)
    lab.pass_time(timedelta(hours=2))
    await lab.settle(name)
    assert await works(lab, after)
    assert not await works(lab, before)
    [left] = (await lab.status(name))["credentials"]
    assert left["state"] == "Active"
    assert not (await lab.reconcile(name)).changed
