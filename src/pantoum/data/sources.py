"""Finds the text files that were meant: lists folders, copies stdin, sets the validation file apart.

A folder means its regular files, recursively, in the order of the bytes of their paths below it; hidden files
and folders (a leading dot) are skipped, links to folders are not followed. ``-`` is stdin; it and other pipes
can be read only once and are first copied to a temporary file, which is removed again. What has the form of
an address (``s3://bucket/a.txt``) is read where it is (``remote``); a document, which is read from its end,
and a file whose server does not tell its size are copied, too.

The beginning of each file says what it is (``forms``). A file that was named and is no text is refused; in a
folder it is left out, and a note names it, so that one odd file never changes how the others are read.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import FileIO
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from pantoum.config import nearest
from pantoum.config.launcher import require_own_stdin
from pantoum.config.plain import quoted
from pantoum.data.forms import GIVEN, HEAD, TEXT, Form, form_in, is_address, remote_files
from pantoum.errors import TextError
from pantoum.formats import durable
from pantoum.formats.bounded import reason
from pantoum.formats.system_calls import translated
from pantoum.formats.token_file import NAME

STDIN = "-"
COPIED = 1 << 20
MOST_LOOKED_AT = 1000
NAMED = 3
"""Files that a note names before it says how many more there are."""
MOST_SHOWN = 60
"""Characters that are shown of a name which is perhaps a text."""


@dataclass(frozen=True)
class Source:
    """One text file, as it was when it was found."""

    name: str
    """How it is called in messages and records: without the folder that was given."""
    path: Path
    """Where its bytes are."""
    size: int
    mtime_ns: int
    form: Form = TEXT
    in_folder: bool = False
    """Whether it was found in a folder, so that it may be left out."""
    remote: Any = None
    """The file at an address, if it is one."""
    encoding: str | None = None
    """The encoding that was named for it, if it is not UTF-8."""
    copied: bool = True
    """Whether ``path`` has the bytes; if not, they are read from ``remote``, and ``path`` is only a name."""

    @property
    def label(self) -> str:
        """What the person typed, as far as that is known."""
        if self.remote is not None:
            return str(self.remote.address)
        if any(part.startswith(GIVEN) for part in self.path.parts):
            return self.name  # a temporary file, which nobody typed
        return "stdin" if self.name == STDIN else str(self.path)

    def refusal(self) -> TextError:
        """The error of a file that is no text."""
        advice = self.form.advice_for(self.label)
        return TextError(f"cannot read {self.label!r}: it is {self.form.name}, not a text; {advice}")


@dataclass(frozen=True)
class Sources:
    """The texts, the held-out text, and what was done on the way."""

    texts: list[Source]
    valid: Source | None
    notes: list[str]
    left_out: list[Source] = field(default_factory=list)
    """Files of a folder that turned out not to be UTF-8 when they were read."""

    @property
    def all(self) -> list[Source]:
        """The texts and the held-out text."""
        return self.texts if self.valid is None else [*self.texts, self.valid]

    @property
    def size(self) -> int:
        """Bytes of all texts that are not held out."""
        return sum(source.size for source in self.texts)


@contextmanager
def found(
    texts: Sequence[str | os.PathLike[str]],
    valid: str | os.PathLike[str] | None = None,
    *,
    keep_in: Path | None = None,
    raw: bool = False,
) -> Iterator[Sources]:
    """The sources, open to be read until the block ends. Pipes are copied into the folder ``keep_in``, which
    holds no text (``None``: that of the system for temporary files).

    ``raw``: a model of bytes was asked for, which reads files of any kind as they are.
    """
    if not texts:
        raise TextError("no text was given; name a file, a folder, or - for stdin")
    kept: list[Path] = []
    notes: list[str] = []

    def meant(text: str | os.PathLike[str]) -> list[Source]:
        name = os.fspath(text)
        each = _readable(list(_of(name, keep_in, kept, notes)), name, notes, raw)
        return [_at_hand(source, keep_in, kept) for source in each]

    try:
        sources, held_out = list(chain.from_iterable(map(meant, texts))), None
        if valid is not None:
            chosen = [] if Path(valid).is_dir() else meant(valid)
            if not chosen or chosen[0].in_folder:
                name = os.fspath(valid)
                raise TextError(f"cannot read {name!r} as the validation text: it is a folder; name a file")
            held_out = chosen[0]
            others = [source for source in sources if not _same(source, held_out)]
            if not others:
                raise TextError(
                    f"{held_out.label!r} is the validation text and the only text; give another text to "
                    "learn from"
                )
            if len(others) < len(sources):
                notes.append(
                    f"{held_out.label} is the validation text, so it is left out of the training text"
                )
            sources = others
        yield Sources(sources, held_out, notes)
    finally:
        for path in kept:
            durable.remove_tree(path)


def open_source(source: Source) -> FileIO | BinaryIO:
    """The source's bytes, unbuffered."""
    if source.remote is not None and not source.copied:
        far: BinaryIO = source.remote.open()
        return far
    try:
        return source.path.open("rb", buffering=0)
    except OSError as error:
        raise unreadable(source.label, error) from error


