"""How probable given texts are: sentences by themselves, continuations of a text, pairs of sentences.

*Sentences.* What several begin with is read once, token by token: lists of hypotheses, as recognisers of
speech make them, and minimal pairs have much in common. As soon as no other sentence has the same beginning,
the rest of one is read with the rests of others side by side.

*Choices*, for classification: a continuation is scored as what follows the text, without what comes after it.
Longer ones are less probable for their length alone, so there are two shares: by the probability of the whole
continuation, and by that per token (the geometric mean), which does not depend on the number of tokens.

*Pairs*: how often the good sentence of two is more probable than the bad one. A file has one JSON object per
line, as those of BLiMP (Warstadt et al. 2020): ``sentence_good`` and ``sentence_bad``, and by
``linguistics_term`` the phenomenon. A sentence follows the border of documents or a line break, and the nats
of all of its tokens are added up; a tie is no success.

Shapes: B sentences, T tokens, R rests of sentences, N choices.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pantoum.config import require
from pantoum.config.rules import some_texts
from pantoum.data.sources import unreadable
from pantoum.errors import TextError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.reading import CHUNK, Reading, advance
from pantoum.inference.state import State
from pantoum.kernels import Array, Workspace
from pantoum.network.checks import require_finite
from pantoum.network.network_state import NetworkState
from pantoum.text.prompt import encode_prompt, space_held

TOKENS_AT_ONCE = 1 << 14


@np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
def sentence_nats(model: LoadedModel, tokens: Sequence[Array]) -> Array:
    """The nats of each sentence, after the border of documents or a line break."""
    found, workspace = np.zeros(len(tokens)), Workspace()
    order = sorted(range(len(tokens)), key=lambda number: tokens[number].tolist())
    ends = np.cumsum([len(tokens[number]) for number in order]) // TOKENS_AT_ONCE
    for rows in np.split(np.array(order, np.int64), np.flatnonzero(np.diff(ends)) + 1):
        lengths_B = np.array([len(tokens[row]) for row in rows])
        text_BT = np.full((len(rows), 1 + max([1, *lengths_B])), model.border, np.int64)
        for line, row in enumerate(rows):
            text_BT[line, 1 : 1 + lengths_B[line]] = tokens[row]
        found[rows] = _Reading(model, text_BT, lengths_B, workspace).nats_B
    return found


class _Reading:
    """Some sentences, sorted; ``text_BT`` begins with what stands before them."""

    def __init__(self, model: LoadedModel, text_BT: Array, lengths_B: Array, workspace: Workspace) -> None:
        self._model, self._workspace = model, workspace
        self._text_BT, self._lengths_B = text_BT, lengths_B
        self.nats_B = np.zeros(len(lengths_B))
        rests = [part for part in self._beginnings() if part[0].size]
        if rests:
            rows_R, steps_R = (np.concatenate([part[place] for part in rests]) for place in (0, 1))
            self._rests(rows_R, steps_R, NetworkState.joined([state for _, _, state in rests]))

    def _beginnings(self) -> Iterator[tuple[Array, Array, NetworkState]]:
        """Read what several sentences begin with; (sentences, steps, their states) of those that go on alone
        from this step."""
        state, rows = self._model.program.initial_state(1), np.flatnonzero(self._lengths_B)
        places = np.zeros(len(rows), np.int64)  # of each sentence in the state
        for step in range(self._text_BT.shape[1] - 1):
            going = self._lengths_B[rows] > step
            rows, places = rows[going], places[going]
            keys = places * self._model.vocab_size + self._text_BT[rows, step + 1]
            _, first, which, times = np.unique(
                keys, return_index=True, return_inverse=True, return_counts=True
            )
            shared = times > 1
            alone = ~shared[which]
            yield rows[alone], np.full(alone.sum(), step), state.select(places[alone])
            if not shared.any():
                return
            chosen = first[shared]
            text_B2 = self._text_BT[rows[chosen], step : step + 2]
            nats, state = self._losses(text_B2[:, :1], text_B2[:, 1:], state.select(places[chosen]))
            rows, places = rows[~alone], (np.cumsum(shared) - 1)[which[~alone]]
            self.nats_B[rows] += nats[places]

    def _rests(self, rows_R: Array, steps_R: Array, state: NetworkState) -> None:
        """Read these sentences from these steps on, those of similar length side by side."""
        lengths_R = self._lengths_B[rows_R] - steps_R
        order, place = np.argsort(-lengths_R, kind="stable"), 0
        while place < len(order):
            T = int(lengths_R[order[place]])
            some = order[place : place + max(1, TOKENS_AT_ONCE // T)]
            place += len(some)
            columns_RT = np.minimum(steps_R[some, None] + np.arange(T + 1), self._text_BT.shape[1] - 1)
            text_RT = self._text_BT[rows_R[some, None], columns_RT]
            nats, _ = self._losses(text_RT[:, :-1], text_RT[:, 1:], state.select(some), lengths_R[some])
            self.nats_B[rows_R[some]] += nats

    def _losses(
        self, inputs_BT: Array, targets_BT: Array, state: NetworkState, lengths: Array | None = None
    ) -> tuple[Array, NetworkState]:
        """(the nats of each row, the state after it)."""
        nats_BT, _, state = self._model.program.losses(
            inputs_BT,
            targets_BT,
            state,
            reset_BT=self._model.resets(inputs_BT),
            lengths=lengths,
            workspace=self._workspace,
            predict=False,
        )
        require_finite([nats_BT])
        return nats_BT.sum(axis=1, dtype=np.float64), state


class Continuation(NamedTuple):
    """A continuation among others, and how probable it is."""

    text: str
    log_probability: float
    """Natural logarithm of the probability of all its tokens, one after the other."""
    tokens: int
    probability: float
    """Its share in the probabilities of all choices."""
    probability_per_token: float
    """Its share where each counts as its tokens do on average."""


def choices_after(model: LoadedModel, state: State, choices: Sequence[str]) -> list[Continuation]:
    """The choices in their order."""
    each = some_texts(choices, "choices")
    readings = []
    for one in each:
        own, _ = space_held(model.tokenizer, one, state.pending)
        tokens_T, notes = encode_prompt(model.tokenizer, own)
        rule = "has no token of this model"
        require(len(tokens_T) > 0, "choices", one, rule, "give a text with a letter")
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=3)
        begun = State.of(model, state.for_model(model), _last(model, state), state.tokens_seen, state.pending)
        readings.append(Reading(model, begun, tokens_T, alternatives=0))
    while unread := [reading for reading in readings if reading.left]:
        advance(unread, CHUNK)
    logs_N = np.array([sum(one.log_probability for one in r.drawn if one is not None) for r in readings])
    sizes_N = np.array([len(reading.tokens_T) for reading in readings])
    columns = (each, logs_N.tolist(), sizes_N.tolist(), _shares(logs_N), _shares(logs_N / sizes_N))
    return [Continuation(*values) for values in zip(*columns, strict=True)]


def _last(model: LoadedModel, state: State) -> int:
    """The token that a text goes on after; a text without one begins after a border."""
    return model.border if state.last_token is None else state.last_token


def _shares(logs_N: Array) -> list[float]:
    shares_N = np.exp(logs_N - logs_N.max())
    shares: list[float] = (shares_N / shares_N.sum()).tolist()
    return shares


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
                f"{str(path)!r}, line {number}, is not a pair: it must be a JSON object with the texts "
                "sentence_good and sentence_bad; give a file in the form of BLiMP"
            )
        yield good, bad, about
