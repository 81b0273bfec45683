"""The examples run, small, and show what they say."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_write_up_learns_and_speaks(capsys: pytest.CaptureFixture[str]) -> None:
    small = "--cell-size 32 --layers 2 --batch-size 4 --rate 0.01 --steps 40"
    example("write_up").main(small.split())
    lines = capsys.readouterr().out.splitlines()
    losses = [float(line.split("loss ")[1].split()[0]) for line in lines if "loss" in line]
    assert losses[-1] < 0.8 * losses[0]
    assert lines[-1].startswith("it speaks: the ") and len(lines[-1].split()) == 43


def test_the_write_ups_model_is_the_originals() -> None:
    model = example("write_up").WordModel([str(i) for i in range(98)], 512, 3, seed=0)
    assert sum(p.size for p in model.parameters.values()) == 4_137_570


def test_the_write_ups_gradients_are_those_of_its_loss() -> None:
    module = example("write_up")
    model = module.WordModel(list("abcde"), 4, 2, seed=1)
    random = np.random.default_rng(0)
    inputs_BT, targets_BT = random.integers(0, 5, (2, 2, 6))
    state = model.cells.initial_state(2)
    _, _, _, gradients = model.gradients(inputs_BT, targets_BT, state)
    for name, parameter in model.parameters.items():
        at = np.unravel_index(np.abs(gradients[name]).argmax(), parameter.shape)
        kept, losses = parameter[at], []
        for change in (1e-2, -1e-2):
            parameter[at] = kept + np.float32(change)
            losses.append(model.gradients(inputs_BT, targets_BT, state)[0])
        parameter[at] = kept
        assert gradients[name][at] == pytest.approx((losses[0] - losses[1]) / 2e-2, rel=0.02, abs=2e-4), name


def test_names_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    written = example("names").main(["--steps", "20", "--count", "5"])
    assert len(written) == 5 and not any("\n" in name for name in written)
    assert "nats per character" in capsys.readouterr().out


def test_the_tour_goes_through(capsys: pytest.CaptureFixture[str]) -> None:
    example("tour").main(["--steps", "10"])
    out = capsys.readouterr().out
    assert "<Model" in out and "<State after 15 tokens" in out and "segments:64" in out


def test_a_state_goes_to_another_process(capfd: pytest.CaptureFixture[str]) -> None:
    example("state_between_processes").main([])
    assert capfd.readouterr().out.endswith("one process alone writes the same\n")


@pytest.mark.filterwarnings("ignore:the validation text has")
def test_odd_lines_of_a_log_are_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    short = "--lines 1200 --new 300 --steps 40"
    model, trigram, xz = importlib.import_module("log_anomalies").main(short.split())
    odd = sum(kind is not None for kind in model.odd)
    assert odd >= 7 and len(model.odd) >= 300
    chance = odd / len(model.odd)
    assert min(found.average_precision for found in (model, trigram, xz)) > 5 * chance
    assert sum(trigram.marked) < 40 and 0.0 <= model.recall() <= 1.0
    out = capsys.readouterr().out
    assert "average precision" in out and "unknown message" in out and "missed:" in out


def test_a_log_follows_from_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    lines = importlib.import_module("log_lines")
    assert lines.planted(300, 8, 1) == lines.planted(300, 8, 1) != lines.planted(300, 8, 2)
    assert {line.odd for line in lines.planted(2000, 40, 3)} == {None, *lines.KINDS}
    assert all(line.odd is None for line in lines.clean(300, 1))


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
def test_every_example_says_what_it_does(name: str) -> None:
    source = (EXAMPLES / f"{name}.py").read_text()
    for package in ("openai", "joblib", "dask"):
        if f"\nimport {package}" in source or f"\nfrom {package}" in source:
            pytest.importorskip(package)
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", "--help"], capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_the_word_before_the_cursor_or_adds_one(tmp_path: Path) -> None:
    stub = tmp_path / "pantoum"
    stub.write_text("#!/bin/sh\nwhile read -r line; do printf 'ca\\tcat\\n'; done\n")
    stub.chmod(0o755)
    script = f"""
        set +m
        source {EXAMPLES / "editors" / "complete.bash"}
        for READLINE_LINE in 'The ca' 'The '; do
            READLINE_POINT=${{#READLINE_LINE}}
            READLINE_LINE+=' sat'
            _pantoum_word
            echo "$READLINE_LINE $READLINE_POINT"
        done
        kill $PANTOUM_WORDS_PID
    """
    place = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PANTOUM_MODEL": "book"}
    done = subprocess.run(["bash", "-c", script], env=place, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["The cat sat 7", "The ca sat 6"], done.stderr
