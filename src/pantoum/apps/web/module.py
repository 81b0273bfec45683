"""The core as WebAssembly, for pages: found in the installation, or compiled once from the core's sources.

There are two modules: ``pantoum.wasm`` runs wherever there is 128-bit SIMD, and ``pantoum-fused.wasm``, which
is several times faster in float32, where the browser has a fused multiply-add (``fused.js`` finds out). Both
compute the same bits. The wheels of a release have them, beside this file. Where they lack, and in a working
copy after a change of the core, the clang of the package ``ziglang`` (the extra ``web``) compiles them, and
they are kept: beside this file, or, where that cannot be written, in the user's cache folder. ``make pages``
keeps them in that folder, which outlives an environment, and removes the compiler.

    python -m pantoum.apps.web.module                     puts the modules into the user's cache folder
    python -m pantoum.apps.web.module FOLDER              compiles the modules into a folder
    python -m pantoum.apps.web.module FOLDER TEST.cpp...  tests of the core as programs for wasmtime

A module ends with a section ``pantoum``: JSON with the hash of the sources that it was made from, and with
the fields of the operations' structs, from the header, their only declaration.
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
from pantoum.seams import Declaration, cache_folder, durable

__all__ = ["FUSED", "PLAIN", "Progress", "about", "compiled", "modules"]

Progress = Callable[[int, int], None]
"""Hears how many files of how many are compiled."""

HERE = Path(__file__).parent
PLAIN, FUSED = "pantoum.wasm", "pantoum-fused.wasm"
HEADER = "pantoum_core.h"
CORE = next(
    (folder for folder in (HERE / "core", HERE.parents[3] / "core") if (folder / HEADER).exists()), None
)
"""The sources: those of a wheel, or of the working copy."""
FLAGS = [
    *("-target", "wasm32-wasi", "-std=c++17", "-O2", "-msimd128", "-ffp-contract=off", "-fno-exceptions"),
    *("-fno-rtti", "-fno-math-errno", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wshadow"),
    "-Wno-c++11-narrowing",
]
"""As CMakeLists.txt has them. Sizes are 64 bits wide in the structs and 32 where they are used: what has one
does not exceed the memory."""
PATHS: dict[str, tuple[str, list[str]]] = {
    "generic": ("generic", []),
    "wasm": ("wasm", []),
    "wasm_fused": ("wasm", ["-mrelaxed-simd", "-fno-vectorize", "-fno-slp-vectorize"]),
}
"""The paths of the core: the folder of ``core/arch``, and more flags. Where clang makes vectors of a loop
itself, it takes the relaxed minimum and maximum, which differ by processor where one number is a NaN."""
MODULES = {PLAIN: "wasm", FUSED: "wasm_fused"}
TESTED = ["-lwasi-emulated-signal", "-D_WASI_EMULATED_SIGNAL"]
ALONE = ("matrix_unit.cpp", "one_thread.cpp", "scratch.cpp")
MEMORY = ("malloc", "aligned_alloc", "free")
MOST_MEMORY = 1 << 31
SECTION = b"\x07pantoum"
LETTERS = {"*": "p", "int32_t": "i", "uint32_t": "u", "int64_t": "l", "uint64_t": "q", "float": "f"}
"""The types of fields as the module tells them."""


def modules(progress: Progress | None = None) -> dict[str, bytes]:
    """Both modules by their names; ``PantoumError`` says in one line what is missing."""
    wanted = _fingerprint()
    for folder in (HERE, cache_folder()):
        if all((folder / name).exists() for name in MODULES):
            found = {name: (folder / name).read_bytes() for name in MODULES}
            if all(wanted in (None, about(data).get("sources")) for data in found.values()):
                return found
    made = compiled(progress)
    for folder in (HERE, cache_folder()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, data in made.items():
                durable.write_file(folder / name, data)
            break
        except (OSError, StorageError):
            continue  # they will be compiled again
    return made


def compiled(progress: Progress | None = None) -> dict[str, bytes]:
    """Both modules by their names, compiled now."""
    if CORE is None:
        raise PantoumError("this installation lacks the sources of the module for browsers: install it again")
    names = [*MEMORY, *(f"pantoum_{name}" for name in Declaration(CORE / HEADER).operations)]
    names += ["pantoum_message", "pantoum_packed_bytes", "pantoum_operand_bytes", "pantoum_cells"]
    linked = ["-mexec-model=reactor", "-Wl,--strip-all", f"-Wl,--max-memory={MOST_MEMORY}"]
    linked += [f"-Wl,--export={name}" for name in names]
    made = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        objects = _objects(list(MODULES.values()), folder, progress)
        for name, path in MODULES.items():
            _clang(
                [*FLAGS, *_dispatch([path]), *objects[""], *objects[path], *linked, "-o", str(folder / name)],
                folder,
            )
            made[name] = (folder / name).read_bytes() + _section(name)
    return made


def _objects(paths: list[str], folder: Path, progress: Progress | None = None) -> dict[str, list[str]]:
    """The core's files compiled for each path, and for none of them (``""``)."""
    assert CORE is not None
    found: dict[str, list[str]] = {"": [], **{path: [] for path in paths}}
    tasks: list[list[str]] = []
    for path in found:
        own: list[str] = []
        if path:
            arch, more = PATHS[path]
            own = [f"-DPANTOUM_ISA={path}", f"-I{CORE / 'arch' / arch}", *more]
        for source in sorted((CORE / "kernels").glob("*.cpp")) if path else [CORE / name for name in ALONE]:
            made = str(folder / f"{path}-{source.stem}.o")
            found[path].append(made)
            tasks.append([*FLAGS, *own, "-c", str(source), "-o", made])
    with ThreadPool(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.imap_unordered(lambda one: _clang(one, folder), tasks), start=1):
            if progress is not None:
                progress(done, len(tasks))
    return found


