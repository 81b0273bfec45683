"""The next word: how often it is among the first three, and how many keys a person saves.

    python benchmarks/jobs/next_word.py TRAIN TEST MODEL... [--words 3000] [--adapt] [--presage presage.xml]

Each word of TEST (letters and digits, from its beginning on; not the ``<unk>`` of a corpus) is asked for
after all that stands before it in the text. *First three*: the share of words that are suggested before a
letter of them is typed. *Saved*: a person types letters until the word is suggested, then takes it with one
key, which also writes the space (Trnka and McCoy 2008); a word that is never suggested costs its letters and
a space.
Milliseconds are processor time per suggestion: the median and the 99th percentile. A model learns after an
answer, as in ``pantoum complete``: median and most of what that takes.

Beside the models stand an interpolated modified Kneser-Ney 5-gram of the words and signs of TRAIN and, with
``--presage`` (the file ``presage.xml`` of Debian's package of this name, and ``text2ngram`` and
``presage-words``, which ``presage_words.cpp`` is the source of, on the PATH), presage with its own predictors
(n-grams, and words that were used recently; the predictor that learns ends by an assertion, 0.9.1).
``--adapt``: each model once more, learning as the text goes on.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

import pantoum

sys.path.insert(0, str(Path(__file__).parent.parent))
import measured
from modified_kneser_ney import ModifiedKneserNey

from pantoum.config import CompleteConfig
from pantoum.inference.next_word import Completer

SUGGESTED = 3
PIECES = re.compile(r"<unk>|\w+|[^\w\s]|\n")
WORD = re.compile(r"\w+")
ASKED = re.compile(r"<unk>|(\w+)")
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
        self._before, self._ranked = "", list[str]()

    def suggest(self, before: str, begun: str) -> list[str]:
        """The most probable words."""
        if not self._ranked or self._before != before:
            context = [self._number.get(piece, 0) for piece in PIECES.findall(before[-200:])[-4:]]
            p_V = self._model.distribution(np.array(context, np.int64))
            self._before = before
            self._ranked = [self._pieces[n] for n in np.argsort(-p_V, kind="stable") if self._is_word[n]]
        found = (word for word in self._ranked if word.startswith(begun))
        return [word for word, _ in zip(found, range(SUGGESTED), strict=False)]


def of_model(name: str, adapt: bool) -> tuple[Suggest, Callable[[], None]]:
    """A model that suggests, and what lets it learn from the lines that are finished."""
    completer = Completer(pantoum.load(name)._loaded, CompleteConfig(count=SUGGESTED, adapt=adapt))
    return lambda before, begun: [one.text for one in completer.words(before + begun)], completer.learn


@contextmanager
def presage(config: Path, train: Path) -> Iterator[Suggest]:
    """presage with n-grams of 1 to 3 words of TRAIN."""
    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/ngrams.db"
        for n in (1, 2, 3):
            command = ["text2ngram", "-n", str(n), "-f", "sqlite", "-o", database, str(train)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        tree = ElementTree.parse(config)
        for path, value in {
            "PredictorRegistry/PREDICTORS": "DefaultSmoothedNgramPredictor DefaultRecencyPredictor",
            "ContextTracker/LOWERCASE_MODE": "no",
            "Selector/SUGGESTIONS": str(SUGGESTED),
            "Selector/REPEAT_SUGGESTIONS": "yes",
            "Predictors/DefaultSmoothedNgramPredictor/DBFILENAME": database,
        }.items():
            found = tree.find(path)
            assert found is not None, path
            found.text = value
        tree.write(f"{folder}/presage.xml")
        command = ["presage-words", f"{folder}/presage.xml"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        ) as engine:
            given, answers = engine.stdin, engine.stdout
            assert given is not None and answers is not None

            def suggest(before: str, begun: str) -> list[str]:
                given.write((before + begun).replace("\n", " ") + "\n")
                return answers.readline().rstrip("\n").split("\t")

            yield suggest
            given.close()


def figures(text: str, words: int, suggest: Suggest, learn: Callable[[], None]) -> str:
    """The shares; milliseconds of processor time per suggestion, and per ``learn`` that takes one."""
    hits = count = used = needed = 0
    took, learned = [], [0.0]
    for found in ASKED.finditer(text):
        if count == words:
            break
        if found[1] is None:
            continue
        word, before = found[1], text[: found.start()]
        count, needed = count + 1, needed + len(word) + 1
        cost = len(word) + 1
        for typed in range(len(word)):
            begun = time.process_time()
            suggested = suggest(before, word[:typed])
            took.append(1e3 * (time.process_time() - begun))
            begun = time.process_time()
            learn()
            if time.process_time() - begun > 1e-3:
                learned.append(1e3 * (time.process_time() - begun))
            if word in suggested:
                hits += typed == 0
                cost = typed + 1
                break
        used += cost
    median, last = np.quantile(took, [0.5, 0.99])
    shares = f"{hits / count:7.1%} {1.0 - used / needed:7.1%} {count:6}"
    return f"{shares} {median:8.2f} {last:8.2f} {np.median(learned):8.2f} {max(learned):8.2f}"


def main() -> None:
    """Print a row for each."""
    options = measured.parser(__doc__)
    options.add_argument("train", type=Path)
    options.add_argument("test", type=Path)
    options.add_argument("models", nargs="*")
    options.add_argument("--words", type=int, default=3000)
    options.add_argument("--adapt", action="store_true")
    options.add_argument("--presage", type=Path, metavar="CONFIG")
    asked = options.parse_args()
    warnings.simplefilter("ignore")
    text = asked.test.read_text(encoding="utf-8")
    print(json.dumps(measured.machine()))
    print(f"{'':44} first 3   saved  words   median  99 % ms   learning: median, most")

    def row(name: str, suggest: Suggest, learn: Callable[[], None] = lambda: None) -> None:
        print(f"{name:44} {figures(text, asked.words, suggest, learn)}", flush=True)

    row("Kneser-Ney 5-gram", Counted(asked.train.read_text(encoding="utf-8")).suggest)
    if asked.presage:
        with presage(asked.presage, asked.train) as suggest:
            row("presage", suggest)
    for name in asked.models:
        for adapt in (False, True)[: 1 + asked.adapt]:
            row(name + " --adapt" * adapt, *of_model(name, adapt))


if __name__ == "__main__":
    main()
