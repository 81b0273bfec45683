"""``prepare`` in several processes makes the folder of one process, byte for byte, and fails like it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pantoum.data import prepare as preparing
from pantoum.data import text_reader, tokenizing
from pantoum.data.prepare import prepare
from pantoum.data.workers import Workers
from pantoum.errors import PantoumError, StorageError, TextError
from pantoum.formats import durable
from pantoum.text import pieces
from pantoum.text.word import WordTokenizer

STORY = "".join(f"The {i % 37}th day: «naïve» café — 中 {i * i}.\n" for i in range(300))
TEXTS = st.text(st.sampled_from("aab  \n\t.,1é中"), min_size=40, max_size=600)


@pytest.fixture(scope="module")
def several() -> Iterator[Workers]:
    """Workers that all tests of this file share: to start them takes longer than what they do."""
    with Workers(2) as found:
        yield found


@pytest.fixture(autouse=True)
def shared(several: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    class Shared:
        def __init__(self, count: int) -> None:
            self.across = several.across

        def __enter__(self) -> Shared:
            return self

        def __exit__(self, *given: object) -> None:
            pass

    monkeypatch.setattr(tokenizing, "Workers", Shared)
    monkeypatch.setattr(text_reader, "BLOCK", 100)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def by_one_and_two(text: str, folder: Path, **asked: Any) -> tuple[dict[str, bytes], dict[str, bytes]]:
    path = folder / "book.txt"
    path.write_bytes(text.encode())
    for count in (1, 2):
        prepare([path], out=folder / str(count), processes=count, **asked)
    return content(folder / "1"), content(folder / "2")


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    TEXTS,
    st.sampled_from(["words", "words:whitespace", "bpe:270", "bpe:whitespace:270"]),
    st.sampled_from([None, "lines"]),
    st.integers(1, 50),
)
def test_the_folder_is_the_same(text: str, tokens: str, documents: str | None, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(pieces, "MOST_PIECES", most)
        patch.setattr(text_reader, "BLOCK", 7)
        try:
            one, two = by_one_and_two(text, Path(folder), tokens=tokens, documents=documents)
        except TextError as error:
            assert "too short" in str(error)
            return
    assert one == two


@pytest.mark.parametrize("tokens", ["words", "bpe:300"])
@pytest.mark.parametrize("documents", [None, "lines", "files"])
def test_the_folder_is_the_same_whether_words_fit_the_table_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokens: str, documents: str | None
) -> None:
    monkeypatch.setattr("pantoum.data.held_out.MOST_CHARACTERS", 900)
    monkeypatch.setattr("pantoum.data.held_out.MOST_TOKENS", 150)
    for most in (600_000, 60):
        monkeypatch.setattr(pieces, "MOST_PIECES", most)
        (tmp_path / str(most)).mkdir()
        one, two = by_one_and_two(STORY, tmp_path / str(most), tokens=tokens, documents=documents)
        assert one == two and len(one) == 1


def test_a_given_tokenizer_encodes_the_same(tmp_path: Path) -> None:
    tokenizer = WordTokenizer("words", ["The", " day", ":", "\n", " 中"])
    one, two = by_one_and_two(STORY, tmp_path, tokenizer=tokenizer, valid=None)
    assert one == two
    assert preparing.open_prepared(tmp_path / "2").facts["train"]["unknown"] > 100


def test_progress_is_told_as_by_one_process(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(STORY)
    told: dict[int, list[tuple[int, int]]] = {1: [], 2: []}
    for count, seen in told.items():
        prepare([tmp_path / "t"], tokens="words", out=tmp_path / str(count), processes=count,
                report=lambda *done, seen=seen: seen.append(done))  # fmt: skip
    assert told[1] == told[2] and told[1][-1][0] == told[1][-1][1]


@pytest.mark.parametrize("tokens", ["bytes", "characters", "auto"])
def test_where_nothing_is_split_processes_have_no_effect_and_that_is_said(
    tmp_path: Path, tokens: str
) -> None:
    one, two = by_one_and_two(STORY, tmp_path, tokens=tokens)
    assert one == two
    notes = prepare([tmp_path / "book.txt"], tokens=tokens, out=tmp_path / "3", processes=3).notes
    assert any("processes 3 has no effect" in note for note in notes)


def test_a_full_disk_and_bytes_that_are_no_utf8_are_the_same_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(STORY.encode() + b"\xff" + STORY.encode())
    told = []
    for count in (1, 2):
        with pytest.raises(TextError) as error:
            prepare([path], tokens="words", out=tmp_path / "out", processes=count)
        told.append(str(error.value))
        assert list((tmp_path / "out").iterdir()) == []
    assert told[0] == told[1] and "is not UTF-8: byte 0xff" in told[0]

    class Full(durable.System):
        def write(self, descriptor: int, data: durable.Bytes) -> int:
            raise OSError(28, "No space left on device")

    path.write_text(STORY)
    monkeypatch.setattr(durable, "system", Full())
    with pytest.raises(StorageError, match="the disk is full"):
        prepare([path], tokens="words", out=tmp_path / "out", processes=2)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_vanishes_is_the_same_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t").write_text(STORY)
    real = tokenizing.tokenize

    def removed(*given: Any, **named: Any) -> None:
        (tmp_path / "t").unlink()
        real(*given, **named)

    monkeypatch.setattr(preparing, "tokenize", removed)
    with pytest.raises(TextError, match=r"cannot read .*: there is no such file"):
        prepare([tmp_path / "t"], tokens="words", out=tmp_path / "out", processes=2)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("whom", ["parent", "worker"])
def test_ctrl_c_and_a_killed_worker_leave_nothing_half(tmp_path: Path, whom: str) -> None:
    """The whole command, with workers of its own."""
    text = tmp_path / "big.txt"
    text.write_bytes(STORY.encode() * 2000)
    command = [sys.executable, "-m", "pantoum", "prepare", str(text), "--tokens", "words", "--processes", "2"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "out")], stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    end = time.monotonic() + 120
    while not (found := children(process.pid)) and time.monotonic() < end and process.poll() is None:
        time.sleep(0.01)
    assert found
    if whom == "parent":
        os.killpg(process.pid, signal.SIGINT)
    else:
        os.kill(found[0], signal.SIGKILL)
    _, told = process.communicate(timeout=120)
    lines = [line for line in told.splitlines() if line.startswith("pantoum")]
    if whom == "parent":
        assert process.returncode == 130 and lines[-1] == "pantoum prepare: interrupted"
    else:
        assert process.returncode == 1 and "has ended by SIGKILL" in lines[-1]
    assert "Traceback" not in told
    assert list((tmp_path / "out").iterdir()) == []
    while any(map(running, found)) and time.monotonic() < end:  # one that was just starting reads its end
        time.sleep(0.02)
    assert not any(map(running, found))


def running(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    try:
        files = list(Path(f"/proc/{process}/task").glob("*/children"))
        return [int(number) for file in files for number in file.read_text().split()]
    except OSError:
        return []


def test_no_number_of_processes_but_a_whole_one(tmp_path: Path) -> None:
    import pantoum

    (tmp_path / "t").write_text(STORY)
    for wrong in (0, -1, 1.5, "many", None, 10**9):
        with pytest.raises(PantoumError, match="processes is"):
            pantoum.prepare(tmp_path / "t", tmp_path / "out", processes=wrong)  # type: ignore[arg-type]
