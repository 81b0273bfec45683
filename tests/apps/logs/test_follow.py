"""A log that is read as it grows: every line once, whatever rotates, cuts or restarts it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pantoum.apps.logs.follow import Follower, Place
from pantoum.errors import TextError


class StopError(Exception):
    """The script of a test has ended."""


def read(path: Path, *steps: Callable[[], object], place: Place | None = None) -> tuple[list[str], Follower]:
    """The lines that a follower reads while these steps happen, one each time it has read everything."""
    rest: Iterator[Callable[[], object]] = iter(steps)

    def wait() -> None:
        step = next(rest, None)
        if step is None:
            raise StopError
        step()

    follower, found = Follower(path, place, wait), b""
    with pytest.raises(StopError):
        for part in follower.parts():
            found += part
    return found.decode().splitlines(), follower


def append(path: Path, text: str) -> Callable[[], object]:
    def step() -> None:
        with path.open("a") as file:
            file.write(text)

    return step


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text("a\nb\n")
    return path


def test_lines_come_when_they_are_whole(log: Path) -> None:
    lines, follower = read(log, append(log, "c"), append(log, "d\ne"), append(log, "\n"))
    assert lines == ["a", "b", "cd", "e"] and follower.place.lines == 4 and follower.starts == [0]


@pytest.mark.parametrize("late", ["", "late\n"])
def test_a_renamed_file_is_read_to_its_end(log: Path, late: str) -> None:
    old = log.with_name("app.log.1")
    lines, follower = read(
        log, lambda: log.rename(old), append(old, "c\nd"), append(old, late), append(log, "e\n"), lambda: None
    )
    assert lines == ["a", "b", "c", *(f"d{late}".splitlines()), "e"]
    assert follower.place.lines == 1 and follower.starts == [0, 4]


def test_an_empty_new_file_does_not_end_the_old_one(log: Path) -> None:
    old = log.with_name("app.log.1")
    lines, _ = read(
        log, lambda: log.rename(old), log.touch, append(old, "c\n"), append(log, "d\n"), lambda: None
    )
    assert lines == ["a", "b", "c", "d"]


@pytest.mark.parametrize("new", ["c\n", "longer than before\n"])
def test_a_file_that_was_cut_is_read_anew(log: Path, new: str) -> None:
    lines, follower = read(log, lambda: log.write_text(new), append(log, "d\n"))
    assert lines == ["a", "b", new.strip(), "d"] and follower.starts == [0, 2]


def test_what_was_copied_before_a_cut_is_read(log: Path) -> None:
    def copy_and_cut() -> None:
        log.with_name("app.log.1").write_text(log.read_text() + "c\n")
        log.write_text("d\n")

    assert read(log, copy_and_cut, lambda: None)[0] == ["a", "b", "c", "d"]


def test_a_restart_goes_on_where_it_was(log: Path) -> None:
    _, first = read(log)
    append(log, "c\n")()
    place = Place.from_plain(first.place.plain())
    lines, second = read(log, append(log, "d\n"), place=place)
    assert lines == ["c", "d"] and (second.lines, second.starts) == (4, [0])


def test_a_restart_reads_what_was_rotated_meanwhile(log: Path) -> None:
    _, first = read(log)
    append(log, "c\n")()
    for number, text in enumerate(["d\n", "e\n", "f\n"], 1):
        log.rename(log.with_name(f"app.log.{9 - number}"))
        log.write_text(text)
        os.utime(log, ns=(number * 10**9, number * 10**9))
    os.utime(log.with_name("app.log.8"), ns=(0, 0))
    log.with_name("app.log.notes").mkdir()
    lines, second = read(log, place=first.place)
    assert lines == ["c", "d", "e", "f"] and second.starts == [0, 3, 4, 5]


def test_a_restart_knows_a_file_that_was_empty(log: Path) -> None:
    log.write_text("")
    _, first = read(log)
    append(log, "a\n")()
    log.rename(log.with_name("app.log.1"))
    log.write_text("b\n")
    assert read(log, place=first.place)[0] == ["a", "b"]


def test_a_place_that_is_gone_is_said(log: Path) -> None:
    _, first = read(log)
    log.write_text("other\n")
    with pytest.warns(UserWarning, match="from its beginning"):
        assert read(log, place=first.place)[0] == ["other"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="no such file"):
        Follower(tmp_path / "missing.log")


def test_places_that_cannot_be_are_refused() -> None:
    for wrong in ({}, {**Place().plain(), "offset": -1}, {**Place().plain(), "offset": 9}):
        with pytest.raises((KeyError, ValueError)):
            Place.from_plain(wrong)
