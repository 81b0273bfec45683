"""Fault tests of files, the quick form: the same code as in ``benchmarks/faults``, on fewer cases."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks" / "faults"))
