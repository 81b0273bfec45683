"""The core works without the folder ``apps``: it trains, resumes, writes, scores, evaluates and adapts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pantoum
from pantoum import extensions

TEXT = "".join(f"The cat number {n} sat on the mat, and dog {n * 7 % 10} ran.\n" for n in range(400))


@pytest.fixture(scope="module")
def core_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package without its apps."""
    folder = tmp_path_factory.mktemp("core")
    shutil.copytree(
        Path(pantoum.__file__).parent,
        folder / "pantoum",
        ignore=shutil.ignore_patterns("apps", "__pycache__"),
    )
    return folder


def test_the_core_works_without_apps(core_alone: Path, tmp_path: Path) -> None:
    (tmp_path / "mats.txt").write_text(TEXT)
    run = ["--run", "run", "--hidden-size", "16", "--num-layers", "1"]

    def command(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        script = f"import sys; sys.path.insert(0, {str(core_alone)!r}); from pantoum.cli.main import main; "
        done = subprocess.run(
            [sys.executable, "-c", script + "sys.exit(main(sys.argv[1:]))", *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PANTOUM_DEBUG": "1"},
            timeout=600,
        )
        assert done.returncode == code, done.stderr
        return done

    assert "serve" not in command("--help").stdout
    command("train", "mats.txt", "--steps", "20", *run, "--stop-after", "5")
    command("train", "--run", "run", "--resume")
    assert len(command("generate", "run", "--length", "5", "--seed", "1").stdout) > 0
    assert "nats" in command("score", "run", "mats.txt").stderr
    command("evaluate", "run", "mats.txt", "--adapt", "--model-out", "adapted.safetensors")
    command("info", "adapted.safetensors")
    command("export", "run", "--to", "int8", "--out", "small.safetensors")
    if "serve" in extensions.names("commands"):
        refused = command("serve", "run", code=1).stderr.splitlines()[-1]
        assert "'serve' is missing in pantoum.commands" in refused and "install pantoum again" in refused
