"""SyntaxGym's suites (Hu et al. 2020): surprisals of regions of sentences fulfil a formula.

    python benchmarks/judges/syntaxgym.py test_suites/json --train wiki.train.tokens --pantoum RUN --lstm F

DATA is the folder ``test_suites/json`` of cpllab/syntactic-generalization: 34 suites. A formula compares sums
of surprisals, ``(5;%cond%)`` is that of region 5 in the condition ``cond``; an item is right if it holds. As
in the paper, formulas that demand that two surprisals are equal (``=``) are left out. An item is known where
the vocabulary has all words of the regions that its formula names. The paper's score is ``mean of phenomena``
(of 31 suites: `nn-nv-rpl`, `fgd-embed3` and `fgd-embed4` are not in it).
"""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from word_models import Item, Words, judge, wikitext_words

REGION = re.compile(r"\((\d+);%([^%]+)%\)")
SIGNS: Mapping[type, Any] = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Lt: operator.lt,
                             ast.Gt: operator.gt, ast.BitAnd: operator.and_}  # fmt: skip


def holds(formula: str, surprisals: Mapping[tuple[str, str], float]) -> bool:
    """Whether a formula holds for the surprisals by (region, condition)."""
    parts = REGION.findall(formula)
    names = {f"r{number}": surprisals[part] for number, part in enumerate(parts)}
    numbers = iter(names)
    text = REGION.sub(lambda _: next(numbers), formula).translate(str.maketrans("[]", "()"))
    # `a > b & c > d` would be `a > (b & c) > d`: every comparison of a conjunction stands in brackets.
    return bool(_value(ast.parse(text.strip(), mode="eval").body, names))


def _value(node: ast.AST, names: Mapping[str, float]) -> Any:
    match node:
        case ast.Name(name):
            return names[name]
        case ast.Constant(value):
            return value
        case ast.BinOp(left, sign, right) | ast.Compare(left, [sign], [right]):
            return SIGNS[type(sign)](_value(left, names), _value(right, names))
    raise ValueError(f"a formula has {ast.dump(node)}")


def read(folder: Path) -> Iterator[Item]:
    """The items of all suites, one for each formula."""
    for path in sorted(folder.glob("*.json")):
        suite = json.loads(path.read_text(encoding="utf-8"))
        formulas = [each["formula"] for each in suite["predictions"]]
        for item in suite["items"]:
            regions = {
                (str(region["region_number"]), condition["condition_name"]): wikitext_words(region["content"])
                for condition in item["conditions"]
                for region in condition["regions"]
            }
            for formula in formulas:
                if "=" not in formula:
                    yield _item(path.stem, formula, regions)


def _item(suite: str, formula: str, regions: Mapping[tuple[str, str], Words]) -> Item:
    """For each region of a formula two sentences: what ends before it, and what ends with it."""
    parts = list(dict.fromkeys(REGION.findall(formula)))
    sentences: list[Words] = []
    for number, condition in parts:
        before = [
            word
            for (place, which), words in regions.items()
            if which == condition and int(place) < int(number)
            for word in words
        ]
        sentences += [before, [*before, *regions[number, condition]]]
    decisive = [word for part in parts for word in regions[part]]
    return Item(suite, tuple(sentences), decisive, partial(_right, formula, parts))


def _right(formula: str, parts: Sequence[tuple[str, str]], nats: Sequence[float]) -> bool:
    pairs = zip(nats[::2], nats[1::2], strict=True)
    return holds(formula, {part: end - begin for part, (begin, end) in zip(parts, pairs, strict=True)})


def main() -> None:
    """Print the table."""
    judge(__doc__, "the folder test_suites/json of cpllab/syntactic-generalization", read)


if __name__ == "__main__":
    main()
