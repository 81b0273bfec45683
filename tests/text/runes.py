"""A tokenizer from outside of the package: the first of the two files that a new one needs. Every character a
token, in the order in which the training text first has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pantoum.text.documents import sign_of
from pantoum.text.numbers import EOS, UNK, Numbers, UnknownCount
from pantoum.text.pieces import PieceCounter
from pantoum.text.tokenizer import Across, Tokenizer, listed, refuse, require_documents, require_keys


class RuneTokenizer(Tokenizer):
    unk = UNK

    def __init__(self, runes: str, documents: str | None) -> None:
        super().__init__("runes", documents, ["\ufffd", *runes])
        self.runes = runes
        self.number = {**{rune: at for at, rune in enumerate(runes, 2)}, sign_of(documents): EOS}

    def encode_blocks(
        self, blocks: Iterable[str], unknown: UnknownCount | None = None, across: Across = map
    ) -> Iterator[Numbers]:
        for block in blocks:
            numbers = np.array([self.number.get(rune, UNK) for rune in block], np.uint32)
            if unknown is not None:
                unknown.add(numbers)
            yield numbers

    def spec(self) -> dict[str, Any]:
        return {**super().spec(), "runes": self.runes}


class RuneLearner(PieceCounter):
    def __init__(self, most: int | None, documents: str | None) -> None:
        super().__init__(re.compile(".", re.DOTALL))
        self.most, self.documents = most, documents

    def learn(self) -> RuneTokenizer:
        pieces, _ = self.counted()
        runes = [rune for rune in pieces if rune != sign_of(self.documents)]
        made = RuneTokenizer("".join(runes[: None if self.most is None else self.most - 2]), self.documents)
        self.table = np.array([made.number.get(rune, UNK) for rune in pieces], np.uint32)
        return made

    def tokens(self, numbers: Numbers, unknown: UnknownCount | None = None) -> Numbers:
        tokens = self.table.take(numbers)
        if unknown is not None:
            unknown.add(tokens)
        return tokens


def learner(kind: str, size: int | None, documents: str | None) -> RuneLearner:
    return RuneLearner(size, documents)


def declared_size(spec: Mapping[str, Any]) -> int:
    return len(listed(spec, "runes")) + 2


def from_spec(spec: Mapping[str, Any]) -> RuneTokenizer:
    require_keys(spec, "kind", "documents", "runes")
    if not isinstance(spec["runes"], str):
        raise refuse("has runes that are no text")
    return RuneTokenizer(spec["runes"], require_documents(spec))
