"""A prepared folder is of one text or the next, whoever prepares it and wherever that is killed."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from pantoum.data.prepare import are_removed, open_prepared, prepare, remove_tokens
from pantoum.errors import ShardError
from pantoum.formats import durable
from pantoum.formats.run_lock import waited_for

NAME = "prepared.safetensors"


def text(folder: Path, name: str, letters: str) -> Path:
    path = folder / name
    path.write_text("".join(f"{letters} {number}\n" for number in range(80)))
    return path


def told(folder: Path) -> str:
    """The text that the folder holds, both parts."""
    found = open_prepared(folder)
    valid = np.zeros(0, np.uint8) if found.valid is None else found.valid.tokens
    return found.tokenizer.decode(found.train.tokens) + found.tokenizer.decode(valid)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class KilledError(BaseException):
    """What a process that is killed never sees."""


class Killing(durable.System):
    """Stops for good after some system calls: nothing is cleaned up, as after SIGKILL."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __getattribute__(self, name: str) -> object:
        found = object.__getattribute__(self, name)
        if name in ("left", "__class__") or not callable(found):
            return found
        self.left -= 1
        if self.left < 0:
            raise KilledError
        return found


@pytest.mark.parametrize("valid_fraction", [0.1, 0.0])
def test_a_killed_re_preparation_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valid_fraction: float
) -> None:
    old, new = text(tmp_path, "old", "abc"), text(tmp_path, "new", "xyzw")
    good = tmp_path / "good"
    prepare([old], out=good)
    found, left = [], -1
    while not found or found[-1] != "finished":
        left += 1
        place = tmp_path / f"place-{left}"
        shutil.copytree(good, place)
        with monkeypatch.context() as patch:
            patch.setattr(durable, "system", Killing(left))
            try:
                prepare([new], out=place, valid_fraction=valid_fraction)
                found.append("finished")
            except KilledError:
                pass
        holds = told(place)
        assert holds in (old.read_text(), new.read_text())
        if not found or found[-1] != "finished":
            found.append("old" if holds == old.read_text() else "new")
        again = prepare([new], out=place, valid_fraction=valid_fraction)
        assert again.facts["valid_fraction"] == valid_fraction
        assert told(place) == new.read_text() and names(place) == [NAME]
        shutil.rmtree(place)
    assert found.count("old") > 8 and found.count("new") >= 1
    assert found == sorted(found, key=["old", "new", "finished"].index)


def test_eight_at_once_make_it_once_and_all_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pantoum.data import prepare as module

    book, made, real = text(tmp_path, "book", "abc"), [], module.tokenize
    monkeypatch.setattr(
        module, "tokenize", lambda *given, **named: (made.append(1), real(*given, **named))[1]
    )
    results: list[object] = []

    def one() -> None:
        try:
            results.append(prepare([book], out=tmp_path / "out").train.count)
        except BaseException as error:
            results.append(error)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1 and isinstance(results[0], int) and len(results) == 8
    assert len(made) == 1 and names(tmp_path / "out") == [NAME]


def test_who_waits_says_so(tmp_path: Path) -> None:
    book, out = text(tmp_path, "book", "abc"), tmp_path / "out"
    out.mkdir()
    with waited_for(out) as waited:
        assert not waited
        done: list[list[str]] = []
        thread = threading.Thread(target=lambda: done.append(prepare([book], out=out).notes))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and not done
    thread.join()
    assert any(note.startswith("waited for another command that prepared") for note in done[0])


def test_who_reads_a_folder_that_is_made_again_reads_on_what_was_there(tmp_path: Path) -> None:
    old, new, out = text(tmp_path, "old", "ab"), text(tmp_path, "new", "xy"), tmp_path / "out"
    before = prepare([old], out=out)
    assert told(open_prepared(out, [new]).folder or out) == new.read_text()
    assert old.read_text().startswith(before.tokenizer.decode(before.train.read(0, 300)))


def test_opening_what_was_never_prepared_is_told_and_makes_nothing(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ShardError, match="holds no prepared text"):
            open_prepared(folder)
    assert names(tmp_path) == []


def test_tokens_that_are_removed_leave_what_they_were_made_from(tmp_path: Path) -> None:
    old, out = text(tmp_path, "old", "ab"), tmp_path / "out"
    prepare([old], out=out)
    whole = (out / NAME).read_bytes()
    assert remove_tokens(out, [old], None) and are_removed(out)
    assert (out / NAME).stat().st_size < len(whole) - 500
    with pytest.raises(ShardError, match="has no tokens: a finished run keeps none unless --keep-data"):
        open_prepared(out)
    prepare([old], out=out)
    assert (out / NAME).read_bytes() == whole
