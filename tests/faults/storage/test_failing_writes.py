"""The n-th system call of every operation fails: a clear line, the old whole, and no silent success."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import failing_writes
import pytest
from operations import OPERATIONS, Operation

from pantoum.formats import checkpoint


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
@pytest.mark.parametrize(
    ("number", "sticky", "torn"),
    [(errno.ENOSPC, True, True), (errno.EIO, False, False), (errno.EACCES, False, True)],
)
def test_any_failing_call_is_told_and_harms_nothing(
    operation: Operation, tmp_path: Path, number: int, sticky: bool, torn: bool
) -> None:
    came = list(failing_writes.sweep(operation, tmp_path, number, sticky=sticky, torn=torn))
    assert came and set(came) <= {"refused old", "refused new", "done new"}


LIMITED = """
import resource, signal, sys
import numpy as np
from pantoum.errors import StorageError
from pantoum.formats import checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
checkpoint.commit(sys.argv[1], 1, {"w": np.ones(1000)}, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    checkpoint.commit(sys.argv[1], 2, {"w": np.ones(1_000_000)}, {})
except StorageError as error:
    print(error)
"""


def test_the_kernels_own_refusal_in_the_middle_of_a_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    line = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert line.count("\n") == 1 and "(EFBIG); choose a folder on another disk" in line
    assert [entry.name for entry in (tmp_path / "checkpoints").iterdir()] == ["step-00000001.safetensors"]
    found = checkpoint.newest(tmp_path)
    assert found is not None and found.step == 1 and found.notes == ()
