"""One command on a run folder at a time; no crash leaves a lock behind."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pantoum.errors import RunError, StorageError
from pantoum.formats import anchor, durable, run_lock
from pantoum.formats.run_lock import RunLock

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


def without_locks(monkeypatch: pytest.MonkeyPatch, of: Callable[[int], bool]) -> None:
    """A system that knows no locks of folders, or of files; ``of`` is asked for the mode of each."""
    real = run_lock.fcntl.flock

    def some(descriptor: int, how: int) -> None:
        if of(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        real(descriptor, how)

    monkeypatch.setattr(run_lock.fcntl, "flock", some)


def test_a_second_process_is_refused_with_the_first_ones_name(tmp_path: Path) -> None:
    with another_process(tmp_path) as process, pytest.raises(RunError) as caught:
        RunLock(tmp_path).acquire()
    message = str(caught.value)
    assert f"process {process.pid} on {socket.gethostname()!r}" in message and str(tmp_path) in message


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
        with pytest.raises(RunError, match="by this very command"):
            lock.acquire()
    lock.release()
    with RunLock(tmp_path), pytest.raises(RunError):
        lock.acquire()


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


def test_removing_the_lock_file_lets_no_second_one_in(tmp_path: Path) -> None:
    with RunLock(tmp_path) as lock:
        (tmp_path / run_lock.LOCK_NAME).unlink()
        with pytest.raises(RunError, match="in use by another process"):
            RunLock(tmp_path).acquire()
        lock.require()


def test_where_only_the_file_is_locked_its_removal_ends_the_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch, stat.S_ISDIR)
    with RunLock(tmp_path) as lock:
        with pytest.raises(RunError, match="in use by"):
            RunLock(tmp_path).acquire()
        lock.require()
        (tmp_path / run_lock.LOCK_NAME).unlink()
        with RunLock(tmp_path) as second, pytest.raises(RunError, match="removed or replaced"):
            second.require()
            lock.require()


@pytest.mark.parametrize("instead", ["nothing", "a file", "another folder"])
def test_a_folder_that_was_removed_or_replaced_is_noticed_and_not_touched(
    tmp_path: Path, instead: str
) -> None:
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
                durable.write_file(folder / "file", b"new")
                assert (folder / "file").exists() and not (tmp_path / "moved" / "file").exists()
    assert instead != "a file" or folder.read_text() == "mine"


def test_links_and_pipes_in_the_locks_place_are_refused_and_left_alone(tmp_path: Path) -> None:
    folder, victim = tmp_path / "run", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("mine")
    lock = folder / run_lock.LOCK_NAME
    lock.symlink_to(victim)
    with pytest.raises(StorageError, match="a symbolic link is in its place"):
        RunLock(folder).acquire()
    lock.unlink()
    os.mkfifo(lock)
    with pytest.raises(StorageError, match="not a regular file"):
        RunLock(folder).acquire()
    lock.unlink()
    lock.hardlink_to(victim)
    with RunLock(folder), pytest.raises(RunError, match="another process"):
        RunLock(folder).acquire()
    assert victim.read_text() == "mine"


def test_whether_a_run_is_held_is_seen_without_touching_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_lock.held(tmp_path) is False
    with another_process(tmp_path) as process:
        assert run_lock.held(tmp_path) is True
        process.kill()
        process.wait()
        assert run_lock.held(tmp_path) is False
    with RunLock(tmp_path):
        assert run_lock.held(tmp_path) is True
        monkeypatch.setattr(run_lock, "fcntl", None)
        assert run_lock.held(tmp_path) is None
        monkeypatch.undo()
    assert run_lock.held(tmp_path) is False


def test_the_holder_may_remove_its_name_before_it_gives_the_lock_back(tmp_path: Path) -> None:
    with RunLock(tmp_path) as lock:
        lock.remove_name()
        assert run_lock.held(tmp_path) is False
        with pytest.raises(RunError, match="in use by another process"):
            RunLock(tmp_path).acquire()
    RunLock(tmp_path).acquire()


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"host":"another host","pid":1}', b'{"host":1}'])
def test_whether_an_unclear_name_holds_a_run_is_not_known(tmp_path: Path, content: bytes) -> None:
    (tmp_path / run_lock.LOCK_NAME).write_bytes(content)
    assert run_lock.held(tmp_path) is None


def test_another_users_process_holds_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(run_lock.os, "kill", forbidden)
    with RunLock(tmp_path):
        assert run_lock.held(tmp_path) is True


def test_a_lock_of_the_folder_needs_none_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_locks(monkeypatch, stat.S_ISREG)
    with RunLock(tmp_path) as lock, pytest.raises(RunError, match="in use by"):
        lock.require()
        (tmp_path / run_lock.LOCK_NAME).unlink()
        lock.require()
        RunLock(tmp_path).acquire()


def test_where_nothing_can_be_locked_the_caller_is_warned_in_these_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch, lambda mode: True)
    with pytest.warns(UserWarning) as caught, RunLock(tmp_path):
        pass
    assert [str(each.message) for each in caught] == [
        f"the run folder {str(tmp_path)!r} cannot be locked here ({os.strerror(errno.ENOLCK)}); start no "
        "second command on it"
    ]
    monkeypatch.setattr(run_lock, "fcntl", None)
    for supported in (anchor.SUPPORTED, False):  # as on Windows, where folders cannot be held either
        monkeypatch.setattr(anchor, "SUPPORTED", supported)
        known = re.escape(f"here ({os.strerror(errno.ENOTSUP)}); start")
        with pytest.warns(UserWarning, match=known), RunLock(tmp_path):
            pass


def test_a_lock_can_be_taken_again_after_it_was_given_back(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    for _ in range(2):
        with lock, pytest.raises(RunError, match=r"is locked by this very command; release it first$"):
            lock.acquire()
        assert not anchor.beneath(tmp_path / "file")
        durable.write_file(tmp_path / "file", b"new")
        assert (tmp_path / run_lock.LOCK_NAME).read_bytes() == b""


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
    assert len(list(OPEN.iterdir())) == before


def test_the_whole_of_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, place = str(tmp_path), str(tmp_path / run_lock.LOCK_NAME)
    (tmp_path / "file").write_bytes(b"")
    missing, file = str(tmp_path / "missing"), str(tmp_path / "file")
    told = {
        missing: "the folder does not exist (ENOENT); create the folder or check the spelling",
        file: "a part of the path is a file, not a folder (ENOTDIR); check the spelling",
    }
    for name, words in told.items():
        with pytest.raises(StorageError) as caught:
            RunLock(name).acquire()
        assert str(caught.value) == f"cannot lock the run folder {name!r}: {words}"
    os.mkfifo(place)
    with pytest.raises(StorageError) as caught:
        RunLock(folder).acquire()
    words = "it is not a regular file (EINVAL); choose another path"
    assert str(caught.value) == f"cannot lock the run folder by {place!r}: {words}"
    Path(place).unlink()
    with RunLock(folder) as lock:
        (tmp_path / run_lock.LOCK_NAME).write_text(json.dumps({"host": "x" * 150, "pid": 7}))
        with pytest.raises(RunError) as refused:
            RunLock(folder).acquire()
        assert str(refused.value) == (
            f"the run folder {folder!r} is in use by process 7 on {'x' * 100!r}; wait until it ends, or give "
            "this run another folder"
        )
        monkeypatch.setattr(Path, "stat", forbidden)
        with pytest.raises(StorageError, match=f"^cannot read {folder!r}: permission denied"):
            lock.require()


def forbidden(*_: object, **__: object) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_looking_whether_a_process_lives_sends_it_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(run_lock.os, "kill", lambda pid, number: asked.append((pid, number)))
    with RunLock(tmp_path):
        assert run_lock.held(tmp_path) is True and asked == [(os.getpid(), 0)]
        name = {"host": socket.gethostname(), "pid": os.getpid(), "more": "x" * 2_000}
        (tmp_path / run_lock.LOCK_NAME).write_text(json.dumps(name))
        assert run_lock.held(tmp_path) is None


def test_a_pipe_in_the_locks_place_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / run_lock.LOCK_NAME)
    assert run_lock.held(tmp_path) is False
