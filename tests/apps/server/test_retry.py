"""When those who were turned away are asked to come back."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.apps.server.retry import LONGEST, STALE, RetryAfter, ends
from pantoum.apps.server.slots import SLICE

RATE = 100
"""Tokens per second of a slot."""
LATER = 0.125
"""Seconds after which there is a new observation, and a new estimate."""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def observed(clock: Clock, *left: tuple[int, int, int]) -> RetryAfter:
    """One with 4 slots, all in use, whose texts take so much more."""
    found = RetryAfter(4, 40, clock)
    for turn in range(2):
        found.observe(round(turn * 4 * RATE * LATER), True, lambda: left)
        clock.now += LATER * (1 - turn)
    return found


def test_texts_that_began_together_and_take_turns_also_end_together() -> None:
    texts = list(islice(ends([3.0] * 14, 3.0, 8), 14))
    assert texts == sorted(texts)
    assert texts[0] >= 3.0 and texts[4] > 5.0, "one after the other they would have ended after 1.9 s"
    assert texts[-1] == pytest.approx(14 * 3.0 / 8, abs=2 * SLICE)


def test_texts_that_are_shorter_than_a_turn_end_one_after_the_other() -> None:
    texts = list(islice(ends([0.1] * 12, 0.1, 4), 24))
    assert texts == pytest.approx([0.1 * (1 + n // 4) for n in range(24)])


def test_a_server_that_was_not_observed_says_one_second() -> None:
    assert RetryAfter(4, 40, Clock()).seconds(9) == 1


def test_those_turned_away_before_are_in_front() -> None:
    clock = Clock()
    retry = observed(clock, *[(0, 0, 2 * RATE)] * 8)
    told = [retry.seconds(8) for _ in range(40)]
    assert told[0] in (3, 4) and told == sorted(told) and told[-1] >= 2 * 40 / 4
    clock.now += 60.0
    assert retry.seconds(0) == 1


def test_no_more_come_back_together_than_there_is_room_for() -> None:
    clock = Clock()
    retry = observed(clock, *[(0, 0, 1)] * 44)
    told = [retry.seconds(44) for _ in range(120)]
    assert [told.count(wait) for wait in (1, 2, 3)] == [44, 44, 32], "all of them would have ended within 2 s"


def test_who_wants_more_places_waits_for_as_many_ends() -> None:
    clock = Clock()
    left = [(0, 0, 2 * RATE)] * 4
    assert observed(clock, *left).seconds(4) == 2
    assert observed(clock, *left).seconds(4, places=12) == 6


def test_what_is_read_and_what_is_written_already_count() -> None:
    clock = Clock()
    assert observed(clock, *[(5 * RATE, 0, RATE)] * 4).seconds(4) == 6
    assert observed(clock, *[(0, 5 * RATE, 6 * RATE)] * 4).seconds(4) == 1


def test_texts_that_end_before_their_limit_are_expected_to() -> None:
    clock = Clock()
    retry = observed(clock)
    for _ in range(100):
        retry.ended(5, RATE, 10 * RATE)
    clock.now += LATER
    retry.observe(10**6, False, lambda: [(0, 0, 10 * RATE)] * 4)
    assert retry.seconds(4) <= 2


def test_those_that_came_after_the_last_observation_count_too() -> None:
    clock = Clock()
    retry = observed(clock, *[(0, 0, RATE)] * 4)
    retry.ended(0, 3 * RATE, 3 * RATE)
    clock.now += LATER
    retry.observe(10**6, False, lambda: [(0, 0, RATE)])
    assert retry.seconds(1) == 1
    clock.now += LATER
    assert 7 <= retry.seconds(9, places=8) <= 9
    clock.now += STALE
    assert retry.seconds(4) in (2, 3), "nobody knows how far they are: they may have begun now"


@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "observe", "end", "wait"]), st.integers(0, 10**6)), max_size=80
    ),
    st.integers(1, 10_000),
)
def test_it_is_always_a_whole_number_within_bounds(events: list[tuple[str, int]], places: int) -> None:
    clock, done = Clock(), 0
    retry = RetryAfter(4, 40, clock)
    for what, number in events:
        clock.now += LATER if what == "observe" else 0.0
        if what == "observe":
            done += number % 1000
            retry.observe(done, number % 3 > 0, lambda n=number: [(n, n // 7, n)] * (n % 9))  # type: ignore[misc]
        elif what == "end":
            retry.ended(number // 3, min(number, 9), number)
        elif what == "wait":
            clock.now += number / 10**5
        else:
            assert 1 <= retry.seconds(number % 9, places) <= LONGEST
