"""The unit for systemd that watches a log: its command runs, goes on, and ends as the unit says."""

from __future__ import annotations

import configparser
import json
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pantoum

UNIT = Path(__file__).parents[2] / "examples" / "pantoum-log.service"


def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(UNIT.read_text("utf-8").replace("\\\n", ""))
    return unit["Service"]


def test_the_command_of_the_unit_watches_a_log_and_ends_as_it_says(tmp_path: Path) -> None:
    text = "".join(f"10:{n // 60:02}:{n % 60:02} GET /page/{n % 7} 200\n" for n in range(600))
    log, model = tmp_path / "app.log", tmp_path / "run" / "model.safetensors"
    log.write_text(text)
    pantoum.train(log, run=model.parent, steps=4, hidden_size=16, num_layers=1, progress=False)
    log.write_text("")
    program, *words = shlex.split(service()["ExecStart"])
    assert Path(program).name == "pantoum"
    placed = {
        "/srv/models/app.safetensors": model,
        "/var/log/app.log": log,
        "/var/lib/pantoum-log/app.state": tmp_path / "app.state",
    }
    assert set(placed) < set(words)
    given = [str(placed.get(word, word)) for word in words]
    given[given.index("--alert") + 1] = "0.01"  # a model of four steps is surprised by everything
    for number in range(2):
        command = [sys.executable, "-m", "pantoum", *given]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            with log.open("a") as file:
                file.write(f"PANIC {number}\n")
            assert json.loads(process.stdout.readline())["text"] == f"PANIC {number}"
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=120)
        assert process.returncode == int(service()["SuccessExitStatus"]) and not out, err


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = UNIT.read_text("utf-8").replace("/opt/pantoum/bin/pantoum", sys.executable)
    (tmp_path / UNIT.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / UNIT.name], capture_output=True, text=True, timeout=120
    )
    wrong = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert not wrong, done.stderr
