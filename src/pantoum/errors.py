"""The one tree of errors that pantoum raises on purpose.

    PantoumError                everything below; the command line prints it as one line and exits 1
    ├── SettingError            an argument or option has a value that cannot be (also a ValueError)
    ├── TextError               a text cannot be read as asked: empty, wrong encoding, too short
    ├── FormatError             a file of ours is foreign, cut, changed or of another kind
    │   ├── ModelFileError
    │   ├── ShardError
    │   ├── CheckpointError
    │   ├── StateError          a state that does not belong to this model, or is damaged
    │   └── ArchiveError        an archive is cut or damaged, or another model made it
    ├── StorageError            the disk said no: full, read-only, missing folder (also an OSError's story)
    ├── RunError                a run folder that exists, is busy, or differs from what is asked
    ├── DivergedError           the loss is not finite, or keeps exploding
    ├── RankError               the ranks that train together disagree, or one of them is lost
    ├── CoreError               the native core is missing where it is required, or refused a call
    └── MissingExtensionError   no installed package adds what is asked for, such as a command

A message is one line and names the argument, its value, the rule and what to do next.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager


class PantoumError(Exception):
    """The base of every error that pantoum raises on purpose."""


class SettingError(PantoumError, ValueError):
    """An argument has a value that cannot be used.

    ``argument`` is the name the user typed (a flag or a keyword), ``rule`` begins with a verb and says what
    it must be, and ``advice`` what to do next. The value is not shown where it says nothing:
    that of a flag, and with ``shown=False``.
    """

    def __init__(self, argument: str, value: object, rule: str, advice: str, *, shown: bool = True) -> None:
        self.argument, self.value, self.rule, self.advice = argument, value, rule, advice
        self.shown = shown and not (value is True and not rule.startswith("must"))
        subject = f"{argument} is {_spelled(value)}: it" if self.shown else argument
        super().__init__(f"{subject} {rule}; {advice}")

    def of(self, argument: str, value: object) -> SettingError:
        """The same error under the name, and with the value, by which the user knows the argument."""
        return type(self)(argument, value, self.rule, self.advice, shown=self.shown)

    def __reduce__(self) -> tuple[object, ...]:
        made = functools.partial(type(self), shown=self.shown)
        return made, (self.argument, self.value, self.rule, self.advice)


def _spelled(value: object) -> str:
    """A value on one line, cut where it is long. A value that has no ``repr`` is named by its type."""
    if isinstance(value, (str, bytes, list, tuple)):
        value = value[:200]
    try:
        shown = " ".join(repr(value).split())
    except Exception:
        return f"<{type(value).__name__}>"
    return shown if len(shown) <= 200 else shown[:197] + "..."


class TextError(PantoumError):
    """A text cannot be read as asked: missing, empty, too short, or in another encoding."""


class FormatError(PantoumError):
    """A file is not what it should be: foreign, cut short, changed, or of another kind."""


class ModelFileError(FormatError):
    """A model file is foreign, cut, changed or too new."""


class ShardError(FormatError):
    """A prepared text is foreign, cut, changed, or made from another text or tokenizer."""


class CheckpointError(FormatError):
    """No checkpoint of a run verifies, or it belongs to other settings."""


class StateError(FormatError):
    """A session state is damaged, or belongs to another model."""


class ArchiveError(FormatError):
    """An archive is cut or damaged, or belongs to another model."""


class StorageError(PantoumError):
    """Writing failed: the disk is full, the folder is read-only or missing."""


class RunError(PantoumError):
    """A run folder exists already, is in use, or differs from what is asked."""


class DivergedError(PantoumError):
    """Training does not recover from losses or gradients that are not finite."""


class RankError(PantoumError):
    """The ranks that train together disagree, or one of them is lost.

    ``lost``: a rank does not answer or communication failed, so nobody can be told. ``told``: it only says,
    on another rank, that rank 0 has ended with an error, which rank 0 reports itself.
    """

    def __init__(self, message: str, *, lost: bool = False, told: bool = False) -> None:
        self.lost, self.told = lost, told
        super().__init__(message)


class CoreError(PantoumError):
    """The native core is missing where it is required, or refused a call."""


class MissingExtensionError(PantoumError):
    """No installed package adds what is asked for: a command, a format, a function (``extensions``).

    ``group`` is the group of entry points, ``name`` what was looked for in it.
    """

    def __init__(self, group: str, name: str, reason: str) -> None:
        self.group, self.name, self.reason = group, name, reason
        super().__init__(
            f"{name!r} is missing in pantoum.{group}: {reason}; install pantoum again, or the package that "
            "adds it"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.group, self.name, self.reason)


@contextmanager
def naming(stream: str) -> Iterator[None]:
    """An ``OSError`` within names this stream, such as stdout: the system does not."""
    try:
        yield
    except OSError as problem:
        problem.filename = stream
        raise
