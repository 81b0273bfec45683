"""One field makes an option of training: flag, keyword, help, check and record (CONTRIBUTING.md).

``UpdateSettings`` gets a field here as if it stood in ``config/train.py``; nothing else is changed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PLACE = "class UpdateSettings(SettingGroup):\n"
FIELD = """
    noise: float = setting(
        0.0, "noise that is added to the gradient", partial(number, least=0.0, below=1.0), metavar="X"
    )
"""
SCRIPT = """
import importlib.util, sys

found = importlib.util.find_spec("pantoum.config.train")
module = sys.modules[found.name] = importlib.util.module_from_spec(found)
source = open(found.origin, encoding="utf-8").read()
head, class_, body = source.partition({place!r})
exec(compile(head + class_ + {field!r} + body, found.origin, "exec"), module.__dict__)

import inspect
import pantoum
from pantoum.cli.main import main

assert inspect.signature(pantoum.train).parameters["noise"].default == 0.0
small = ["--steps", "2", "--hidden-size", "8", "--num-layers", "1", "--quiet", "--run"]
assert main(["train", "t.txt", "--noise", "0.25", "--stop-after", "1", *small, "noisy"]) == 0
assert main(["train", "--run", "noisy", "--resume", "--noise", "0.5"]) == 1
assert main(["train", "--run", "noisy", "--resume", "--noise", "0.25", "--quiet"]) == 0
assert main(["train", "t.txt", "--noise", "2"]) == 1
assert main(["train", "t.txt", "--noise", "much"]) == 1
main(["train", "--help"])
"""


def test_an_option_of_training_is_one_field(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("The cat sat on the mat. A dog ran!\n" * 30)
    script = SCRIPT.format(place=PLACE, field=FIELD)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "noisy" / "config.json").read_text())["settings"]["noise"] == 0.25
    assert "noise is 0.5, the run has 0.25" in done.stderr
    assert "--noise is 2.0: it must be a number at least 0 and below 1" in done.stderr
    assert "--noise is 'much': it must be a number" in done.stderr
    assert "noise that is added to the gradient (default: 0.0)" in " ".join(done.stdout.split())


def test_the_place_of_the_field_is_in_the_file() -> None:
    from pantoum.config import train

    source = Path(train.__file__).read_text(encoding="utf-8")
    assert source.count(PLACE) == 1


@pytest.mark.parametrize("flag", ["once", "option"])
def test_a_field_may_be_of_one_command_or_of_calls_alone(flag: str) -> None:
    from pantoum.config import SamplingConfig, TrainSettings, declared

    known = {**declared(TrainSettings), **declared(SamplingConfig)}
    shown = {name for name, one in known.items() if getattr(one, flag) is (flag == "once")}
    assert ("resume" in shown and "steps" not in shown) if flag == "once" else shown == {"logit_bias"}
