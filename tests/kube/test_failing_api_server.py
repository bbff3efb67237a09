"""An API server that fails: each request is sent once, and the failure is told at once."""

from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from fhir_app_operator.errors import Waiting
from fhir_app_operator.kube.access import ClusterAccess
from fhir_app_operator.kube.api_server import ApiServer, Request

PATH = "/api/v1/namespaces/clinic"
KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{token: t}}}}]
"""


@asynccontextmanager
async def failing(tmp_path, status):
    """Yield the gateway to a server that answers with `status` and a list of what it was asked."""
    asked = []

    async def fail(request):
        asked.append(request.method)
        return web.json_response({"kind": "Status"}, status=status)

    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", fail)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG.format(port=runner.addresses[0][1]))
    api = await ApiServer.connect(ClusterAccess(kubeconfig=kubeconfig))
    try:
        yield api, asked
    finally:
        await api.close()
        await runner.cleanup()


@pytest.mark.parametrize("status", [500, 503, 504, 429])
@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
async def test_a_failure_is_told_after_one_request(tmp_path, method, status):
    async with failing(tmp_path, status) as (api, asked):
        with pytest.raises(Waiting, match=f"HTTP {status}"):
            await api.send(Request(method=method, path=PATH, what="Namespace 'clinic'"))
        assert asked == [method]
