"""`explain` as its users see it: what is missing, and what the server would answer."""

import json

import pytest

from fhir_app_operator.controller import commands
from fhir_app_operator.controller import explain as explaining
from fhir_app_operator.errors import Stalled
from fhir_app_operator.planning.model import ApplicationChanges
from tests.controller.lab import open_lab
from tests.controller.running import own_entra
from tests.controller.test_following import pair
from tests.controller.test_managed_servers import READER, SERVICE

pytestmark = pytest.mark.control_plane


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")


@pytest.fixture
async def punctual(cluster):
    """A lab whose directory has the computer's time, by which MSAL dates what it signs."""
    with own_entra() as running:
        async with open_lab(cluster, running) as made:
            yield made
            await made.world.connections.close()


async def explained(lab, capsys, name, *, sign_in=False):
    """Whether the chain is complete, and what was printed."""
    capsys.readouterr()
    complete = await commands.explain(lab.world, lab.namespace, name, sign_in=sign_in)
    return complete, capsys.readouterr().out


def line(shown, start):
    return next(each for each in shown.splitlines() if each.strip().startswith(start))


async def test_a_service_without_its_role_is_told_where_to_consent(lab, capsys):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    complete, shown = await explained(lab, capsys, name)
    assert not complete
    assert " no " in line(shown, "globalReader")
    app_id = (await lab.status(name))["appId"]
    assert line(shown, "Consent:").endswith(f"/adminconsent?client_id={app_id}")
    assert f"https://{lab.namespace}.clinic.example" in line(shown, "aud")


async def test_with_its_role_nothing_is_left_to_do(lab, capsys):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    await lab.grant(name, "globalReader")
    complete, shown = await explained(lab, capsys, name)
    assert complete, shown
    assert " yes " in line(shown, "globalReader")


async def test_a_sign_in_tells_403_before_the_grant_and_lets_in_after_it(lab, capsys):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    complete, shown = await explained(lab, capsys, name, sign_in=True)
    assert not complete
    assert "answers 403: `roles` lacks globalReader" in line(shown, "Sign-in")
    await lab.grant(name, "globalReader")
    complete, shown = await explained(lab, capsys, name, sign_in=True)
    assert complete, shown
    assert "lets it in" in line(shown, "Sign-in")


async def test_a_token_version_that_somebody_changed_is_a_401_that_names_it(lab, capsys):
    server = await lab.ready("Resource")
    name = await lab.ready("Service")
    connection = await lab.connection()
    application = await connection.applications.by_object_id((await lab.status(server))["objectId"])
    changes = ApplicationChanges(token_version=2)
    await connection.applications.update(application, changes, young=False)
    complete, shown = await explained(lab, capsys, name, sign_in=True)
    assert not complete
    assert "answers 401: `aud`" in line(shown, "Sign-in")
    assert "tokenVersion" in line(shown, "iss")


async def test_a_refused_credential_names_the_code_and_the_remedy(lab, capsys):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    document = json.dumps({"stringData": {"AZURE_CLIENT_SECRET": "edited-by-hand"}})
    await lab.patch("secret", name, json.loads(document))
    complete, shown = await explained(lab, capsys, name, sign_in=True)
    assert not complete
    assert "refused, AADSTS7000215" in line(shown, "Sign-in")
    assert "older Secret" in line(shown, "What to do:")


async def test_neither_secret_nor_token_is_shown(lab, capsys):
    await lab.ready("Resource")
    name = await lab.ready("Confidential")
    _, shown = await explained(lab, capsys, name, sign_in=True)
    assert (await lab.secret(name))["AZURE_CLIENT_SECRET"] not in shown
    assert "eyJ" not in shown


async def test_a_users_client_signs_in_as_itself_and_says_so(lab, capsys):
    await lab.ready("Resource")
    name = await lab.ready("Confidential")
    complete, shown = await explained(lab, capsys, name, sign_in=True)
    assert complete, shown
    assert "only a user's token has `scp`" in shown
    assert "each user is asked" in line(shown, "user_impersonation")


async def test_a_client_that_its_server_pre_authorizes_is_said_to_be(lab, capsys):
    clients = {"clients": [{"registrationRef": {"name": "confidential"}}]}
    url = f"https://{lab.namespace}.clinic.example"
    await lab.ready("Resource", resource={"url": url, "preAuthorizedClients": clients})
    name = await lab.ready("Confidential")
    await lab.settle("fhir-server")
    _, shown = await explained(lab, capsys, name)
    assert "by the server" in line(shown, "user_impersonation")


