"""The write-up of 2017 that pantoum began from, built with `pantoum.network` alone.

The network is a stack of three GRU cells with 512 units (reset gate before the product). It is unrolled over
chunks of 30 words, in batches of 100 chunks, and the state of each row carries over from one batch to the
next. The targets are the same text shifted by one word; the loss is the cross-entropy over all outputs; the
predicted word is the argmax. After training the program prints a text of the model.

    python examples/write_up.py book.txt --minutes 10
    python examples/write_up.py --cell-size 32 --layers 1 --batch-size 4 --steps 20      a few seconds

Without a text it generates one from a small grammar. To train a model on your own text use `pantoum train`;
this program shows the parts.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from pathlib import Path

import numpy as np

from pantoum.data import StatefulBatches
from pantoum.network import GRU, Stack, cross_entropy, unroll, unroll_vjp

SEQLEN = 30
UNKNOWN = "<unk>"


def small_text(words: int = 6_000, seed: int = 0) -> str:
    """Sentences of a small grammar."""
    random = np.random.default_rng(seed)
    who, did, what = (
        text.split()
        for text in (
            "king queen fool ghost lady",
            "saw loved feared followed mocked",
            "crown moon letter sword garden",
        )
    )
    lines = [
        f"the {random.choice(who)} {random.choice(did)} the {random.choice(what)} ."
        for _ in range(words // 6)
    ]
    return " ".join(lines)


class WordModel:
    """The network of the write-up: one-hot words, a stack of cells, one softmax layer for all outputs."""

    def __init__(self, vocabulary: list[str], cell_size: int, layers: int, seed: int) -> None:
        self.words = vocabulary
        self.number = {word: i for i, word in enumerate(vocabulary)}
        size = len(vocabulary)
        sizes = [size, *[cell_size] * (layers - 1)]
        self.cells = Stack([GRU(n, cell_size, reset="before", seed=seed + i) for i, n in enumerate(sizes)])
        random = np.random.default_rng(seed)
        self.weight_VH = (random.standard_normal((size, cell_size)) / np.sqrt(cell_size)).astype(np.float32)
        self.bias_V = np.zeros(size, np.float32)
        self.parameters = {
            **{f"cells.{k}": v for k, v in self.cells.parameters.items()},
            "head.weight": self.weight_VH,
            "head.bias": self.bias_V,
        }

    def encode(self, words: list[str]) -> np.ndarray:
        """Words as numbers."""
        return np.array([self.number.get(word, self.number[UNKNOWN]) for word in words], np.int64)

    def one_hot(self, tokens_BT: np.ndarray) -> np.ndarray:
        """One-hot vectors [B, T, V] of tokens [B, T]; ``X`` in the write-up."""
        return np.eye(len(self.words), dtype=np.float32)[tokens_BT]

    def gradients(
        self, inputs_BT: np.ndarray, targets_BT: np.ndarray, state: object
    ) -> tuple[float, np.ndarray, object, dict[str, np.ndarray]]:
        """Loss, predictions [B, T], the state for the next batch, and the gradient of every parameter."""
        x_BTV = self.one_hot(inputs_BT)
        outputs_BTH, state, pullback = unroll_vjp(self.cells, x_BTV, state)
        bag_NH = outputs_BTH.reshape(-1, outputs_BTH.shape[-1])
        logits_NV = bag_NH @ self.weight_VH.T + self.bias_V
        loss, d_logits_NV = loss_and_gradient(logits_NV, targets_BT.reshape(-1))
        predictions_BT = logits_NV.argmax(axis=1).reshape(inputs_BT.shape)
        d_outputs_BTH = (d_logits_NV @ self.weight_VH).reshape(outputs_BTH.shape)
        _, _, of_cells = pullback(d_outputs_BTH)
        gradients = {f"cells.{k}": v for k, v in of_cells.items()}
        gradients |= {"head.weight": d_logits_NV.T @ bag_NH, "head.bias": d_logits_NV.sum(axis=0)}
        return loss, predictions_BT, state, gradients

    def speak(self, first: str, length: int) -> str:
        """``first`` and ``length`` more words, drawn at temperature 0.7."""
        random, state, word = np.random.default_rng(0), self.cells.initial_state(1), first
        said = [word]
        for _ in range(length):
            outputs_BTH, state = unroll(self.cells, self.one_hot(self.encode([word])[None]), state)
            logits_V = outputs_BTH[0, -1] @ self.weight_VH.T + self.bias_V
            p_V = np.exp((logits_V - logits_V.max()) / 0.7)
            word = self.words[random.choice(len(p_V), p=p_V / p_V.sum())]
            said.append(word)
        return " ".join(said)


def loss_and_gradient(logits_NV: np.ndarray, targets_N: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean cross-entropy in nats, and its gradient [N, V]."""
    loss = cross_entropy(logits_NV, targets_N)
    p_NV = np.exp(logits_NV - logits_NV.max(axis=1, keepdims=True))
    p_NV /= p_NV.sum(axis=1, keepdims=True)
    p_NV[np.arange(len(targets_N)), targets_N] -= 1.0
    return loss, p_NV / np.float32(len(targets_N))


