"""Each loss that a user can see has its protocol beside it, and each perplexity its unknown words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pantoum
from pantoum.cli.main import main

LOSS = re.compile(r"\d nats per (?:token|word|character|byte)|loss \d|validation \d|bits per byte")
PROTOCOL = re.compile(r"segments:64|carried|training|protocol")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over words, some of which are held out and unknown."""
    made = tmp_path_factory.mktemp("losses")
    common = " ".join(f"w{number * 7 % 61}" for number in range(6_000))
    (made / "words.txt").write_text(f"{common} new1 w2 new2 w3 " * 2)
    (made / "other.txt").write_text("w1 w2 unheard w3 w4 " * 40)
    return made


def said(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    """What a command prints on both streams."""
    assert main([str(word) for word in words]) == 0
    printed = capsys.readouterr()
    return (printed.out + printed.err).splitlines()


def test_a_command_that_shows_a_loss_names_its_protocol(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    small = ("--tokens", "words", "--vocab-size", "40", "--hidden-size", "16", "--batch-size", "4")
    shown = {
        "plan": said(capsys, "train", "words.txt", "--steps", "4", *small, "--plan"),
        "train": said(capsys, "train", "words.txt", "--steps", "4", *small, "--run", "r"),
        "evaluate": said(capsys, "evaluate", "r", "other.txt"),
        "compare": said(capsys, "compare", "r"),
        "info": said(capsys, "info", "r"),
        "score": said(capsys, "score", "r", "other.txt", "--by", "line"),
        "export": said(capsys, "export", "r", "--to", "int8", "--out", "small", "--text", "other.txt"),
        "info of int8": said(capsys, "info", "small"),
        "report": [re.sub(r"<[^>]+>", " ", (folder / "r" / "report.html").read_text("utf-8"))],
        "repr": [repr(pantoum.load("r").evaluate("other.txt"))],
    }
    for command, lines in shown.items():
        whole = "\n".join(lines)
        assert LOSS.search(whole) or command == "compare", command
        assert PROTOCOL.search(whole), command
        if command in ("train", "info", "export", "info of int8"):
            bare = [line for line in lines if LOSS.search(line) and not PROTOCOL.search(line)]
            assert [line for line in bare if not line.startswith("bits per byte:")] == [], command
    for command in ("train", "evaluate", "info", "report", "repr", "score"):
        words = [line for line in shown[command] if "perplexity" in line]
        assert words and all("unknown" in line for line in words), (command, words)
