"""A client that keeps its own state: the server remembers nothing, so any replica can answer.

In another terminal: pantoum serve runs/book

    python examples/server_own_state.py [URL]

A state is a few kilobytes of text. Several of them are a tree of versions: you can continue each, in any
order and at any time, as long as the server has the same model and the same --state-key-file.
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """A text, and the state of the model after it."""

    text: str
    state: str | None = None

    def go_on(self, url: str, words: str = "", tokens: int = 40, seed: int = 1) -> Place:
        """The place after some words of ours and so many tokens of the model. This place stays as it is."""
        fields: dict[str, Any] = {"prompt": words, "max_tokens": tokens, "seed": seed, "return_state": True}
        if self.state is not None:
            fields["state"] = self.state
        body = json.dumps(fields).encode()
        request = urllib.request.Request(f"{url}/v1/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as response:
            choice = json.load(response)["choices"][0]
        return Place(self.text + words + choice["text"], choice["state"])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A client that keeps the state of the model itself.")
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8000", metavar="URL")
    url = parser.parse_args(arguments).url
    begun = Place("").go_on(url, "The ", tokens=20)
    print(f"begun:          {begun.text!r} and a state of {len(begun.state or ''):,} characters")

    print(f"went on:        {begun.go_on(url, seed=2).text!r}")
    print(f"forked:         {begun.go_on(url, seed=3).text!r}")
    print(f"with our words: {begun.go_on(url, ' The end', seed=2).text!r}")

    # The same request gives the same text, and two steps give what one step gives.
    one = Place("").go_on(url, "The ", tokens=30)
    two = begun.go_on(url, tokens=10)
    print(f"two steps as one: {one.text == two.text}, states too: {one.state == two.state}")


if __name__ == "__main__":
    main()
