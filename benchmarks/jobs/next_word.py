"""The next word: how often it is among the first three, and how many keys a person saves.

    python benchmarks/jobs/next_word.py TRAIN TEST MODEL... [--words 3000] [--adapt]

Each word of TEST (letters and digits, from its beginning on) is asked for after all that stands before it in
the text. *First three*: the share of words that are suggested before a letter of them is typed. *Saved*: a
person types letters until the word is suggested, then takes it with one key, which also writes the space
(Trnka and McCoy 2008); a word that is never suggested costs its letters and a space. Beside the models stands
an interpolated modified Kneser-Ney 5-gram of the words and signs of TRAIN. ``--adapt``: each model once more,
which learns from each finished paragraph of TEST.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import pantoum

sys.path.insert(0, str(Path(__file__).parent.parent))
import measured
from modified_kneser_ney import ModifiedKneserNey, _number

from pantoum.config import CompleteConfig
from pantoum.inference.completer import Completer

SUGGESTED = 3
PIECES = re.compile(r"\w+|[^\w\s]|\n")
WORD = re.compile(r"\w+")
Suggest = Callable[[str, str], list[str]]
"""The words that are suggested after a text, for a word of which some letters are typed."""


class Counted:
    """The Kneser-Ney 5-gram."""

    def __init__(self, text: str) -> None:
        pieces = PIECES.findall(text)
        self._number = {piece: number for number, piece in enumerate(dict.fromkeys(["<unk>", *pieces]))}
        self._pieces = list(self._number)
        tokens = np.array([self._number[piece] for piece in pieces], np.int64)
        self._model = ModifiedKneserNey(tokens, len(self._pieces))
        self._is_word = np.array([WORD.fullmatch(piece) is not None for piece in self._pieces])
        self._known = ("", np.zeros(0))

    def suggest(self, before: str, begun: str) -> list[str]:
        """The most probable words."""
        if self._known[0] != before:
            self._known = before, self._distribution(before)
        p_V = self._known[1]
        fits = [
            n for n in np.argsort(-p_V)[: 200 if not begun else None] if self._pieces[n].startswith(begun)
        ]
        return [self._pieces[n] for n in fits[:SUGGESTED]]

    def _distribution(self, before: str) -> np.ndarray:
        context = [self._number.get(piece, 0) for piece in PIECES.findall(before[-200:])[-4:]]
        V = self._model.vocab_size
        p_V = np.full(V, 1.0 / V)
        for length, order in enumerate(self._model.orders, 1):
            if length - 1 > len(context):
                break
            number = np.zeros(1, np.int64)
            for at, word in enumerate(context[len(context) - length + 1 :]):
                number = _number(self._model.orders[at].keys_G, number, np.array([word]), V)
            if number[0] < 0:
                break
            begin, end = np.searchsorted(order.keys_G, [number[0] * V, (number[0] + 1) * V])
            p_V = p_V * order.given[number[0]]
            p_V[order.keys_G[begin:end] - number[0] * V] += order.taken_G[begin:end]
        return np.where(self._is_word, p_V, 0.0)


def of_model(name: str, adapt: bool) -> Suggest:
    """A model that suggests, and may learn from each paragraph that is finished."""
    completer = Completer(pantoum.load(name)._loaded, CompleteConfig(count=SUGGESTED, adapt=adapt))

    def suggest(before: str, begun: str) -> list[str]:
        typed = (before + begun).rpartition("\n\n")[2]  # a paragraph is a text of its own
        return [one.text for one in completer.words(typed)]

    return suggest


def figures(text: str, words: int, suggest: Suggest) -> dict[str, float]:
    """The shares, and milliseconds of processor time per suggestion."""
    hits = count = used = needed = asked = 0
    begun = time.process_time()
    for found in WORD.finditer(text):
        if count == words:
            break
        word, before = found[0], text[: found.start()]
        count, needed = count + 1, needed + len(word) + 1
        cost = len(word) + 1
        for typed in range(len(word)):
            asked += 1
            if word in suggest(before, word[:typed]):
                hits += typed == 0
                cost = typed + 1
                break
        used += min(cost, len(word) + 1)
    return {
        "words": count,
        "first three": hits / count,
        "saved": 1.0 - used / needed,
        "ms": 1e3 * (time.process_time() - begun) / asked,
    }


def main() -> None:
    """Print a row for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--words", type=int, default=3000)
    parser.add_argument("--adapt", action="store_true")
    asked = parser.parse_args()
    text = asked.test.read_text(encoding="utf-8")
    print(json.dumps(measured.machine()))
    contestants: list[tuple[str, Suggest]] = [
        ("Kneser-Ney 5-gram", Counted(asked.train.read_text(encoding="utf-8")).suggest)
    ]
    for name in asked.models:
        contestants.append((name, of_model(name, False)))
        if asked.adapt:
            contestants.append((f"{name} --adapt", of_model(name, True)))
    for name, suggest in contestants:
        row = figures(text, asked.words, suggest)
        print(f"{name:40} {row['first three']:7.1%} {row['saved']:7.1%} {row['ms']:8.2f} ms", flush=True)


if __name__ == "__main__":
    main()
