"""``pantoum serve`` before it serves: what it refuses, and what it imports."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pantoum.apps.server.settings import ServeSettings
from pantoum.cli.options import from_environment


def test_help_imports_nothing_of_the_extra() -> None:
    code = (
        "import sys; from pantoum.cli.main import main; main(['serve', '--help']); "
        "assert not {'fastapi', 'uvicorn', 'prometheus_client', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--state-key-file" in done.stdout


def test_without_the_extra_one_line_says_what_to_install(
    run: Callable[..., Any], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else found(name))
    done = run("serve", trained)
    assert done.code == 1 and len(done.lines) == 1
    assert "uvicorn" in done.err and "pip install 'pantoum[serve]'" in done.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--host", "0.0.0.0"], "--api-key-file"),
        (["--port", "70000"], "--port is 70000"),
        (["--slots", "0"], "--slots is 0"),
        (["--api-key-file", "/nowhere/keys"], "cannot be read"),
        (["--chat-template", "/nowhere/template"], "cannot be read"),
        (["--sessions", "/nowhere/file"], "--sessions"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    run: Callable[..., Any],
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    words: str,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if flags[0] == "--sessions":  # root may write anywhere: a file stands where a folder is needed
        (tmp_path / "file").write_text("")
        flags = ["--sessions", str(tmp_path / "file" / "sessions.sqlite")]
    done = run("serve", trained, "--port", "0", *flags)
    assert done.code == 1 and words in done.err and len(done.lines) == 1


def test_a_model_that_is_missing_is_said_before_the_server_listens(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    done = run("serve", tmp_path / "no.safetensors", "--port", "0")
    assert done.code == 1 and "no.safetensors" in done.err


def test_options_come_from_variables_and_the_command_line_has_the_last_word(
    run: Callable[..., Any], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANTOUM_SERVE_SLOTS", "0")
    assert "slots is 0" in run("serve", trained).err
    assert "--port is 70000" in run("serve", trained, "--slots", "2", "--port", "70000").err
    monkeypatch.setenv("PANTOUM_SERVE_SLOTS", "many")
    assert "PANTOUM_SERVE_SLOTS is 'many': it must be a whole number" in run("serve", trained).err
    monkeypatch.setenv("PANTOUM_SERVE_SLOTS", "3")
    monkeypatch.setenv("PANTOUM_SERVE_PROT", "3")
    assert "PANTOUM_SERVE_PROT is '3': it is not a setting" in run("serve", trained).err


def test_variables_that_may_be_repeated_have_commas() -> None:
    found = from_environment(
        ServeSettings, "PANTOUM_SERVE_", {"PANTOUM_SERVE_ALLOW_HOST": "a, b", "HOME": "/"}
    )
    assert found == {"allow_host": ("a", "b")}
