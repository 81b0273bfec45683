"""The PyTorch peers of ``words.py``, each a process that trains by the clock and prints JSON.

    python benchmarks/words_peers.py lstm TRAIN VALID TEST MINUTES [--seed 0]
    python benchmarks/words_peers.py adaptive TRAIN VALID TEST MINUTES
    python benchmarks/words_peers.py awd TRAIN VALID TEST MINUTES --awd CHECKOUT

- ``lstm``: what one writes by hand: one layer of ``nn.LSTM`` with 256 units, the embedding of 256 tied to the
  output layer, dropout 0.2, AdamW with clipping, 64 streams of 35 words with their state carried, bf16
  autocast, a learning rate that rises, stays and falls by the clock.
- ``adaptive``: the same with ``nn.AdaptiveLogSoftmaxWithLoss`` over the words by frequency, not tied.
- ``awd``: the model and the loss of salesforce/awd-lstm-lm from a checkout, with the settings of its README
  for WikiText-2 (3 x 1150, weight dropping, SGD at 30). It trains for hundreds of epochs there; here
  averaging begins after 70 % of the minutes, because there is no time for the validation losses that would
  start it.

Words are what white space separates; each line ends with ``<eos>``. The figures are perplexities per word of
TEST, read once from start to end with the state carried: ``static``, and ``cache`` with a continuous cache
(Grave, Joulin and Usunier 2016) of 2,000 words, its two numbers chosen on the first words of VALID.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from modified_kneser_ney import read_words
from torch import nn

UNITS, DROPOUT, RATE = 256, 0.2, 4e-3
BATCH, STEPS = 64, 35
CUTOFFS = (2000, 10_000)
AWD_BATCH, AWD_STEPS, AWD_RATE, AWD_CLIP, AWD_DECAY = 80, 70, 30.0, 0.25, 1.2e-6
AWD_SHAPE = {"ninp": 400, "nhid": 1150, "nlayers": 3}
AWD_DROPOUT = {"dropout": 0.4, "dropouth": 0.2, "dropouti": 0.65, "dropoute": 0.1, "wdrop": 0.5}
AWD_ALPHA, AWD_BETA = 2.0, 1.0
AVERAGED_FROM = 0.7
CACHE, TUNED_ON = 2000, 10_000
FLATNESSES, SHARES = (0.05, 0.1, 0.2, 0.4), (0.05, 0.1, 0.2, 0.3, 0.4)
READ = 256
"""Words that are read at once in evaluation."""


class ByHand(nn.Module):
    """Embedding, LSTM, output layer: tied and full, or adaptive."""

    def __init__(self, symbols: int, adaptive: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, UNITS)
        self.lstm = nn.LSTM(UNITS, UNITS, 1)
        self.dropout = nn.Dropout(DROPOUT)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        cutoffs = [cutoff for cutoff in CUTOFFS if cutoff < symbols]
        self.adaptive = nn.AdaptiveLogSoftmaxWithLoss(UNITS, symbols, cutoffs) if adaptive else None
        self.bias = None if adaptive else nn.Parameter(torch.zeros(symbols))

    def forward(self, tokens: Any, state: Any) -> tuple[Any, Any]:
        outputs, state = self.lstm(self.dropout(self.embedding(tokens)), state)
        return self.dropout(outputs), state

    def loss(self, hidden: Any, targets: Any) -> Any:
        if self.adaptive is not None:
            with torch.autocast("cpu", enabled=False):  # it puts float32 and bf16 into one tensor otherwise
                return self.adaptive(hidden.float(), targets).loss
        logits = nn.functional.linear(hidden, self.embedding.weight, self.bias)
        return nn.functional.cross_entropy(logits.float(), targets)

    def log_probabilities(self, hidden: Any) -> Any:
        if self.adaptive is not None:
            return self.adaptive.log_prob(hidden)
        return torch.log_softmax(nn.functional.linear(hidden, self.embedding.weight, self.bias), -1)


class Clock:
    """The share of the minutes that is used, so that the last update still fits."""

    def __init__(self, minutes: float) -> None:
        self.began, self.seconds, self.last = time.perf_counter(), minutes * 60.0 * 0.97, 0.0
        self._started: float | None = None

    def progress(self) -> float:
        now = time.perf_counter()
        self.last = 0.0 if self._started is None else now - self._started
        self._started = now
        return (now - self.began + self.last) / self.seconds


def rows(tokens: Any, streams: int) -> tuple[Any, Any]:
    """(inputs, targets), each [length, streams]: streams of the text side by side."""
    length = (len(tokens) - 1) // streams
    made = torch.tensor(tokens[: length * streams + 1])
    return made[:-1].view(streams, length).t(), made[1:].view(streams, length).t()


def by_hand(train: Any, symbols: int, minutes: float, adaptive: bool) -> tuple[ByHand, int]:
    """Train by the clock; the model, and the words that it read."""
    clock, model = Clock(minutes), ByHand(symbols, adaptive)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.99), fused=True)
    inputs, targets = rows(train, BATCH)
    state, at, read = None, 0, 0
    while (progress := clock.progress()) < 1.0:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, progress / 0.04, (1.0 - progress) / 0.4)
        if at + STEPS > len(inputs):
            state, at = None, 0
        with torch.autocast("cpu", torch.bfloat16):
            hidden, state = model(inputs[at : at + STEPS], state)
            loss = model.loss(hidden.flatten(0, 1), targets[at : at + STEPS].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state, at, read = tuple(part.detach() for part in state), at + STEPS, read + BATCH * STEPS
    return model, read


class Awd:
    """The model of a checkout, as ``judged`` takes it."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def eval(self) -> None:
        self.model.eval()

    def __call__(self, tokens: Any, state: Any) -> tuple[Any, Any]:
        state = self.model.init_hidden(tokens.shape[1]) if state is None else state
        return self.model(tokens, state)

    def log_probabilities(self, hidden: Any) -> Any:
        logits = nn.functional.linear(hidden, self.model.decoder.weight, self.model.decoder.bias)
        return torch.log_softmax(logits, -1)

    def parameters(self) -> Any:
        return self.model.parameters()


