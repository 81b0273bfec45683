"""Which pantoum a benchmark measured, and where: stands at the head of every report.

It is the one that the script itself imports, installed or, with ``PYTHONPATH=src``, the working copy's; the
processes that it starts import the same one. A working copy whose core was not built runs on NumPy, which is
to be seen here: ``arithmetic`` is the native core's path, or ``numpy``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pantoum
from pantoum.about.machine import arithmetic
from pantoum.config import VERSION
from pantoum.training.run.run_folder import machine as described


def machine() -> dict[str, Any]:
    """Processor, system and libraries; pantoum's version, folder and arithmetic."""
    return {
        **described(),
        "pantoum": VERSION,
        "from": str(Path(pantoum.__file__).parent),
        "arithmetic": arithmetic()[0],
    }
