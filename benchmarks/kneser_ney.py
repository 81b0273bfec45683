"""A character n-gram with interpolated Kneser-Ney smoothing (Kneser and Ney 1995): what a small text's model
has to beat.

    python benchmarks/kneser_ney.py TRAIN TEST [--order 5]        nats per character of TEST after its first

The longest contexts count how often a character followed, shorter ones how many different longer contexts
it followed in; each order takes an absolute discount off and gives it to the next shorter one, the shortest
to all characters alike (one more than were seen, for those that were not).
"""

from __future__ import annotations

import argparse
import math
from collections import Counter, defaultdict
from pathlib import Path


class KneserNey:
    """Counts of a text, and the probabilities they give."""

    def __init__(self, text: str, order: int = 5) -> None:
        self.order, self.symbols = order, len(set(text)) + 1
        tables: list[dict[str, Counter[str]]] = [defaultdict(Counter) for _ in range(order)]
        for end in range(order - 1, len(text)):
            tables[-1][text[end - order + 1 : end]][text[end]] += 1
        for longer, shorter in zip(tables[:0:-1], tables[-2::-1], strict=True):
            for context, following in longer.items():
                for symbol in following:
                    shorter[context[1:]][symbol] += 1
        self._tables = [
            {context: (following, following.total()) for context, following in table.items()}
            for table in tables
        ]
        self._discounts = [_discount(table) for table in tables]

    def probability(self, context: str, symbol: str) -> float:
        """The probability of a character after the last ``order - 1`` characters of a context."""
        p = 1.0 / self.symbols
        for length, (table, discount) in enumerate(zip(self._tables, self._discounts, strict=True)):
            found = table.get(context[len(context) - length :]) if length <= len(context) else None
            if found is None:
                break
            following, total = found
            p = (max(following[symbol] - discount, 0.0) + discount * len(following) * p) / total
        return p

    def nats(self, text: str) -> float:
        """Mean nats per character, after the first."""
        before = self.order - 1
        return -sum(
            math.log(self.probability(text[max(0, at - before) : at], text[at])) for at in range(1, len(text))
        ) / (len(text) - 1)


def _discount(table: dict[str, Counter[str]]) -> float:
    """n1 / (n1 + 2 n2), of how many counts are one and two."""
    of = Counter(count for following in table.values() for count in following.values())
    return of[1] / (of[1] + 2 * of[2]) if of[1] else 0.5


def main() -> None:
    """Print the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--order", type=int, default=5)
    asked = parser.parse_args()
    train, test = (path.read_text(encoding="utf-8") for path in (asked.train, asked.test))
    print(f"{KneserNey(train, asked.order).nats(test):.4f}")


if __name__ == "__main__":
    main()
