"""The curve in a terminal: exact size, dots where the losses are, lines that differ without colour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.report.loss import by_time, by_tokens
from pantoum.report.plot import BARS, plot, sparkline
from pantoum.report.story import RunHistory

Make = Callable[..., list[dict[str, Any]]]


def lines(view: Any, width: int, height: int) -> list[str]:
    return ["".join(text for text, _ in row) for row in plot(view, width, height)]


@settings(max_examples=40)
@given(width=st.integers(0, 120), height=st.integers(0, 40), upto=st.integers(0, 20))
def test_every_row_has_the_width_that_was_asked(width: int, height: int, upto: int) -> None:
    records = [
        {"step": i, "tokens": 10 * i, "seconds": i, "loss": 5 / i, "valid": 6 / i} for i in range(1, upto + 1)
    ]
    for view in (by_time, by_tokens):
        rows = lines(view(RunHistory.of(records)), width, height)
        assert len(rows) == (height if width >= 16 and height >= 3 else 0)
        assert all(len(row) == width for row in rows)


def test_a_falling_line_goes_from_the_top_left_to_the_bottom_right() -> None:
    records = [{"step": i, "tokens": i, "seconds": i, "loss": 100 - i} for i in range(1, 101)]
    rows = [row[7:] for row in lines(by_time(RunHistory.of(records)), 47, 12)[:-2]]
    places = [row.find(row.strip()[0]) for row in rows if row.strip()]
    assert places == sorted(places) and rows[-1].rstrip() and len(places) >= 8


def test_the_lines_differ_without_colour(make_records: Make) -> None:
    rows = plot(by_time(RunHistory.of(make_records())), 80, 20)
    dots = {kind: sum(bin(ord(c) - 0x2800).count("1") for row in rows for text, k in row if k == kind
                      for c in text if c >= "\u2800") for kind in ("training", "validation")}  # fmt: skip
    assert 0 < dots["validation"] < 0.6 * dots["training"]


def test_ticks_name_both_axes(make_records: Make) -> None:
    rows = lines(by_time(RunHistory.of(make_records())), 60, 16)
    assert sum("┤" in row for row in rows) >= 3
    assert rows[-1].split()[0] == "0:00" and "┬" in rows[-2]
    assert "0:00" not in "".join(lines(by_time(RunHistory(())), 60, 16))


def test_one_record_is_one_dot() -> None:
    history = RunHistory.of([{"step": 1, "tokens": 5, "seconds": 5.0, "loss": 2.0}])
    assert sum("\u2801" <= c <= "\u28ff" for row in lines(by_time(history), 40, 10) for c in row) == 1


def test_the_least_is_lowest_and_the_most_highest() -> None:
    assert sparkline([1.0, 2.0, 3.0]) == "▁▅█" or sparkline([1.0, 2.0, 3.0]) == "▁▄█"


def test_gaps_flat_curves_and_nothing() -> None:
    assert sparkline([]) == sparkline([None, float("nan")]) == ""
    assert sparkline([1.0, None, float("inf"), 2.0]) == "▁  █"
    assert sparkline([5.0, 5.0]) == BARS[4] * 2
    assert sparkline([0.0, 5e-324]) == "▁█"


@given(st.lists(st.floats(-1e6, 1e6) | st.none(), max_size=300), st.integers(1, 80))
def test_never_wider_than_asked(values: list[float | None], width: int) -> None:
    assert len(sparkline(values, width)) <= width
