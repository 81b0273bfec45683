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
    """One whose places become free every so many seconds."""
    found = RetryAfter(clock)
    for _ in range(20):
        found.freed()
        clock.now += each
    return found


def test_a_server_that_has_freed_nothing_yet_says_one_second() -> None:
    assert RetryAfter(Clock()).seconds(taken=48) == 1


def test_who_comes_to_a_slow_queue_is_told_to_wait_for_it() -> None:
    assert emptied(Clock(), 0.5).seconds(taken=10) == 5


def test_those_turned_away_before_are_in_front() -> None:
    clock = Clock()
    retry = emptied(clock, 0.1)
    told = [retry.seconds(taken=10) for _ in range(40)]
    assert told[0] == 1 and told == sorted(told) and told[-1] == 5
    clock.now += 10.0
    for _ in range(64):
        retry.freed()
        clock.now += 0.1
    assert retry.seconds(taken=10) == 1


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=80), st.integers(0, 10_000))
def test_it_is_always_a_whole_number_within_bounds(events: list[tuple[bool, float]], taken: int) -> None:
    clock = Clock()
    retry = RetryAfter(clock)
    for freed, seconds in events:
        clock.now += seconds
        if freed:
            retry.freed()
        else:
            assert 1 <= retry.seconds(taken) <= LONGEST
