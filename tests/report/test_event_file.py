"""``train --tensorboard``: TensorBoard gets the figures of ``metrics.jsonl``, whatever stops the run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.errors import SettingError
from pantoum.report.event_file import EventFile
from pantoum.report.record import Report

TINY = {"hidden_size": 8, "num_layers": 1, "progress": False}
TEXT = "The cat sat on the mat.\n" * 60


def told(run: Path) -> dict[int, dict[str, float]]:
    """The figures by step, as TensorBoard has them: a start hides what was told of later steps before."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[int, dict[str, float]] = {}
    for file in sorted((run / "tensorboard").iterdir(), key=lambda path: path.stat().st_mtime_ns):
        data, place = file.read_bytes(), 0
        while place < len(data):  # its length, a checksum, the event, a checksum
            end = place + 12 + int.from_bytes(data[place : place + 8], "little")
            event, place = Event.FromString(data[place + 12 : end]), end + 4
            if event.HasField("session_log"):
                found = {step: figures for step, figures in found.items() if step < event.step}
            values = {one.tag: one.simple_value for one in event.summary.value if not one.HasField("tensor")}
            found.setdefault(event.step, {}).update(values)
    return found


def test_tensorboard_has_the_figures_of_the_metrics_also_after_a_stop(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    run = tmp_path / "run"
    pantoum.train(text=TEXT, run=str(run), steps=6, stop_after=3, tensorboard=True, **TINY)
    pantoum.train(run=str(run), resume=True, tensorboard=True, progress=False)
    figures, lines = told(run), (run / "metrics.jsonl").read_text().splitlines()
    for record in map(json.loads, lines):
        for name, value in Report.from_dict(record).figures.items():
            if name in ("loss", "learning_rate", "tokens"):
                assert figures[record["step"]][name] == pytest.approx(value)
    assert "valid" in figures[6] and "sampled" not in figures[6]


def record(step: int) -> Report:
    return Report(step, 9, 1.0, float(step), None, None, 1e-3, 9.0, 0.1, 0.2, sample="The cat")


def test_steps_that_are_done_again_are_told_again(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    events = EventFile(tmp_path, 0)
    for step in (2, 4, 3):
        events.write(record(step))
    events.close()
    assert {step for step, figures in told(tmp_path).items() if figures} == {2, 3}


def test_a_run_goes_on_where_no_event_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboardX")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tensorboardX.event_file_writer.EventsWriter", full)
    run = pantoum.train(text=TEXT, run=str(tmp_path / "run"), steps=3, tensorboard=True, **TINY)
    assert run.result.steps == 3
    assert sum("TensorBoard cannot be told" in note for note in run.result.notes) == 1


def test_the_package_is_asked_for_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(SettingError, match=r"pip install 'pantoum\[tensorboard\]'"):
        pantoum.train(text=TEXT, run=str(tmp_path / "run"), steps=3, tensorboard=True)
    assert not (tmp_path / "run").exists()
