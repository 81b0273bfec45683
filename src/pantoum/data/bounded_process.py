"""Reads a PDF or RTF document in a process of its own, by pypdf or striprtf (the extra ``documents``).

Both libraries build what they read in memory, and a file made to harm can let them build much or run long. So
the system bounds the process: ``MEMORY`` and ``MEMORY_TIMES`` the file's size beyond what the interpreter and
the library take, ``SECONDS`` and ``SECONDS_PER_MB`` of processor time. (Windows has no such bounds, and macOS
none for memory.) The text comes back on stdout as UTF-8, page by page, and what is wrong in one line on
stderr. The process runs this file alone, so it must import nothing of pantoum.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["BadDocumentError", "read_apart"]

BLOCK = 1 << 16
MEMORY, MEMORY_TIMES = 64 << 20, 10
SECONDS, SECONDS_PER_MB = 20, 30
SIGXCPU = 24
START = (
    "import os, runpy, sys; sys.path[:] = sys.argv.pop(1).split(os.pathsep); "
    "runpy.run_path(sys.argv.pop(1), None, '__main__')"
)
"""Begins the process without the packages above this file, but with the paths on which the library lies."""
MESSAGE = 200


class BadDocumentError(ValueError):
    """What is wrong with a document, in a few words."""


def read_apart(codec: str, path: Path) -> Iterator[bytes]:
    """The text of a document, in blocks."""
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            [sys.executable, "-c", START, os.pathsep.join(sys.path), __file__, codec, path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
        assert process.stdout is not None
        try:
            while block := process.stdout.read(BLOCK):
                yield block
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        if code == -SIGXCPU:
            raise BadDocumentError("it takes longer than a document of its size may")
        if code:
            messages.seek(0)
            said = messages.read().decode("utf-8", "replace").strip().splitlines()
            raise BadDocumentError(
                said[-1][:MESSAGE] if said else "it takes more memory than a document of its size may"
            )


def main(codec: str, path: str) -> int:
    """Write the text of the document to stdout."""
    logging.disable()
    write = sys.stdout.buffer.write
    size = Path(path).stat().st_size
    texts = _pdf(path, size) if codec == "pdf" else _rtf(path, size)
    try:
        empty = True
        for text in texts:
            empty = empty and not text.strip()
            write(text.encode("utf-8", "replace"))
        sys.stdout.flush()
        message = (
            "it holds no text (its pages may be pictures, which have to be recognised first)" if empty else ""
        )
    except MemoryError:
        message = "it takes more memory than a document of its size may"
    except Exception as error:  # whatever a library makes of a damaged file
        message = f"it is damaged or encrypted ({type(error).__name__}: {error})"
    sys.stderr.write(message and " ".join(message.split()) + "\n")
    return 1 if message else 0


def _pdf(path: str, size: int) -> Iterator[str]:
    """The lines of the pages."""
    from pypdf import PdfReader

    _bound(size)
    for page in PdfReader(path).pages:
        text = page.extract_text()
        yield text if text.endswith("\n") or not text else text + "\n"


def _rtf(path: str, size: int) -> Iterator[str]:
    """The paragraphs."""
    from striprtf.striprtf import rtf_to_text

    _bound(size)
    text = rtf_to_text(Path(path).read_bytes().decode("latin-1"), encoding="cp1252", errors="replace")
    yield text if text.endswith("\n") else text + "\n"


def _bound(size: int) -> None:
    """Bound memory and processor time from here on, where the system can."""
    if sys.platform == "win32":
        return
    import resource

    seconds = SECONDS + SECONDS_PER_MB * size // 1_000_000
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MEMORY + MEMORY_TIMES * size
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
