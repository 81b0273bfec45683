"""What a power cut may leave of a list of system calls, as files that can be looked at.

A disk remembers less than the system shows: bytes that were not fsynced may be missing, torn or zeros, and
a name (a new file, a rename, a removal) may be lost until its folder is fsynced. ``Disk`` keeps both, what
the system shows and what is certain; ``images`` gives what may be found after a cut at this instant:
every prefix of the names that are not certain, with each fate of the bytes that are not. That the
names of one folder reach the disk in order is what journaling file systems do.

The image in which nothing is lost is the one that a killed process leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from storage_shim import AT_THE_END, Call

Tree = dict[str, Union[bytes, "Tree"]]
FATES = ("whole", "lost", "half", "zeros")


@dataclass
class File:
    """A file's bytes: those that the system shows, and those that are certain."""

    shown: bytearray = field(default_factory=bytearray)
    certain: bytes = b""

    def after(self, fate: str) -> bytes:
        """The bytes after a cut."""
        if bytes(self.shown) == self.certain or fate == "whole":
            return bytes(self.shown)
        if fate == "lost":
            return self.certain
        if fate == "half":
            return bytes(self.shown[: (len(self.certain) + len(self.shown)) // 2])
        return self.certain[: len(self.shown)] + bytes(max(0, len(self.shown) - len(self.certain)))


@dataclass
class Folder:
    """A folder's names: those that the system shows, those that are certain, and the changes between."""

    shown: dict[str, File | Folder] = field(default_factory=dict)
    certain: dict[str, File | Folder] = field(default_factory=dict)
    pending: list[tuple[int, str, str, File | Folder | None]] = field(default_factory=list)
    """(when, name that appears or goes, name that goes with it, what appears)"""


class Disk:
    """A folder tree under a list of calls, beginning with what is there and certain."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.top = self._load(root)
        self.now = 0

    def apply(self, call: Call) -> None:
        """Carry out one call."""
        self.now += 1
        if call.kind == "fsync_folder":
            synced = self._folder(call.path)
            synced.certain, synced.pending = dict(synced.shown), []
            return
        folder, name = self._folder(call.path.parent), call.path.name
        if call.kind in ("create", "open_to_append"):
            if name not in folder.shown:
                self._change(folder, name, "", File())
        elif call.kind == "make_folder":
            self._change(folder, name, "", Folder())
        elif call.kind in ("remove", "remove_folder"):
            self._change(folder, "", name, None)
        elif call.kind == "rename":
            assert call.target is not None and call.target.parent == call.path.parent
            self._change(folder, call.target.name, name, folder.shown[name])
        elif call.kind in ("write", "truncate", "fsync"):
            file = folder.shown[name]
            assert isinstance(file, File)
            if call.kind == "write":
                begin = len(file.shown) if call.offset == AT_THE_END else call.offset
                end = begin + len(call.data)
                file.shown.extend(bytes(max(0, end - len(file.shown))))
                file.shown[begin:end] = call.data
            elif call.kind == "truncate":
                del file.shown[call.offset :]
            else:
                file.certain = bytes(file.shown)

    def images(self) -> Iterator[tuple[str, Tree]]:
        """Everything that may be found after a cut now, each with a word for it, no two alike."""
        moments = sorted({when for folder in self._folders(self.top) for when, *_ in folder.pending})
        seen: set[str] = set()
        for cut in [*reversed(moments), 0] if moments else [self.now]:
            for fate in FATES:
                tree = self._tree(self.top, cut, fate)
                if (key := repr(tree)) not in seen:
                    seen.add(key)
                    yield f"names up to call {cut}, unsynced bytes {fate}", tree

    def _load(self, path: Path) -> Folder:
        folder = Folder()
        for entry in path.iterdir():
            data = b"" if entry.is_dir() else entry.read_bytes()
            folder.shown[entry.name] = self._load(entry) if entry.is_dir() else File(bytearray(data), data)
        folder.certain = dict(folder.shown)
        return folder

    def _folder(self, path: Path) -> Folder:
        found: File | Folder = self.top
        for part in path.relative_to(self.root).parts:
            assert isinstance(found, Folder)
            found = found.shown[part]
        assert isinstance(found, Folder)
        return found

    def _change(self, folder: Folder, name: str, goes: str, what: File | Folder | None) -> None:
        _apply(folder.shown, name, goes, what)
        folder.pending.append((self.now, name, goes, what))

    def _folders(self, folder: Folder) -> Iterator[Folder]:
        """Every folder that is shown or certain."""
        yield folder
        inside = {id(f): f for names in (folder.shown, folder.certain) for f in names.values()}
        for each in inside.values():
            if isinstance(each, Folder):
                yield from self._folders(each)

    def _tree(self, folder: Folder, cut: int, fate: str) -> Tree:
        names = dict(folder.certain)
        for when, name, goes, what in folder.pending:
            if when <= cut:
                _apply(names, name, goes, what)
        return {
            name: self._tree(what, cut, fate) if isinstance(what, Folder) else what.after(fate)
            for name, what in names.items()
        }


def lay_out(tree: Tree, place: Path) -> None:
    """Make an image's files and folders for real."""
    place.mkdir()
    for name, what in tree.items():
        if isinstance(what, bytes):
            (place / name).write_bytes(what)
        else:
            lay_out(what, place / name)


def _apply(names: dict[str, File | Folder], name: str, goes: str, what: File | Folder | None) -> None:
    if goes:
        names.pop(goes, None)
    if name and what is not None:
        names[name] = what
