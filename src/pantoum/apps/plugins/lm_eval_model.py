"""A model of lm-evaluation-harness (``pip install lm_eval``), by the command of the harness:

    python -m pantoum.apps.plugins.lm_eval_model --model pantoum --model_args model=runs/book --tasks TASK

The harness knows models by names of its own list alone. Importing this module adds the name ``pantoum``; run
as a program it then is the command ``lm_eval``, with all of its options.

Each text is read by itself, after a line break or the border of documents, however long it is; all tokens of
a whole text count. A continuation begins after as many tokens as the context alone has, as for other models
of the harness: with words or byte pairs, end the context where a token ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from pantoum.seams import Array, load, require_finite

__all__ = ["PantoumLM"]

TOKENS_AT_ONCE = 1 << 14
LENGTH = 256
"""Tokens that are written where a task says nothing, as by other models of the harness."""


@register_model("pantoum")
class PantoumLM(LM):
    """A model file, a run folder or ``hf://owner/name`` as the harness asks it."""

    def __init__(self, model: str, **_: object) -> None:
        """The harness also passes the size of a batch and a device, which say nothing here."""
        super().__init__()
        self._model = load(model)
        self._encode, self._border = self._model.tokenizer.encode, self._model._loaded.border

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """For each continuation: its log-probability, and whether greedy decoding writes it."""
        pairs = [request.args for request in requests]
        found = self._read([self._encode(context + continuation) for context, continuation in pairs])
        begins = [len(self._encode(context)) for context, _ in pairs]
        return [
            (-float(nats[begin:].sum()), bool(best[begin:].all()))
            for begin, (nats, best) in zip(begins, found, strict=True)
        ]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """The log-probabilities of whole texts."""
        return [-float(nats.sum()) for nats, _ in self._read([self._encode(one.args[0]) for one in requests])]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Continuations up to a stop."""
        return [self._write(*request.args) for request in requests]

    def _write(self, context: str, asked: dict[str, Any]) -> str:
        until = asked.get("until") or ()
        stop = (until,) if isinstance(until, str) else tuple(until)
        temperature = float(asked.get("temperature", 0.0)) if asked.get("do_sample") else 0.0
        length = int(asked.get("max_gen_toks", LENGTH))
        written = self._model.generate(
            context, length=length, temperature=temperature, stop=stop, exact=True, seed=0
        )
        return str(written)

    def _read(self, texts: Sequence[Array]) -> list[tuple[Array, Array]]:
        """For each text: the nats of its tokens, and which tokens were the most probable ones."""
        found = [(np.zeros(0), np.zeros(0, np.bool_))] * len(texts)
        for rows in _alike([len(text) for text in texts]):
            text_BT = np.full((len(rows), 1 + len(texts[rows[0]])), self._border, np.int64)
            for line, row in enumerate(rows):
                text_BT[line, 1 : 1 + len(texts[row])] = texts[row]
            nats_BT, best_BT = self._losses(text_BT)
            for line, row in enumerate(rows):
                own = line, slice(len(texts[row]))
                found[row] = nats_BT[own], best_BT[own]
        return found

    def _losses(self, text_BT: Array) -> tuple[Array, Array]:
        model = self._model._loaded
        state, parts = model.program.initial_state(len(text_BT)), []
        for first in range(0, text_BT.shape[1] - 1, TOKENS_AT_ONCE):
            part_BT = text_BT[:, first : first + TOKENS_AT_ONCE + 1]
            inputs_BT, targets_BT = part_BT[:, :-1], part_BT[:, 1:]
            nats_BT, predictions_BT, state = model.program.losses(
                inputs_BT, targets_BT, state, reset_BT=model.resets(inputs_BT)
            )
            require_finite([nats_BT])
            parts.append((nats_BT.astype(np.float64), predictions_BT == targets_BT))
        nats, best = zip(*parts, strict=True)
        return np.concatenate(nats, axis=1), np.concatenate(best, axis=1)


def _alike(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The places of texts that have tokens, longest first, as many at once as have few tokens together."""
    order = sorted(
        (place for place, length in enumerate(lengths) if length), key=lambda place: -lengths[place]
    )
    while order:
        count = max(1, TOKENS_AT_ONCE // lengths[order[0]])
        yield order[:count]
        order = order[count:]


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
