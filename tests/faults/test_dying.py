"""A process that dies after a system call, in every kind of training: the quick form of ``die_after.py``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "faults" / "die_after.py"
KINDS = ("fresh", "resumed", "rolled back", "longer", "from", "members", "documents", "words")
FURTHER = ("further", "further from the end")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")


def require_no_fault(tmp_path: Path, kind: str, at: str) -> None:
    command = [sys.executable, str(SCRIPT), "--json", "--kinds", kind, "--at", at]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert result["faults"] == []
    assert result["kinds"][kind]["same"] == result["kinds"][kind]["deaths"] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_that_died_and_is_given_again_ends_as_if_it_had_not(tmp_path: Path, kind: str) -> None:
    require_no_fault(tmp_path, kind, "spread:3")


@pytest.mark.parametrize("kind", FURTHER)
def test_a_run_is_trained_further_once_wherever_its_command_dies_at_the_start(
    tmp_path: Path, kind: str
) -> None:
    require_no_fault(tmp_path, kind, "renames:6")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, *FURTHER])
def test_nor_wherever_else_it_dies(tmp_path: Path, kind: str) -> None:
    require_no_fault(tmp_path, kind, "spread:40")
