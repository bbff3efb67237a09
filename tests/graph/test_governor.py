"""The governor under virtual time: quotas kept, urgent work first, a pause for everybody."""

import asyncio

import pytest

from fhir_app_operator.graph.governor import BACKGROUND, Governor

pytestmark = pytest.mark.looptime


def now():
    return asyncio.get_running_loop().time()


async def test_a_burst_goes_through_at_once_and_then_at_the_quotas_rate():
    governor = Governor()
    for _ in range(2850):
        await governor.admit(write=True)
    assert now() == 0.0
    for _ in range(190):
        await governor.admit(write=True)
    assert now() == pytest.approx(10.0, abs=0.2)


async def test_reads_do_not_wait_for_writes():
    governor = Governor()
    for _ in range(2850):
        await governor.admit(write=True)
    blocked = asyncio.create_task(governor.admit(write=True))
    before = now()
    await asyncio.sleep(0)
    reading = asyncio.create_task(governor.admit(write=False))
    await asyncio.wait({reading, blocked})
    assert now() - before < 5.0


async def test_many_at_once_never_overdraw_the_directorys_bucket():
    governor = Governor()
    level, last = 3000.0, 0.0

    async def work():
        nonlocal level, last
        for _ in range(100):
            await governor.admit(write=True)
            level, last = min(3000.0, level + (now() - last) * 20) - 1, now()
            assert level >= 0

    await asyncio.gather(*(work() for _ in range(60)))


async def test_urgent_work_goes_before_background_work():
    governor, order = Governor(), []
    governor.hold(1.0)

    async def call(name, *, background):
        BACKGROUND.set(background)
        await governor.admit(write=False)
        order.append(name)

    await asyncio.gather(
        call("resync", background=True),
        call("user", background=False),
        call("resync too", background=True),
    )
    assert order == ["user", "resync", "resync too"]


async def test_a_pause_is_for_everybody_and_never_shortened():
    governor = Governor()
    governor.hold(30.0)
    governor.hold(5.0)
    assert governor.held_for == 30.0
    await governor.admit(write=False)
    assert now() == pytest.approx(30.0, abs=0.1)


async def test_who_gives_up_does_not_block_the_others():
    governor = Governor()
    governor.hold(10.0)
    impatient = asyncio.create_task(governor.admit(write=False))
    patient = asyncio.create_task(governor.admit(write=False))
    await asyncio.sleep(1.0)
    impatient.cancel()
    await asyncio.wait({patient})
    assert now() == pytest.approx(10.0, abs=0.1)
