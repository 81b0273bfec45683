"""From one long text to endless batches in which row i continues where row i of the batch before ended.

With N tokens, ``nb = (N - 1) // (B * T)`` batches are an epoch, and ``nb * B * T`` tokens are laid out as B
contiguous rows of ``nb`` chunks of T; the targets are the same layout of the text shifted by one. A batch has
one chunk of every row. Epoch 0 reads each row from its first chunk on; later ones begin each row at a chunk
of its own and go round, and lay the rows out a little later in the text, as far as tokens are left over. So
no epoch joins the places, orders the updates or cuts the chunks as the one before. Where a row begins, and
where its end meets its start, the state is zeroed.

The text is never copied as a whole: a batch copies its own B x T tokens from an array, or from ranges that
are read from a prepared text. The place is data: ``cursor`` is that of the *next* batch,
plain, and a ``StatefulBatches`` made with it continues from there. No state of a model is held here;
``reset_BT`` says where it must be zero, *before* the token of that place is fed.

B streams (rows), T time steps, N tokens of the text.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pantoum.config import whole
from pantoum.config.plain import Plain
from pantoum.errors import SettingError, TextError
from pantoum.formats.token_file import RangedRows, StoredTokens, Tokens

CURSOR_KEYS = ("epoch", "batch", "batch_size", "seq_len", "tokens")
GOLDEN = 0x9E3779B9
"""2^32 divided by the golden ratio."""


class Batch(NamedTuple):
    """B streams of T tokens, what follows each of them, and where the carried state is zeroed first."""

    inputs_BT: npt.NDArray[np.int32]
    targets_BT: npt.NDArray[np.int32]
    reset_BT: npt.NDArray[np.bool_]
    epoch: int

    def rows(self, rows: slice) -> Batch:
        """Some of the streams."""
        return Batch(self.inputs_BT[rows], self.targets_BT[rows], self.reset_BT[rows], self.epoch)


class StatefulBatches(Iterator[Batch]):
    """An endless iterator of ``Batch`` over a text of token numbers.

    ``tokens`` is a one-dimensional array (or a sequence) of whole numbers, or stored tokens; ``cursor`` a
    value of the attribute ``cursor`` for the same tokens and sizes; ``eos`` the token that begins a document:
    the state is zeroed before it is fed. A text too small for ``batch_size`` x ``seq_len`` gets a smaller
    ``batch_size``, then ``seq_len``, with a warning.
    """

    def __init__(
        self,
        tokens: npt.ArrayLike | Sequence[int] | StoredTokens,
        batch_size: int,
        seq_len: int,
        cursor: Mapping[str, Plain] | None = None,
        *,
        eos: int | None = None,
    ) -> None:
        tokens_N = _as_tokens(tokens)
        self.batch_size, self.seq_len = _sizes_that_fit(len(tokens_N), batch_size, seq_len)
        """The sizes in use."""
        self.steps_per_epoch = (len(tokens_N) - 1) // (self.batch_size * self.seq_len)
        """Batches in one epoch."""
        self._read: Callable[[npt.NDArray[np.int64], int], Tokens] = (
            RangedRows(tokens_N, self.batch_size).read
            if isinstance(tokens_N, StoredTokens)
            else partial(_read, tokens_N)
        )
        self._num_tokens = len(tokens_N)
        self._eos = eos
        self.go_to(cursor)

    @property
    def cursor(self) -> dict[str, int]:
        """The position of the next batch, and the sizes it refers to; plain values, for a checkpoint."""
        return {
            "epoch": self._epoch,
            "batch": self._batch,
            "batch_size": self.batch_size,
            "seq_len": self.seq_len,
            "tokens": self._num_tokens,
        }

    def go_to(self, cursor: Mapping[str, Plain] | None) -> None:
        """Continue from a cursor; ``None``: from the start."""
        self._epoch, self._batch = (0, 0) if cursor is None else self._place(cursor)

    def __iter__(self) -> StatefulBatches:
        return self

    def __next__(self) -> Batch:
        epoch, batch, rows_B = self._epoch, self._batch, np.arange(self.batch_size)
        B, T, nb = self.batch_size, self.seq_len, self.steps_per_epoch
        chunks_B = (_spread(epoch, rows_B, nb) + batch) % nb
        first = _spread(epoch, np.ones(1, np.int64), self._num_tokens - nb * B * T)
        found_BT = self._read(first + (rows_B * nb + chunks_B) * T, T + 1)
        inputs_BT, targets_BT = (each_BT.astype(np.int32) for each_BT in (found_BT[:, :-1], found_BT[:, 1:]))
        reset_BT = np.zeros((B, T), np.bool_) if self._eos is None else inputs_BT == self._eos
        reset_BT[:, 0] |= (chunks_B == 0) | (batch == 0)
        self._batch += 1
        if self._batch == self.steps_per_epoch:
            self._epoch, self._batch = epoch + 1, 0
        return Batch(inputs_BT, targets_BT, reset_BT, epoch)

    def _place(self, cursor: Mapping[str, Any]) -> tuple[int, int]:
        """Check that a cursor was counted on these very rows, and take its place."""
        rule = "must be a dict of the whole numbers " + ", ".join(CURSOR_KEYS)
        advice = "give the .cursor of batches over the same tokens, batch_size and seq_len"
        if not isinstance(cursor, Mapping) or any(type(cursor.get(key)) is not int for key in CURSOR_KEYS):
            raise SettingError("cursor", cursor, rule, advice)
        here = {"batch_size": self.batch_size, "seq_len": self.seq_len, "tokens": self._num_tokens}
        for key, value in here.items():
            if cursor[key] != value:
                raise SettingError(
                    "cursor", dict(cursor), f"has another {key} than these batches, {value}", advice
                )
        if cursor["epoch"] < 0 or not 0 <= cursor["batch"] < self.steps_per_epoch:
            raise SettingError("cursor", dict(cursor), "is outside the text", advice)
        return cursor["epoch"], cursor["batch"]


def _spread(epoch: int, rows_B: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """A number below ``count`` for each row in this epoch, 0 in epoch 0: multiples of the golden ratio, whose
    fractions stay apart from each other."""
    fractions_B = rows_B.astype(np.uint64) * np.uint64(epoch % 2**32) % 2**32 * GOLDEN % 2**32
    return np.asarray(fractions_B * np.uint64(count) >> np.uint64(32), np.int64)


def _read(tokens_N: Tokens, starts_B: npt.NDArray[np.int64], count: int) -> Tokens:
    """So many tokens from each start on, a copy [B, count]."""
    return np.asarray(tokens_N[starts_B[:, None] + np.arange(count)])


def _as_tokens(
    tokens: npt.ArrayLike | Sequence[int] | StoredTokens,
) -> npt.NDArray[np.generic] | StoredTokens:
    """A plain one-dimensional array of whole numbers, a view wherever ``tokens`` is an array already; or a
    text that is read by ranges."""
    if isinstance(tokens, StoredTokens):
        tokens_N: npt.NDArray[np.generic] | StoredTokens = tokens.tokens if tokens.fits_memory else tokens
    else:
        try:
            tokens_N = np.asarray(tokens)
        except Exception:  # rows of different lengths, or an object that is no array after all
            tokens_N = np.array(None)
    if (isinstance(tokens_N, StoredTokens) or tokens_N.ndim == 1) and len(tokens_N) < 2:
        raise TextError(
            f"the text has {len(tokens_N)} token{'s' * (len(tokens_N) != 1)}: at least 2 are needed, one to "
            "read and one to predict; give a longer text"
        )
    if isinstance(tokens_N, StoredTokens):
        return tokens_N
    if tokens_N.ndim != 1 or tokens_N.dtype.kind not in "iu":
        found = f"{tokens_N.dtype} of shape {tokens_N.shape}"
        raise SettingError(
            "tokens",
            found,
            "must be a one-dimensional array of whole numbers",
            "encode the text with a tokenizer",
        )
    return tokens_N


def _sizes_that_fit(num_tokens: int, batch_size: int, seq_len: int) -> tuple[int, int]:
    """The sizes asked for, or smaller ones, first B and then T, with a warning that says so."""
    batch_size, seq_len = whole(batch_size, "batch_size"), whole(seq_len, "seq_len")
    fitting_T = min(seq_len, num_tokens - 1)
    fitting_B = min(batch_size, (num_tokens - 1) // fitting_T)
    if (fitting_B, fitting_T) != (batch_size, seq_len):
        warnings.warn(
            f"the text has {num_tokens} tokens, too few for batches of {batch_size} x {seq_len}: "
            f"using {fitting_B} x {fitting_T}",
            stacklevel=3,
        )
    return fitting_B, fitting_T
