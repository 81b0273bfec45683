"""What is written beneath a folder that is held lands in it, whatever takes its name or a part of it."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from pantoum.errors import StorageError
from pantoum.formats import anchor, durable, metrics_file

OPEN = Path("/proc/self/fd")
pytestmark = pytest.mark.skipif(not anchor.SUPPORTED, reason="SKIP: this system has no openat")


@pytest.fixture
def held(tmp_path):
    """A folder that is held, with a folder and a file in it."""
    folder = tmp_path / "held"
    (folder / "within").mkdir(parents=True)
    (folder / "log").write_text("old\n")
    descriptor = os.open(folder, os.O_RDONLY)
    anchor.hold(folder, descriptor)
    yield folder
    anchor.drop(folder, descriptor)
    os.close(descriptor)


def writes(folder):
    """Everything that is done to a folder, each by itself."""
    yield lambda: durable.write_file(folder / "log", b"new")
    yield lambda: durable.write_file(folder / "within" / "file", b"new")
    yield lambda: durable.append_line(folder / "log", b"new")
    yield lambda: durable.make_folder(folder / "within" / "a" / "b")
    yield lambda: durable.rename(folder / "log", folder / "other")
    yield lambda: durable.remove_tree(folder / "log")
    yield lambda: durable.discard(folder / "within")


def content(folder):
    return sorted(
        (str(path.relative_to(folder)), path.is_file() and path.read_bytes()) for path in folder.rglob("*")
    )


def test_nothing_reaches_a_folder_that_has_taken_its_name(held):
    shutil.rmtree(held)
    (held / "within").mkdir(parents=True)
    (held / "log").write_text("another's\n")
    before = content(held)
    for write in writes(held):
        with pytest.raises(StorageError):
            write()
        assert content(held) == before


def test_a_folder_that_was_renamed_still_gets_what_is_meant_for_it(held):
    moved = held.rename(held.with_name("moved"))
    durable.write_file(held / "within" / "file", b"new")
    durable.append_line(held / "log", b"new")
    durable.rename(held / "log", held / "other")
    assert content(moved) == [("other", b"old\nnew\n"), ("within", False), ("within/file", b"new")]
    assert not held.exists()


def test_a_link_in_its_place_is_never_followed(held, tmp_path):
    victim = tmp_path / "victim"
    (victim / "a").mkdir(parents=True)
    (victim / "file").write_text("another's\n")
    before = content(victim)
    for name, target in (("log", victim / "file"), ("within", victim)):
        durable.remove_tree(held / name)
        (held / name).symlink_to(target)
    told = []
    for write in writes(held):
        try:
            write()
        except StorageError as problem:
            told.append(str(problem))
        assert content(victim) == before
    assert "a symbolic link is in its place (ELOOP); put what it names there" in told[0]
    assert not (held / "log").is_symlink()


def test_a_log_that_shares_its_file_with_a_copy_gets_a_file_of_its_own(held, tmp_path):
    copy = tmp_path / "copy"
    copy.hardlink_to(held / "log")
    metrics_file.append(held / "log", {"step": 1})
    assert copy.read_text() == "old\n" and (held / "log").read_text() == 'old\n{"step":1}\n'


def test_paths_that_leave_the_folder_are_not_beneath_it(held, tmp_path):
    assert anchor.beneath(held / "a" / "b") and not anchor.beneath(held)
    assert not anchor.beneath(held / ".." / "a") and not anchor.beneath(tmp_path / "held2" / "a")


def test_a_link_elsewhere_is_followed_as_before(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    durable.write_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"new"


def test_a_part_that_is_a_file_is_no_link(held):
    with pytest.raises(StorageError) as caught:
        durable.make_folder(held / "log" / "a")
    assert caught.value.__cause__.errno in (errno.ENOTDIR, errno.EEXIST, errno.EINVAL)


def test_a_folder_that_someone_else_holds_by_now_stays_held(tmp_path):
    first, second = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    try:
        anchor.hold(tmp_path, first)
        anchor.hold(tmp_path, second)
        anchor.drop(tmp_path, first)
        assert anchor.beneath(tmp_path / "a")
        anchor.drop(tmp_path, second)
        anchor.drop(tmp_path, second)
        assert not anchor.beneath(tmp_path / "a")
    finally:
        os.close(first)
        os.close(second)


@pytest.mark.skipif(not OPEN.is_dir(), reason="SKIP: this system does not list descriptors")
def test_no_descriptor_of_a_folder_on_the_way_stays_open(held):
    durable.make_folder(held / "within" / "a" / "b")
    before = len(list(OPEN.iterdir()))
    durable.write_file(held / "within" / "a" / "b" / "file", b"new")
    with pytest.raises(StorageError):
        durable.write_file(held / "within" / "a" / "none" / "file", b"new")
    assert len(list(OPEN.iterdir())) == before


def test_a_link_on_the_way_is_told_in_the_systems_words(held, tmp_path):
    (held / "link").symlink_to(tmp_path)
    with pytest.raises(StorageError, match=r"a symbolic link is in its place \(ELOOP\); put what") as caught:
        durable.write_file(held / "link" / "file", b"new")
    assert caught.value.__cause__.strerror == os.strerror(errno.ELOOP)
    with pytest.raises(OSError, match="No such file"):  # one that is gone is no link
        durable.system.create(held / "none" / "file", 0o666)


def test_a_held_folder_is_found_from_a_relative_path(held, monkeypatch):
    monkeypatch.chdir(held)
    assert anchor.beneath(Path("log")) and not anchor.beneath(Path())
    durable.write_file("log", b"new")
    assert (held / "log").read_bytes() == b"new"


def test_beneath_a_held_folder_modes_are_kept_too(held):
    (held / "log").chmod(0o600)
    durable.write_file(held / "log", b"new")
    assert (held / "log").stat().st_mode & 0o777 == 0o600
    with pytest.raises(StorageError, match=r"a folder is in its place \(EISDIR\)") as caught:
        durable.write_file(held / "within", b"new")
    assert caught.value.__cause__.strerror == os.strerror(errno.EISDIR)
    before = os.umask(0o027)
    try:
        durable.write_file(held / "new", b"new")
    finally:
        os.umask(before)
    assert (held / "new").stat().st_mode & 0o777 == 0o640
