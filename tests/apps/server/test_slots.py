"""Who gets a slot: the client and the job that have fewest; and who gives one up for them, and after how
long."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pantoum.apps.server.job import CHECK, SLICE, Slots


class Waiting(SimpleNamespace):
    """A job; two are never the same."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def job(client: str = "a", since: float = 0.0) -> Any:
    return Waiting(client=client, held=0, since=since)


@pytest.fixture
def slots() -> Slots:
    return Slots(3)


def test_a_free_slot_goes_to_the_client_and_the_job_with_fewest(slots: Slots) -> None:
    first, second, other = job(), job(), job("b")
    for one in (first, second, other):
        slots.wait(one)
    given = []
    while slots.taken < slots.count:
        found = slots.next()
        assert found is not None
        slots.take(found)
        given.append(found)
    assert given == [first, other, second]


@pytest.mark.parametrize(("held", "after"), [(1, SLICE), (2, SLICE / 2), (3, SLICE / 3)])
def test_who_has_more_makes_room_the_sooner(slots: Slots, held: int, after: float) -> None:
    holder, waiting = job(), job()
    for _ in range(held):
        slots.take(holder)
    slots.wait(waiting)
    assert slots.who_makes_room(waiting, [holder], after - 1e-3) is None
    assert slots.who_makes_room(waiting, [holder], after + CHECK) is holder


def test_a_client_with_many_small_jobs_makes_room_for_another_one(slots: Slots) -> None:
    crowd, waiting = [job(since=number / 100) for number in range(3)], job("b")
    for one in crowd:
        slots.take(one)
    slots.wait(waiting)
    assert slots.who_makes_room(waiting, crowd, SLICE / 3 + 1e-3) is crowd[0]


def test_nobody_makes_room_for_a_job_that_has_as_much(slots: Slots) -> None:
    holder, waiting = job(), job()
    slots.take(holder)
    slots.take(waiting)
    slots.wait(waiting)
    assert slots.who_makes_room(waiting, [holder, waiting], 1000.0) is None


def test_it_is_checked_for_somebody_only_now_and_then(slots: Slots) -> None:
    holder, waiting = job(), job()
    for _ in range(3):
        slots.take(holder)
    assert not slots.may_change(1000.0)
    slots.wait(waiting)
    assert slots.may_change(1000.0)
    assert slots.who_makes_room(waiting, [], 1000.0) is None
    assert not slots.may_change(1000.0 + CHECK / 2)
    assert slots.who_makes_room(waiting, [holder], 1000.0 + CHECK / 2) is None
    assert slots.may_change(1000.0 + 2 * CHECK)
