"""An emulator for the session; for each module and each way to attach, a signed-in Azure CLI."""

from collections.abc import Iterator

import pytest

from entra_emulator import ADMIN_CLIENT_ID, GRAPH_APP_ID, TENANT_ID, Emulator, Seeds
from entra_emulator.constants import GRAPH_APP_ROLES
from entra_emulator.server import serve
from entra_emulator.tunnel import lead_to
from tests.clients.azure_cli import PROGRAM, AzureCli, Emulated
from tests.emulator.checked_app import Checked

SECRET = "admin-secret"


@pytest.fixture(scope="session")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    assert PROGRAM.exists(), "Azure CLI is not installed: run `make test-clients`"
    emulator = Emulator(admin=True, seeds=Seeds(admin_secret=SECRET))
    checked = emulator.app = Checked(emulator.app)
    with serve(emulator) as running, lead_to(running.port) as proxy:
        ca_file = tmp_path_factory.mktemp("tls") / "ca.pem"
        ca_file.write_bytes(running.ca_pem)
        made = Emulated(running, proxy, ca_file, ADMIN_CLIENT_ID, SECRET)
        permit_directory_reads(made)
        yield made
    assert checked.problems == []


def permit_directory_reads(emulated: Emulated) -> None:
    """Grant the administrator's tool what setting owners needs besides writing applications."""
    with emulated.http() as client:
        form = {
            "grant_type": "client_credentials",
            "client_id": emulated.admin_id,
            "client_secret": emulated.admin_secret,
            "scope": f"{GRAPH_APP_ID}/.default",
        }
        token = client.post(f"/{TENANT_ID}/oauth2/v2.0/token", data=form).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        ids = {
            app_id: client.get(f"/v1.0/servicePrincipals(appId='{app_id}')").json()["id"]
            for app_id in (emulated.admin_id, GRAPH_APP_ID)
        }
        body = {
            "principalId": ids[emulated.admin_id],
            "resourceId": ids[GRAPH_APP_ID],
            "appRoleId": GRAPH_APP_ROLES["Directory.Read.All"],
        }
        path = f"/v1.0/servicePrincipals/{ids[GRAPH_APP_ID]}/appRoleAssignedTo"
        client.post(path, json=body).raise_for_status()


@pytest.fixture(scope="module", params=["stock names", "own cloud"])
def az(
    request: pytest.FixtureRequest,
    emulated: Emulated,
    tmp_path_factory: pytest.TempPathFactory,
) -> AzureCli:
    """Azure CLI in the hands of the administrator."""
    home = tmp_path_factory.mktemp("home")
    made = AzureCli(emulated, home, own_cloud=request.param == "own cloud")
    made.login(emulated.admin_id, "--password", emulated.admin_secret)
    return made


@pytest.fixture
def stranger(az: AzureCli) -> AzureCli:
    """Azure CLI in the hands of somebody who has not signed in yet."""
    return az.elsewhere()
