"""``pantoum export``: what is told, and that the file is used as any model."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pantoum

Run = Callable[..., Any]


def test_int8_tells_what_it_costs(run: Run, trained: Path, text: Path, tmp_path: Path) -> None:
    done = run("export", trained, "--to", "int8", "--out", tmp_path / "n", "--text", text, "--quiet")
    assert done.code == 0 and done.err == ""
    assert "nats per token in int8" in done.out and "(carried, " in done.out
    for command in ("generate", "info", "score"):
        more = {"generate": ["--length", 5, "--seed", 1], "info": [], "score": [text]}[command]
        assert run(command, tmp_path / "n", *more).code == 0
    assert re.search(
        r"int8 +\d\.\d{4} nats per token, \d\.\d{4} in float32 \(carried", run("info", tmp_path / "n").out
    )
    assert run("evaluate", tmp_path / "n", text, "--json").code == 0


def test_json_and_the_next_command(run: Run, trained: Path, tmp_path: Path) -> None:
    found = json.loads(run("export", trained, "--to", "torch", "--out", tmp_path / "t", "--json").out)
    assert found["to"] == "torch" and found["bytes"] == (tmp_path / "t").stat().st_size
    done = run("export", trained, "--to", "int8", "--out", tmp_path / "n")
    assert done.lines[-1] == f"pantoum generate {tmp_path / 'n'}"


def test_the_next_command_can_be_typed_where_the_path_has_spaces(
    run: Run, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "my model's int8"
    done = run("export", trained, "--to", "int8", "--out", out)
    assert shlex.split(done.lines[-1]) == ["pantoum", "generate", str(out)]
    assert run(*shlex.split(done.lines[-1])[1:], "--length", 3, "--seed", 1).code == 0


def test_training_goes_on_from_int8_in_float32(run: Run, trained: Path, text: Path, tmp_path: Path) -> None:
    assert run("export", trained, "--to", "int8", "--out", tmp_path / "n").code == 0
    pantoum.train(text, run=str(tmp_path / "r"), steps=2, from_=str(tmp_path / "n"), progress=False)
    assert pantoum.info(tmp_path / "r" / "model.safetensors").facts["precision"] == "float32"
