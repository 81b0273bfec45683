"""Paths are bytes: one that is not UTF-8 names a text, a run and every other file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
SMALL = ("--steps", 1, "--hidden-size", 8, "--num-layers", 1)


def test_paths_that_are_not_utf8_name_texts_and_runs(
    run: Run, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    odd, folder = os.fsdecode(b"caf\xe9.txt"), os.fsdecode(b"run\xe9")
    try:
        Path(odd).write_bytes(text.read_bytes())
    except (OSError, UnicodeError):
        pytest.skip("this file system takes only UTF-8")
    for words in (
        ("train", odd, "--run", folder, *SMALL),
        ("train", odd, "--run", folder, "--resume", "--steps", 2),
        ("train", text, "--valid", odd, "--run", "v", *SMALL),
        ("train", odd, *SMALL),
        ("prepare", odd, "--out", f"p{folder}"),
        ("train", "--data", f"p{folder}", "--run", "d", *SMALL),
        ("train", text, "--from", folder, "--run", "f", "--steps", 1),
        ("generate", folder, "--length", 2, "--seed", 1, "--state-out", f"s{folder}"),
        ("generate", folder, "--length", 2, "--seed", 1, "--state-in", f"s{folder}"),
        ("evaluate", folder, odd, "--json"),
        ("score", folder, odd, "--format", "html"),
        ("export", folder, "--to", "int8", "--out", f"q{folder}", "--text", odd),
        ("info", folder),
        ("info", folder, "--json"),
        ("watch", folder),
        ("compare", folder, "d"),
    ):
        done = run(*words)
        assert done.code == 0, (words, done.err)
    assert run("train", text, "--run", folder, *SMALL).code == 1
