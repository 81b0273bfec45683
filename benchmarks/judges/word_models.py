"""Models of words side by side, for the judges of language: what each says of the same words.

A sentence is a list of words as WikiText has them, read by itself after ``<eos>``. Every contestant gives the
nats of whole sentences, and its guess of the last word of a passage. Nats of some words are those of what
ends with them, less those of what ends before them.

- a model of pantoum, trained with ``--tokens words:whitespace``: a run folder or a file;
- the ``nn.LSTM`` of words of ``quality_peers.py``, from its ``state_dict``;
- the interpolated modified Kneser-Ney 5-gram of the training text.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import pantoum
from pantoum.inference.probabilities import sentence_nats

sys.path.insert(0, str(Path(__file__).parent.parent))
import measured
from modified_kneser_ney import EOS, UNK, ModifiedKneserNey, Tokens, read_words

__all__ = [
    "Contestant",
    "Item",
    "Words",
    "contestants",
    "differing_words",
    "first_is_likelier",
    "judge",
    "judged",
]
__all__ += ["parser_of", "show", "wikitext_words"]

Words = Sequence[str]
PLAIN = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2026": "..."})
WORD = re.compile(r"@-@|(?:Mr|Mrs|Ms|Dr|St)\.|(?<=\w)'(?:t|s|d|m|re|ve|ll)\b|\w+|\.\.\.|\S")
AT_ONCE = 1 << 10
"""Words that are read side by side."""


class Contestant(Protocol):
    """A model of words."""

    name: str

    def nats(self, sentences: Sequence[Words]) -> Any:
        """The nats of each sentence, its end not counted."""

    def guesses(self, passages: Sequence[Words]) -> list[tuple[str, float]]:
        """For each passage the most probable last word, ``<unk>`` and the end of a line left out, and the
        nats of its own last word."""


@dataclass(frozen=True)
class Item:
    """One question of a suite."""

    about: str
    sentences: tuple[Words, ...]
    """What is read, in the order that ``right`` takes their nats."""
    decisive: Words
    """The words that decide; the item is known where the vocabulary has all of them."""
    right: Callable[[Sequence[float]], bool]


def wikitext_words(text: str) -> list[str]:
    """The words of a text as WikiText parts them: clitics and signs by themselves, hyphens as ``@-@``."""
    text = re.sub(r"(?<=\w)-(?=\w)", " @-@ ", text.translate(PLAIN))
    return WORD.findall(text)


def differing_words(good: Words, bad: Words) -> list[str]:
    """The words between what two sentences begin with and what they end with."""
    first = 0
    while first < min(len(good), len(bad)) and good[first] == bad[first]:
        first += 1
    last = 0
    while last < min(len(good), len(bad)) - first and good[-1 - last] == bad[-1 - last]:
        last += 1
    return [*good[first : len(good) - last], *bad[first : len(bad) - last]]


def first_is_likelier(nats: Sequence[float]) -> bool:
    """Whether the first of two sentences is the more probable one; a tie is no success."""
    return bool(nats[0] < nats[1])


class OfPantoum:
    """A model of pantoum. Its command ``evaluate --pairs`` compares the same nats."""

    def __init__(self, path: str) -> None:
        self.name, self._model = f"pantoum {path}", pantoum.load(path)._loaded
        V, tokenizer = self._model.program.vocab_size, self._model.tokenizer
        if (self._model.border, tokenizer.unk) != (0, 1):
            raise SystemExit(f"{path} is no model of words: train it with --tokens words:whitespace")
        self._words = [tokenizer.decode([number]) for number in range(V)]

    def nats(self, sentences: Sequence[Words]) -> Any:
        encode = self._model.tokenizer.encode
        return sentence_nats(self._model, [encode(" ".join(words)) for words in sentences])

    def guesses(self, passages: Sequence[Words]) -> list[tuple[str, float]]:
        encode, program = self._model.tokenizer.encode, self._model.program
        tokens, found = [encode(" ".join(words)) for words in passages], [("", 0.0)] * len(passages)
        for rows, text_BT, lengths_B in _blocks([ids[:-1] for ids in tokens]):
            text_BT[:, 0] = self._model.border
            state = program.initial_state(len(rows))
            _, state = program.hidden(text_BT, state, lengths=lengths_B)
            last_BT = np.take_along_axis(text_BT, lengths_B[:, None], axis=1)
            logits_BV, _ = program.last_logits(last_BT, state)
            for row, logits_V in zip(rows, logits_BV.astype(np.float64), strict=True):
                log_p_V = logits_V - np.logaddexp.reduce(logits_V)
                found[row] = _guess(log_p_V, self._words, int(tokens[row][-1]))
        return found


class OfTorch:
    """The ``nn.LSTM``."""

    def __init__(self, path: str, numbers: dict[str, int]) -> None:
        import torch
        from quality_peers import ByHand

        self.name, self._torch, self._numbers = f"nn.LSTM {path}", torch, numbers
        self._words, self._model = list(numbers), ByHand(len(numbers))
        self._model.load_state_dict(torch.load(path, weights_only=True))
        self._model.eval()

    def nats(self, sentences: Sequence[Words]) -> Any:
        torch, found = self._torch, np.zeros(len(sentences))
        with torch.inference_mode():
            for rows, text_BT, lengths_B in _blocks([_ids(words, self._numbers) for words in sentences]):
                text_BT[:, 0] = self._numbers[EOS]
                tokens = torch.from_numpy(text_BT).t()
                hidden, _ = self._model(tokens[:-1], None)
                real = torch.from_numpy(np.arange(text_BT.shape[1] - 1)[:, None] < lengths_B)
                log_p = self._model.log_probabilities(hidden[real])
                of_words = log_p.gather(1, tokens[1:][real][:, None])[:, 0].double().numpy()
                rows_N = np.broadcast_to(np.arange(len(rows)), real.shape)[real.numpy()]
                found[rows] = np.bincount(rows_N, -of_words, len(rows))
        return found

    def guesses(self, passages: Sequence[Words]) -> list[tuple[str, float]]:
        torch, found = self._torch, [("", 0.0)] * len(passages)
        tokens = [_ids(words, self._numbers) for words in passages]
        with torch.inference_mode():
            for rows, text_BT, lengths_B in _blocks([ids[:-1] for ids in tokens]):
                text_BT[:, 0] = self._numbers[EOS]
                hidden, _ = self._model(torch.from_numpy(text_BT).t(), None)
                last = hidden[torch.from_numpy(lengths_B), torch.arange(len(rows))]
                log_p_BV = self._model.log_probabilities(last).numpy()
                for row, log_p_V in zip(rows, log_p_BV, strict=True):
                    found[row] = _guess(log_p_V, self._words, tokens[row][-1])
        return found


class OfCounts:
    """The 5-gram."""

    name = "5-gram, Kneser-Ney"

    def __init__(self, tokens: Tokens, numbers: dict[str, int]) -> None:
        self._numbers, self._words = numbers, list(numbers)
        self._model = ModifiedKneserNey(tokens, len(numbers))

    def nats(self, sentences: Sequence[Words]) -> Any:
        tokens = [_ids(words, self._numbers) for words in sentences]
        border = [-1, self._numbers[EOS]]  # no n-gram has -1: none reaches into the sentence before
        text_N = np.concatenate([part for ids in tokens for part in (border, ids)]).astype(np.int64)
        with np.errstate(divide="ignore"):  # of the borders
            nats_N = self._model.nats(text_N)
        lengths = [len(ids) for ids in tokens]
        is_word_N = np.concatenate([np.arange(2 + length) > 1 for length in lengths])
        rows_N = np.repeat(np.arange(len(tokens)), lengths)
        return np.bincount(rows_N, nats_N[is_word_N], len(tokens))

    def guesses(self, passages: Sequence[Words]) -> list[tuple[str, float]]:
        found = []
        for words in passages:
            *before, last = _ids([EOS, *words], self._numbers)
            with np.errstate(divide="ignore"):  # of a tiny text
                log_p_V = np.log(self._model.distribution(np.array(before)))
            found.append(_guess(log_p_V, self._words, int(last)))
        return found


def _guess(log_p_V: Any, words: Words, last: int) -> tuple[str, float]:
    """(the most probable word but for ``<eos>`` and ``<unk>``, which come first; the nats of the last)."""
    return words[2 + int(log_p_V[2:].argmax())], -float(log_p_V[last])


def _ids(words: Words, numbers: dict[str, int]) -> Tokens:
    return np.array([numbers.get(word, numbers[UNK]) for word in words], np.int64)


def _blocks(tokens: Sequence[Any]) -> Iterator[tuple[Any, Any, Any]]:
    """(rows, text [B,1+T] with a free first column, lengths [B]) of texts of similar length."""
    lengths = np.array([len(ids) for ids in tokens])
    order, place = np.argsort(-lengths, kind="stable"), 0
    while place < len(order):
        rows = order[place : place + max(1, AT_ONCE // (1 + int(lengths[order[place]])))]
        place += len(rows)
        text_BT = np.zeros((len(rows), 1 + max([1, *lengths[rows]])), np.int64)
        for line, row in enumerate(rows):
            text_BT[line, 1 : 1 + lengths[row]] = tokens[row]
        yield rows, text_BT, lengths[rows]


def parser_of(doc: str | None, data: str) -> argparse.ArgumentParser:
    """The options of a judge."""
    parser = measured.parser(doc)
    parser.add_argument("data", type=Path, help=data)
    parser.add_argument("--train", type=Path, required=True, help="the text that all were trained on")
    parser.add_argument("--pantoum", action="append", default=[], metavar="RUN", help="may be repeated")
    parser.add_argument("--lstm", metavar="STATE_DICT", help="of quality_peers.ByHand")
    parser.add_argument("--every", type=int, default=1, help="judge every n-th item alone")
    return parser


def contestants(asked: argparse.Namespace) -> tuple[set[str], list[Contestant]]:
    """(the words that all know, those who were named and the 5-gram)."""
    _, (tokens,) = read_words(asked.train)
    lines = asked.train.read_text(encoding="utf-8").splitlines()
    words = dict.fromkeys([EOS, UNK, *(word for line in lines for word in line.split())])
    numbers = {word: number for number, word in enumerate(words)}
    found: list[Contestant] = [OfPantoum(path) for path in asked.pantoum]
    if asked.lstm:
        found.append(OfTorch(asked.lstm, numbers))
    found.append(OfCounts(tokens, numbers))
    return set(numbers) - {EOS, UNK}, found


def judge(doc: str | None, data: str, read: Callable[[Path], Iterable[Item]]) -> None:
    """The whole command of a judge whose items ``read`` gives; ``data``: what the help says of its file."""
    asked = parser_of(doc, data).parse_args()
    known, models = contestants(asked)
    judged(list(read(asked.data))[:: asked.every], known, models, asked.json)


def judged(
    items: Sequence[Item], known: set[str], all_models: Sequence[Contestant], as_json: bool = False
) -> None:
    """Print how often each contestant is right, by phenomenon, and over the items whose words are known."""
    sentences = list({tuple(words): None for item in items for words in item.sentences})
    place = {words: number for number, words in enumerate(sentences)}
    answers = {}
    for model in all_models:
        began = time.process_time()
        nats = model.nats(sentences)
        answers[model.name] = [
            item.right([nats[place[tuple(words)]] for words in item.sentences]) for item in items
        ]
        print(f"{model.name}: {time.process_time() - began:.0f} s of the processor", file=sys.stderr)
    knows = [known.issuperset(item.decisive) for item in items]
    show([item.about for item in items], knows, answers, as_json)


def show(
    about: Sequence[str],
    knows: Sequence[bool],
    answers: dict[str, list[bool]],
    as_json: bool,
    more: Mapping[str, list[float]] | None = None,
) -> None:
    """Print the table: one row per phenomenon, all items, those whose words are known, the mean of phenomena
    with its standard error, and with ``more`` other figures of known words."""
    names, of_name = sorted(set(about)), np.array(about)
    rows = {name: of_name == name for name in names}
    ends = {"all items": np.full(len(about), True), "of known words": np.array(knows)}
    right = {model: np.array(found) for model, found in answers.items()}
    table = {name: (int(mask.sum()), [float(each[mask].mean()) if mask.any() else float("nan")
                    for each in right.values()]) for name, mask in (rows | ends).items()}  # fmt: skip
    shares_NM = np.array([table[name][1] for name in names])
    table["mean of phenomena"] = len(names), shares_NM.mean(axis=0).tolist()
    errors = shares_NM.std(axis=0, ddof=min(1, len(names) - 1)) / len(names) ** 0.5
    table["its standard error"] = len(names), errors.tolist()
    table |= {name: (sum(knows), figures) for name, figures in (more or {}).items()}
    if as_json:
        print(json.dumps({"models": list(right), "table": table}))
        return
    for number, model in enumerate(right, start=1):
        print(f"[{number}] {model}")
    width = max(map(len, table)) + 2
    for name, (count, shares) in table.items():
        print(f"{name:<{width}}{count:>7,}  " + "  ".join(f"{share:,.3f}" for share in shares))
