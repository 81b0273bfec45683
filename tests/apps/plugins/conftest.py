"""A small model, and lines of a log."""

from __future__ import annotations

from pathlib import Path

import pytest

import pantoum

LINES = [f"GET /page/{n * 7 % 121} 200" for n in range(120)]


@pytest.fixture(scope="session")
def lines() -> list[str]:
    return LINES


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over such lines."""
    folder = tmp_path_factory.mktemp("model") / "run"
    pantoum.train(
        text=LINES, documents="lines", run=str(folder), steps=30, seed=1, hidden_size=16, num_layers=1,
        progress=False,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over sentences in which a cat sits and a cad runs."""
    folder = tmp_path_factory.mktemp("speaker") / "run"
    text = "the cat sat on the mat\nthe cad ran to the hat\n" * 80
    pantoum.train(
        text=text, tokens="words", run=str(folder), steps=300, seed=1, hidden_size=16, num_layers=1,
        progress=False,
    )  # fmt: skip
    return folder
