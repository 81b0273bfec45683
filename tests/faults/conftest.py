"""A small text, and runs over it in this process or in another that can be killed."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from pantoum.config import TrainSettings
from pantoum.training.begin import TrainingCommand
from pantoum.training.run_session import train

TINY = {"hidden_size": 12, "num_layers": 1, "embedding_size": 6, "batch_size": 4, "seq_len": 16}

PROGRAM = """
import json, sys
from pantoum.config import TrainSettings
from pantoum.training.begin import TrainingCommand
from pantoum.training.run_session import train
settings, texts = json.loads(sys.argv[1]), sys.argv[2:]
command = TrainingCommand(TrainSettings(**settings), texts)
result = train(command, lambda report: print(report.step, flush=True))
print("stopped", result.stopped, flush=True)
sys.exit(130 if result.stopped == "SIGINT" else 0)
"""


@pytest.fixture
def story(tmp_path: Path) -> Path:
    """Some 9,000 characters of words at random."""
    draw = random.Random(2)
    words = ["north", "south", "east", "west", "wind", "rain", "sun", "and", "then", "again"]
    path = tmp_path / "story.txt"
    path.write_text("".join(" ".join(draw.choices(words, k=6)) + "\n" for _ in range(300)))
    return path


@pytest.fixture
def run(story: Path, tmp_path: Path):
    """Train a tiny model in this process."""

    def go(name: str, *, texts=None, listen=None, **settings):
        asked = settings if settings.get("resume") else {**TINY, **settings}
        given = [str(story)] if texts is None else texts
        return train(TrainingCommand(TrainSettings(run=str(tmp_path / name), **asked), given), listen)

    return go


@pytest.fixture
def spawn(story: Path, tmp_path: Path):
    """Train in another process: its standard output has one line per report."""
    import json

    def start(name: str, **settings):
        asked = settings if settings.get("resume") else {**TINY, **settings}
        asked = {"run": str(tmp_path / name), **asked}
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(asked), str(story)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