def _dispatch(paths: list[str]) -> list[str]:
    """What compiles the choice among these paths, best last, as the first part of a program."""
    assert CORE is not None
    return ["-DPANTOUM_PATHS=" + "".join(f" X({path})" for path in paths), str(CORE / "dispatch.cpp")]


def _clang(arguments: list[str], folder: Path) -> None:
    if importlib.util.find_spec("ziglang") is None:
        raise PantoumError(
            "the modules for browsers are not in this installation: `make pages` in the clone builds them "
            "once; elsewhere `pip install ziglang` (101 MB), then give the command again"
        )
    # Where nothing can be written in a home, the compiler's own cache goes with the folder.
    home = os.environ.get("HOME") or os.environ.get("LOCALAPPDATA")
    places = {} if home and os.access(home, os.W_OK) else {"ZIG_GLOBAL_CACHE_DIR": str(folder)}
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
    files = {file.relative_to(CORE): file for ending in ("h", "cpp") for file in CORE.rglob(f"*.{ending}")}
    found = hashlib.sha256(repr((FLAGS, PATHS)).encode())
    for name, file in sorted(files.items()):
        if name.parts[0] != "tests":
            found.update(name.as_posix().encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


def _section(name: str) -> bytes:
    """What a module says of itself, as a custom section."""
    assert CORE is not None
    header = Declaration(CORE / HEADER)
    structs = {
        name: {field: LETTERS[kind] for field, kind in fields.items()}
        for name, fields in header.kinds().items()
    }
    about = {"sources": _fingerprint(), "abi": header.abi, "fused": name == FUSED, "structs": structs}
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


def main(out: str | None = None, *tests: str) -> None:
    """Put the modules, or tests of the core with all paths, into a folder: without one, the modules into the
    user's cache folder."""
    folder = cache_folder() if out is None else Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    if not tests:
        for name, data in (modules() if out is None else compiled()).items():
            (folder / name).write_bytes(data)
            print(f"{folder / name}: {len(data):,} bytes")
        return
    with tempfile.TemporaryDirectory() as scratch:
        objects = [made for own in _objects(list(PATHS), Path(scratch)).values() for made in own]
        for test in tests:
            made = folder / Path(test).with_suffix(".wasm").name
            _clang([*FLAGS, *_dispatch(list(PATHS)), *objects, test, *TESTED, "-o", str(made)], Path(scratch))


if __name__ == "__main__":
    main(*sys.argv[1:])
