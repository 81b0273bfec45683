"""The native core beside its reference in NumPy, on every path that this machine has."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator

import pytest

from pantoum.kernels import native, without_core

PATHS = (
    ("generic", "neon")
    if platform.machine() in ("aarch64", "arm64")
    else ("generic", "avx2", "avx512", "bf16", "amx")
)


def loaded_core() -> native.Library:
    reason = without_core()
    if reason is not None:
        if os.environ.get("PANTOUM_REQUIRE_CORE") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return native.core()


@pytest.fixture(scope="session")
def core() -> native.Library:
    """The core as it is set up, for laws, whose examples share what a test asked for."""
    return loaded_core()


@pytest.fixture
def library() -> Iterator[native.Library]:
    """The core; its path and threads are put back afterwards."""
    loaded = loaded_core()
    isa, threads = loaded.isa, loaded.threads
    yield loaded
    loaded.set_isa(isa)
    loaded.set_threads(threads)


@pytest.fixture(params=["bf16", "amx"])
def bf16_path(request: pytest.FixtureRequest, library: native.Library) -> str:
    """Each path with products of bf16 in turn, in use."""
    if request.param not in library.paths():
        pytest.skip(f"SKIP SKIP SKIP  this machine has no {request.param}")
    library.set_isa(request.param)
    return str(request.param)


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest, library: native.Library) -> str:
    """Each path in turn, in use."""
    if request.param not in library.paths():
        pytest.skip(f"this machine has no {request.param}")
    library.set_isa(request.param)
    return str(request.param)
