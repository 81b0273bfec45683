"""Answers are written whatever the encoding of a stream: code pages of Windows, files, terminals."""

from __future__ import annotations

import io
import sys

import pytest

from pantoum.cli import output as streams
from pantoum.cli.output import Output

TEXT = "Straße ▁▂█ 漢 ‘x’"


class Stream(io.TextIOWrapper):
    """One of a console or of a file, whose lines end as on Windows."""

    def __init__(self, encoding: str, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="\r\n", write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def written(self) -> bytes:
        return self.buffer.getvalue()  # type: ignore[attr-defined, no-any-return]


def written(monkeypatch: pytest.MonkeyPatch, stream: Stream, windows: bool) -> bytes:
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(streams, "WINDOWS", windows)
    output = Output()
    output.answer(TEXT)
    output.flush()
    return stream.written


@pytest.mark.parametrize("encoding", ["cp1252", "cp850", "cp437", "ascii", "utf-8"])
@pytest.mark.parametrize("windows", [False, True])
def test_a_code_page_is_no_error_on_a_console(
    monkeypatch: pytest.MonkeyPatch, encoding: str, windows: bool
) -> None:
    found = written(monkeypatch, Stream(encoding, terminal=True), windows).decode(encoding)
    assert found == TEXT.encode(encoding, "backslashreplace").decode(encoding) + "\r\n"


def test_files_and_pipes_of_windows_get_the_bytes_of_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(monkeypatch, Stream("cp1252", terminal=False), True) == f"{TEXT}\n".encode()
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    found = written(monkeypatch, Stream("cp1252", terminal=False), True)
    assert found == TEXT.encode("cp1252", "backslashreplace") + b"\r\n"
