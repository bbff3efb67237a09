"""Calls that are shared: one for all who ask at once, and nobody pays for another's end."""

import asyncio

import pytest

from fhir_app_operator.graph.flight import Flight

pytestmark = pytest.mark.looptime


class Service:
    def __init__(self, seconds=1.0, error=None):
        self.seconds = seconds
        self.error = error
        self.calls = 0

    async def ask(self):
        self.calls += 1
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error
        return self.calls


async def test_all_who_ask_at_once_share_a_call_and_the_next_one_makes_a_new_one():
    flight, service = Flight(), Service()
    asked = (flight.join("key", service.ask) for _ in range(5))
    assert await asyncio.gather(*asked) == [1] * 5
    assert await flight.join("key", service.ask) == 2


async def test_different_keys_share_nothing():
    flight, service = Flight(), Service()
    await asyncio.gather(flight.join("a", service.ask), flight.join("b", service.ask))
    assert service.calls == 2


async def test_a_service_that_hangs_costs_everybody_its_time_out_once():
    flight, service = Flight(), Service(seconds=30.0, error=TimeoutError("silent"))
    asked = (flight.join("key", service.ask) for _ in range(50))
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(error) for error in found] == ["silent"] * 50
    assert asyncio.get_running_loop().time() == pytest.approx(30.0)


async def test_the_end_of_who_asked_first_is_not_the_end_of_the_others():
    flight, service = Flight(), Service()
    first = asyncio.create_task(flight.join("key", service.ask))
    other = asyncio.create_task(flight.join("key", service.ask))
    await asyncio.sleep(0.5)
    first.cancel()
    assert await other == 1
    assert service.calls == 1


async def test_an_error_that_nobody_waits_for_any_more_is_no_noise():
    flight, service = Flight(), Service(error=ValueError("late"))
    asked = asyncio.create_task(flight.join("key", service.ask))
    await asyncio.sleep(0.5)
    asked.cancel()
    noise = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, about: noise.append(about))
    await asyncio.sleep(1.0)
    assert noise == []
    assert flight._running == {}
