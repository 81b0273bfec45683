"""Writing whole or not at all: names, modes, links, devices, and one clear line when the disk says no."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pantoum.errors import StorageError
from pantoum.formats import durable, system_calls
from pantoum.formats.system_calls import System


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def refuse(monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    """Let one system call fail with an errno."""

    def failing(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(durable.system, call, failing)


def test_a_file_is_written_whole_from_bytes_or_chunks(tmp_path: Path) -> None:
    durable.write_file(tmp_path / "one", b"abc")
    durable.write_file(str(tmp_path / "two"), iter([b"ab", bytearray(b"c"), memoryview(b"d")]))
    assert (tmp_path / "one").read_bytes() == b"abc"
    assert (tmp_path / "two").read_bytes() == b"abcd"
    assert names(tmp_path) == ["one", "two"]


@pytest.mark.parametrize(
    ("times", "waits", "done"), [(2, True, True), (2, False, False), (10**6, True, False)]
)
def test_on_windows_a_file_that_another_program_reads_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, waits: bool, done: bool
) -> None:
    """What is open there can be neither replaced nor removed; and a reader that stays is an error."""
    now, left, real = [0.0], [times], os.replace

    def replace(source: Path, target: Path) -> Path:
        if left[0]:
            left[0] -= 1
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        real(source, target)
        return target

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(system_calls.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(system_calls.time, "sleep", lambda pause: now.__setitem__(0, now[0] + pause))
    monkeypatch.setattr(System, "waits", waits)
    (tmp_path / "file").write_bytes(b"old")
    if done:
        durable.write_file(tmp_path / "file", b"new")
    else:
        with pytest.raises(StorageError, match="permission denied"):
            durable.write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == (b"new" if done else b"old")
    assert now[0] <= system_calls.PATIENCE and names(tmp_path) == ["file"]


def test_the_order_is_write_fsync_rename_fsync_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    for call in ("create", "write", "fsync", "close", "rename", "fsync_folder"):
        real = getattr(System, call)

        def recorded(*arguments: object, call: str = call, real: object = real) -> object:
            order.append(call)
            return real(durable.system, *arguments)  # type: ignore[operator]

        monkeypatch.setattr(durable.system, call, recorded)
    durable.write_file(tmp_path / "file", b"abc")
    # The folder's fsync calls fsync in turn: only the one after the write flushes the file.
    steps = [step for i, step in enumerate(order) if step != "fsync" or order[i - 1] == "write"]
    assert steps == ["create", "write", "fsync", "close", "rename", "fsync_folder"]


@pytest.mark.parametrize("most", [1, 3])
def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(durable.system, "write", lambda fd, data: os.write(fd, data[:most]))
    durable.write_file(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_what_is_open_is_not_handed_to_programs_that_are_started(tmp_path: Path) -> None:
    opened = [
        durable.system.create(tmp_path / "file", 0o666),
        durable.system.open_to_append(tmp_path / "log"),
    ]
    assert not any(map(os.get_inheritable, opened))
    for descriptor in opened:
        durable.system.close(descriptor)


def test_a_write_that_makes_no_progress_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable.system, "write", lambda fd, data: 0)
    with pytest.raises(StorageError, match="EIO"):
        durable.write_file(tmp_path / "file", b"abc")
    assert names(tmp_path) == []


def test_a_failed_folder_fsync_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "fsync_folder", errno.EIO)
    with pytest.raises(StorageError, match="EIO"):
        durable.write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_an_interrupt_in_the_data_leaves_nothing(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        durable.write_file(tmp_path / "file", chunks())
    assert names(tmp_path) == []


def test_an_interrupt_whose_cleaning_fails_is_still_the_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "fsync", errno.EIO)
    refuse(monkeypatch, "remove", errno.EACCES)
    with pytest.raises(StorageError, match="EIO"):
        durable.write_file(tmp_path / "file", b"abc")
    assert [durable.is_temporary(name) for name in names(tmp_path)] == [True]


def test_a_link_is_followed_and_its_file_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    for text in (b"first", b"second"):
        durable.write_file(tmp_path / "link", text)
        assert (tmp_path / "there" / "file").read_bytes() == text
    assert (tmp_path / "link").is_symlink() and names(tmp_path / "there") == ["file"]


def test_a_private_file_stays_private(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    target.chmod(0o600)
    durable.write_file(target, b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.fixture
def device() -> Iterator[tuple[str, int]]:
    """A terminal of our own and the other end of it. /dev/null would do, but code that is wrong, run as
    root, would replace it for the whole machine."""
    other_end, terminal = os.openpty()
    try:
        yield os.ttyname(terminal), other_end
    finally:
        os.close(terminal)
        os.close(other_end)


def test_a_device_is_written_through_and_stays_a_device(device: tuple[str, int]) -> None:
    name, other_end = device
    durable.write_file(name, b"abc")
    assert stat.S_ISCHR(Path(name).stat().st_mode)
    assert os.read(other_end, 10) == b"abc"


def test_a_pipe_is_written_through(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        durable.write_file(pipe, [b"ab", b"cd"])
        assert os.read(reader, 10) == b"abcd"
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("missing/file", "folder does not exist"),
        ("file/below", "not a folder"),
        ("folder", r"a folder is in its place \(EISDIR\); choose another name"),
        ("n" * 300, "name is too long"),
        ("nul\0byte", "null"),
    ],
)
def test_impossible_targets_are_one_clear_line(tmp_path: Path, path: str, words: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=words) as caught:
        durable.write_file(tmp_path / path, b"abc")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "number", "words"),
    [
        ("write", errno.EIO, "the disk reported an error"),
        ("open_through", errno.EACCES, r"permission denied \(EACCES\)"),
    ],
)
def test_a_device_that_refuses_is_told(
    device: tuple[str, int], monkeypatch: pytest.MonkeyPatch, call: str, number: int, words: str
) -> None:
    refuse(monkeypatch, call, number)
    with pytest.raises(StorageError, match=f"^cannot write '{device[0]}': {words}"):
        durable.write_file(device[0], b"abc")


@pytest.mark.parametrize(
    ("query", "act", "what"),
    [
        ("is_symlink", lambda path: durable.write_file(path, b"abc"), "write"),
        ("is_dir", durable.make_folder, "make the folder"),
        ("iterdir", durable.clean_temporary, "clean"),
    ],
)
def test_what_cannot_be_looked_at_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, act: Callable[[Path], object], what: str
) -> None:
    def forbidden(self: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    (tmp_path / "a").mkdir()
    monkeypatch.setattr(Path, query, forbidden)
    with pytest.raises(StorageError, match=f"^cannot {what} {str(tmp_path / 'a')!r}: permission denied"):
        act(tmp_path / "a")


def test_lines_are_appended_whole_and_a_torn_one_is_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    durable.append_line(log, b"one")
    same = log.stat().st_ino
    with log.open("ab") as file:
        file.write(b'{"torn')
    durable.append_line(log, b"two")
    assert log.read_bytes() == b'one\n{"torn\ntwo\n' and log.stat().st_ino == same
    for torn in (b"", b"x", b"ab", b"\n\n", b"a\n", b"\nx"):
        log.write_bytes(torn)
        durable.append_line(log, b"two")
        assert log.read_bytes() == torn + (b"" if torn[-1:] in (b"", b"\n") else b"\n") + b"two\n"


@pytest.mark.parametrize("taken", [0, 2])
def test_a_failed_append_is_cut_off_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    log = tmp_path / "log"
    durable.append_line(log, b"one")

    def short(descriptor: int, data: bytes) -> int:
        if taken == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.write(descriptor, data[:taken])

    monkeypatch.setattr(durable.system, "write", short)
    said = "the disk is full (ENOSPC); free" if taken else "the disk reported an error (EIO); check"
    with pytest.raises(StorageError, match=re.escape(f"cannot append to {str(log)!r}: {said}")):
        durable.append_line(log, b"two")
    assert log.read_bytes() == b"one\n"


def test_folders_are_made_with_those_above_and_again(tmp_path: Path) -> None:
    durable.make_folder(tmp_path / "a" / "b")
    durable.make_folder(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_made_by_another_meanwhile_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raced(folder: Path) -> None:
        folder.mkdir()
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(durable.system, "make_folder", raced)
    durable.make_folder(tmp_path / "new" / "within")
    assert (tmp_path / "new").is_dir()


def test_a_file_in_a_folders_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    told = (
        f"cannot make the folder {str(tmp_path / 'file')!r}: it exists already (EEXIST); choose another name"
    )
    with pytest.raises(StorageError) as caught:
        durable.make_folder(tmp_path / "file")
    assert str(caught.value) == told


def test_space_is_asked_for_before_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable.system, "free_bytes", lambda folder: 1_000)
    durable.require_space(tmp_path, 1_000)
    with pytest.raises(StorageError) as caught:
        durable.require_space(tmp_path, 1_001)
    assert str(caught.value) == (
        f"cannot write 1,001 bytes in {str(tmp_path)!r}: only 1,000 are free there; free some space or "
        "choose another folder"
    )
    refuse(monkeypatch, "free_bytes", errno.EIO)
    with pytest.raises(StorageError, match=f"^cannot write in {str(tmp_path)!r}: the disk reported"):
        durable.require_space(tmp_path, 1)


@pytest.mark.parametrize(("number", "raised"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_fsync_that_the_disk_does_not_know_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: bool
) -> None:
    refuse(monkeypatch, "fsync", number)
    if raised:
        with pytest.raises(OSError, match="error"):
            durable.system.fsync_folder(tmp_path)
    else:
        durable.system.fsync_folder(tmp_path)


def test_windows_has_no_folder_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "fsync", errno.EIO)
    with monkeypatch.context() as patch:
        patch.setattr(system_calls.os, "name", "nt")
        durable.system.fsync_folder(tmp_path)


@pytest.mark.parametrize("known", [True, False])
def test_macos_flushes_the_disk_too_where_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    asked: list[int] = []

    def control(descriptor: int, command: int) -> int:
        os.fstat(descriptor)  # it is an open file
        asked.append(command)
        if not known:
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        return 0

    monkeypatch.setattr(system_calls.fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(system_calls.fcntl, "fcntl", control)
    durable.write_file(tmp_path / "file", b"abc")
    assert asked == [51, 51] and (tmp_path / "file").read_bytes() == b"abc"


@pytest.mark.parametrize(("umask", "mode"), [(0, 0o666), (0o027, 0o640)])
def test_modes_are_those_that_the_umask_leaves(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        durable.write_file(tmp_path / "new", b"abc")
        durable.append_line(tmp_path / "log", b"one")
        (tmp_path / "program").write_bytes(b"old")
        (tmp_path / "program").chmod(0o777)
        durable.write_file(tmp_path / "program", b"new")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {mode}


def failing(*numbers: int) -> Any:
    """A call that fails with these errors, one after the other."""
    left = list(numbers)

    def call(*_: object) -> int:
        number = left.pop(0)
        raise OSError(number, os.strerror(number))

    return call


def test_the_first_failure_is_told_whatever_fails_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").write_bytes(b"one\n")
    monkeypatch.setattr(durable.system, "write", failing(errno.ENOSPC, errno.ENOSPC))
    monkeypatch.setattr(durable.system, "truncate", failing(errno.EIO))
    with pytest.raises(StorageError, match="ENOSPC"):
        durable.append_line(tmp_path / "log", b"two")
    monkeypatch.setattr(durable.system, "close", failing(errno.EIO))
    with pytest.raises(StorageError, match="ENOSPC"):
        durable.write_file(tmp_path / "new", b"abc")


def test_what_the_system_did_not_say_itself_is_in_its_words_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    causes = []
    with pytest.raises(StorageError) as caught:
        durable.write_file(tmp_path, b"abc")
    causes.append(caught.value.__cause__)
    monkeypatch.setattr(durable.system, "write", lambda fd, data: 0)
    for write in (
        lambda: durable.write_file(tmp_path / "a", b"b"),
        lambda: durable.append_line(tmp_path / "c", b"d"),
    ):
        with pytest.raises(StorageError) as caught:
            write()
        causes.append(caught.value.__cause__)
    numbers = (errno.EISDIR, errno.EIO, errno.ENOSPC)
    assert [(cause.errno, cause.strerror) for cause in causes if isinstance(cause, OSError)] == [
        (number, os.strerror(number)) for number in numbers
    ]


def test_what_cannot_be_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    refuse(monkeypatch, "remove", errno.EACCES)
    with pytest.raises(StorageError, match=f"^cannot remove {str(tmp_path / 'file')!r}: permission denied"):
        durable.remove_tree(tmp_path / "file")


def test_a_path_that_no_system_knows_is_told_without_a_symbol() -> None:
    error = system_calls.storage_error("write", "a", ValueError("embedded null byte"))
    assert str(error) == "cannot write 'a': embedded null byte; choose another path"
    unknown = system_calls.storage_error("write", "a", OSError(99_999, "the moon is full"))
    assert str(unknown) == "cannot write 'a': the moon is full; choose another path"


def test_only_what_is_missing_is_made_and_the_folders_own_disk_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    asked: list[Path] = []
    monkeypatch.setattr(durable.system, "make_folder", made.append)
    durable.make_folder(tmp_path)
    monkeypatch.setattr(durable.system, "fsync_folder", lambda folder: None)
    durable.make_folder(tmp_path / "a" / "b")
    assert made == [tmp_path / "a", tmp_path / "a" / "b"]
    monkeypatch.setattr(durable.system, "free_bytes", lambda folder: asked.append(folder) or 10)
    durable.require_space(tmp_path, 10)
    assert asked == [tmp_path]


@pytest.mark.parametrize("call", ["create", "write", "fsync", "close", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EXDEV])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    target = tmp_path / "file"
    durable.write_file(target, b"old")
    refuse(monkeypatch, call, number)
    with pytest.raises(StorageError) as caught:
        durable.write_file(target, b"new")
    what, advice = "[a-z ]+", "[a-z ,]+"
    if number == errno.EXDEV:  # is not listed: the words of the system
        what, advice = "[A-Za-z ]*cross-device link", "choose another path"
    told = rf"cannot write '{target}': {what} \({errno.errorcode[number]}\); {advice}"
    assert re.fullmatch(told, str(caught.value))
    assert names(tmp_path) == ["file"] and target.read_bytes() == b"old"


def test_two_that_append_to_a_file_overwrite_nothing(tmp_path: Path) -> None:
    first, second = (durable.system.open_to_append(tmp_path / "log") for _ in range(2))
    for descriptor, line in ((first, b"one\n"), (second, b"two\n"), (first, b"three\n")):
        durable.system.write(descriptor, line)
    for descriptor in (first, second):
        durable.system.close(descriptor)
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\nthree\n"


def test_only_names_of_our_own_making_are_cleaned(tmp_path: Path) -> None:
    stale = durable.temporary_beside(tmp_path / ("long-name" * 40))
    stale.write_bytes(b"half")
    folder = durable.temporary_beside(tmp_path / "step-1")
    folder.mkdir()
    (folder / "file").write_bytes(b"half")
    outside = tmp_path / "keep.pantoum-tmp"
    outside.mkdir()
    (outside / "precious").write_bytes(b"")
    (folder / "link").symlink_to(outside)
    assert durable.clean_temporary(tmp_path) == sorted([stale.name, folder.name])
    assert names(tmp_path) == ["keep.pantoum-tmp"] and names(outside) == ["precious"]
    assert durable.clean_temporary(tmp_path / "missing") == []


def test_a_container_is_not_written_through_a_device(device: tuple[str, int]) -> None:
    with (
        pytest.raises(StorageError, match="it is a device or a pipe; name a file"),
        durable.new_file(device[0]),
    ):
        pass
