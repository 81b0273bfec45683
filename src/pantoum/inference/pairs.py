"""Minimal pairs: how often a model finds the good sentence of two more probable than the bad one.

A file has one JSON object per line, as those of BLiMP (Warstadt et al. 2020): ``sentence_good`` and
``sentence_bad``, and by ``linguistics_term`` the phenomenon. A sentence is read by itself, after the border
of documents or a line break, and the nats of all of its tokens are added up; a tie is no success.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.data.sources import unreadable
from pantoum.errors import TextError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.sentences import sentence_nats

__all__ = ["PairsFound", "judge"]

KEYS = (("sentence_good", "sentence_bad"), ("good", "bad"))
PHENOMENON = ("linguistics_term", "phenomenon", "UID")


@dataclass(frozen=True)
class PairsFound:
    """What a model made of pairs. The keys of ``evaluate --pairs --json``."""

    pairs: int
    accuracy: float
    """Share of the pairs whose good sentence is more probable."""
    unknown_pairs: int
    """Pairs with a token that the vocabulary lacks; they count, but say little."""
    phenomena: Mapping[str, Mapping[str, float]]
    """For each phenomenon ``pairs`` and ``accuracy``."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**vars(self), "phenomena": {name: dict(found) for name, found in self.phenomena.items()}}

    def __str__(self) -> str:
        width = max([len(name) for name in self.phenomena] + [len("all pairs")]) + 2
        rows = [(name, found["accuracy"], found["pairs"]) for name, found in sorted(self.phenomena.items())]
        rows.append(("all pairs", self.accuracy, self.pairs))
        lines = [f"{name:<{width}}{accuracy:.3f}  of {pairs:,}" for name, accuracy, pairs in rows]
        if self.unknown_pairs:
            lines.append(f"{self.unknown_pairs:,} pairs have tokens that the vocabulary lacks")
        return "\n".join(lines)


def judge(model: LoadedModel, files: Sequence[str]) -> PairsFound:
    """Read the pairs of files, and of the ``.jsonl`` files of folders."""
    pairs = [pair for file in files for path in _paths(Path(file)) for pair in _read(path)]
    sentences = [text for pair in pairs for text in pair[:2]]
    tokens = [model.tokenizer.encode(text) for text in sentences]
    nats = sentence_nats(model, tokens).reshape(-1, 2)
    right = nats[:, 0] < nats[:, 1]
    unk = model.tokenizer.unk
    unknown = np.array([unk is not None and unk in ids for ids in tokens]).reshape(-1, 2).any(axis=1)
    about = np.array([phenomenon for _, _, phenomenon in pairs])
    phenomena = {
        str(name): {"pairs": int((about == name).sum()), "accuracy": float(right[about == name].mean())}
        for name in np.unique(about)
    }
    return PairsFound(len(pairs), float(right.mean()), int(unknown.sum()), phenomena)


def _paths(path: Path) -> list[Path]:
    found = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not found:
        raise TextError(f"{str(path)!r} has no .jsonl file: give a file of pairs, or a folder of such files")
    return found


def _read(path: Path) -> Iterator[tuple[str, str, str]]:
    """(the good sentence, the bad one, what they are about)."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise unreadable(str(path), error) from None
    except UnicodeDecodeError:
        raise TextError(
            f"{str(path)!r} is not in UTF-8: pairs are lines of JSON; give another file"
        ) from None
    lines = [each for each in enumerate(text.split("\n"), start=1) if each[1].strip()]
    if not lines:
        raise TextError(f"{str(path)!r} is empty: give a file of pairs")
    for number, line in lines:
        try:
            found = json.loads(line)
            good, bad = next((found[a], found[b]) for a, b in KEYS if a in found and b in found)
            about = next((str(found[key]) for key in PHENOMENON if key in found), path.stem)
        except (ValueError, TypeError, StopIteration, RecursionError):
            good = bad = about = None
        if not (isinstance(good, str) and isinstance(bad, str) and good and bad and about is not None):
            raise TextError(
                f"{str(path)!r}, line {number}, is no pair: it must be a JSON object with the texts "
                "sentence_good and sentence_bad; give a file in the form of BLiMP"
            )
        yield good, bad, about