def unreadable(name: str, error: OSError | ValueError) -> TextError:
    """One line: which text, why not, what to do."""
    if isinstance(error, FileNotFoundError) and Path(name).is_symlink():
        where = str(Path(name).readlink())
        return TextError(
            f"cannot read {name!r}: it is a link to {where!r}, which does not exist; name a file"
        )
    if isinstance(error, FileNotFoundError) and (near := _near(Path(name))) is not None:
        return TextError(f"cannot read {name!r}: there is no such file; did you mean {near!r}?")
    too_long = getattr(error, "errno", None) == errno.ENAMETOOLONG
    if too_long or (isinstance(error, FileNotFoundError) and len(name.split()) > 1):
        shown = name if len(name) <= MOST_SHOWN else f"{name[: MOST_SHOWN - 3]}..."
        return TextError(
            f"cannot read {shown!r}: there is no file of this name; if it is the text itself, write it into "
            "a file (in Python, give it as text=...)"
        )
    return TextError(f"cannot read {name!r}: {reason(error)}")


def _readable(sources: list[Source], text: str, notes: list[str], raw: bool) -> list[Source]:
    """The sources that one argument means and that are texts; what is left out of a folder is noted."""
    known = [replace(source, form=_form(source)) for source in sources]
    if raw:
        return [each if each.form.readable else replace(each, form=TEXT) for each in known]
    kept, odd = [], []
    for each in known:
        if each.form.readable or (each.form.kind == "binary" and not each.in_folder):
            kept.append(each)
        elif each.in_folder:
            odd.append(each)
        else:
            raise each.refusal()
    if odd and not kept:
        raise TextError(f"the folder {text!r} contains no text: {left_out(odd)}; name a text file")
    if odd:
        notes.append(
            f"left out of {text}, because {'it is' if len(odd) == 1 else 'they are'} not text: "
            f"{left_out(odd)}"
        )
    return kept


def left_out(sources: Sequence[Source]) -> str:
    """Some names of files that are left out, and how many more there are."""
    named = ", ".join(f"{each.name} ({each.form.name})" for each in sources[:NAMED])
    return named + (f" and {len(sources) - NAMED:,} more" if len(sources) > NAMED else "")


def _form(source: Source) -> Form:
    if GIVEN in source.path.parts and source.remote is None:
        return TEXT
    data = b""
    with open_source(source) as file:
        try:
            while len(data) < HEAD and (part := file.read(HEAD - len(data))):
                data += part
        except OSError as error:
            raise unreadable(source.label, error) from error
    return form_in(data, source.path.name)


def _near(path: Path) -> str | None:
    """A file beside the missing one with nearly its name."""
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in islice(entries, MOST_LOOKED_AT)]
    except (OSError, ValueError):
        return None
    alike = {name.lower(): name for name in names if not name.startswith(".")}
    found = nearest(path.name, alike, cutoff=0.8)
    return None if found is None else str(path.with_name(alike[found]))


def _of(text: str, keep_in: Path | None, kept: list[Path], notes: list[str]) -> Iterator[Source]:
    """The sources that one argument means."""
    if text == STDIN:
        stream = getattr(sys.stdin, "buffer", None)
        if stream is None:
            raise TextError("cannot read '-': there is no stdin; name a file")
        require_own_stdin()
        yield _kept(stream, STDIN, keep_in, kept)
        return
    if is_address(text):
        for far in remote_files(text):
            name = Path(PurePosixPath(far.name).name)
            yield Source(far.name, name, far.size or 0, 0, TEXT, far.in_folder, far, copied=False)
        return
    path = Path(text)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            _refuse_own_folder(path)
            files = sorted(_files(path, keep_in, notes))
            if not files:
                raise TextError(
                    f"the folder {text!r} has no regular files, or only hidden ones; name another"
                )
            for _, file, size, mtime_ns in files:
                yield Source(file.relative_to(path).as_posix(), file, size, mtime_ns, in_folder=True)
        elif stat.S_ISREG(status.st_mode):
            yield Source(path.name, path, status.st_size, status.st_mtime_ns)
        elif stat.S_ISFIFO(status.st_mode):
            require_own_stdin(text, status)
            with path.open("rb") as pipe:
                yield _kept(pipe, path.name, keep_in, kept)
        else:
            raise TextError(f"cannot read {text!r}: it is neither a file, a folder nor a pipe; name one")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise unreadable(text, error) from error