def awd(train: Any, symbols: int, minutes: float, checkout: Path) -> tuple[Awd, int]:
    """Train a checkout's model by the clock as its ``main.py`` does."""
    clock = Clock(minutes)
    sys.path.insert(0, str(checkout))
    model = importlib.import_module("model").RNNModel(
        "LSTM", symbols, **AWD_SHAPE, **AWD_DROPOUT, tie_weights=True
    )
    criterion = importlib.import_module("splitcross").SplitCrossEntropyLoss(
        AWD_SHAPE["ninp"], splits=[], verbose=False
    )
    parameters = list(model.parameters())
    optimizer: Any = torch.optim.SGD(parameters, lr=AWD_RATE, weight_decay=AWD_DECAY)
    inputs, targets = rows(train, AWD_BATCH)
    state, at, read, averaged = None, 0, 0, False
    random = np.random.default_rng(0)
    while (progress := clock.progress()) < 1.0:
        if progress > AVERAGED_FROM and not averaged:
            averaged = True
            optimizer = torch.optim.ASGD(parameters, lr=AWD_RATE, t0=0, lambd=0.0, weight_decay=AWD_DECAY)
        usual = AWD_STEPS if random.random() < 0.95 else AWD_STEPS / 2
        steps = max(5, int(random.normal(usual, 5)))
        if at + steps > len(inputs):
            state, at = None, 0
        for group in optimizer.param_groups:
            group["lr"] = AWD_RATE * steps / AWD_STEPS
        model.train()
        state = model.init_hidden(AWD_BATCH) if state is None else state
        state = [tuple(part.detach() for part in layer) for layer in state]
        optimizer.zero_grad()
        output, state, raw, dropped = model(inputs[at : at + steps], state, return_h=True)
        loss = criterion(
            model.decoder.weight, model.decoder.bias, output, targets[at : at + steps].reshape(-1)
        )
        loss = loss + AWD_ALPHA * dropped[-1].pow(2).mean()
        loss = loss + AWD_BETA * (raw[-1][1:] - raw[-1][:-1]).pow(2).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, AWD_CLIP)
        optimizer.step()
        at, read = at + steps, read + AWD_BATCH * steps
    if averaged:
        for parameter in parameters:
            parameter.data = optimizer.state[parameter]["ax"].clone()
    return Awd(model), read


