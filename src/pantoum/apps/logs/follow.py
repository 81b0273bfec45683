"""A log that grows: what is there, then what is appended, through rotation, truncation and restarts.

Programs that rotate logs either rename the file and begin another (``create``), or copy it and cut it
(``copytruncate``). A renamed file is read to its end, and left once the new one has something: its writer
may go on for a moment. In a file that is shorter than what was read, or has other bytes before that place,
reading begins anew, after the rest of the copy. A restart looks for the place in the file and in those that
it was renamed or copied to (``app.log.1``, ``app.log-20260101``): it is known by the bytes before it.

Parts are whole lines, so a place is the border of two. Polling asks ``stat`` a few times per second; it
works on every file system.
"""

from __future__ import annotations

import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from io import FileIO
from pathlib import Path

from pantoum.seams import Plain, unreadable

__all__ = ["Follower", "Place"]

PART = 1 << 16
LONGEST = 1 << 20
"""Bytes of a line after which it is read although it has not ended."""
TAIL = 1024
"""Bytes before a place by which it is known."""
WAIT = 0.2
"""Seconds between two calls of ``stat``."""
PACKED = (".gz", ".xz", ".bz2", ".zst", ".lz4", ".zip")


@dataclass(frozen=True)
class Place:
    """How far a log was read."""

    device: int = 0
    inode: int = 0
    offset: int = 0
    lines: int = 0
    """Lines before it."""
    tail: str = ""
    """The last bytes before it, in hexadecimal."""

    def plain(self) -> dict[str, Plain]:
        """For a state file."""
        return asdict(self)

    @staticmethod
    def from_plain(plain: Mapping[str, Plain]) -> Place:
        """The inverse; ``ValueError``, ``KeyError`` or ``TypeError`` for anything else."""
        device, inode, offset, lines = (_whole(plain[n]) for n in ("device", "inode", "offset", "lines"))
        place = Place(device, inode, offset, lines, bytes.fromhex(str(plain["tail"])).hex())
        if len(place.tail) // 2 != min(place.offset, TAIL):
            raise ValueError("its place in the log is impossible")
        return place

    def is_in(self, file: FileIO) -> bool:
        """Whether this file has the same bytes before the place."""
        known = bytes.fromhex(self.tail)
        if os.fstat(file.fileno()).st_size < self.offset:
            return False
        return _bytes(file, self.offset - len(known), len(known)) == known

    def after(self, data: bytes) -> Place:
        """The place behind these bytes."""
        tail = (bytes.fromhex(self.tail) + data)[-TAIL:]
        return replace(
            self, offset=self.offset + len(data), lines=self.lines + data.count(b"\n"), tail=tail.hex()
        )


