"""What a run needs is estimated, and what cannot be had is refused before it is allocated."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pantoum.about.plan import make_plan
from pantoum.config import TrainSettings
from pantoum.errors import SettingError
from pantoum.training import memory
from pantoum.training.memory import available, estimate, require_memory
from pantoum.training.recipe.choose import choose
from pantoum.training.recipe.recipe import Outlook, Recipe

TOKENS = 5_000_000
CHILD = """
import sys
from pantoum.cli.main import main
code = main(sys.argv[1:])
# Not getrusage: what it tells of a child begins with the peak of the process that started it.
print(next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(code)
"""


def recipe(vocab_size: int = 60, **settings: object) -> Recipe:
    asked = TrainSettings(steps=3, **settings)  # type: ignore[arg-type]
    return choose(asked, Outlook(TOKENS, vocab_size, steps=3))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"batch_size": 1_000_000}, "batch_size is 1000000"),
        ({"seq_len": 900_000}, "seq_len is 900000"),
        ({"hidden_size": 60_000, "batch_size": 1, "seq_len": 1}, "hidden_size is 60000"),
        ({"batch_size": 1_000_000, "device": None, "members": 3}, "batch_size is 1000000"),
    ],
)
def test_what_cannot_fit_is_refused_and_named(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], name: str
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 8_000_000_000)
    with pytest.raises(SettingError, match=rf"{name}: it needs about .* GB .*8\.0 GB are available"):
        require_memory(recipe(**settings), 60, TOKENS)
    require_memory(recipe(), 60, TOKENS)
    monkeypatch.setattr(memory, "available", lambda: None)
    require_memory(recipe(**settings), 60, TOKENS)


def test_a_large_vocabulary_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1_000_000_000)
    many = recipe(900_000, hidden_size=512, batch_size=4, seq_len=4, kneser_ney=None)
    with pytest.raises(SettingError, match="vocab_size is 900000"):
        require_memory(many, 900_000, TOKENS)


def test_a_short_text_has_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1_000_000_000)
    require_memory(recipe(batch_size=1_000_000), 60, 5000)


def test_ranks_share_a_batch_and_every_member_has_its_own() -> None:
    whole, part = (estimate(recipe(), 60, 64, 64, ranks) for ranks in (1, 4))
    assert part.batch == whole.batch / 4 and part.weights == whole.weights
    three = replace(recipe(), members=3)
    assert estimate(three, 60, 64, 64).batch == 3 * estimate(recipe(), 60, 64, 64).batch


def test_nothing_is_prepared_to_be_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text").write_text("The cat sat on the mat.\n" * 2000)
    plan = make_plan(TrainSettings(steps=3, batch_size=8, seq_len=8), [str(tmp_path / "text")])
    assert plan.memory > memory.BASE and "memory " in str(plan) and plan.to_dict()["memory"] == plan.memory
    monkeypatch.setattr(memory, "available", lambda: 50_000_000)
    for budget in ({"steps": 3}, {"minutes": 1}):
        with pytest.raises(SettingError, match="it needs about"):
            make_plan(TrainSettings(**budget), [str(tmp_path / "text")])  # type: ignore[arg-type]


def test_caches_in_a_control_group_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = tmp_path / "groups"
    (groups / "a" / "b").mkdir(parents=True)
    monkeypatch.setattr(memory, "CONTROL_GROUPS", groups)
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(memory, "PROCESS", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    (tmp_path / "own").write_text("0::/a/b\n")
    assert available() == 8_192_000
    (groups / "a" / "memory.max").write_text("1000000\n")
    (groups / "a" / "memory.current").write_text("400000\n")
    (groups / "a" / "memory.stat").write_text("anon 1\ninactive_file 30000\n")
    (groups / "a" / "b" / "memory.max").write_text("max\n")
    assert available() == 630_000


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read there")
@pytest.mark.skipif(sys.platform == "win32", reason="no peak of a process there")
@pytest.mark.parametrize(
    "shape",
    [
        "--hidden-size 256 --num-layers 2 --batch-size 256 --seq-len 64",
        "--hidden-size 256 --num-layers 2 --batch-size 256 --seq-len 64 --cell lstm --members 2",
        "--hidden-size 640 --num-layers 2 --batch-size 4 --seq-len 4",
        "--hidden-size 128 --num-layers 1 --batch-size 256 --seq-len 64 --tokens words --softmax full",
    ],
)
def test_the_estimate_is_near_the_peak(tmp_path: Path, shape: str) -> None:
    (tmp_path / "text").write_text("".join(f"word{n * n % 3001} of {n % 17}.\n" for n in range(60_000)))
    command = ["train", str(tmp_path / "text"), *shape.split(), "--steps", "3", "--kneser-ney", "none"]
    answer = subprocess.run(
        [sys.executable, "-c", CHILD, *command, "--run", str(tmp_path / "run"), "--quiet"],
        check=True,
        capture_output=True,
        text=True,
    )
    peak = int(answer.stdout.splitlines()[-1])
    planning = [sys.executable, "-m", "pantoum", *command, "--plan", "--json"]
    plan = subprocess.run(planning, check=True, capture_output=True, text=True)
    expected = json.loads(plan.stdout)["memory"]
    assert peak / 1.6 <= expected <= 1.6 * peak
