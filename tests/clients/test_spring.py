"""Spring Boot, unmodified, as resource server, client and login, with nothing but a Secret.

The presets `Spring` (as variables) and `ServiceBinding` (as files, by spring-cloud-bindings).
"""

import asyncio
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from dev.demo.administrator import administrator_at
from dev.demo.signing_in import Trust
from entra_emulator import ADMIN_CLIENT_ID, TENANT_ID, Emulator, Seeds
from entra_emulator.server import serve
from tests.clients import spring_boot
from tests.clients.spring_boot import SpringBoot
from tests.controller.conftest import cluster, lab
from tests.controller.lab import OPERATOR_SECRET, SPECS
from tests.emulator.checked_app import Checked

__all__ = ["cluster", "lab"]

pytestmark = [
    pytest.mark.control_plane,
    pytest.mark.skipif(
        bool(spring_boot.missing()), reason=f"not installed: {', '.join(spring_boot.missing())}"
    ),
]
ADMIN_SECRET = "admin-secret"
SPRING = {"presets": ["Spring"]}
BINDING = {"presets": ["ServiceBinding"]}
BINDINGS_ON = "-Dorg.springframework.cloud.bindings.boot.enable=true"
GRAPH = "https://graph.microsoft.com/.default"
CALLBACK = "/login/oauth2/code/entra"


@pytest.fixture(scope="session")
def entra():
    emulator = Emulator(
        admin=True, seeds=Seeds(operator_secret=OPERATOR_SECRET, admin_secret=ADMIN_SECRET)
    )
    emulator.app = Checked(emulator.app)
    with serve(emulator) as running:
        yield running


@pytest.fixture(scope="session")
def spring(entra, tmp_path_factory):
    return SpringBoot.build(tmp_path_factory.mktemp("spring"), entra.ca_pem)


@pytest.fixture(params=[1, 2])
async def server(request, lab, spring):
    """The origin of a resource server that knows nothing but its own Secret, by token version."""
    resource = SPECS["Resource"]["resource"] | {"tokenVersion": request.param}
    name = await lab.ready("Resource", secret=SPRING, resource=resource)
    with await entered(spring.running(await lab.secret(name))) as origin:
        yield origin


async def entered(context):
    """A context that takes a while to enter, entered beside the loop that serves the gateways."""
    value = await asyncio.to_thread(context.__enter__)

    class Entered:
        def __enter__(self):
            return value

        def __exit__(self, *error):
            context.__exit__(*error)

    return Entered()


def status(origin, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.get(f"{origin}/who", headers=headers, trust_env=False, timeout=60).status_code


async def test_a_server_lets_its_client_in_and_nobody_else(lab, spring, server):
    data = await lab.secret(await lab.ready("Service", secret=SPRING))
    token = await asyncio.to_thread(spring.token, data)
    assert status(server, token) == 200
    assert status(server) == 401
    graph = {"SPRING_SECURITY_OAUTH2_CLIENT_REGISTRATION_ENTRA_SCOPE": GRAPH}
    assert status(server, await asyncio.to_thread(spring.token, data | graph)) == 401


async def test_a_client_reads_its_secret_as_a_service_binding(lab, spring, server, tmp_path):
    data = await lab.secret(await lab.ready("Service", secret=BINDING))
    projected = tmp_path / "entra"
    projected.mkdir()
    for name, value in data.items():
        (projected / name).write_text(value)
    root = {"SERVICE_BINDING_ROOT": str(tmp_path)}
    token = await asyncio.to_thread(spring.token, root, "entra", BINDINGS_ON)
    assert status(server, token) == 200


@pytest.mark.parametrize(
    ("kind", "platform"), [("Confidential", "web"), ("Public", "publicClient")]
)
async def test_a_user_logs_in(lab, spring, entra, tmp_path, kind, platform):
    await lab.ready("Resource")
    port = free_port()
    redirects = {platform: [f"http://localhost:{port}{CALLBACK}"]}
    name = await lab.ready(kind, secret=SPRING, redirectUris=redirects)
    authority = tmp_path / "ca.pem"
    authority.write_bytes(entra.ca_pem)
    trust = Trust(authority)
    app_id = (await lab.status(name))["appId"]
    await asyncio.to_thread(consent, entra, trust, app_id)
    with await entered(spring.running(await lab.secret(name), port)) as origin:
        who = await asyncio.to_thread(log_in, origin, trust)
    assert who


def consent(entra, trust, app_id):
    where = (entra.origin, TENANT_ID, ADMIN_CLIENT_ID, ADMIN_SECRET)
    with administrator_at(*where, trust) as administrator:
        administrator.consent(app_id)


def log_in(origin, trust):
    """What a browser does: the page, the sign-in as Alice, the way back, the page again."""
    with httpx.Client(verify=trust.context(), trust_env=False, timeout=60) as browser:
        answer = browser.get(f"{origin}/who")
        while answer.is_redirect:
            url = answer.next_request.url
            if urlsplit(str(url)).path.endswith("/authorize"):
                url = url.copy_merge_params({"login_hint": "alice@clinic.example"})
            answer = browser.get(url)
        assert answer.status_code == 200, (answer.url, answer.text[:2000])
        return answer.text


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
