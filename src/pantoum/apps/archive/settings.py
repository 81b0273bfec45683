"""Settings of ``compress`` and ``decompress``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from pantoum.seams import SettingGroup, require, setting
from pantoum.seams import check_one_of as one_of
from pantoum.seams import check_truth as truth
from pantoum.seams import check_whole as whole

__all__ = ["CompressConfig", "DecompressConfig"]

MOST = 2**63 - 1


@dataclass(frozen=True)
class CompressConfig(SettingGroup):
    """How bytes are compressed."""

    documents: str | None = setting(
        None,
        "make each line a record that can be decompressed alone; needs a model",
        partial(one_of, choices=("lines",)),
        metavar="lines",
    )
    adapt: bool = setting(
        False,
        "mix the model with contexts that learn from the text as they read: smaller, several times slower",
        truth,
    )
    overwrite: bool = setting(False, "replace an archive that exists", truth)
    no_verify: bool = setting(
        False, "skip the check that decodes and compares the archive, which takes half of the time", truth
    )

    def agree(self) -> None:
        """A record that is read alone has nothing before it to learn from."""
        rule, advice = "cannot be given together with --documents", "leave one of them out"
        require(not self.adapt or self.documents is None, "adapt", True, rule, advice)


@dataclass(frozen=True)
class DecompressConfig(SettingGroup):
    """How an archive is read."""

    keep_going: bool = setting(
        False, "leave out damaged parts, report them, and write everything else", truth
    )
    overwrite: bool = setting(False, "replace a file that exists", truth)
    max_output: int | None = setting(
        None,
        "refuse an archive that expands to more than N bytes",
        partial(whole, least=0, most=MOST),
        metavar="N",
    )
    offset: int | None = setting(
        None,
        "begin at this byte; earlier frames are not read",
        partial(whole, least=0, most=MOST),
        metavar="N",
    )
    length: int | None = setting(
        None, "write only this many bytes, from --offset on", partial(whole, least=0, most=MOST), metavar="N"
    )
    record: int | None = setting(
        None,
        "only this record (with --documents: this line, the first is 0)",
        partial(whole, least=0, most=MOST),
        metavar="K",
    )

    @property
    def is_part(self) -> bool:
        """Whether a part of the archive is asked for."""
        return any(asked is not None for asked in (self.record, self.offset, self.length))

    def agree(self) -> None:
        """A part is asked for in one way."""
        ranged = self.offset is not None or self.length is not None
        rule, advice = "cannot be given together with --offset or --length", "leave one of them out"
        require(self.record is None or not ranged, "record", self.record, rule, advice)
        rule = "cannot be given with a part of the archive"
        require(not (self.keep_going and self.is_part), "keep_going", True, rule, advice)
