"""Pictures by matplotlib: what is drawn, on whose axes, and what is said where it is missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from pantoum.errors import PantoumError
from pantoum.report import plotted
from pantoum.report.comparison import comparison
from pantoum.report.plotted import plot_comparison, plot_run
from pantoum.report.story import Story

Make = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def story(make_records: Make, config: dict[str, Any], evaluation: dict[str, Any]) -> Story:
    return Story("book", config, make_records(20), evaluation)


@pytest.fixture
def ax() -> Any:
    figure = pytest.importorskip("matplotlib.figure")  # without pyplot: no window system is asked
    return figure.Figure().subplots()


@pytest.mark.parametrize(
    ("by", "label"), [("time", "seconds"), ("tokens", "characters trained on, log scale")]
)
def test_a_run_is_its_two_curves(story: Story, ax: Any, by: str, label: str) -> None:
    assert plot_run(story, by, ax) is ax
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert {"training", "validation"} <= set(lines)
    assert len(lines["validation"].get_xdata()) == 10
    assert (ax.get_xlabel(), ax.get_ylabel()) == (label, "nats per character")


def test_runs_on_the_same_axes_are_told_apart(story: Story, ax: Any) -> None:
    other, third = (dataclasses.replace(story, name=name) for name in ("second", "third"))
    for each in (story, other, third):
        plot_run(each, "time", ax)
    curves = {line.get_label(): line.get_color() for line in ax.get_lines() if ", " in line.get_label()}
    runs = ("book", "second", "third")
    assert list(curves) == [f"{name}, {run}" for run in runs for name in ("training", "validation")]
    assert len(set(curves.values())) == 4
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(curves)


def test_a_run_without_records_is_an_empty_picture(ax: Any) -> None:
    assert plot_run(Story("book"), "time", ax) is ax


def test_a_comparison_is_a_row_per_group(story: Story, ax: Any) -> None:
    plot_comparison(comparison([story, story], ["runs/a", "runs/b"]), ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["runs/a"]
    assert "bits per byte" in ax.get_xlabel()


def test_what_to_install_is_said(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plotted, "find_spec", lambda name: None)
    with pytest.raises(PantoumError, match="pip install matplotlib"):
        plot_run(story)
    with pytest.raises(PantoumError, match="by is 'steps'"):
        plot_run(story, "steps")
