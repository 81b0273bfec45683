"""Reads a file of others in a process of its own, which the system bounds.

Documents and models of other programs are parsed by large libraries and long code, and a file made to harm
can let them build much, run long or crash. So they run elsewhere, and have only what a file of its size may
need: ``MEMORY`` and ``MEMORY_TIMES`` its size beyond what the interpreter and the libraries take, ``SECONDS``
and ``SECONDS_PER_MB`` of processor time. From the first byte of the file on the process can open nothing
more: no file, no connection.

Only plain bytes come back, in frames: a kind, a length and the bytes. They are text, or the blob of
``tensor_layout``; nothing is unpickled.

macOS does not bound memory. Windows bounds nothing: there a process that gives nothing for that many seconds
is ended.
"""

from __future__ import annotations

import codecs
import contextlib
import encodings
import importlib
import json
import os
import pkgutil
import signal
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NoReturn

from pantoum.errors import PantoumError

MEMORY, MEMORY_TIMES = 256 << 20, 10
SECONDS, SECONDS_PER_MB = 20, 30
BLOCK = 1 << 20
MESSAGE = 1000
FRAME = struct.Struct("<cI")
DATA, DONE, PROBLEM, REFUSED = b"D", b"E", b"P", b"R"
"""Kinds of frames: bytes, their end, what is wrong with the file, and a whole message of ours."""
START = (
    "import json, sys; asked = json.loads(sys.stdin.buffer.read()); sys.path[:] = asked.pop('path'); "
    "from pantoum.formats.bounded_child import serve; serve(**asked)"
)
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
TOO_MUCH = "it needs more memory than a file of its size may use"


class BadFileError(ValueError):
    """What is wrong with a file, in a few words, and what to do if that is special."""

    def __init__(self, problem: str, advice: str = "") -> None:
        super().__init__(problem)
        self.advice = advice


def read_apart(
    reader: str,
    arguments: Sequence[str],
    paths: Sequence[Path],
    subject: str,
    advice: str,
    error: type[PantoumError],
) -> Iterator[bytes]:
    """What ``reader``, the name of a ``module:function``, gives of some files.

    In the other process the function takes ``arguments``, imports all that it will need and returns a
    function, which takes the open files and gives blocks of bytes. What is wrong is an ``error`` of the form
    ``subject: problem; advice``, or with the words of the ``PantoumError`` that was raised there.
    """
    here = str(Path(__file__).parents[2])
    asked = {"path": sys.path if here in sys.path else [here, *sys.path], "reader": reader}
    asked |= {"arguments": list(arguments), "paths": [str(path.absolute()) for path in paths]}
    command = [sys.executable, "-I", "-S", "-B", "-X", f"utf8={sys.flags.utf8_mode}", "-c", START]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
    except OSError as problem:
        words = f"the process that reads it cannot be started ({problem.strerror})"
        raise error(f"{subject}: {words}; end other programs, and try again") from problem
    assert process.stdin is not None and process.stdout is not None
    seconds = _seconds(sum(path.stat().st_size for path in paths if path.exists()))
    try:
        with contextlib.suppress(OSError), process.stdin as ask:
            ask.write(json.dumps(asked).encode())
        while True:
            kind, data = _frame(process, seconds)
            if kind == DATA:
                yield data
                continue
            if kind == DONE:
                return
            said, _, own = data.decode("utf-8", "replace").partition("\n")
            if kind != REFUSED:
                words = " ".join(said.split()) if kind == PROBLEM else _ending(process)
                said = f"{subject}: {words[:MESSAGE]}; {own[:MESSAGE] or advice}"
            raise error(said)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _frame(process: subprocess.Popen[bytes], seconds: int) -> tuple[bytes, bytes]:
    """The kind and the bytes of the next frame; no kind where the process has ended."""
    timer = threading.Timer(seconds, process.kill) if sys.platform == "win32" else None
    if timer is not None:
        timer.start()
    try:
        assert process.stdout is not None
        head = process.stdout.read(FRAME.size)
        kind, size = FRAME.unpack(head) if len(head) == FRAME.size else (b"", 0)
        data = process.stdout.read(size) if size <= BLOCK else b""
        return (kind, data) if len(data) == size else (b"", b"")
    finally:
        if timer is not None:
            timer.cancel()


def _ending(process: subprocess.Popen[bytes]) -> str:
    """Why a process ended in the middle."""
    code = process.wait()
    if sys.platform != "win32" and code == -signal.SIGXCPU:
        return "it takes longer than a file of its size may take"
    return f"{TOO_MUCH}, or it crashes its reader (exit {code})"


def _seconds(size: int) -> int:
    return SECONDS + SECONDS_PER_MB * size // 1_000_000


# In the other process. ----------------------------------------------------------------------------------


def serve(reader: str, arguments: Sequence[str], paths: Sequence[str]) -> NoReturn:
    """Read the files and write what they give to stdout; end the process."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is nobody's

    def send(kind: bytes, data: bytes = b"") -> None:
        pipe.write(FRAME.pack(kind, len(data)) + data)

    try:
        module, _, function = reader.partition(":")
        read = getattr(importlib.import_module(module), function)(*arguments)
        for block in _read(read, paths):
            view = memoryview(block).cast("B")
            for begin in range(0, len(view), BLOCK):
                send(DATA, bytes(view[begin : begin + BLOCK]))
        send(DONE)
    except PantoumError as error:
        send(REFUSED, str(error).encode("utf-8", "replace"))
    except BadFileError as error:
        send(PROBLEM, f"{error}\n{error.advice}".encode("utf-8", "replace"))
    except MemoryError:
        send(PROBLEM, TOO_MUCH.encode())
    except BaseException as error:  # whatever a library makes of a damaged file
        words = " ".join(f"{type(error).__name__}: {str(error)[:MESSAGE]}".split())
        send(PROBLEM, f"it is damaged or encrypted ({words})".encode("utf-8", "replace"))
    with contextlib.suppress(OSError):
        pipe.flush()
    os._exit(0)


def _read(read: Callable[..., Iterable[bytes]], paths: Sequence[str]) -> Iterator[bytes]:
    """The blocks of the files, which are opened before everything is bounded."""
    files = list[IO[bytes]]()
    for path in paths:
        file = os.fdopen(os.open(path, FLAGS), "rb")
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise BadFileError("it is not a regular file")
        files.append(file)
    for encoding in pkgutil.iter_modules(encodings.__path__):  # in any of which a part of a file may be
        with contextlib.suppress(LookupError, ImportError):
            codecs.lookup(encoding.name)
    _bound(sum(os.fstat(file.fileno()).st_size for file in files))
    yield from read(*files)


def _bound(size: int) -> None:
    """Bound what is taken from here on, where the system can."""
    if sys.platform == "win32":
        return
    import resource

    def limit(kind: int, most: int, spare: int = 0) -> None:
        hard = resource.getrlimit(kind)[1]
        hard = most + spare if hard == resource.RLIM_INFINITY else min(most + spare, hard)
        resource.setrlimit(kind, (min(most, hard), hard))

    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit(resource.RLIMIT_AS, pages * resource.getpagesize() + MEMORY + MEMORY_TIMES * size)
    limit(resource.RLIMIT_CPU, _seconds(size), spare=5)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_NOFILE, 0)
