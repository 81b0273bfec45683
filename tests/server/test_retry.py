"""When those who were turned away are asked to come back."""

from hypothesis import given
from hypothesis import strategies as st

from pantoum.server.retry import LONGEST, RetryAfter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def emptied(clock: Clock, each: float) -> RetryAfter:
    """One with 4 slots, whose texts took so many seconds for each slot."""
    found = RetryAfter(4, clock)
    for _ in range(20):
        found.freed(4 * each)
    return found


def test_a_server_that_has_freed_nothing_yet_says_one_second() -> None:
    assert RetryAfter(4, Clock()).seconds() == 1


def test_what_takes_long_is_told_also_for_many_places() -> None:
    assert emptied(Clock(), 5.0).seconds() == 5
    assert emptied(Clock(), 0.5).seconds(places=10) == 5


def test_an_idle_hour_before_the_crowd_changes_nothing() -> None:
    clock = Clock()
    retry = emptied(clock, 0.1)
    clock.now += 3600.0
    assert retry.seconds() == 1


def test_where_no_place_becomes_free_it_is_told_longer() -> None:
    clock = Clock()
    retry = emptied(clock, 0.1)
    assert retry.seconds() == 1
    clock.now += 7.0
    assert retry.seconds() == 7
    retry.freed(0.4)
    clock.now += 60.0
    assert retry.seconds() == 1


def test_an_end_that_is_overdue_is_not_multiplied_by_those_who_wait() -> None:
    clock = Clock()
    retry = emptied(clock, 0.03)
    assert retry.seconds() == 1
    clock.now += 0.3
    assert max(retry.seconds() for _ in range(60)) <= 3


def test_those_turned_away_before_are_in_front() -> None:
    clock = Clock()
    retry = emptied(clock, 0.1)
    told = [retry.seconds() for _ in range(39)]
    assert told[0] == 1 and told == sorted(told) and told[-1] == 4
    clock.now += 10.0
    retry.freed(0.4)
    assert retry.seconds() == 1


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=80), st.integers(1, 10_000))
def test_it_is_always_a_whole_number_within_bounds(events: list[tuple[bool, float]], places: int) -> None:
    clock = Clock()
    retry = RetryAfter(4, clock)
    for freed, seconds in events:
        clock.now += seconds
        if freed:
            retry.freed(seconds)
        else:
            assert 1 <= retry.seconds(places) <= LONGEST
