"""The core as a guest of the process: header, threads, forks, floating-point modes, settings."""

from __future__ import annotations

import ctypes
import ctypes.util
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pantoum import kernels
from pantoum.errors import CoreError, SettingError
from pantoum.kernels import native, reference
from pantoum.kernels.native import library as loading
from pantoum.kernels.threads import callers

WEIGHT_GK, X_NK = (
    np.random.default_rng(0).standard_normal(shape).astype(np.float32) for shape in ((200, 300), (500, 300))
)


def product() -> bytes:
    return native.pack(WEIGHT_GK).product(X_NK).tobytes()


def test_several_python_threads_at_once(library: native.Library) -> None:
    library.set_threads(2)
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: product(), range(32)))) == 1


def test_jobs_of_more_and_of_fewer_threads_take_turns(library: native.Library) -> None:
    library.set_threads(1)
    expected = product()
    for count in np.random.default_rng(1).integers(1, 7, 300).tolist():
        library.set_threads(count)  # a worker that has no part in a job must not stand in its way
        assert product() == expected
        if count == 6:
            time.sleep(0.001)  # until some sleep


def test_threads_side_by_side_call_with_one_thread_each(library: native.Library) -> None:
    library.set_threads(3)
    expected = product()
    with callers(2) as threads:
        found = threads.each(lambda _: (library.threads, product()), range(6))
    assert set(found) == {(1, expected)} and library.threads == 3


def test_threads_side_by_side_warn_as_their_caller_does(library: native.Library) -> None:
    infinite = np.full(2, np.inf)
    with callers(2) as threads:
        with np.errstate(invalid="ignore"):
            threads.each(lambda _: infinite - infinite, range(2))
        with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
            threads.each(lambda _: infinite - infinite, range(2))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_a_pool_of_its_own(library: native.Library) -> None:
    library.set_threads(2)
    expected = product()
    with multiprocessing.get_context("fork").Pool(1) as children:
        assert children.apply_async(product).get(timeout=120) == expected
    assert product() == expected


def test_the_callers_rounding_neither_changes_results_nor_is_changed(library: native.Library) -> None:
    found = ctypes.util.find_library("m")
    if found is None or sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("needs x86's fesetround")
    libm, expected, downward = ctypes.CDLL(found), product(), 0x400
    try:
        libm.fesetround(downward)
        changed, mode = product(), libm.fegetround()
    finally:
        libm.fesetround(0)
    assert changed == expected and mode == downward


def test_numpy_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANTOUM_ISA", "numpy")
    assert kernels.backend(np.float32) is reference and kernels.precisions() == ("float32",)


def test_the_core_does_float32_and_numpy_float64(library: native.Library) -> None:
    assert kernels.backend(np.float32) is native
    assert kernels.backend(np.float64) is reference
    library.set_isa("generic")
    assert kernels.precisions() == ("float32",)


def test_a_missing_core_is_said_where_it_is_required(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PANTOUM_ISA", raising=False)
    monkeypatch.delenv("PANTOUM_REQUIRE_CORE", raising=False)
    monkeypatch.setattr(loading, "FILE", tmp_path / "libpantoum_core.so")
    assert kernels.backend(np.float32) is reference
    assert "not installed" in str(kernels.without_core())
    monkeypatch.setenv("PANTOUM_REQUIRE_CORE", "1")
    with pytest.raises(CoreError, match="PANTOUM_REQUIRE_CORE is 1"):
        kernels.backend(np.float32)
    loading.core.cache_clear()
    with pytest.raises(CoreError, match="PANTOUM_ISA=numpy"):
        loading.core()


def test_an_installation_under_a_running_process_changes_no_arithmetic(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = [tmp_path / loading.FILE.name, tmp_path / loading.HEADER.name]
    for name, file in zip(("FILE", "HEADER"), files, strict=True):
        file.touch()
        monkeypatch.setattr(loading, name, file)
    assert loading.missing() is None
    for file in files:  # an installer removes the old files first
        file.unlink()
        assert loading.missing() is None
    monkeypatch.setattr(loading, "FILE", tmp_path / "late.so")
    absent = loading.missing()
    loading.FILE.touch()
    files[1].touch()
    assert absent is not None and loading.missing() == absent


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
    )


def test_path_and_threads_come_from_the_environment(library: native.Library) -> None:
    code = "from pantoum.kernels import native; core = native.core(); print(core.isa, core.threads)"
    assert run_python(code, PANTOUM_ISA="generic", PANTOUM_THREADS="1").stdout.split() == ["generic", "1"]
    for given in ("many", "²"):
        assert f"PANTOUM_THREADS is {given!r}" in run_python(code, PANTOUM_THREADS=given).stderr


def test_the_environment_is_read_when_the_core_is_loaded(
    library: native.Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PANTOUM_ISA", "generic")
    monkeypatch.setenv("PANTOUM_THREADS", "1")
    loaded = loading.core.__wrapped__()
    assert (loaded.isa, loaded.threads) == ("generic", 1)
    monkeypatch.setenv("PANTOUM_THREADS", "many")
    with pytest.raises(SettingError, match="PANTOUM_THREADS is 'many'"):
        loading.core.__wrapped__()
    old = tmp_path / "pantoum_core.h"
    old.write_text("#define PANTOUM_ABI 0")
    monkeypatch.setattr(loading, "HEADER", old)
    with pytest.raises(CoreError, match=r"has ABI .*install again"):
        native.Library(loading.FILE)


def test_a_path_that_is_not_there_is_refused(library: native.Library) -> None:
    with pytest.raises(SettingError, match="PANTOUM_ISA is 'sve'"):
        library.set_isa("sve")


def test_a_refusal_of_the_core_is_an_error_of_ours(library: native.Library) -> None:
    with pytest.raises(CoreError, match="the core refused weight_gradient: an argument is out of range"):
        sizes = np.zeros((1, 1), np.float32)
        library.call("weight_gradient", d=sizes, x=sizes, out=sizes.copy(), precision=7, resume=0)


def test_importing_does_not_load_the_core() -> None:
    code = (
        "from pantoum.kernels import native; "
        "from pantoum.kernels.native.library import core; print(core.cache_info().currsize)"
    )
    assert run_python(code).stdout.strip() == "0"
