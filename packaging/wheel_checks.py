"""Opens a wheel and says what is wrong with it, then runs its core where this machine can.

A wheel must be what its name says: tags; one library for that system and processor, which needs the C library
and nothing else, of no newer version than the tag promises, and shows the functions of its header alone; no
path of the machine that made it; at most 2.5 MB. Its core runs `core/tests/same_bits`: natively, by the
loader of musl, under qemu or under wine. What is missing for that is named. The cores for macOS and for
Windows on arm64 never run here.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import lief
import zig

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "core" / "tests"
MOST_BYTES = 2_500_000
NAMES = {"macosx": "libpantoum_core.dylib", "win": "pantoum_core.dll"}
SYSTEM = {
    "manylinux": r"lib(c|m|pthread)\.so\.6|libpthread\.so\.0|ld-linux-[\w-]+\.so\.[12]",
    "musllinux": r"libc\.so",
    "macosx": r"/usr/lib/libSystem\.B\.dylib",
    "win": r"(?i:kernel32\.dll|api-ms-win-crt-\w+-l1-1-0\.dll)",
}
"""All that a library may need from its system."""
MADE_BY_THE_LINKER = {"__dso_handle", "_mh_dylib_header"}
"""What each library of macOS exports beside its own."""
PROCESSORS = {"x86_64": {"X86_64", "AMD64"}, "aarch64": {"AARCH64", "ARM64"}}
WINE = next((path for path in map(shutil.which, ("wine64", "/usr/lib/wine/wine64", "wine")) if path), None)


def checked(wheel: Path, tag: str) -> dict[str, Any]:
    """A row of the table: the platform, bytes, faults, where its core ran, and the hash of its bits."""
    system = tag.partition("_")[0]
    with tempfile.TemporaryDirectory(prefix="wheel äöü ") as name:
        folder = Path(name)
        zipfile.ZipFile(wheel).extractall(folder)
        faults = [*of_the_archive(wheel, folder, tag)]
        library = folder / "pantoum" / "kernels" / "native" / NAMES.get(system, "libpantoum_core.so")
        if library.exists():
            faults += of_the_library(library, tag)
            ran, bits, wrong = run(library, tag)
            faults += wrong
        else:
            ran, bits = "no", None
            faults.append(f"{library.name} is not in it")
    return {
        "platform": tag,
        "wheel": wheel.name,
        "bytes": wheel.stat().st_size,
        "ran": ran,
        "bits": bits,
        "faults": faults,
    }


def of_the_archive(wheel: Path, folder: Path, tag: str) -> list[str]:
    """What is wrong with its name, its tags, its size or its files."""
    faults = []
    if not wheel.name.endswith(f"-py3-none-{tag}.whl"):
        faults.append("its name has other tags")
    (said,) = folder.glob("*.dist-info/WHEEL")
    if re.findall(r"^(?:Tag|Root-Is-Purelib): (.+)$", said.read_text(), re.M) != ["false", f"py3-none-{tag}"]:
        faults.append(f"WHEEL says {said.read_text()!r}")
    if wheel.stat().st_size > MOST_BYTES:
        faults.append(f"{wheel.stat().st_size} bytes are more than {MOST_BYTES}")
    here = {str(ROOT), str(Path.home()), sys.prefix, tempfile.gettempdir()}
    places = [f"{place}/".encode() for place in here if len(place) > 1]
    for file in (each for each in folder.rglob("*") if each.is_file()):
        data = file.read_bytes()
        faults += [
            f"{file.name} names {place.decode()}" for place in places if place in data and library_like(file)
        ]
    return faults


def library_like(file: Path) -> bool:
    """Whether a compiler wrote it: docs name folders such as /tmp on purpose."""
    return file.suffix in {".so", ".dylib", ".dll", ".wasm"}


def of_the_library(library: Path, tag: str) -> list[str]:
    """What is wrong with the library as its system would load it."""
    parsed: Any = lief.parse(str(library))
    found = parsed.at(0) if isinstance(parsed, lief.MachO.FatBinary) else parsed
    read = {lief.ELF.Binary: of_elf, lief.MachO.Binary: of_mach_o, lief.PE.Binary: of_pe}.get(type(found))
    if read is None:
        return [f"{library.name} is no library"]
    processor, needs, exports, faults = read(found, tag)
    if processor not in PROCESSORS[zig.TARGETS[tag].partition("-")[0]]:
        faults.append(f"it is for {processor}")
    faults += [f"it needs {name}" for name in needs if not re.fullmatch(SYSTEM[tag.partition("_")[0]], name)]
    header = (library.parent / "pantoum_core.h").read_text()
    declared = {*re.findall(r"^PANTOUM_API .*?\b(pantoum_\w+)\(", header, re.M)}
    declared |= {f"pantoum_{name}" for name in re.findall(r"\bX\((\w+)\)", header)}
    if exports != declared:
        faults.append(f"it exports {sorted(exports ^ declared)[:5]} other than its header")
    return faults


def of_elf(found: Any, tag: str) -> tuple[str, list[str], set[str], list[str]]:
    """Processor, libraries, exports and faults of Linux."""
    versions = [
        each.name for need in found.symbols_version_requirement for each in need.get_auxiliary_symbols()
    ]
    most = tuple(map(int, re.findall(r"\d+", tag)[:2]))
    faults = [f"it needs {name}" for name in versions if tuple(map(int, re.findall(r"\d+", name))) > most]
    exports = {each.name for each in found.exported_symbols}
    return found.header.machine_type.name, list(found.libraries), exports, faults


def of_mach_o(found: Any, tag: str) -> tuple[str, list[str], set[str], list[str]]:
    """The same of macOS, whose arm64 loads nothing without a signature."""
    needs = [each.name for each in found.libraries if "pantoum_core" not in each.name]
    minimum = found.build_version.minos if found.has_build_version else found.version_min.version
    faults = [] if tuple(minimum[:2]) == (11, 0) else [f"it is for macOS {minimum}"]
    if tag.endswith("arm64") and not found.has_code_signature:
        faults.append("it has no signature")
    exports = {each.name.removeprefix("_") for each in found.exported_symbols} - MADE_BY_THE_LINKER
    return found.header.cpu_type.name, needs, exports, faults


def of_pe(found: Any, tag: str) -> tuple[str, list[str], set[str], list[str]]:
    """The same of Windows."""
    exports = {each.name for each in found.get_export().entries}
    return found.header.machine.name, [each.name for each in found.imports], exports, []


def run(library: Path, tag: str) -> tuple[str, str | None, list[str]]:
    """Where its core ran, the hash of all its float32 results, and what went wrong."""
    target = zig.TARGETS[tag]
    if tag.startswith("macosx") or tag == "win_arm64":
        return "never", None, []
    if platform.machine() != "x86_64" or sys.platform != "linux":
        return "SKIP: not Linux on x86-64", None, []
    how, lacks = runner(tag)
    if lacks:
        return f"SKIP SKIP SKIP  {lacks} is missing", None, []
    program = library.with_name("same_bits.exe" if tag.startswith("win") else "same_bits")
    linked = [str(library)] if tag.startswith("win") else [str(library), "-Wl,-rpath,$ORIGIN"]
    zig_cxx = [sys.executable, "-m", "ziglang", "c++", "-target", target, "-std=c++17", "-O1"]
    compiled = subprocess.run(
        [*zig_cxx, str(TESTS / "same_bits.cpp"), *linked, "-o", str(program)], capture_output=True, text=True
    )
    if compiled.returncode:
        return "no", None, [f"same_bits was not compiled: {compiled.stderr[-500:]}"]
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "WINEDEBUG": "-all", "WINEPREFIX": str(Path(scratch, "wine prefix"))}
        done = subprocess.run([*how, str(program)], capture_output=True, text=True, env=environment)
        if WINE and tag.startswith("win"):  # its server lives on for a while, in the folder
            subprocess.run(
                [shutil.which("wineserver") or "/usr/lib/wine/wineserver64", "-k"], env=environment
            )
    if done.returncode:
        return "no", None, [f"same_bits failed: {(done.stdout + done.stderr)[-500:]}"]
    bits, *paths = done.stdout.split()
    return f"{Path(how[0]).name if how else 'natively'}: {' '.join(paths)}", bits, []


def runner(tag: str) -> tuple[list[str], str | None]:
    """What runs a program of a platform, or what is missing for that."""
    if tag == "win_amd64":
        return ([WINE], None) if WINE else ([], "wine64 (Debian's wine64)")
    processor = zig.TARGETS[tag].partition("-")[0]
    if tag.startswith("musllinux"):
        loader = f"/lib/ld-musl-{processor}.so.1"
        if not Path(loader).exists():
            return [], f"{loader} (Debian's musl{'' if processor == 'x86_64' else ':arm64'})"
    if processor == "x86_64":
        return [], None
    if shutil.which("qemu-aarch64") is None:
        return [], "qemu-aarch64 (Debian's qemu-user)"
    root = "/usr/aarch64-linux-gnu"
    if tag.startswith("manylinux") and not Path(root).exists():
        return [], f"{root} (Debian's libc6-arm64-cross)"
    return ["qemu-aarch64", *(["-L", root] if tag.startswith("manylinux") else [])], None


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for a person."""
    lines = ["| platform | KB | ran | bits | faults |", "| -- | -- | -- | -- | -- |"]
    for row in rows:
        faults = "<br>".join(row["faults"]) or "none"
        size = "" if row["bytes"] is None else row["bytes"] // 1000
        lines.append(f"| {row['platform']} | {size} | {row['ran']} | {row['bits'] or ''} | {faults} |")
    return "\n".join(lines)
