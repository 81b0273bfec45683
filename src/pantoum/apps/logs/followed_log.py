"""``pantoum score --follow``: a log is read as it grows; a state file lets a restart go on.

The state is saved when everything that is there has been read and written out, and every few seconds
meanwhile; with ``--adapt`` it holds the weights, so it is saved once per minute at most. It is also saved
when the command is asked to end. So each line is answered once; only after a ``kill -9`` or a power cut those
since the last save are answered again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pantoum.apps.logs import score_state
from pantoum.apps.logs.follow import Follower, Place
from pantoum.errors import StorageError
from pantoum.seams import Plain, ScoreConfig, require, require_apart, require_place

if TYPE_CHECKING:
    from pantoum.seams import Asked, Model, Score, Scorer

__all__ = ["FollowedLog", "require_followable"]

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
            if score_state.write(self._scorer, self._path, self._of, self._follower.place.plain()):
                self._at = self._follower.place
        except StorageError as error:
            import warnings

            warnings.warn(f"the state was not saved: {error}", UserWarning, stacklevel=2)

    def _due(self, caught_up: bool) -> bool:
        return (caught_up and self._always) or time.monotonic() - self._saved >= self._every


def _resumed(scorer: Scorer, path: Path, of: Mapping[str, Plain]) -> tuple[Place, int]:
    """Go on from a state file: (the place in the log, the lines that were read and not answered)."""
    place, waiting = score_state.read(scorer, path, of)
    try:
        return Place.from_plain(place), waiting
    except (KeyError, ValueError, TypeError) as problem:
        raise score_state.unusable(path, problem) from None
