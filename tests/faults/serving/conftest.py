"""Fault tests of the server, the quick form: the code of ``benchmarks/faults/serving_faults.py`` in small
numbers.

The servers are those of ``tests/apps/server``.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__)
sys.path.insert(0, str(HERE.parents[3] / "benchmarks" / "faults"))
spec = importlib.util.spec_from_file_location("served", HERE.parents[2] / "apps" / "server" / "conftest.py")
assert spec is not None and spec.loader is not None
served = importlib.util.module_from_spec(spec)
spec.loader.exec_module(served)

run, model, serve, process = served.run, served.model, served.serve, served.process
