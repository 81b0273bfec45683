"""One run as plain values: records, settings, validation figures.

The page, ``watch`` and ``compare`` start from it; they leave out what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pantoum.config import CELLS, table_words, token_unit
from pantoum.config.model_config import TABLE_TITLE
from pantoum.config.plain import Plain
from pantoum.report.loss import Reference
from pantoum.report.run_history import RunHistory
from pantoum.report.summary import comparable
from pantoum.report.wording import count, finite

__all__ = ["Story"]


@dataclass(frozen=True, eq=False)
class Story:
    """One run."""

    name: str
    """The name of the run: that of its folder."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """``config.json``: settings, what was chosen, command, machine."""
    records: Sequence[Mapping[str, Plain]] = ()
    """The lines of ``metrics.jsonl``."""
    evaluation: Mapping[str, Plain] | None = None
    """The validation figures of the best model, with the keys of ``evaluate --json``."""
    passage: tuple[Sequence[str], Sequence[float | None]] | None = None
    """The beginning of the validation text: its pieces and their nats under the best model."""

    @cached_property
    def history(self) -> RunHistory:
        """The records as columns."""
        return RunHistory.of(self.records)

    @property
    def ended(self) -> str | None:
        """``finished``, ``stopped``, ``failed``; ``None`` while the run goes on."""
        return self.history.ended

    @property
    def unit(self) -> str:
        """What a token of this run is: a byte, a character, a word, or a token."""
        for name in ("kind", "tokens"):
            if (unit := token_unit(self.get(name))) != "token":
                return unit
        return "token"

    def get(self, name: str, default: object = None) -> object:
        """A value of ``config.json``, at any level; ``auto`` counts as missing."""
        parts = [self.config, *(part for part in self.config.values() if isinstance(part, Mapping))]
        parts += [inner for part in parts[1:] for inner in part.values() if isinstance(inner, Mapping)]
        return next(
            (part[name] for part in parts if name in part and part[name] not in ("auto", None)), default
        )

    def score(self, name: str) -> float | None:
        """A validation figure, where there is one. Older runs of a few bytes have negative bits per byte."""
        found = finite((self.evaluation or {}).get(name))
        return None if found is not None and found <= 0 and name.endswith("bits_per_byte") else found

    @property
    def perplexity(self) -> float | None:
        """The validation perplexity per word of a model of words, which is what people compare."""
        return self.score("perplexity") if self.unit == "word" else None

    @property
    def cell(self) -> str:
        """The name of the cell, empty where it is unknown."""
        known = CELLS.get(str(self.get("cell", "")))
        return "" if known is None else known.title

    @property
    def about(self) -> str:
        """The model in a few words: ``GRU 3 × 512 and n-grams, 7.36 M parameters``."""
        layers, hidden, parameters = (
            finite(self.get(name)) for name in ("num_layers", "hidden_size", "parameters")
        )
        shape = f" {layers:.0f} × {hidden:.0f}" if layers and hidden else ""
        many = f"{count(parameters)} parameters" if parameters else ""
        shape += f" and {TABLE_TITLE}" if self.tables else ""
        members = f"{self.members} members" if self.members > 1 else ""
        return ", ".join(part for part in ((self.cell + shape).strip(), members, many) if part)

    @property
    def tables(self) -> str:
        """The rows of logits that are added to those of the network, in words; empty if there are none."""
        return table_words(self.get, self.unit)

    @property
    def members(self) -> int:
        """Members of the ensemble, which is saved as one model."""
        return int(finite(self.get("members")) or 1)

    @property
    def references(self) -> list[Reference]:
        """What ``bz2`` and ``xz`` reach on the validation text, in nats per token of this run."""
        tokens, size = self.score("tokens"), self.score("bytes")
        if not tokens or not size or not comparable(size):
            return []
        found = [(name, self.score(f"{name}_bits_per_byte")) for name in ("bz2", "xz")]
        return [
            Reference(name, bits * math.log(2) * size / tokens) for name, bits in found if bits is not None
        ]
