"""The arrays of a batch: what the network and the draw of the next token need, a row per stream.

The arrays have more rows than there are streams: ``StreamBatch`` decides how many, and which row is whose.
What reads and draws is bound to the addresses of the arrays, once, for all rounds.

**Borders of words.** Some draws of a model of ``words`` are made again:

- A piece of ``words`` takes a word whole, so after a piece that ends with a letter or a digit no text goes on
  with a piece that begins with one. A draw that makes such a pair is made again among the others.
- Each space of an indentation is a piece. After some of them the next space has most of the probability,
  while what ends the run is divided among many words, each of which min-p, top-k or top-p leaves out: the run
  would never end. So after a piece of white space the first draw is one without these filters, which decides
  whether the piece comes again; if it does not, the token is drawn with them among the others.

The others are a mask of the second draw, so that log-probabilities are those of the model.

Shapes: R rows, B rows that are drawn together, C rows of logits at once, V symbols, M words of a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pantoum.config import SamplingConfig
from pantoum.inference.constraint import DROPPED, Constraint
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.writing.adjusted import Adjusted, log_probabilities
from pantoum.kernels import Array, DrawRows, backend
from pantoum.kernels.types import ALL, COLUMNS, WINDOW, RowCall
from pantoum.network.network_state import NetworkState
from pantoum.network.stepping import stepper
from pantoum.text.tokenizer import WordEdges

LOGITS = 1 << 20
"""Logits that are kept at once: of as many rows as that gives, but of ``FEWEST`` at least."""
FEWEST = 64
LARGEST_K = 2**31 - 1
"""The largest ``top_k`` that its column holds: more than any vocabulary has, so that the filter is off."""


class Parked(NamedTuple):
    """What a row of a batch holds of a stream that pauses."""

    network: NetworkState
    columns: dict[str, float]
    recent_W: Array | None
    length: int


class BatchRows:
    """States, lengths and draws of R rows."""

    def __init__(self, model: LoadedModel, rows: int) -> None:
        self.draws = DrawRows(rows)
        self.written = 0
        """Tokens of all texts so far."""
        self._model, self._state = model, model.program.initial_state(rows)
        self._length_R = np.zeros(rows, np.int64)
        self._soonest = 0
        """Rounds until a row may reach its length."""
        self._banned_N = np.array(model.banned, np.int32)
        self._bind()

    def __len__(self) -> int:
        """R."""
        return len(self.draws)

    def set(self, row: int, network: NetworkState, columns: Mapping[str, float], length: int) -> None:
        """Begin a row, the last one in use: the state of one stream, the columns of its draws, and how many
        tokens it writes in all."""
        for array_RH, own_1H in zip(self._state.arrays, network.arrays, strict=True):
            array_RH[row] = own_1H[0]
        penalised = self.draws.recent_RW is not None
        self.draws.set(row, **columns)
        if penalised != (self.draws.recent_RW is not None):
            self._bind()
        self._length_R[row] = length
        left = length - int(columns.get("written", 0))
        self._soonest = min(self._soonest, left) if row else left

    def mask(self, words: int) -> None:
        """Rows have masks of so many words from now on."""
        if self.draws.allowed_RM is None:
            self.draws.mask(words)
            self._bind()

    def allow(self, row: int, place: Constraint) -> None:
        """A row draws what its text may have next."""
        masks, size = self._masks, len(place.mask)
        masks[row * size : (row + 1) * size] = place.mask
        place.changed = False

    def state(self, row: int) -> tuple[NetworkState, int, int]:
        """A copy of the state of one row; the last token; tokens read."""
        return self._state.select([row]), int(self.draws.tokens[row]), int(self.draws.position[row])

    def figures(self, row: int) -> tuple[int, float, float]:
        """Tokens, nats and the last log-probability of a text."""
        draws = self.draws
        return int(draws.written[row]), float(draws.nats[row]), float(draws.log_probability[row])

    def kept(self, row: int) -> Parked:
        """All of a row, for ``put_back``."""
        recent_RW = self.draws.recent_RW
        recent_W = None if recent_RW is None else recent_RW[row].copy()
        return Parked(self._state.select([row]), self.draws.get(row), recent_W, int(self._length_R[row]))

    def put_back(self, row: int, parked: Parked) -> None:
        """Begin a row, the last one in use, where another one was kept."""
        self.set(row, parked.network, parked.columns, parked.length)
        if parked.recent_W is not None and self.draws.recent_RW is not None:
            self.draws.recent_RW[row] = parked.recent_W

    def move(self, last: int, row: int) -> None:
        """A row takes the place of another one."""
        for array in (*self._state.arrays, self._length_R):
            array[row] = array[last]
        self.draws.move(last, row)

    def resize(self, rows: int, used: int) -> None:
        """More or fewer rows, of which the first ``used`` stay. An array at a time: both copies of one array
        exist together, never of all."""
        del self._step, self._draw, self._drawn, self._masks
        self.draws.resize(rows)
        arrays = list(self._state.arrays)
        del self._state
        for number in range(len(arrays)):
            arrays[number] = _resized(arrays[number], rows, used)
        self._state = NetworkState(tuple(arrays))
        self._length_R = _resized(self._length_R, rows, used)
        self._bind()

    def advance(
        self,
        count: int,
        adjusted: Sequence[tuple[int, Adjusted]],
        formed: Sequence[tuple[int, Constraint]] = (),
    ) -> tuple[list[int], list[int]]:
        """Read and draw a token for each of the first rows; the tokens drawn are those that are read next.
        ``adjusted``: rows whose logits are changed, or whose tokens are recorded. ``formed``: rows whose
        texts have a form. Returns those that ended before their token, and are as they were, and those that
        ended with it."""
        dropped, ended = list[int](), list[int]()
        for first in range(0, count, self._chunk):
            rows = min(self._chunk, count - first)
            if not (adjusted or formed):
                self._step(first, rows)
                self._draw(first, rows)
                continue
            keeping = [each for each in formed if first <= each[0] < first + rows]
            part = slice(first, first + rows)
            may_drop = any(place.free for _, place in keeping)
            before = [array[part].copy() for array in self._drawn] if may_drop else []
            self._step(first, rows)
            asking = [each for each in adjusted if first <= each[0] < first + rows]
            for row, own in asking:
                own.before(self._logits_CV[row - first])
            self._draw(first, rows)
            tokens: list[int] = self.draws.tokens[part].tolist() if keeping else []
            for row, place in keeping:
                stands = place.take(tokens[row - first])
                if stands == DROPPED:
                    for array, own_B in zip(self._drawn, before, strict=True):
                        array[row] = own_B[row - first]
                    dropped.append(row)
                elif stands != tokens[row - first]:
                    self._replace(row, stands, self._logits_CV[row - first])
                if place.changed:
                    self.allow(row, place)
                if place.ended:
                    ended.append(row)
            for row, own in asking:
                if row not in dropped:
                    self._adjust(row, own)
        self.written += count - len(dropped)
        return dropped, ended

    def at_length(self, count: int) -> list[int]:
        """Those of the first rows that have written their length; asked once after each ``advance``."""
        self._soonest -= 1
        if self._soonest > 0:
            return []
        left_B = self._length_R[:count] - self.draws.written[:count]
        going_B = left_B[left_B > 0]
        self._soonest = int(np.min(going_B)) if going_B.size else 0
        rows: list[int] = np.flatnonzero(left_B <= 0).tolist()
        return rows

    def lengthen(self, row: int, tokens: int) -> None:
        """A row writes so many tokens more."""
        self._length_R[row] += tokens
        self._soonest = min(self._soonest, tokens) if self._soonest > 0 else tokens

    def _replace(self, row: int, stands: int, logits_V: Array) -> None:
        """Another token stands in the place of the one drawn."""
        draws = self.draws
        draws.nats[row] += draws.log_probability[row]
        own = float(log_probabilities(logits_V)[stands])
        draws.tokens[row], draws.log_probability[row] = stands, own
        draws.nats[row] -= own
        if draws.recent_RW is not None:
            draws.recent_RW[row, (draws.written[row] - 1) % WINDOW] = stands

    def _adjust(self, row: int, adjusted: Adjusted) -> None:
        """The log-probability of the token drawn is that of the model itself."""
        given = float(self.draws.log_probability[row])
        own = adjusted.after(int(self.draws.tokens[row]), given)
        self.draws.log_probability[row] = own
        self.draws.nats[row] += given - own

    @np.errstate(over="ignore", invalid="ignore")
    def _bind(self) -> None:
        """The addresses of the arrays, for the calls of a round."""
        V = self._model.vocab_size
        self._chunk = min(len(self), max(FEWEST, LOGITS // V))
        draws = self.draws
        own = (draws.tokens, draws.position, draws.written, draws.nats, draws.log_probability)
        self._drawn = [*self._state.arrays, *own]
        """What a round changes of a row, but for its recent tokens."""
        allowed_RM = self.draws.allowed_RM
        self._masks = memoryview(b"") if allowed_RM is None else allowed_RM.reshape(-1).view(np.uint8).data
        """The bits of all rows, one after the other."""
        self._logits_CV = np.empty((self._chunk, V), np.float32)
        self._step = stepper(self._model.program, self.draws.tokens, self._state, self._logits_CV)
        sampler = backend(np.float32).sampler
        edges = self._model.tokenizer.word_edges
        if edges is None:
            self._draw: RowCall = sampler(self.draws, self._banned_N, self._logits_CV)
        else:
            self._draw = WordDraw(sampler, edges, self.draws, self._banned_N, self._logits_CV).draw


def columns(sampling: SamplingConfig) -> dict[str, float]:
    """The columns of ``kernels.DrawRows`` that a row with these settings has: greedy is temperature 0, and a
    filter that is not asked for is off. ``kernels.reference.sample`` defines what is drawn from them."""
    asked = {
        "top_k": None if sampling.top_k is None else min(sampling.top_k, LARGEST_K),
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "penalty": sampling.repetition_penalty,
    }
    found: dict[str, float] = {name: value for name, value in asked.items() if value is not None}
    found["temperature"] = 0.0 if sampling.greedy else sampling.temperature
    return found


def _resized(array: Array, rows: int, used: int) -> Array:
    """The first ``used`` rows with room for others, which get no memory before they are used."""
    resized = np.zeros((rows, *array.shape[1:]), array.dtype)
    resized[:used] = array[:used]
    return resized


Sampler = Callable[[DrawRows, Array, Array], RowCall]

FILTERS = ("top_p", "min_p", "top_k")
OF_A_DRAW = ("nats", "log_probability", "tokens")
"""The columns that the last draw changed otherwise than another one in its place would."""
RUNS = 1 << 63
"""Makes of the number of a stream the number of the one that decides whether a run goes on."""
OTHER = (1 << 64) - 1
"""Makes of it the number of the one that another token comes from."""


class WordDraw:
    """Draws as ``sampler`` does for these rows, but never continues a word, and ends runs of white space as
    the model does."""

    def __init__(
        self, sampler: Sampler, edges: WordEdges, rows: DrawRows, banned_N: Array, logits_CV: Array
    ) -> None:
        """``edges``: of the tokens (``Tokenizer.word_edges``). ``banned_N``: tokens that are never drawn."""
        V = logits_CV.shape[1]
        self._begins, self._ends, self._blank = (each_V.tobytes() for each_V in edges)
        others_V = np.zeros(-(-V // 32) * 32, np.uint8)
        others_V[:V] = ~edges[0]
        others_V[banned_N] = 0
        self._others_M = np.packbits(others_V, bitorder="little").view("<u4").astype(np.uint32)
        self._rows, self._logits_CV = rows, logits_CV
        # One value of a column is read in a tenth of the time that an array takes.
        self._columns: dict[str, Any] = {name: memoryview(getattr(rows, name)) for name in COLUMNS}
        self._draw = sampler(rows, banned_N, logits_CV)
        self._again, self._logits_1V = DrawRows(1), np.empty((1, V), np.float32)
        """The row that is drawn again."""
        self._own: dict[str, Any] = {name: memoryview(getattr(self._again, name)) for name in COLUMNS}
        if rows.recent_RW is not None:
            self._again.recent_RW = rows.recent_RW[:1].copy()
        self._again.mask(len(self._others_M))
        assert self._again.allowed_RM is not None
        self._allowed_1M = self._again.allowed_RM
        self._draw_again = sampler(self._again, banned_N, self._logits_1V)

    def draw(self, first: int, count: int) -> None:
        """One token for each of the rows first .. first + count - 1."""
        at, tokens, recent_RW = slice(first, first + count), self._columns["tokens"], self._rows.recent_RW
        before_B = tokens[at].tolist()
        recent_BW = None if recent_RW is None else recent_RW[at].copy()
        # The most probable token is what it is, however long the run.
        temperature = self._columns["temperature"]
        blank = [row for row, token in enumerate(before_B, first) if self._blank[token]]
        runs = [row for row in blank if temperature[row] > 0.0]
        if runs:
            self._draw_without_filters(first, count, runs)
        else:
            self._draw(first, count)
        for place, (before, after) in enumerate(zip(before_B, tokens[at].tolist(), strict=True)):
            row = first + place
            if (before != after) if row in runs else (self._ends[before] and self._begins[after]):
                self._replace(row, before, place, None if recent_BW is None else recent_BW[place])

    def _draw_without_filters(self, first: int, count: int, runs: list[int]) -> None:
        """A token for each row; for those of ``runs`` without filters, by the numbers of another stream."""
        stream = self._columns["stream"]
        changed = [(self._columns[name], COLUMNS[name][1], row) for name in FILTERS for row in runs]
        before = [column[row] for column, _, row in changed]
        for column, off, row in changed:
            column[row] = off
        for row in runs:
            stream[row] ^= RUNS
        self._draw(first, count)
        for (column, _, row), value in zip(changed, before, strict=True):
            column[row] = value
        for row in runs:
            stream[row] ^= RUNS

    def _replace(self, row: int, before: int, place: int, recent_W: Array | None) -> None:
        """Another token in the place of the last one of a row, by the numbers of another stream."""
        rows, again, allowed_M = self._rows, self._own, self._allowed_1M[0]
        for name, column in self._columns.items():
            again[name][0] = column[row]
        again["stream"][0] ^= OTHER
        again["position"][0] -= 1
        again["written"][0] -= 1
        again["nats"][0] += again["log_probability"][0]
        allowed_M[:] = ALL if rows.allowed_RM is None else rows.allowed_RM[row]
        if self._blank[before]:
            allowed_M[before // 32] &= ~np.uint32(1 << before % 32)
        else:
            allowed_M &= self._others_M
            if not allowed_M.any():  # a form asks for two words as one
                return
        recent_1W = self._again.recent_RW
        if recent_1W is not None:
            recent_1W[0] = recent_W
        self._logits_1V[0] = self._logits_CV[place]
        self._draw_again(0, 1)
        for name in OF_A_DRAW:
            self._columns[name][row] = again[name][0]
        if recent_1W is not None and rows.recent_RW is not None:
            rows.recent_RW[row] = recent_1W[0]
