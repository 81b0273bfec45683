"""One process begins a text, another continues it, with a state of a few kilobytes.

    python examples/state_between_processes.py runs/book

The second process gets the path of the model and a state on its stdin, but not the text. It writes exactly
what the first process would have written. Without a model, a small one is trained first.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import pantoum

SECOND = """
import sys, pantoum
model = pantoum.load(sys.argv[1])
session = model.session(pantoum.State.from_bytes(sys.stdin.buffer.read()))
sys.stdout.buffer.write(session.generate(60, seed=7).encode())
"""


def hand_over(model_path: Path, prompt: str) -> tuple[str, str]:
    """The text that one process writes alone, and the text that two processes write together."""
    model = pantoum.load(model_path)
    alone = model.session()
    alone.feed(prompt)
    whole = alone.generate(120, seed=7)

    session = model.session()
    session.feed(prompt)
    first = session.generate(60, seed=7)
    state = bytes(session.state)
    print(f"the state: {len(state):,} bytes after {session.state.tokens_seen} tokens")
    second = subprocess.run(
        [sys.executable, "-c", SECOND, str(model_path)], input=state, stdout=subprocess.PIPE, check=True
    )
    return whole, first + second.stdout.decode()


def main(argv: list[str] | None = None) -> None:
    """Show that the two texts are equal."""
    parser = argparse.ArgumentParser(description="continue a text in another process")
    parser.add_argument(
        "model", nargs="?", help="a model file or run folder (default: a small one is trained)"
    )
    parser.add_argument("--prompt", default="The ")
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(asked.model) if asked.model else Path(folder, "run")
        if not asked.model:
            text = Path(folder, "text.txt")
            text.write_text(
                "".join(f"The cat sat on mat {n % 7}; the dog ran {n} times.\n" for n in range(400))
            )
            pantoum.train(text, run=str(path), steps=60, hidden_size=32, num_layers=1)
        whole, together = hand_over(path, asked.prompt)
    print(asked.prompt + together)
    if whole != together:
        sys.exit("the two texts differ")
    print("one process alone writes the same")


if __name__ == "__main__":
    main()