@torch.no_grad()
def read_through(model: Any, text: Any) -> tuple[Any, Any]:
    """(hidden states [N,H], log probabilities of the targets [N]) of a text read from start to end."""
    tokens, state = torch.tensor(text), None
    hidden, found = [], []
    for at in range(0, len(tokens) - 1, READ):
        part = tokens[at : at + READ + 1]
        outputs, state = model(part[:-1, None], state)
        outputs = outputs.reshape(len(part) - 1, -1)
        hidden.append(outputs)
        found.append(model.log_probabilities(outputs).gather(1, part[1:, None])[:, 0])
    return torch.cat(hidden), torch.cat(found)


@torch.no_grad()
def cached(text: Any, hidden: Any, static: Any, flatness: float) -> Any:
    """The probability [N] that the words of the cache alone give each target."""
    targets = torch.tensor(text[1:])
    scale = flatness * math.sqrt(1.0 / float(hidden.pow(2).mean()))  # for models of any width alike
    found = torch.zeros(len(static))
    for at in range(1, len(static)):
        first = max(0, at - CACHE)
        weights = torch.softmax(scale * (hidden[first:at] @ hidden[at]), 0)
        found[at] = weights[targets[first:at] == targets[at]].sum()
    return found


def perplexity(static: Any, of_cache: Any, share: float) -> float:
    """The perplexity per word of the mixture; nothing is in the cache before the first word."""
    mixed = (1.0 - share) * static.double().exp() + share * of_cache.double()
    mixed[0] = static[0].double().exp()
    return math.exp(-float(mixed.log().mean()))


def judged(model: Any, valid: Any, test: Any) -> dict[str, float]:
    """``static`` and ``cache``."""
    model.eval()
    tuned = valid[:TUNED_ON]
    hidden, static = read_through(model, tuned)
    tries = {each: cached(tuned, hidden, static, each) for each in FLATNESSES}
    flatness, share = min(
        itertools.product(FLATNESSES, SHARES), key=lambda pair: perplexity(static, tries[pair[0]], pair[1])
    )
    hidden, static = read_through(model, test)
    return {
        "static": math.exp(-float(static.double().mean())),
        "cache": perplexity(static, cached(test, hidden, static, flatness), share),
        "flatness": flatness,
        "share": share,
    }


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("system", choices=("lstm", "adaptive", "awd"))
    parser.add_argument("train", type=Path)
    parser.add_argument("valid", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--awd", type=Path, help="a checkout of salesforce/awd-lstm-lm")
    asked = parser.parse_args()
    began = time.perf_counter()
    torch.manual_seed(asked.seed)
    symbols, (train, valid, test) = read_words(asked.train, asked.valid, asked.test)
    if asked.system == "adaptive":  # its clusters want the frequent words first
        order = np.argsort(-np.bincount(train, minlength=symbols), kind="stable")
        place = np.empty(symbols, np.int64)
        place[order] = np.arange(symbols)
        train, valid, test = place[train], place[valid], place[test]
    minutes = asked.minutes - (time.perf_counter() - began) / 60.0
    model: Any
    if asked.system == "awd":
        model, read = awd(train, symbols, minutes, asked.awd)
    else:
        model, read = by_hand(train, symbols, minutes, asked.system == "adaptive")
    seconds = time.perf_counter() - began
    found = {
        "seconds": seconds,
        "vocab_size": symbols,
        "tokens": read,
        "tokens_per_second": read / seconds,
        "parameters": sum(each.numel() for each in model.parameters()),
        **judged(model, valid, test),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
