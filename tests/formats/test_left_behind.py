"""What a process that was killed left behind goes when the same file is written again, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pantoum.formats import durable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and locks")
KILLED = """
import os, signal, sys
from pathlib import Path
from pantoum.formats import durable
def chunks():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)
durable.write_file(Path(sys.argv[1]), chunks())
"""
HUB = """
import os, signal, sys
from pathlib import Path
from pantoum.formats import durable
from pantoum.apps.convert import hub
write, place = durable.write_file, Path(sys.argv[1])
def killed(path, data):
    write(path, data)
    if path.name == "config.json":
        os.kill(os.getpid(), signal.SIGKILL)
durable.write_file = killed
hub.write(place, b"model", {}, {})
"""


def temporary(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if durable.is_temporary(path.name)]


def killed(script: str, target: Path) -> None:
    done = subprocess.run([sys.executable, "-c", script, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("script", [KILLED, HUB])
def test_what_a_killed_process_left_is_removed_before_the_next(tmp_path: Path, script: str) -> None:
    target = tmp_path / "book"
    killed(script, target)
    (left,) = temporary(tmp_path)
    assert not target.exists() and (left.is_dir() or left.read_bytes() == b"half")
    durable.clear_left_behind(tmp_path / "other")
    assert temporary(tmp_path) == [left]
    durable.clear_left_behind(target)
    assert temporary(tmp_path) == []


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    target = tmp_path / "book"

    def chunks() -> list[bytes]:
        durable.clear_left_behind(target)
        assert len(temporary(tmp_path)) == 1
        return [b"whole"]

    durable.write_file(target, (chunk for _ in range(1) for chunk in chunks()))
    assert target.read_bytes() == b"whole" and temporary(tmp_path) == []


def test_a_lock_says_whether_the_file_is_still_there(tmp_path: Path) -> None:
    for gone in (False, True):
        descriptor = os.open(tmp_path / "a", os.O_CREAT | os.O_WRONLY)
        if gone:
            (tmp_path / "a").unlink()
        assert durable._lock(descriptor) is not gone
        os.close(descriptor)
