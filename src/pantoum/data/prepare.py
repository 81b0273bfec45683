"""From text files to tokens: one pass over the text, whatever its size, in bounded memory.

This file is the way in: it checks what is asked, finds the texts, has them tokenised (``tokenizing``) and
opens the file that results (``prepared_file``).

The same texts and settings give the same bytes. A folder that holds just that already is used as it is; one
made from other texts is made again. Several commands that prepare one folder wait for one another; a reader
has the text of before or the one after.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pantoum.config import AUTO, TextSettings, whole
from pantoum.config.tokens import check_tokens
from pantoum.data import prepared_file
from pantoum.data.prepared_file import Prepared, TokenWriter, changes, opened
from pantoum.data.sources import Sources, found
from pantoum.data.text_reader import Progress, beginning, in_encoding, is_utf8
from pantoum.data.tokenizing import Tokenizing, tokenize
from pantoum.errors import FormatError, PantoumError, SettingError, ShardError, TextError
from pantoum.formats import durable
from pantoum.formats.run_lock import waited_for
from pantoum.formats.token_file import NAME
from pantoum.text.tokenizer import Tokenizer, from_spec

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pantoum.config.keywords import Preparing

Texts = Sequence["str | os.PathLike[str]"]
Prefer = Callable[[str], "Tokenizer | None"]
"""Gets the beginning of a text, and gives the tokenizer to read all of it with."""
LOOKED = 1 << 16
"""Bytes of that beginning, about."""
SPACE = 3
"""Bytes of disk that a byte of text may take: numbers of two bytes, and their provisional form."""
MOST_FILES = 1000
"""Texts of more files keep their tokens: to look at all of them would take too long at the end of a run."""


def prepare(
    texts: Texts,
    *,
    out: str | os.PathLike[str] | None,
    tokenizer: Tokenizer | None = None,
    grow: bool = False,
    prefer: Prefer | None = None,
    report: Progress | None = None,
    processes: int | None = None,
    **settings: Unpack[Preparing],
) -> Prepared:
    """Tokenise ``texts`` (files, folders, ``-``) into the folder ``out``; ``None``: into memory.

    The settings are those of ``TextSettings``. ``tokenizer``: use this one and learn none; ``tokens`` and
    ``vocab_size`` are then its own. ``grow``: it learns what it lacks of the text, up to ``vocab_size``, if
    it is one of characters or words. ``prefer`` is asked for one when the text is found. ``report`` is called
    with the bytes read and the bytes there are. ``processes``: how many split the text into words (``None``:
    as many as are worth it); the result is the same. Another command that prepares the folder is waited for.
    """
    asked = TextSettings(**dict[str, Any](settings))
    request, valid = _checked(asked, tokenizer, grow), asked.valid
    if out is None:
        return _held(texts, valid, request, prefer, report, processes)
    folder = Path(out)
    durable.make_folder(folder)
    with waited_for(folder) as waited:
        durable.clean_temporary(folder)
        _require_own(folder)
        with found(texts, valid, keep_in=folder, raw=request.raw) as sources:
            request = _preferred(request, sources, prefer)
            prepared = _as_it_is(folder, request, sources)
            if prepared is None:
                _make(sources, request, folder, report, processes)
                prepared, _ = opened(folder, verified=True)
    if waited:
        prepared.notes.append(f"waited for another command that prepared {str(folder)!r}")
    if (processes or 1) > 1 and not request.splits:
        prepared.notes.append(
            f"processes {processes} has no effect: only words and byte-pair encoding use several"
        )
    return prepared


def open_prepared(
    folder: str | os.PathLike[str], texts: Texts | None = None, *, valid: str | os.PathLike[str] | None = None
) -> Prepared:
    """Open a folder that ``prepare`` made.

    With ``texts`` it must be theirs: where one differs it is made again from them, as it was asked for then.
    """
    folder = Path(folder)
    prepared, request = opened(folder)
    differ = [] if texts is None else differences(prepared, texts, valid=valid)
    if not differ:
        return prepared
    tokenizer = prepared.tokenizer
    del prepared  # Windows replaces no file that is open
    again = _again(folder, texts or (), valid, request, tokenizer)
    again.notes.append(f"prepared again: {'; '.join(differ)}")
    return again


def differences(
    prepared: Prepared, texts: Texts, *, valid: str | os.PathLike[str] | None = None
) -> list[str]:
    """How ``texts`` differ from those that ``prepared`` was made from: empty if they do not. Nothing is
    changed; what has another size or time is hashed."""
    return _differ(prepared.facts, texts, valid)


def are_removed(folder: Path) -> bool:
    """Whether the folder is prepared, but without its tokens."""
    return (folder / NAME).exists() and not prepared_file.about(folder)[1]


def remove_tokens(folder: Path, texts: Texts, valid: str | os.PathLike[str] | None) -> bool:
    """Remove the tokens of a folder if these texts, regular files or folders, give them again; whether they
    are gone. What the folder was made from stays."""
    named = [Path(text) for text in (*texts, *([] if valid is None else [valid]))]
    if not texts or not all(path.is_file() or path.is_dir() for path in named):
        return False  # stdin and pipes can be read only once
    try:
        facts = prepared_file.about(folder)[0]["facts"]
        if len(facts["texts"]) > MOST_FILES or _differ(facts, texts, valid, keep_in=folder):
            return False
        prepared_file.remove_tokens(folder)
    except (PantoumError, OSError):
        return False  # they take room, nothing else
    return True


def restored(folder: Path, texts: Texts, valid: str | os.PathLike[str] | None) -> Prepared:
    """The prepared folder of a run; its tokens are made again from the texts where they were removed."""
    if not are_removed(folder):
        return open_prepared(folder)
    content, _ = prepared_file.about(folder)
    facts, advice = content["facts"], "give the text that the run learned from as TEXT"
    names = ", ".join(repr(text["name"]) for text in facts["texts"][:3])
    if not texts:
        raise TextError(f"the tokens of {names} must be made again to continue; {advice}")
    try:
        differ = _differ(facts, texts, valid, keep_in=folder)
    except TextError as error:
        raise TextError(f"the tokens of {names} must be made again to continue: {error}; {advice}") from None
    if differ:
        raise TextError(f"the tokens of {names} cannot be made again: {'; '.join(differ)}; {advice}")
    return _again(folder, texts, valid, content["request"], from_spec(content["tokenizer"]))


def _differ(
    facts: Mapping[str, Any],
    texts: Texts,
    valid: str | os.PathLike[str] | None,
    keep_in: Path | None = None,
) -> list[str]:
    with found(texts, valid, keep_in=keep_in, raw=bool(facts.get("raw"))) as sources:
        return changes(facts, sources)


def _again(
    folder: Path,
    texts: Texts,
    valid: str | os.PathLike[str] | None,
    request: Mapping[str, Any],
    tokenizer: Tokenizer,
) -> Prepared:
    """A folder made again, as it was asked for then; a tokenizer that was given then is given again."""
    given = bool(request["tokenizer"])
    settings: Any = {
        "tokens": AUTO if given else request["tokens"],
        "vocab_size": AUTO if given else request["vocab_size"] or AUTO,
        "documents": request["documents"],
        "encoding": request.get("encoding"),
        "valid": valid,
        "valid_fraction": request["valid_fraction"],
    }
    return prepare(texts, out=folder, tokenizer=tokenizer if given else None, **settings)


def _held(
    texts: Texts,
    valid: str | os.PathLike[str] | None,
    request: Tokenizing,
    prefer: Prefer | None,
    report: Progress | None,
    processes: int | None,
) -> Prepared:
    """A text whose tokens are used once. The folder is for pipes alone, which are read more than once."""
    memory = TokenWriter()
    with (
        tempfile.TemporaryDirectory(prefix="pantoum-") as name,
        found(texts, valid, keep_in=Path(name), raw=request.raw) as sources,
    ):
        request = _preferred(request, sources, prefer)
        read = in_encoding(sources, request.encoding)
        tokenizer, facts, notes = tokenize(read, request, memory, report, processes)
    return Prepared(None, tokenizer, memory.held["train"], memory.held.get("valid"), facts, notes)


def _make(
    sources: Sources, request: Tokenizing, folder: Path, report: Progress | None, processes: int | None
) -> None:
    """Make the file of the folder."""
    prepared_file.require_room(sources)
    size = sources.size + (0 if sources.valid is None else sources.valid.size)
    durable.require_space(folder, SPACE * size)
    with durable.new_file(folder / NAME) as file:
        read = in_encoding(sources, request.encoding)
        tokenize(read, request, TokenWriter(file), report, processes, spool_in=folder)


def _preferred(request: Tokenizing, sources: Sources, prefer: Prefer | None) -> Tokenizing:
    """What is asked for, with the tokenizer that ``prefer`` chooses by the beginning of the text. It is asked
    only where all of the text is UTF-8: what is not is refused or left out as it would be without it."""
    if prefer is None:
        return request
    read = in_encoding(sources, request.encoding)
    if not all(map(is_utf8, read.all)):
        return request
    tokenizer = prefer(beginning(read, LOOKED))
    return request if tokenizer is None else replace(request, tokens=tokenizer.kind, given=tokenizer)


def _require_own(folder: Path) -> None:
    """Refuse a folder that holds files of somebody else."""
    with os.scandir(folder) as entries:
        others = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    if others and NAME not in others:
        raise ShardError(
            f"{str(folder)!r} exists already and is not a prepared text: it contains {others[0]!r}; "
            "give another name"
        )


def _checked(asked: TextSettings, tokenizer: Tokenizer | None, grow: bool) -> Tokenizing:
    """The settings, or a ``SettingError`` that names the one that cannot be."""
    documents, vocab_size, fraction = asked.documents, asked.vocab_size, float(asked.valid_fraction)
    if tokenizer is not None:
        own = tokenizer.documents or "one continuous text"
        if documents not in (None, tokenizer.documents):
            rule = f"is not that of the tokenizer, which is for {own}"
            raise SettingError("documents", documents, rule, "leave it out, or learn a new tokenizer")
        grows = grow and tokenizer.declared.size == "vocab_size"
        size = None if vocab_size == AUTO else int(vocab_size)
        if size not in (None, tokenizer.vocab_size) and not (grows and size > tokenizer.vocab_size):
            more = " or more" if grows else ""
            rule = f"must be {tokenizer.vocab_size}{more}, as the tokenizer has it"
            raise SettingError("vocab_size", vocab_size, rule, "leave it out")
        kind, lines = tokenizer.kind, tokenizer.documents
        return Tokenizing(kind, size, lines, fraction, tokenizer, asked.encoding, grows)
    if asked.tokens != AUTO:
        check_tokens(asked.tokens, documents)
    size = None if vocab_size == AUTO else int(whole(vocab_size, "vocab_size", least=3))
    return Tokenizing(asked.tokens, size, documents, fraction, None, asked.encoding)


def _as_it_is(folder: Path, request: Tokenizing, sources: Sources) -> Prepared | None:
    """What the folder holds, if that is what is asked for."""
    try:
        prepared, made_for = opened(folder)
    except FormatError:
        return None  # nothing, damaged, or of another version: it is made
    fits = made_for == request.spec() and not changes(prepared.facts, sources)
    return prepared if fits else None
