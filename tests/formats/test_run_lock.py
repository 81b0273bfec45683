"""One command on a run folder at a time; no crash leaves a lock behind."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pantoum.errors import RunError, StorageError
from pantoum.formats import durable, run_lock
from pantoum.formats.run_lock import RunLock, waited_for

OPEN = Path("/proc/self/fd")
HOLD = """
import sys, time
from pantoum.formats.run_lock import RunLock
RunLock(sys.argv[1]).acquire()
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


class Windows:
    """The locks of Windows: one byte, by whichever descriptor."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.locked: dict[int, int] = {}

    def locking(self, descriptor: int, how: int, count: int) -> None:
        assert (how, count, os.lseek(descriptor, 0, os.SEEK_CUR)) == (2, 1, run_lock.LOCKED_BYTE)
        number = os.fstat(descriptor).st_ino
        owner = self.locked.get(number)
        if owner is not None and owner != descriptor:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        self.locked[number] = descriptor


def test_a_second_process_is_refused_with_the_first_ones_name(tmp_path: Path) -> None:
    with another_process(tmp_path) as process, pytest.raises(RunError) as caught:
        RunLock(tmp_path).acquire()
    assert str(caught.value) == (
        f"the run folder {str(tmp_path)!r} is in use by process {process.pid} on {socket.gethostname()!r}; "
        "wait until it ends, or give this run another folder"
    )


def test_the_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with RunLock(tmp_path):
            pass


def test_two_locks_in_one_process_exclude_each_other_and_release(tmp_path: Path) -> None:
    with RunLock(tmp_path) as lock:
        with pytest.raises(RunError, match=f"process {os.getpid()}"):
            RunLock(str(tmp_path)).acquire()
        with pytest.raises(RunError, match=r"is locked by this command itself; release it first$"):
            lock.acquire()
    lock.release()
    with RunLock(tmp_path), pytest.raises(RunError):
        lock.acquire()
    with lock:
        lock.require()
    assert (tmp_path / run_lock.LOCK_NAME).read_bytes() == b""


def test_windows_locks_a_byte_that_no_name_reaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lock, "fcntl", None)
    monkeypatch.setattr(run_lock, "msvcrt", Windows(), raising=False)
    with RunLock(tmp_path) as lock:
        lock.require()
        with pytest.raises(RunError, match=f"in use by process {os.getpid()}"):
            RunLock(tmp_path).acquire()
        assert run_lock.held(tmp_path) is None
        assert (tmp_path / run_lock.LOCK_NAME).stat().st_size < run_lock.MOST_BYTES


def test_on_windows_commands_that_prepare_a_folder_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = Windows()
    monkeypatch.setattr(run_lock, "fcntl", None)
    monkeypatch.setattr(run_lock, "msvcrt", windows, raising=False)
    monkeypatch.setattr(run_lock.time, "sleep", lambda _: windows.locked.clear())
    with waited_for(tmp_path) as first, waited_for(tmp_path) as second:
        assert (first, second) == (False, True) and (tmp_path / run_lock.LOCK_NAME).exists()
    assert not list(tmp_path.iterdir())


def test_a_holder_without_a_name_is_another_process(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        for content in (b"", b"{", b"[]", b'{"pid":"x","host":1}', b'{"pid":1}'):
            (tmp_path / run_lock.LOCK_NAME).write_bytes(content)
            with pytest.raises(RunError, match="in use by another process"):
                RunLock(tmp_path).acquire()


def test_a_full_disk_does_not_undo_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable.system, "write", full)
    with RunLock(tmp_path), pytest.raises(RunError, match="another process"):
        RunLock(tmp_path).acquire()


def test_where_the_lock_file_is_removed_its_holder_ends(tmp_path: Path) -> None:
    with RunLock(tmp_path) as lock:
        (tmp_path / run_lock.LOCK_NAME).unlink()
        with RunLock(tmp_path) as second, pytest.raises(RunError, match="removed or replaced"):
            second.require()
            lock.require()


@pytest.mark.parametrize("instead", ["nothing", "a file", "another folder"])
def test_a_folder_that_was_removed_or_replaced_is_noticed(tmp_path: Path, instead: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with RunLock(folder) as lock:
        folder.rename(tmp_path / "moved")
        if instead == "a file":
            folder.write_text("mine")
        if instead == "another folder":
            folder.mkdir()
        with pytest.raises(RunError) as caught:
            lock.require()
        assert str(caught.value) == (
            f"the run folder {str(folder)!r} was removed or replaced while this command used it: nothing "
            "more is written; begin a new run, and remove only folders that no command uses"
        )
        if instead == "another folder":
            with RunLock(folder) as other:
                other.require()


def test_whether_a_run_is_held_is_seen_without_touching_the_lock(tmp_path: Path) -> None:
    assert run_lock.held(tmp_path) is False
    with another_process(tmp_path) as process:
        assert run_lock.held(tmp_path) is True
        process.kill()
        process.wait()
        assert run_lock.held(tmp_path) is False
    with RunLock(tmp_path) as lock:
        assert run_lock.held(tmp_path) is True
        lock.remove_name()
        assert run_lock.held(tmp_path) is False
        with pytest.raises(RunError, match="in use by another process"):
            RunLock(tmp_path).acquire()


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"host":"another host","pid":1}', b'{"host":1}'])
def test_whether_an_unclear_name_holds_a_run_is_not_known(tmp_path: Path, content: bytes) -> None:
    (tmp_path / run_lock.LOCK_NAME).write_bytes(content)
    assert run_lock.held(tmp_path) is None


def test_another_users_process_holds_its_run_and_is_sent_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def forbidden(pid: int, number: int) -> None:
        asked.append((pid, number))
        raise PermissionError

    monkeypatch.setattr(run_lock.os, "kill", forbidden)
    with RunLock(tmp_path):
        assert run_lock.held(tmp_path) is True and asked == [(os.getpid(), 0)]
        name = {"host": socket.gethostname(), "pid": os.getpid(), "more": "x" * 2_000}
        (tmp_path / run_lock.LOCK_NAME).write_text(json.dumps(name))
        assert run_lock.held(tmp_path) is None


def test_where_a_disk_has_no_locks_the_name_is_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    words = f"this disk has no locks ({os.strerror(errno.ENOLCK)}): if nobody uses it, remove its '.lock'"
    with another_process(tmp_path) as process:
        monkeypatch.setattr(run_lock.fcntl, "flock", none)
        with pytest.raises(RunError) as caught:
            RunLock(tmp_path).acquire()
        assert f"in use by process {process.pid} on" in str(caught.value) and words in str(caught.value)
        process.kill()
        process.wait()
        with RunLock(tmp_path) as lock:
            lock.require()
            with pytest.raises(RunError, match=f"in use by process {os.getpid()}"):
                RunLock(tmp_path).acquire()
    (tmp_path / run_lock.LOCK_NAME).write_text('{"host":"elsewhere","pid":1}')
    with pytest.raises(RunError, match="in use by process 1 on 'elsewhere'"):
        RunLock(tmp_path).acquire()
    with waited_for(tmp_path) as waited:
        assert not waited


def test_a_lock_is_given_back_whatever_the_disk_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with RunLock(tmp_path):
        monkeypatch.setattr(durable.system, "truncate", broken)
    with RunLock(tmp_path):
        pass


@pytest.mark.skipif(not OPEN.is_dir(), reason="SKIP: this system does not list descriptors")
def test_a_lock_that_is_refused_or_given_back_keeps_nothing_open(tmp_path: Path) -> None:
    before = len(list(OPEN.iterdir()))
    with RunLock(tmp_path):
        held = len(list(OPEN.iterdir()))
        with pytest.raises(RunError):
            RunLock(tmp_path).acquire()
        assert len(list(OPEN.iterdir())) == held
    with waited_for(tmp_path):
        pass
    assert len(list(OPEN.iterdir())) == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "the folder does not exist (ENOENT); create the folder or check the spelling"),
        ("file", "a part of the path is a file, not a folder (ENOTDIR); check the spelling"),
    ],
)
def test_a_folder_that_is_none_is_told(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError) as caught:
        RunLock(tmp_path / name).acquire()
    path = str(tmp_path / name / run_lock.LOCK_NAME)
    assert str(caught.value) == f"cannot lock the run folder by {path!r}: {words}"


def test_a_pipe_in_the_locks_place_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / run_lock.LOCK_NAME)
    assert run_lock.held(tmp_path) is False


def test_who_waits_for_a_folder_goes_on_when_it_is_free(tmp_path: Path) -> None:
    told: list[bool] = []

    def wait() -> None:
        with waited_for(tmp_path) as waited:
            told.append(waited)

    with waited_for(tmp_path) as waited:
        assert not waited
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive() and not told
    thread.join()
    assert told == [True]
