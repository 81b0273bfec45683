"""The arrays of a batch: what the network and the draw of the next token need, a row per stream.

The arrays have more rows than there are streams: ``StreamBatch`` decides how many, and which row is whose.
What reads and draws is bound to the addresses of the arrays, once, for all rounds.

Shapes: R rows, C rows of logits at once, V symbols.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pantoum.config import SamplingConfig
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.writing.adjusted import Adjusted, log_probabilities
from pantoum.inference.writing.stream import Parked
from pantoum.kernels import Array, DrawRows, backend
from pantoum.kernels.draw_rows import WINDOW
from pantoum.kernels.types import RowCall
from pantoum.network.network_state import NetworkState
from pantoum.network.stepping import stepper

if TYPE_CHECKING:  # other models do not need it
    from pantoum.inference.constraint import Constraint
    from pantoum.inference.writing.word_borders import WordBorders

__all__ = ["BatchRows", "Formed", "columns"]

LOGITS = 1 << 20
"""Logits that are kept at once: of as many rows as that gives, but of ``FEWEST`` at least."""
FEWEST = 64
AT_ONCE = 64
"""Tokens that a text alone may take in one round because only one may come next each time."""
LARGEST_K = 2**31 - 1
"""The largest ``top_k`` that its column holds: more than any vocabulary has, so that the filter is off."""


class Formed(NamedTuple):
    """What became of rows whose texts have a form, in one round."""

    dropped: list[int]
    """Those that ended before their token, and are as they were."""
    ended: list[int]
    """Those that ended with it."""
    held: list[int]
    """Those that show nothing yet."""
    late: list[int]
    """Those that show tokens of earlier rounds, too."""


class BatchRows:
    """States, lengths and draws of R rows."""

    def __init__(self, model: LoadedModel, rows: int) -> None:
        self.draws = DrawRows(rows)
        self.written = 0
        """Tokens of all texts so far, as far as they are shown: none that may be taken back."""
        self._model, self._state = model, model.program.initial_state(rows)
        self._length_R = np.zeros(rows, np.int64)
        self._soonest = 0
        """Rounds until a row may reach its length."""
        self._banned_N = np.array(model.banned, np.int32)
        self._borders = _word_borders(model)
        self._undone = False
        """Whether a draw may be taken back, at once or later."""
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
        self._undone = self._undone or place.undoable

    def state(self, row: int, place: Constraint | None) -> tuple[NetworkState, int, int]:
        """A copy of the state of one row, as far as its text is shown; the last token; tokens read."""
        kept = None if place is None else place.kept
        if kept is None:
            return self._state.select([row]), int(self.draws.tokens[row]), int(self.draws.position[row])
        *arrays, token, position, _, _, _ = kept
        return NetworkState(tuple(array_H[None].copy() for array_H in arrays)), int(token), int(position)

    def figures(self, row: int, place: Constraint | None) -> tuple[int, float, float]:
        """Tokens, nats and the last log-probability of a text, as far as it is shown."""
        kept = None if place is None else place.kept
        draws = self.draws
        if kept is None:
            return int(draws.written[row]), float(draws.nats[row]), float(draws.log_probability[row])
        return int(kept[-3]), float(kept[-2]), float(kept[-1])

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
    ) -> Formed:
        """Read and draw a token for each of the first rows; the tokens drawn are those that are read next. A
        text that has a form and is alone takes more than one while it shows nothing, or while only one token
        may come next. ``adjusted``: rows whose logits are changed, or whose tokens are recorded. ``formed``:
        rows whose texts have a form."""
        found = self._advance(count, adjusted, formed)
        if count == 1 and formed and (formed[0][1].ahead or formed[0][1].forced):
            return self._go_on(found, formed[0][1])
        return found

    def _go_on(self, found: Formed, place: Constraint) -> Formed:
        """More tokens of a text that is alone."""
        shown = list[int]()
        while (place.ahead or (place.forced and len(shown) < AT_ONCE)) and not (found.dropped or found.ended):
            if not place.ahead:
                shown += place.late or [int(self.draws.tokens[0])]
                place.late = []
            self._soonest -= 1
            found = self._advance(1, (), [(0, place)])
        if shown:
            new = [] if found.held or found.dropped else [int(self.draws.tokens[0])]
            place.late = shown + (place.late or new)
            found = found._replace(held=[], late=[0])
        return found

    def _advance(
        self, count: int, adjusted: Sequence[tuple[int, Adjusted]], formed: Sequence[tuple[int, Constraint]]
    ) -> Formed:
        """A token for each of the first rows, a chunk at a time."""
        found = Formed([], [], [], [])
        self.written += count
        undone, self._undone = self._undone, False
        for first in range(0, count, self._chunk):
            rows = min(self._chunk, count - first)
            keeping = formed
            if formed and count > self._chunk:
                keeping = [each for each in formed if first <= each[0] < first + rows]
            # copies of what a draw changes, where one may be taken back
            part = slice(first, first + rows)
            before = [array[part].copy() for array in self._drawn] if undone and keeping else []
            self._step(first, rows)
            asking = [each for each in adjusted if first <= each[0] < first + rows]
            for row, own in asking:
                own.before(self._logits_CV[row - first])
            self._draw(first, rows)
            if keeping:
                self._keep_form(first, keeping, before, found)
            for row, own in asking:
                if row not in found.dropped:
                    self._adjust(row, own)
        return found

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

    def _keep_form(
        self,
        first: int,
        formed: Sequence[tuple[int, Constraint]],
        before: Sequence[Array],
        found: Formed,
    ) -> None:
        """Each text of a form takes the token that was drawn for it, or another one in its place."""
        tokens: list[int] = self.draws.tokens[first : first + self._chunk].tolist()
        written: list[int] = self.draws.written[first : first + self._chunk].tolist()
        for row, place in formed:
            token, kept = tokens[row - first], place.kept
            stands = place.take(token)
            if stands != token:
                if stands >= 0:
                    self._replace(row, stands, self._logits_CV[row - first])
                else:
                    self._take_back(row, place.kept or [array[row - first] for array in before])
                    (found.dropped if place.kept is None else found.held).append(row)
                    place.kept = None
            if place.ahead:
                found.held.append(row)
                if place.kept is None:
                    place.kept = [array[row - first].copy() for array in before]
            elif place.late:
                found.late.append(row)
            self._undone = self._undone or place.undoable
            if place.changed:
                self.allow(row, place)
            if place.ended:
                found.ended.append(row)
            # The draw has been counted; what is counted are the tokens that are shown.
            if place.kept is not kept or stands < 0:
                shown = written[row - first] - 1 if kept is None else int(kept[-3])
                self.written += self.figures(row, place)[0] - shown - 1
            elif kept is not None:
                self.written -= 1

    def _take_back(self, row: int, kept: Sequence[Array]) -> None:
        """A row is as it was."""
        for array, own in zip(self._drawn, kept, strict=True):
            array[row] = own

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
        self._draw: RowCall = backend(np.float32).sampler(self.draws, self._banned_N, self._logits_CV)
        if self._borders is not None:
            self._draw = self._borders.draw_with(self._draw, self.draws, self._logits_CV)


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


def _word_borders(model: LoadedModel) -> WordBorders | None:
    """What a draw may not join; ``None`` where it may join all."""
    edges = model.tokenizer.word_edges
    if edges is None:
        return None
    from pantoum.inference.writing.word_borders import WordBorders

    return WordBorders.of(*edges, model.banned)


def _resized(array: Array, rows: int, used: int) -> Array:
    """The first ``used`` rows with room for others, which get no memory before they are used."""
    resized = np.zeros((rows, *array.shape[1:]), array.dtype)
    resized[:used] = array[:used]
    return resized
