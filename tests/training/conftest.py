"""A text that a tiny model learns within seconds, and a run over it."""

import random
from pathlib import Path

import pytest

from pantoum.config import TrainSettings
from pantoum.training.begin import TrainingCommand
from pantoum.training.run_session import train

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "and", "then", "it", "slept"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Some 12,000 characters of words at random."""
    draw = random.Random(1)
    lines = (" ".join(draw.choices(WORDS, k=9)) + ".\n" for _ in range(300))
    path = tmp_path / "story.txt"
    path.write_text("".join(lines))
    return path


@pytest.fixture
def run(text: Path, tmp_path: Path):
    """Train a tiny model: ``run("name", steps=20, ...)``; the folder is ``tmp_path / name``."""

    def go(name: str = "run", *, texts=None, listen=None, **settings):
        tiny = {"hidden_size": 12, "num_layers": 1, "embedding_size": 6, "batch_size": 4, "seq_len": 16}
        resumed = bool(settings.get("resume")) or bool(settings.get("from_"))
        asked = settings if resumed else {**tiny, **settings}
        given = [str(text)] if texts is None else texts
        return train(TrainingCommand(TrainSettings(run=str(tmp_path / name), **asked), given), listen)

    return go
