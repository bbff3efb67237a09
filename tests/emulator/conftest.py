from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from entra_emulator import Emulator, ManualClock, Seeds
from tests.emulator.clinic import Clinic, open_clinic
from tests.emulator.cloud import ADMIN_SECRET, OPERATOR_SECRET, Cloud


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 6, 1, 12, 0, tzinfo=UTC))


@pytest.fixture
def emulator(clock: ManualClock) -> Emulator:
    seeds = Seeds(operator_secret=OPERATOR_SECRET, admin_secret=ADMIN_SECRET)
    return Emulator(clock=clock, admin=True, seeds=seeds)


@pytest.fixture
async def cloud(emulator: Emulator) -> AsyncIterator[Cloud]:
    async with Cloud(emulator) as made:
        yield made


@pytest.fixture
async def clinic(cloud: Cloud) -> Clinic:
    return await open_clinic(cloud)