async def test_a_certificate_signs_in_too(punctual, capsys):
    lab = punctual
    await lab.ready("Resource")
    name = await lab.ready("Service", credential={"certificate": {"issue": {}}})
    await lab.grant(name, "globalReader")
    complete, shown = await explained(lab, capsys, name, sign_in=True)
    assert complete, shown
    assert "Certificate, until" in line(shown, "credential")


@pytest.mark.parametrize("kind", ["Resource", "Public"])
async def test_what_cannot_sign_in_by_itself_is_not_tried(lab, capsys, kind):
    await lab.ready("Resource")
    name = "fhir-server" if kind == "Resource" else await lab.ready(kind)
    complete, shown = await explained(lab, capsys, name, sign_in=True)
    assert complete, shown
    assert "Sign-in: a " in shown
    assert line(shown, "iss")


async def test_a_key_in_somebody_elses_secret_is_not_tried(lab, capsys):
    await lab.ready("Resource")
    body = {"metadata": {"name": "tls"}, "type": "kubernetes.io/tls", "stringData": pair()}
    await lab.create("secret", body)
    name = await lab.ready("Service", credential={"certificate": {"secretRef": {"name": "tls"}}})
    _, shown = await explained(lab, capsys, name, sign_in=True)
    assert "not tried: the key is in somebody else's Secret" in shown


async def test_a_reference_that_leads_nowhere_ends_the_chain_with_its_reason(lab, capsys):
    name = await lab.register("Service")
    complete, shown = await explained(lab, capsys, name, sign_in=True)
    assert not complete
    assert "FhirServerNotFound" in line(shown, "what it refers to")
    assert "missing" in line(shown, "application")
    assert "not tried: the chain is not complete" in shown
    await lab.reconcile(name)
    _, shown = await explained(lab, capsys, name)
    assert "FhirServerNotFound" in line(shown, "registration")


async def test_nothing_is_cut_off_where_there_is_little_room(lab, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    await lab.ready("Resource")
    name = await lab.ready("Service")
    _, shown = await explained(lab, capsys, name, sign_in=True)
    assert "…" not in shown
    assert (await lab.status(name))["objectId"] in shown


@pytest.mark.parametrize("columns", ["30", "80", None])
async def test_no_remedy_is_cut_and_no_word_is_broken(lab, capsys, monkeypatch, columns):
    monkeypatch.delenv("COLUMNS")
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    name = await lab.register("Service")
    await lab.reconcile(name)
    complete, shown = await explained(lab, capsys, name)
    assert not complete
    found = await explaining.explain(lab.world, lab.namespace, name, sign_in=False)
    words = {word for link in found.links for word in f"{link.state} {link.remedy}".split()}
    assert words <= set(shown.split()), words - set(shown.split())


async def test_nothing_is_written(lab, capsys):
    await lab.ready("Resource")
    name = await lab.ready("Service")
    before = await lab.read("fhirapp", name), await lab.read("secret", name)
    lab.forget_calls()
    await explained(lab, capsys, name, sign_in=True)
    assert lab.writes() == []
    assert (await lab.read("fhirapp", name), await lab.read("secret", name)) == before


async def test_an_unknown_name_says_so(lab):
    with pytest.raises(Stalled, match="does not exist"):
        await commands.explain(lab.world, lab.namespace, "nobody", sign_in=False)


async def test_on_a_managed_service_the_command_for_azure_is_shown_and_nothing_is_missing(
    lab, capsys
):
    await lab.ready("Resource", resource=SERVICE)
    name = await lab.ready("Service", **READER)
    complete, shown = await explained(lab, capsys, name, sign_in=True)
    assert complete, shown
    assert "see below" in line(shown, "DataPlaneAccess")
    command = line(shown, "DataPlaneAccess:")
    assert "az role assignment create" in command
    assert command.endswith(SERVICE["azureResourceId"])
    assert "roles" not in [each.split()[0] for each in shown.splitlines() if each.split()]
    assert "lets it in" in shown
    assert "Azure decides" in shown
    complete, shown = await explained(lab, capsys, "fhir-server")
    assert complete, shown
    assert SERVICE["url"] in line(shown, "aud")