def _is_run(path: Path) -> bool:
    """Whether it is the folder of a run; one that has just begun has no records yet."""
    has = [(path / name).is_file() for name in ("config.json", "metrics.jsonl", ".lock")]
    return has[0] and any(has[1:])


def _refuse_own_folder(path: Path) -> None:
    """A folder that pantoum made is no text: say how it is used."""
    name = quoted(str(path))
    if _is_run(path):
        raise TextError(
            f"{str(path)!r} is a run, not a text; continue it with `pantoum train --run {name} --resume`, or "
            f"start from its model with `pantoum train TEXT --from {name}`"
        )
    if (path / NAME).is_file():
        raise TextError(f"{str(path)!r} is a prepared text; use it with `pantoum train --data {name}`")


def _files(folder: Path, but: Path | None, notes: list[str]) -> list[tuple[bytes, Path, int, int]]:
    """Regular files that are not hidden: the bytes of the path below the folder, path, size, time of change.

    What is written now (``but``) is no text, nor is what an earlier command made: runs and prepared texts are
    left out, and noted, or a folder that holds ``runs/`` would be another text each time. A link that leads
    to itself is left out, and noted.
    """
    files: list[tuple[bytes, Path, int, int]] = []
    loops: list[Path] = []
    made: list[Path] = []
    own = None if but is None else but.stat()

    def failed(error: OSError) -> None:
        raise error

    try:
        for place, folders, names in os.walk(folder, onerror=failed):
            inside = [Path(place, name) for name in folders if not name.startswith(".")]
            inside = [each for each in inside if own is None or not os.path.samestat(each.stat(), own)]
            made += [each for each in inside if _is_run(each) or (each / NAME).is_file()]
            folders[:] = [each.name for each in inside if each not in made]
            for path in (Path(place, name) for name in names if not name.startswith(".")):
                try:
                    status = path.stat()
                except OSError as error:
                    if not path.is_symlink():
                        raise
                    loops += [path] if error.errno == errno.ELOOP else []
                    continue
                if stat.S_ISREG(status.st_mode):
                    name = os.fsencode(path.relative_to(folder))
                    files.append((name, path, status.st_size, status.st_mtime_ns))
    except FileNotFoundError as error:
        raise TextError(
            f"cannot read {str(error.filename)!r}: it was removed while {str(folder)!r} was listed; try "
            "again when no program changes that folder"
        ) from error
    except OSError as error:
        raise unreadable(str(error.filename), error) from error
    for odd, why in ((loops, "the link leads to itself"), (made, "pantoum made it")):
        if odd:
            more = f" and {len(odd) - NAMED:,} more" if len(odd) > NAMED else ""
            notes.append(f"left out, because {why}: {', '.join(sorted(map(str, odd))[:NAMED])}{more}")
    return files


def _same(one: Source, other: Source) -> bool:
    if one.remote is not None or other.remote is not None:
        return one.remote is not None and one.remote.same(other.remote)
    return one.path == other.path or one.path.samefile(other.path)


def _at_hand(source: Source, keep_in: Path | None, kept: list[Path]) -> Source:
    """A source that can be read as it must be: with a known size, and a document from its end."""
    if source.copied or source.remote is None:
        return source
    if source.remote.size is not None and source.form.kind != "document":
        return source
    with source.remote.open() as file:
        copy = _kept(file, source.name, keep_in, kept)
    return replace(source, path=copy.path, size=copy.size, copied=True)


def _kept(stream: BinaryIO, name: str, keep_in: Path | None, kept: list[Path]) -> Source:
    """A copy of a stream that can be read only once."""
    path = durable.temporary_beside((keep_in or Path(tempfile.gettempdir())) / "stdin")
    kept.append(path)
    with translated("write", path):
        copy = durable.NewFile(durable.system.create(path, 0o600), path)
    size = 0
    try:
        while block := stream.read(COPIED):
            copy.write(block)
            size += len(block)
    finally:
        durable.system.close(copy.descriptor)
    return Source(name, path, size, 0)