class Follower:
    """Reads a log for as long as it is asked to. ``place``: where to go on (at the beginning of the file)."""

    def __init__(
        self, path: str | os.PathLike[str], place: Place | None = None, wait: Callable[[], None] | None = None
    ) -> None:
        """``wait``: what is done before the file is asked again."""
        self._path = Path(path)
        self._wait = wait or (lambda: time.sleep(WAIT))
        self._next: deque[tuple[Path, Place]] = deque()
        """The files to read, each from its place on, before the log itself is read from its beginning."""
        self._leaves = False
        self.place = place or Place()
        """How far it has read."""
        self.lines = self.place.lines
        """The lines before it, of all files since the beginning of the one where reading began."""
        self.starts = [0]
        """How many of them come before each file."""
        if place is not None and place.inode:
            self._look_for(place)
            if not self._next:
                self._begin_anew("no file of this log has the place where the state file stops")
        elif not self._path.exists():
            raise unreadable(str(path), FileNotFoundError(2, "No such file or directory"))

    def parts(self) -> Iterator[bytes]:
        """What is there, some lines at a time; an empty part where there is no more; what comes then."""
        while True:
            last = not self._next
            path, self.place = self._next.popleft() if self._next else (self._path, Place())
            try:
                file = FileIO(path)
            except FileNotFoundError:
                yield b""
                self._wait()
                continue
            except OSError as error:
                raise unreadable(str(path), error) from None
            with file:
                status = os.fstat(file.fileno())
                self.place = replace(self.place, device=status.st_dev, inode=status.st_ino)
                self._leaves = not (last or path == self._path)
                if not self.place.offset and self.lines:
                    self.starts.append(self.lines)
                while (data := self._more(file, status)) is not None:
                    yield data
                    if not data:
                        self._wait()

    def _more(self, file: FileIO, status: os.stat_result) -> bytes | None:
        """The next lines of a file; nothing where it has no more by now, ``None`` where another follows."""
        if not self.place.is_in(file):  # cut
            self._look_for(self.place)
            return None
        while True:
            data = _bytes(file, self.place.offset, LONGEST)
            lines = data[: data.rfind(b"\n", 0, PART) + 1] or data[: data.find(b"\n") + 1]
            if not lines and (self._leaves or len(data) == LONGEST):
                lines = data
            if lines:
                self.place = self.place.after(lines)
                ended = lines + b"\n" if self._leaves and lines[-1:] != b"\n" else lines
                self.lines += ended.count(b"\n")
                return ended
            if self._leaves:
                return None
            # What was written until the new file had something is read before this one is left.
            self._leaves = self._is_replaced(status)
            if not self._leaves:
                return b""

    def _is_replaced(self, status: os.stat_result) -> bool:
        try:
            now = self._path.stat()
        except OSError:
            return False
        return not os.path.samestat(now, status) and now.st_size > 0

    def _look_for(self, place: Place) -> None:
        """Read on from a place that is in this log, or in what it was renamed or copied to; nothing, if it is
        in none."""
        files = _of_log(self._path)
        at = _of_place(files, place)
        if at is None:
            return
        later = [path for path, _ in files[at + 1 :]]
        packed = [path.name for path in later if path.suffix in PACKED]
        if packed:
            warnings.warn(f"not read, because compressed: {', '.join(packed)}", UserWarning, stacklevel=3)
        self._next.append((files[at][0], place))
        if files[at][0] != self._path:
            self._next.extend(
                (path, Place()) for path in later if path != self._path and path.suffix not in PACKED
            )

    def _begin_anew(self, why: str) -> None:
        warnings.warn(f"{why}: it is read from its beginning", UserWarning, stacklevel=3)
        self.place, self.lines = Place(), 0


def _of_log(path: Path) -> list[tuple[Path, os.stat_result]]:
    """A log and the files that it was renamed or copied to, oldest first, the log itself last."""
    found = []
    for entry in os.scandir(path.parent):
        rest = entry.name.removeprefix(path.name) if entry.name.startswith(path.name) else None
        if rest is not None and (rest == "" or rest[0] in ".-") and entry.is_file():
            found.append((path.parent / entry.name, entry.stat()))
    return sorted(found, key=lambda each: (each[0] == path, each[1].st_mtime_ns))


def _of_place(files: list[tuple[Path, os.stat_result]], place: Place) -> int | None:
    """Which of the files has the place: the same file if it can be, else the newest with the same bytes."""
    newest = None
    for at, (path, status) in enumerate(files):
        try:
            with FileIO(path) as file:
                holds = path.suffix not in PACKED and place.is_in(file)
        except OSError:  # gone meanwhile, or not ours to read
            continue
        if holds and (status.st_dev, status.st_ino) == (place.device, place.inode):
            return at
        newest = at if holds else newest
    return newest


def _whole(value: Plain) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("its place in the log is impossible")
    return value


def _bytes(file: FileIO, begin: int, count: int) -> bytes:
    """Bytes of a file, as many as there are."""
    file.seek(begin)
    found = b""
    while len(found) < count and (more := file.read(count - len(found))):
        found += more
    return found
