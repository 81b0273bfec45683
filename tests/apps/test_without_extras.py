"""What needs no extra works where no extra is installed, though apps that have one are looked through."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys

for name in ("torch", "onnx", "h5py", "fastapi", "uvicorn", "llguidance", "constriction", "pypdf", "fsspec"):
    sys.modules[name] = None  # as if it were not installed
from pantoum.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("info", "MODEL", "--verify"),
        ("export", "MODEL", "--to", "torch", "--out", "OUT"),
        ("export", "MODEL", "--to", "int8", "--out", "OUT"),
        ("generate", "MODEL", "--length", "3", "--seed", "1"),
        ("score", "MODEL", "TEXT"),
        ("train", "TEXT", "--steps", "2", "--hidden-size", "8", "--run", "OUT"),
    ],
    ids=lambda words: words[0] + "-" + words[-3] if len(words) > 3 else words[0],
)
def test_without_extras(words: tuple[str, ...], trained: Path, text: Path, tmp_path: Path) -> None:
    names = {"MODEL": str(trained), "TEXT": str(text), "OUT": str(tmp_path / "out")}
    command = [names.get(word, word) for word in words]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *command], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