class Adam:
    """Adam (Kingma and Ba 2015) with a constant learning rate, as in the write-up."""

    def __init__(self, parameters: dict[str, np.ndarray], rate: float = 1e-3) -> None:
        self.parameters, self.rate, self.steps = parameters, rate, 0
        self.first = {name: np.zeros_like(p) for name, p in parameters.items()}
        self.second = {name: np.zeros_like(p) for name, p in parameters.items()}

    def step(self, gradients: dict[str, np.ndarray]) -> None:
        """One update in place."""
        self.steps += 1
        for name, d in gradients.items():
            self.first[name] += 0.1 * (d - self.first[name])
            self.second[name] += 0.001 * (d * d - self.second[name])
            m = self.first[name] / (1 - 0.9**self.steps)
            v = self.second[name] / (1 - 0.999**self.steps)
            self.parameters[name][...] -= np.float32(self.rate) * m / (np.sqrt(v) + 1e-8)


def main(argv: list[str] | None = None) -> WordModel:
    """Train, print progress, and print a text of the model."""
    parser = argparse.ArgumentParser(description="the program of the write-up")
    parser.add_argument("text", nargs="?", help="a text file (default: a small built-in text)")
    parser.add_argument("--cell-size", type=int, default=512)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--words", type=int, default=5_000, help="size of the vocabulary")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--minutes", type=float, default=2.0)
    asked = parser.parse_args(argv)

    text = Path(asked.text).read_text(encoding="utf-8") if asked.text else small_text()
    words = re.findall(r"\w+|[^\w\s]", text)
    vocabulary = [UNKNOWN, *(word for word, _ in Counter(words).most_common(asked.words - 1))]
    model = WordModel(vocabulary, asked.cell_size, asked.layers, seed=0)
    batches = StatefulBatches(model.encode(words), asked.batch_size, SEQLEN)
    optimizer = Adam(model.parameters, asked.rate)
    state = model.cells.initial_state(batches.batch_size)
    end = time.monotonic() + 60 * asked.minutes
    for step, batch in enumerate(batches, start=1):
        loss, predictions_BT, state, gradients = model.gradients(batch.inputs_BT, batch.targets_BT, state)
        optimizer.step(gradients)
        over = step >= asked.steps if asked.steps is not None else time.monotonic() >= end
        if step % 10 == 0 or over:
            accuracy = float((predictions_BT == batch.targets_BT).mean())
            print(f"step {step}  epoch {batch.epoch}  loss {loss:.3f} nats per word  accuracy {accuracy:.3f}")
            print("  predicted:", " ".join(vocabulary[i] for i in predictions_BT[0, :12]))
        if over:
            break
    print("it speaks:", model.speak("the", 40))
    return model


if __name__ == "__main__":
    main()
