"""The core as WebAssembly, for pages: found in the installation, or compiled once from the core's sources.

The wheels of a release have the module (``pantoum.wasm``, beside this file). Where it lacks, and in a
working copy after a change of the core, the clang of the package ``ziglang`` (the extra ``web``) compiles
it, and it is kept: beside this file, or, where that cannot be written, in the user's cache folder.

    python -m pantoum.web.module OUT           compiles the module into a file
    python -m pantoum.web.module OUT TEST.cpp  a test of the core (core/tests) as a program for wasmtime

The module ends with a section ``pantoum``: JSON with the hash of the sources that it was made from, and with
the fields of the operations' structs, from the header, their only declaration (docs/decisions/104).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from pantoum.errors import PantoumError, StorageError
from pantoum.formats import durable
from pantoum.kernels.native.declaration import Declaration

__all__ = ["Progress", "about", "compiled", "module"]

Progress = Callable[[int, int], None]
"""Hears how many files of how many are compiled."""

HERE = Path(__file__).parent
NAME, HEADER = "pantoum.wasm", "pantoum_core.h"
CORE = next(
    (folder for folder in (HERE / "core", HERE.parents[2] / "core") if (folder / HEADER).exists()), None
)
"""The sources: those of a wheel, or of the working copy."""
FLAGS = [
    *("-target", "wasm32-wasi", "-std=c++17", "-O2", "-msimd128", "-ffp-contract=off", "-fno-exceptions"),
    *("-fno-rtti", "-fno-math-errno", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wshadow"),
    "-Wno-c++11-narrowing",
]
"""As CMakeLists.txt has them. Never relaxed SIMD, whose bits differ by processor. Sizes are 64 bits wide in
the structs and 32 where they are used: what has one does not exceed the memory."""
ALONE = ("dispatch.cpp", "matrix_unit.cpp", "one_thread.cpp", "scratch.cpp")
MEMORY = ("malloc", "aligned_alloc", "free")
MOST_MEMORY = 1 << 31
SECTION = b"\x07pantoum"
LETTERS = {"*": "p", "int32_t": "i", "uint32_t": "u", "int64_t": "l", "uint64_t": "q", "float": "f"}
"""The types of fields as the module tells them."""


def module(progress: Progress | None = None) -> bytes:
    """The module; ``PantoumError`` says in one line what is missing."""
    wanted = _fingerprint()
    for folder in (HERE, _cache()):
        file = folder / NAME
        if file.exists():
            data = file.read_bytes()
            if wanted in (None, about(data).get("sources")):
                return data
    made = compiled(progress)
    for folder in (HERE, _cache()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            durable.write_file(folder / NAME, made)
            break
        except (OSError, StorageError):
            continue  # it will be compiled again
    return made


def compiled(progress: Progress | None = None) -> bytes:
    """The module, compiled now."""
    if CORE is None:
        raise PantoumError("this installation lacks the sources of the module for browsers: install it again")
    names = [*MEMORY, *(f"pantoum_{name}" for name in Declaration(CORE / HEADER).operations)]
    names += ["pantoum_message", "pantoum_packed_bytes", "pantoum_operand_bytes", "pantoum_cells"]
    linked = ["-mexec-model=reactor", "-Wl,--strip-all", f"-Wl,--max-memory={MOST_MEMORY}"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, NAME)
        _make(out, ("wasm",), [*linked, *(f"-Wl,--export={name}" for name in names)], progress)
        return out.read_bytes() + _section()


def _make(out: Path, paths: tuple[str, ...], more: list[str], progress: Progress | None = None) -> None:
    """Compile the core with these paths (folders of ``core/arch``, best last), and link it."""
    assert CORE is not None
    listed = "".join(f" X({path})" for path in paths)
    units = [(CORE / name, [f"-DPANTOUM_PATHS={listed}"]) for name in ALONE]
    for path in paths:
        own = [f"-DPANTOUM_ISA={path}", f"-I{CORE / 'arch' / path}"]
        units += [(file, own) for file in sorted((CORE / "kernels").glob("*.cpp"))]
    with tempfile.TemporaryDirectory() as folder, ThreadPool(os.cpu_count()) as pool:
        objects = [str(Path(folder, f"{number}.o")) for number in range(len(units))]

        def compile_one(number: int) -> None:
            source, own = units[number]
            _clang([*FLAGS, *own, "-c", str(source), "-o", objects[number]], folder)

        for done, _ in enumerate(pool.imap_unordered(compile_one, range(len(units))), start=1):
            if progress is not None:
                progress(done, len(units))
        _clang([*FLAGS, *objects, *more, "-o", str(out)], folder)


def _clang(arguments: list[str], folder: str) -> None:
    if importlib.util.find_spec("ziglang") is None:
        raise PantoumError(
            "the module for browsers is not in this installation: install the compiler that makes it once "
            "with `pip install ziglang` (101 MB), then give the command again"
        )
    # Where nothing can be written in a home, the compiler's own cache goes with the folder.
    places = {} if os.access(Path.home(), os.W_OK) else {"ZIG_GLOBAL_CACHE_DIR": folder}
    ran = subprocess.run(
        [sys.executable, "-m", "ziglang", "c++", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **places},
    )
    if ran.returncode:
        raise PantoumError(f"the module for browsers was not compiled: {ran.stderr.strip()[-2000:]}")


def _fingerprint() -> str | None:
    """The hash of the sources; ``None`` where there are none."""
    if CORE is None:
        return None
    files = (
        file for ending in ("h", "cpp") for file in CORE.rglob(f"*.{ending}") if "tests" not in file.parts
    )
    found = hashlib.sha256(" ".join(FLAGS).encode())
    for file in sorted(files):
        found.update(file.relative_to(CORE).as_posix().encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


def _section() -> bytes:
    """What the module says of itself, as a custom section."""
    assert CORE is not None
    header = Declaration(CORE / HEADER)
    structs = {
        name: {field: LETTERS[kind] for field, kind in fields.items()}
        for name, fields in header.kinds().items()
    }
    about = {"sources": _fingerprint(), "abi": header.abi, "structs": structs}
    body = SECTION + json.dumps(about, separators=(",", ":")).encode()
    return b"\0" + _length(len(body)) + body


def _length(size: int) -> bytes:
    """A number as WebAssembly writes it: seven bits per byte, the lowest first."""
    return bytes([size]) if size < 128 else bytes([size % 128 + 128]) + _length(size // 128)


def about(data: bytes) -> dict[str, Any]:
    """What a module says of itself."""
    _, found, body = data.rpartition(SECTION)
    read: dict[str, Any] = json.loads(body) if found else {}
    return read


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pantoum"


def main(out: str, test: str | None = None) -> None:
    """Compile the module, or a test of the core beside the generic path."""
    if test is None:
        Path(out).write_bytes(compiled())
    else:
        _make(Path(out), ("generic", "wasm"), [test, "-lwasi-emulated-signal", "-D_WASI_EMULATED_SIGNAL"])


if __name__ == "__main__":
    main(*sys.argv[1:])
