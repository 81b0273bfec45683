"""Other processes that work on a text: ``Workers.across`` is ``map``, spread over them.

A worker is a Python of its own that waits for a function, then for items, and answers each by the function's
result. It reads no file and writes none, so everything about reading, order, errors and files is as without
workers. The results come in the order of the items, and at most two items per worker are on their way, so
that memory is bounded.

Workers are started as programs, not by ``multiprocessing``: its ``spawn`` runs the main module of the user's
script again, and ``fork`` copies locks that other threads hold. They are in a session of their own, so Ctrl-C
reaches this process alone, which ends them; one whose parent was killed reads the end of its input and ends.
A worker that dies (killed for its memory, say) is an error of the call.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pantoum.config.launcher import default_threads
from pantoum.config.processors import THREAD_VARIABLES
from pantoum.errors import PantoumError

WORTH = 8 << 20
"""Bytes of text for which a worker is worth starting."""
MOST = 8
"""Workers beyond which the process that combines their results is too slow for more."""
AHEAD = 2
"""Items that are on their way, per worker."""
PROGRAM = """
import sys
sys.path[:] = sys.argv[1:]
from pantoum.data.workers import serve
serve()
"""
ADVICE = "prepare the text with: pantoum prepare TEXT --out DIR --processes 1"
END = 5.0
"""Seconds in which the system tells how a worker has ended."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def worth(size: int) -> int:
    """How many workers are worth starting for so many bytes of text; 1: the work is done in this process.

    A program that has Python built in is none that starts a worker.
    """
    program = Path(sys.executable or "").name.lower()
    if not program.startswith(("python", "pypy")) or getattr(sys, "frozen", False):
        return 1
    return max(1, min(default_threads(), size // WORTH, MOST))


class Workers:
    """Some worker processes, started when they are needed; a context manager, after which they have ended."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._begin()

    def _begin(self) -> None:
        self._pool = ThreadPoolExecutor(self._count, "pantoum-workers")
        self._own = threading.local()
        """The process that a thread of the pool asks, and the function that the process has."""
        self._processes: list[subprocess.Popen[bytes]] = []

    def across(self, function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]:
        """Call ``function`` for each item; the results, in order. Both must be such as can be pickled.

        ``PantoumError``: a worker has ended early. An error of the function is raised here.
        """
        packed = pickle.dumps(function)
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(self._pool.submit(self._ask, packed, item))
                if len(waiting) >= AHEAD * self._count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *ended: object) -> None:
        self._end()

    def _end(self) -> None:
        for process in self._processes:
            process.kill()
        self._pool.shutdown(cancel_futures=True)
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # what was not sent is not sent
                    pipe.close()  # type: ignore[union-attr]
        self._begin()

    def _ask(self, function: bytes, item: object) -> Any:
        """The answer of the function to an item, by the process of this thread."""
        own = self._own.__dict__
        process = own.get("process") or self._started()
        new = function if function is not own.get("function") else None
        try:
            pickle.dump((new, item), process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            good, answer = pickle.load(process.stdout)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError) as problem:
            raise _lost(process) from problem
        own.update(process=process, function=function)
        if not good:
            raise answer
        return answer

    def _started(self) -> Any:
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")},
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
            )
        except OSError as problem:
            raise PantoumError(f"cannot start another process: {problem.strerror}; {ADVICE}") from problem
        self._processes.append(process)
        return process


def _lost(process: subprocess.Popen[bytes]) -> PantoumError:
    with suppress(subprocess.TimeoutExpired):
        process.wait(END)
    code = process.returncode
    how = "without a message" if code is None else f"with code {code}"
    if code is not None and code < 0:
        how = f"by {signal.Signals(-code).name}"
    return PantoumError(
        f"process {process.pid}, which split a part of the text, has ended {how}: perhaps the memory is too "
        f"small for several; {ADVICE}"
    )


def serve() -> None:
    """What a worker does: it answers requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where sessions do not keep Ctrl-C away
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed is no answer
    function: Callable[[Any], object] | None = None
    while True:
        try:
            new, item = pickle.load(requests)
        except EOFError:
            return
        try:
            function = pickle.loads(new) if new is not None else function
            assert function is not None
            answer = True, function(item)
        except BaseException as problem:
            answer = False, problem
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()
