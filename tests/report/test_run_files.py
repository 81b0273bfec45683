"""A run is read back without disturbing it, followed while it goes on, and left when it has ended."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.errors import RunError
from pantoum.formats import metrics_file, model_file
from pantoum.formats.run_lock import RunLock
from pantoum.report import story
from pantoum.report.story import follow, latest, read

Make = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def folder(tmp_path: Path, config: dict[str, Any]) -> Path:
    path = tmp_path / "book"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    return path


def write(folder: Path, records: list[dict[str, Any]]) -> None:
    for each in records:
        metrics_file.append(folder / "metrics.jsonl", each)


def test_a_run_s_story(folder: Path, make_records: Make, evaluation: dict[str, Any]) -> None:
    write(folder, make_records(9))
    weights = {"head.weight": np.zeros((2, 2), np.float32)}
    model = model_file.ModelFile({}, weights, {"kind": "bytes"}, {"validation": evaluation}, {})
    model_file.write(folder / "model.safetensors", model)
    story = read(folder)
    assert story.name == "book" and len(story.records) == 9 and story.config["parameters"] == 4137570
    assert story.score("bits_per_byte") == 1.945
    assert read(folder, validation=False).evaluation is None


def test_a_run_that_has_just_begun(folder: Path) -> None:
    story = read(folder)
    assert story.records == [] and story.evaluation is None


def test_a_damaged_model_costs_only_its_figures(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"no model")
    assert read(folder).evaluation is None


@pytest.mark.parametrize("what", ["missing", "file", "empty"])
def test_what_is_no_run_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what == "file":
        path.write_text("")
    elif what == "empty":
        path.mkdir()
    with pytest.raises(RunError, match="give the folder of a run") as caught:
        read(path)
    assert "\n" not in str(caught.value) and "'" in str(caught.value)


def test_a_config_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config\.json cannot be used"):
        read(folder)
    (folder / "config.json").write_text("[]")
    assert read(folder).config == {}


class Clock:
    """Time that passes only by sleeping; at each sleep the next thing happens."""

    def __init__(self, *happenings: Callable[[], object]) -> None:
        self.now, self.left, self.slept = 0.0, list(happenings), []  # type: ignore[var-annotated]

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        assert len(self.slept) < 100
        if self.left:
            self.left.pop(0)()


def seen(folder: Path, clock: Clock) -> list[tuple[int, str | None, bool]]:
    return [(len(h), h.ended, over) for h, over in follow(folder, sleep=clock.sleep, clock=clock)]


def test_following_a_run_to_its_end(folder: Path, make_records: Make) -> None:
    records = make_records(3)
    lock = RunLock(folder)
    lock.acquire()
    clock = Clock(
        lambda: write(folder, records[:2]), lambda: None, lambda: write(folder, records[2:]), lock.release
    )
    assert seen(folder, clock) == [
        (0, None, False),
        (2, None, False),
        (3, "finished", False),
        (3, "finished", True),
    ]


def test_a_finished_run_is_over_at_once(folder: Path, make_records: Make) -> None:
    write(folder, make_records(3))
    assert seen(folder, Clock()) == [(3, "finished", True)]


def test_a_killed_run_is_over_after_a_while(folder: Path, make_records: Make) -> None:
    write(folder, make_records(9, 4))
    (folder / ".lock").write_text(json.dumps({"host": socket.gethostname(), "pid": 2**22 + 1}))
    clock = Clock()
    assert seen(folder, clock) == [(4, None, False), (4, None, True)]
    assert clock.now >= story.PATIENCE


def test_a_run_on_another_machine_is_followed_until_its_last_word(folder: Path, make_records: Make) -> None:
    (folder / ".lock").write_text(json.dumps({"host": "elsewhere.invalid", "pid": os.getpid()}))
    write(folder, make_records(9, 4))
    clock = Clock(*[lambda: None] * 20, lambda: write(folder, make_records(9)[4:]))
    assert seen(folder, clock)[-1] == (9, "finished", True)


def test_a_resumed_run_whose_log_was_cut_is_read_anew(folder: Path, make_records: Make) -> None:
    records = make_records(5)
    write(folder, records[:4])
    with RunLock(folder):
        clock = Clock(lambda: metrics_file.truncate_after(folder / "metrics.jsonl", 2))
        histories = follow(folder, sleep=clock.sleep, clock=clock)
        assert [len(next(histories)[0]) for _ in range(2)] == [4, 2]


def test_the_newest_record(folder: Path, make_records: Make) -> None:
    with pytest.raises(RunError, match="no record yet"):
        latest(folder)
    write(folder, make_records(20))
    assert latest(folder)["step"] == 20
