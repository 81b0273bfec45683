"""The process in which files of others are read: what it gives, and what it may not do."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pantoum.errors import TextError
from pantoum.formats.bounded_child import read_apart

READERS = """
import os, socket, sys
from pantoum.errors import TextError
from pantoum.formats.bounded_child import BadFileError

def whole(before):
    return lambda *files: [before.encode(), *(file.read() for file in files)]

def large():
    return lambda file: iter([bytes(5 << 20), b"end"])

def noisy():
    def read(file):
        print("noise"); os.write(1, b"noise"); os.write(2, b"noise")
        return [file.read()]
    return read

def opened(what):
    calls = {
        "file": lambda: open(__file__), "connection": socket.socket, "library": lambda: __import__("sqlite3"),
        "process": lambda: os.popen("echo"), "written": lambda: open("x", "w"),
    }
    def read(file):
        try:
            calls[what]()
        except OSError:
            return [b"refused"]
        return [b"opened"]
    return read

def failing(how):
    def read(file):
        yield b"first"
        if how == "words": raise BadFileError("it is odd")
        if how == "advice": raise BadFileError("it is odd", "turn it")
        if how == "ours": raise TextError("a whole message")
        if how == "library": raise KeyError("several\\nlines")
        if how == "crash": os.abort()
        if how == "memory": bytearray(2 << 30)
        while how == "time": pass
    return read
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "apart_readers.py").write_text(textwrap.dedent(READERS))
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").write_bytes(b"more")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "a"


def read(function: str, *arguments: str, paths: list[Path]) -> bytes:
    found = read_apart(f"apart_readers:{function}", arguments, paths, "cannot read", "mend it", TextError)
    return b"".join(found)


def test_the_bytes_of_files_come_back_whole(file: Path) -> None:
    assert read("whole", "ä", paths=[file, file.with_name("b")]) == "äcontentmore".encode()
    assert read("large", paths=[file]) == bytes(5 << 20) + b"end"
    assert read("noisy", paths=[file]) == b"content"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
@pytest.mark.parametrize("what", ["file", "connection", "library", "process", "written"])
def test_nothing_more_can_be_opened(file: Path, what: str) -> None:
    assert read("opened", what, paths=[file]) == b"refused"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("words", "cannot read: it is odd; mend it"),
        ("advice", "cannot read: it is odd; turn it"),
        ("ours", "a whole message"),
        ("library", "cannot read: it is damaged or encrypted (KeyError: 'several\\nlines'); mend it"),
        ("crash", "crashes its reader"),
        ("memory", "cannot read: it needs more memory than a file of its size may use; mend it"),
    ],
)
def test_what_goes_wrong_is_one_line(file: Path, how: str, message: str) -> None:
    if how == "memory" and sys.platform != "linux":
        pytest.skip("only Linux bounds memory")
    with pytest.raises(TextError) as caught:
        read("failing", how, paths=[file])
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_time_is_bounded(file: Path) -> None:
    with pytest.raises(TextError, match="it takes longer than a file of its size may take"):
        read("failing", "time", paths=[file])


def test_the_process_ends_with_whoever_asked(file: Path) -> None:
    blocks = read_apart("apart_readers:large", [], [file], "cannot read", "mend it", TextError)
    next(blocks)
    blocks.close()  # waits for its end
    with pytest.raises(StopIteration):
        next(blocks)


def test_modules_of_the_current_folder_are_not_taken(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file.parent / "sub").mkdir()
    (file.parent / "sub" / "json.py").write_text("raise SystemExit('taken')")
    script = (
        "from pathlib import Path; from pantoum.errors import TextError; "
        "from pantoum.formats.bounded_child import read_apart; "
        f"print(*read_apart('apart_readers:whole', ['x'], [Path({str(file)!r})], 's', 'a', TextError))"
    )
    code = f"import sys; sys.path[:0] = [{str(file.parent)!r}]; {script}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"],
        cwd=file.parent / "sub", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "content" in done.stdout
