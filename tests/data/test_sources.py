from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pantoum.data.sources import found, open_source
from pantoum.errors import TextError


def names(*texts: Path | str, valid: Path | None = None, keep_in: Path) -> list[str]:
    with found(list(texts), valid, keep_in=keep_in) as sources:
        return [source.name for source in sources.texts]


def test_a_folder_means_its_files_in_the_order_of_their_paths_bytes(tmp_path: Path) -> None:
    hidden = (".hidden", "a/.git/config", ".d/x")
    for name in ("b.txt", "a/z.txt", "a-1.txt", "é.txt", "Z.txt", "a/b/c", *hidden):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("x")
    (tmp_path / "in" / "link.txt").symlink_to(tmp_path / "in" / "b.txt")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    assert names(tmp_path / "in", keep_in=tmp_path) == [
        "Z.txt",
        "a-1.txt",
        "a/b/c",
        "a/z.txt",
        "b.txt",
        "link.txt",
        "é.txt",
    ]


def test_what_is_being_written_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train.tokens").write_text("x")
    (tmp_path / "book").write_text("x")
    assert names(tmp_path, keep_in=tmp_path / "out") == ["book"]


def test_what_earlier_commands_made_is_no_text_and_that_is_said(tmp_path: Path) -> None:
    def made(name: str, *files: str) -> None:
        for file in files:
            (tmp_path / "in" / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / name / file).write_text("x")

    made("runs/book", "config.json", "metrics.jsonl", "report.html", "data/prepared.safetensors")
    made("runs/begun", "config.json", ".lock")
    made("tokens", "prepared.safetensors")
    made("web", "config.json", "index.txt")
    made(".", "book.txt")
    with found([tmp_path / "in"], None, keep_in=tmp_path) as sources:
        assert [source.name for source in sources.texts] == ["book.txt", "web/config.json", "web/index.txt"]
        assert len(sources.notes) == 1 and "left out, because pantoum made it" in sources.notes[0]
        assert all(name in sources.notes[0] for name in ("runs/book", "runs/begun", "tokens"))


def test_a_held_out_file_is_taken_out_of_the_texts_and_said(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to(tmp_path / "b")
    with found([tmp_path], tmp_path / "link", keep_in=tmp_path / "a") as sources:
        assert [source.name for source in sources.texts] == ["a", "c"]
        assert sources.valid is not None and sources.size == 2
        assert sources.notes == [
            f"{tmp_path / 'link'} is the validation text, so it is left out of the training text"
        ]
    with (
        pytest.raises(TextError, match="is the validation text and the only text"),
        found([tmp_path / "a"], tmp_path / "a", keep_in=tmp_path),
    ):
        pass


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for text, message in (
        ("none", "there is no such file; check the spelling"),
        ("empty", "has no regular files"),
        ("file/x", "a part of the path is a file"),
        ("a\0b", "null"),
    ):
        with pytest.raises(TextError, match=message) as caught:
            names(f"{tmp_path}/{text}", keep_in=tmp_path)
        assert "\n" not in str(caught.value)
    with pytest.raises(TextError, match="is a folder; name a file"):
        names(tmp_path / "file", valid=tmp_path / "empty", keep_in=tmp_path)
    with pytest.raises(TextError, match="no text was given"):
        names(keep_in=tmp_path)
    with pytest.raises(TextError, match="neither a file, a folder nor a pipe"):
        names("/dev/null", keep_in=tmp_path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with found([tmp_path / "file"], keep_in=tmp_path) as sources:
        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(TextError, match="permission denied; make it readable"):
            open_source(sources.texts[0])


def test_stdin_is_kept_while_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"some text")))
    with found(["-"], keep_in=tmp_path) as sources:
        (source,) = sources.texts
        assert (source.label, source.size) == ("stdin", 9)
        for _ in range(2):
            with open_source(source) as file:
                assert file.read() == b"some text"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(TextError, match="there is no stdin"):
        names("-", keep_in=tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_kept_too(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"from a pipe",))
    writer.start()
    with found([pipe], keep_in=tmp_path) as sources, open_source(sources.texts[0]) as file:
        assert file.read() == b"from a pipe"
    writer.join()


def test_a_link_that_leads_to_itself_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "book").write_text("x")
    (tmp_path / "in" / "loop").symlink_to("loop")
    with found([tmp_path / "in"], keep_in=tmp_path) as sources:
        assert [source.name for source in sources.texts] == ["book"]
        assert sources.notes == [f"left out, because the link leads to itself: {tmp_path / 'in' / 'loop'}"]
    (tmp_path / "in" / "book").unlink()
    with pytest.raises(TextError, match="has no regular files"):
        names(tmp_path / "in", keep_in=tmp_path)


@pytest.mark.parametrize("gone", ["in/sub", "in/sub/file"])
def test_what_vanishes_while_a_folder_is_listed_is_what_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "file").write_text("x")
    real = os.walk

    def walking(*given: Any, **named: Any) -> Any:
        for place, folders, files in real(*given, **named):
            if Path(gone).name in (*folders, *files):
                (tmp_path / "in" / "sub" / "file").unlink()
                if gone == "in/sub":
                    (tmp_path / gone).rmdir()
            yield place, folders, files

    monkeypatch.setattr(os, "walk", walking)
    words = rf"cannot read '{tmp_path}/{gone}': it was removed while '{tmp_path}/in' was listed; try again"
    with pytest.raises(TextError, match=words):
        names(tmp_path / "in", keep_in=tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_within_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "in" / "shut").mkdir(parents=True)
    (tmp_path / "in" / "shut").chmod(0)
    try:
        with pytest.raises(TextError, match="shut': permission denied"):
            names(tmp_path / "in", keep_in=tmp_path)
    finally:
        (tmp_path / "in" / "shut").chmod(0o700)


@pytest.mark.parametrize("text", ["a text", "once upon\na time", "word " * 2000])
def test_a_text_in_the_place_of_a_name_is_cut_and_told_where_it_belongs(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        TextError, match=r"write it into a file \(in Python, give it as text=\.\.\.\)"
    ) as told:
        names(text, keep_in=tmp_path)
    assert text[:6].split()[0] in str(told.value) and len(str(told.value)) < 250


def test_a_missing_file_is_not_its_own_correction(tmp_path: Path) -> None:
    (tmp_path / "link.txt").symlink_to("gone.txt")
    with pytest.raises(TextError, match=r"it is a link to 'gone\.txt', which does not exist"):
        names(tmp_path / "link.txt", keep_in=tmp_path)
