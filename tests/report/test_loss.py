"""What a loss curve shows: the whole story by tokens, the end of it by time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pantoum.report.loss import Reference, by_time, by_tokens
from pantoum.report.run_history import RunHistory

Make = Callable[..., list[dict[str, Any]]]
REFERENCES = (Reference("bz2", 1.5), Reference("xz", 5.0))


def test_by_tokens_shows_every_loss_and_every_reference(make_records: Make) -> None:
    view = by_tokens(RunHistory.of(make_records()), REFERENCES, "character")
    losses = [loss for points in view.lines.values() for _, loss in points]
    assert all(0 <= view.y.place(loss) <= 1 for loss in [*losses, 1.5, 5.0])
    assert view.x.log and view.x_title == "characters trained on, log scale"


def test_by_time_is_as_high_as_the_later_losses(make_records: Make) -> None:
    view = by_time(RunHistory.of(make_records()), REFERENCES)
    first = view.lines["training"][0][1]
    assert view.y.most < first
    assert [r.name for r in view.references] == ["bz2"]


def test_a_run_without_held_out_text_has_one_line(make_records: Make) -> None:
    assert list(by_time(RunHistory.of(make_records(valid=None))).lines) == ["training"]


def test_no_records_no_lines() -> None:
    for view in (by_tokens, by_time):
        assert view(RunHistory(())).lines == {}
