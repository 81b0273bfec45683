"""Nothing is compiled to learn a name and a version, so a Python that is too old is refused at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_the_metadata_need_no_compiler_and_say_which_pythons_fit(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("scikit_build_core", reason="SKIP SKIP SKIP  scikit-build-core is missing")
    script = (
        "import sys; sys.path.insert(0, 'packaging'); import pantoum_build as backend; "
        f"print(backend.prepare_metadata_for_build_{kind}(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        env={"PATH": "", "CXX": "/bin/false", "CMAKE_EXECUTABLE": "/bin/false"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    told = (tmp_path / done.stdout.split()[-1] / "METADATA").read_text()
    assert (
        "Name: pantoum\n" in told and "Requires-Python: >=3.10\n" in told and "Requires-Dist: numpy" in told
    )
