"""What every test may use: the local control plane, one for each pytest process; who runs what.

Not here: fixtures of one package's tests, which are in that folder's conftest.
"""

import asyncio
import sys
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

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


_TOGETHER: Final = {
    "tests/e2e/": "e2e",
    "tests/kills/": "kills",
    "tests/image/": "image",
    "tests/controller/test_outages.py": "outages",
    "tests/controller/test_reactions.py": "reactions",
    "tests/consumers/test_azure_identity.py": "azure-sdk",
    "tests/emulator/test_azure_sdk.py": "azure-sdk",
}
"""What shares something that takes long to start, and is run by one process."""


class _Scheduling(LoadScopeScheduling):
    """Hands out tests one by one, but for those that belong together.

    The mark `xdist_group` would say so where it is, and has no effect with pytest 9.2
    (pytest-xdist#1386): every process then starts everything.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((name for path, name in _TOGETHER.items() if nodeid.startswith(path)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _Scheduling | None:
    return _Scheduling(config, log) if config.getvalue("dist") == "loadgroup" else None
