"""The shared library shows the ABI and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pantoum.kernels import without_core
from pantoum.kernels.native import library

HEADER = Path(__file__).parents[2] / "core" / "pantoum_core.h"


@pytest.mark.skipif(sys.platform != "linux", reason="nm -D is of Linux")
def test_only_the_functions_of_the_header_are_exported() -> None:
    if without_core() is not None or shutil.which("nm") is None:
        pytest.skip(without_core() or "nm is missing")
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", str(library.FILE)], capture_output=True, text=True, check=True
    ).stdout
    exported = {line.split()[-1] for line in listed.splitlines()}
    header = HEADER.read_text()
    declared = set(re.findall(r"^PANTOUM_API .*?\b(pantoum_\w+)\(", header, flags=re.MULTILINE))
    operations = {f"pantoum_{name}" for name in re.findall(r"\bX\((\w+)\)", header)}
    assert len(operations) > 20 and exported == declared | operations
