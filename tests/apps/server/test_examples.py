"""The examples of the server run against it, and show what they say."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
def test_curl(server: Any) -> None:
    done = subprocess.run(
        ["bash", str(EXAMPLES / "server_curl.sh"), server.url], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "data: [DONE]" in done.stdout and '"deleted":true' in done.stdout


def test_the_openai_client(server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openai")
    example("server_openai").main([server.url])
    assert "24 numbers" in capsys.readouterr().out


def test_a_client_that_keeps_its_own_state(server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    example("server_own_state").main([server.url])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("begun:          'The ") and lines[1] != lines[2]
    assert lines[-1] == "two steps as one: True, states too: True"
