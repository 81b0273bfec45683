"""A tour of the Python interface: train, write, save and fork the state, score, evaluate.

python examples/tour.py book.txt --minutes 1
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pantoum

SMALL = "".join(
    f"Day {n}: the cat sat on mat {n % 7}, and dog {n * 5 % 9} ran round the barn.\n" for n in range(250)
)


def main(argv: list[str] | None = None) -> None:
    """Run the tour."""
    parser = argparse.ArgumentParser(description="a tour of the Python interface")
    parser.add_argument("text", nargs="?", help="a text file (default: a small built-in text)")
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--steps", type=int, default=None)
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(asked.text) if asked.text else Path(folder, "days.txt")
        if not asked.text:
            text.write_text(SMALL)

        # One call trains. Settings that are not given are chosen from the size of the text and the time.
        budget = {"steps": asked.steps} if asked.steps is not None else {"minutes": asked.minutes}
        run = pantoum.train(text, run=str(Path(folder, "run")), **budget)
        print(run, run.evaluation, sep="\n")

        # A model is one file. The same seed writes the same text again.
        model = pantoum.load(run.folder)
        print(model)
        print("Day", end="")
        for piece in model.stream("Day", length=120, seed=1, temperature=0.7):
            print(piece, end="", flush=True)
        print()

        # A session is one stream of text. Everything it knows of the past is its state, a few kilobytes.
        session = model.session()
        session.feed("Day 12: the cat")
        state = session.state
        print(state)
        first = session.generate(40, seed=1)
        session.rewind(state)
        assert session.generate(40, seed=1) == first
        copy = model.session(pantoum.State.from_bytes(bytes(state)))
        assert copy.generate(40, seed=1) == first

        # The surprisal of each word of a text. In a notebook the scores are a picture.
        for score in model.score("the cat sat on the moon", by="word"):
            print(f"{score.nats:8.2f} nats  {score.text}")
        print(model.evaluate(text, protocol="segments:64"))


if __name__ == "__main__":
    main()
