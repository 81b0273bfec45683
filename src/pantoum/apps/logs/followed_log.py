"""``pantoum score --follow``: a log is read as it grows; a state file lets a restart go on.

The state is saved when everything that is there has been read and written out, and every few seconds
meanwhile; with ``--adapt`` it holds the weights, so it is saved once per minute at most. It is also saved
when the command is asked to end. So each line is answered once; only after a ``kill -9`` or a power cut those
since the last save are answered again.

A state file is a safetensors file, written whole or not at all: the arrays, and as array ``body`` everything
else as JSON. Its metadata is the SHA-256 over the whole file with its own 64 digits taken as ``0``.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pantoum.apps.logs.follow import Follower, Place
from pantoum.errors import StateError, StorageError
from pantoum.seams import (
    Array,
    Plain,
    ScoreConfig,
    bounded,
    durable,
    plain_json,
    require,
    require_apart,
    require_place,
    tensor_layout,
)

if TYPE_CHECKING:
    from pantoum.seams import Asked, Model, Score, Scorer

__all__ = ["FollowedLog", "read_state", "require_followable", "verified", "write_state"]

EVERY, EVERY_WITH_WEIGHTS = 5.0, 60.0
"""Seconds between two saves while there is always more to read; with the weights of a copy, in any case."""
OF_THE_STATE = ("by", "documents", "adapt", "cache", "mask", "ignore")
"""Settings that a state is of."""
ROWS = ("text", "tsv", "jsonl")


def require_followable(
    config: ScoreConfig, text: str, form: str, follow: bool, state_file: str | None
) -> None:
    """Refuse what does not go with ``--follow`` and ``--state-file``."""
    require(follow or state_file is None, "state_file", state_file, "needs --follow", "give --follow too")
    if not follow:
        return
    advice = "pipe the text into `pantoum score MODEL -` otherwise"
    require(text != "-", "text", text, "must be the file that --follow reads", "name the file")
    require(config.streams == 1, "streams", config.streams, "must be 1 with --follow", "leave it out")
    require(config.encoding is None, "encoding", config.encoding, "must be left out with --follow", advice)
    rule = "must have rows with a state file: " + ", ".join(ROWS)
    require(state_file is None or form in ROWS, "format", form, rule, "choose one of them")


class FollowedLog:
    """A log, its scorer and their state file."""

    def __init__(
        self,
        model: Model,
        config: ScoreConfig,
        scorer: Scorer,
        text: str,
        state_file: str | None,
    ) -> None:
        """Where the state file exists, the scorer goes on from it."""
        self._scorer = scorer
        self._path = None if state_file is None else Path(state_file)
        settings = asdict(config)
        self._of = {"model": model._loaded.sha256, **{name: settings[name] for name in OF_THE_STATE}}
        self._every = EVERY_WITH_WEIGHTS if config.adapt else EVERY
        self._always = not config.adapt
        self._whole, self._saved = True, time.monotonic()
        place, waiting, self.resumed = None, 0, False
        self.saves = self._path is not None
        if self._path is not None:
            require_place("state_file", self._path)
            require_apart("state_file", self._path, "the model itself", [model._loaded.path])
            require_apart("state_file", self._path, "another file of this command", [text, config.model_out])
            if self._path.exists():
                place, waiting = _resumed(scorer, self._path, self._of)
                self.resumed = True
        self._follower = Follower(text, place)
        self._at = self._follower.place
        self.starts = self._follower.starts
        self.first_line = 1 + self._follower.lines - waiting
        """The number of the line that is answered first."""

    def batches(self, asked: Asked) -> Iterator[list[Score]]:
        """The scores of what is there, then of what comes, until the command is asked to end."""
        for part in asked.waited_for(self._follower.parts()):
            if part:
                self._whole = False
                yield from self._scorer.feed(part)
                self._whole = True
            if self._due(caught_up=not part):
                self.save()

    def save(self) -> None:
        """Save the state, if everything that was read has been answered. A full disk ends no monitor."""
        self._saved = time.monotonic()
        if self._path is None or not self._whole or self._follower.place == self._at:
            return
        try:
            if write_state(self._scorer, self._path, self._of, self._follower.place.plain()):
                self._at = self._follower.place
        except StorageError as error:
            warnings.warn(f"the state was not saved: {error}", UserWarning, stacklevel=2)

    def _due(self, caught_up: bool) -> bool:
        return (caught_up and self._always) or time.monotonic() - self._saved >= self._every


def _resumed(scorer: Scorer, path: Path, of: Mapping[str, Plain]) -> tuple[Place, int]:
    """Go on from a state file: (the place in the log, the lines that were read and not answered)."""
    place, waiting = read_state(scorer, path, of)
    try:
        return Place.from_plain(place), waiting
    except (KeyError, ValueError, TypeError) as problem:
        raise unusable(path, problem) from None


NO_DIGITS = "0" * 64
KIND = " pantoum score state 1"
DTYPES = {"float32": "F32", "float64": "F64", "int64": "I64", "uint8": "U8"}
BODY = "body"
MOST_BYTES = 1 << 34
USE_ANOTHER = "name another file with --state-file, or remove this one to begin anew"


def write_state(scorer: Scorer, path: Path, of: Mapping[str, Plain], place: Mapping[str, Plain]) -> bool:
    """Write it; ``of``: what it is a state of; ``place``: how far the text was read. Whether it could be: not
    within a character."""
    kept = scorer.kept()
    if kept is None:
        return False
    arrays, plain = kept
    body = {"of": _listed(of), "place": place, "scorer": plain}
    named = {**arrays, BODY: np.frombuffer(plain_json.encode(body), np.uint8)}
    typed = {name: (DTYPES[array.dtype.name], array) for name, array in named.items()}
    header, order = tensor_layout.header_bytes(typed, NO_DIGITS + KIND)
    data = b"".join(bytes(chunk) for chunk in tensor_layout.data_chunks(typed, order))
    digest = hashlib.sha256(header + data).hexdigest()
    durable.write_file(path, header.replace(NO_DIGITS.encode(), digest.encode(), 1) + data)
    return True


def read_state(scorer: Scorer, path: Path, of: Mapping[str, Plain]) -> tuple[Mapping[str, Plain], int]:
    """Let a new scorer go on from the file: (how far the text was read, the lines of it that are unanswered).
    ``StateError`` where the file is damaged, or of another model or other settings."""
    arrays, body = verified(path)
    kept, place, was = body.get("scorer"), body.get("place"), body.get("of")
    if not (isinstance(kept, dict) and isinstance(place, dict) and isinstance(was, dict)):
        raise unusable(path, "it is not a state of score")
    other = [name for name, value in _listed(of).items() if was.get(name) != value]
    if other:
        raise unusable(path, f"it was made with another {other[0]}")
    try:
        scorer.resume(arrays, kept)
    except (KeyError, ValueError, TypeError, IndexError, OverflowError) as problem:
        raise unusable(path, problem) from None
    return place, scorer.waiting_text.count("\n")


def verified(path: Path) -> tuple[dict[str, Array], dict[str, Plain]]:
    """The arrays and the rest of a state, verified."""
    data = bounded.read_small(path, MOST_BYTES, StateError)
    try:
        length = tensor_layout.header_length(data[:8], len(data))
        content = np.frombuffer(data, np.uint8)[8 + length :]
        words, tensors = tensor_layout.parse(data[8 : 8 + length], content.size)
        if words[64:] != KIND:
            raise ValueError("it is not a state of score")
        whole = data.replace(words[:64].encode(), NO_DIGITS.encode(), 1)
        if hashlib.sha256(whole).hexdigest() != words[:64]:
            raise ValueError("its SHA-256 does not match: it is truncated, damaged or was changed")
        arrays = {t.name: tensor_layout.view(content, t) for t in tensors if t.dtype in DTYPES.values()}
        body = plain_json.decode(arrays.pop(BODY).tobytes())
        if not isinstance(body, dict):
            raise ValueError("it has no body")
    except (ValueError, KeyError) as problem:
        raise unusable(path, problem) from None
    return arrays, body


def unusable(path: Path, problem: Exception | str) -> StateError:
    """The error for a state that cannot be used."""
    return StateError(f"cannot use the state {str(path)!r}: {problem}; {USE_ANOTHER}")


def _listed(of: Mapping[str, Plain]) -> dict[str, Plain]:
    """As JSON has it: a tuple is a list."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in of.items()}
