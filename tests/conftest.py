"""What every test may use: the local control plane, one for each pytest process.

Not here: fixtures of one package's tests, which are in that folder's conftest.
"""

import asyncio
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from dev.cluster.control_plane import ControlPlane, running_control_plane

# Without this pytest-asyncio 1.5 leaks an event loop where sync and async tests mix, and the
# warning about it, an error here, ends the run with a misleading message.
asyncio.set_event_loop(None)

# No test may depend on how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def show(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - a first build takes minutes

    with running_control_plane(log=show) as cluster:
        yield cluster
