r"""The n-grams counted in a training text as an ARPA file: ``export --to arpa``.

    \data\
    ngram 1=43
    ...
    \2-grams:
    -0.4771	th e	-0.3010

A line holds the logarithm to base 10 of the probability, the tokens, and that of the backoff weight
(``backoff_orders``); SRILM, KenLM and others read it. It is the counts alone, without the network
beside them.

A token is spelled without white space: ``▁`` is a space, and another white space, a character that cannot be
printed, or a byte that is no character is its bytes, ``<0x0A>``. The token that parts documents is ``<s>``
where it begins one and ``</s>`` where it ends one; an unknown token is ``<unk>``.

A backoff model has a probability for each n-gram, and a weight:

    p(w | h) = p(h w)             where the n-gram h w is listed
             = b(h) p(w | h')     elsewhere; b(h) is 1 where h is not listed

An interpolated model is one of these: p(h w) is the whole interpolated probability, b(h) what the discounts
leave to the shorter context (``counted_ngrams.Counts``). So both give every token the same probability.

Shapes: M n-grams of one order N, V symbols, K tokens of context at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pantoum.seams import CountedContexts as Contexts
from pantoum.seams import Counts, ModelFile, Tokenizer, counts_of, durable, from_spec, require

__all__ = ["spelled", "write"]

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0
"""The logarithm of a probability of nothing, by custom."""
BLOCK = 1 << 14
"""N-grams that are made into text at a time."""
Ids: TypeAlias = npt.NDArray[np.int64]
F64: TypeAlias = npt.NDArray[np.float64]
BackoffOrder: TypeAlias = "tuple[Ids, F64, F64 | None]"
"""The n-grams of one order: (their tokens [M,N], their probabilities [M], b of each as a context [M];
``None`` in the highest order)."""
SPECIAL = re.compile(r"</?s>|<unk>|<0x[0-9A-F]{2}>")


def spelled(tokenizer: Tokenizer) -> list[str]:
    """Each token as a word of the file, all different."""
    words: list[str] = []
    known = {BEGIN, END, UNKNOWN}
    for token in range(tokenizer.vocab_size):
        if token == 0:
            words.append(END)
            continue
        if token == tokenizer.unk:
            words.append(UNKNOWN)
            continue
        word = _spelled(tokenizer.decode_bytes([token]))
        if not word or word in known:
            word += f"<{token}>"
        known.add(word)
        words.append(word)
    return words


def _spelled(data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    literal = SPECIAL.search(text) is not None
    return "".join(_character(sign, literal) for sign in text)


def _character(sign: str, literal: bool) -> str:
    """A character of a token; with ``literal`` angle brackets are spelled out, too."""
    if sign == " ":
        return "▁"
    if sign.isprintable() and not sign.isspace() and sign != "▁" and not (literal and sign == "<"):
        return sign
    return "".join(f"<0x{byte:02X}>" for byte in sign.encode("utf-8", "surrogateescape"))


def write(path: Path, counts: Counts, tokenizer: Tokenizer) -> list[int]:
    """Write the file; how many n-grams of each order it holds."""
    words = spelled(tokenizer)
    eos = tokenizer.eos if tokenizer.documents or tokenizer.declared.ends_lines else None
    kept = (_within(order, eos) for order in backoff_orders(counts))
    sizes = [len(p_M) for _, p_M, _ in kept]
    sizes[0] += 1 + (UNKNOWN not in words)
    orders = (_within(order, eos) for order in backoff_orders(counts))
    head = "".join(f"ngram {order}={size}\n" for order, size in enumerate(sizes, start=1))
    durable.write_file(
        path,
        chain(
            [f"\\data\\\n{head}".encode()],
            _unigrams(next(orders), words, eos),
            chain.from_iterable(_order(each, words, eos) for each in orders),
            [b"\n\\end\\\n"],
        ),
    )
    return sizes


def _within(order: BackoffOrder, eos: int | None) -> BackoffOrder:
    """The n-grams that lie within a document or a line: what ends one is followed by nothing."""
    tokens_MN, p_M, weights_M = order
    if eos is None or tokens_MN.shape[1] < 3:
        return order
    kept_M = (tokens_MN[:, 1:-1] != eos).all(axis=1)
    return tokens_MN[kept_M], p_M[kept_M], None if weights_M is None else weights_M[kept_M]


def _unigrams(order: BackoffOrder, words: list[str], eos: int | None) -> Iterator[bytes]:
    """Symbols; the one that begins documents is another word than the one that ends them."""
    _, p_M, weights_M = order
    assert weights_M is not None
    logs, weights = _logarithms(p_M), _logarithms(weights_M)
    begin = 0.0 if eos is None else weights[eos]
    lines = [f"\n\\1-grams:\n{NEVER:g}\t{BEGIN}\t{begin:.7g}\n"]
    if UNKNOWN not in words:
        lines.append(f"{NEVER:g}\t{UNKNOWN}\n")
    for token, word in enumerate(words):
        weight = "" if token == 0 else f"\t{weights[token]:.7g}"
        lines.append(f"{logs[token]:.7g}\t{word}{weight}\n")
    yield "".join(lines).encode()


def _order(order: BackoffOrder, words: list[str], eos: int | None) -> Iterator[bytes]:
    tokens_MN, p_M, weights_M = order
    yield f"\n\\{tokens_MN.shape[1]}-grams:\n".encode()
    for start in range(0, len(tokens_MN), BLOCK):
        here = slice(start, start + BLOCK)
        logs = _logarithms(p_M[here])
        weights = None if weights_M is None else _logarithms(weights_M[here])
        lines = []
        for place, tokens in enumerate(tokens_MN[here].tolist()):
            first = BEGIN if tokens[0] == eos else words[tokens[0]]
            spelled_out = " ".join([first, *(words[token] for token in tokens[1:])])
            # What has ended a document is no context: KenLM wants no weight there.
            weight = "" if weights is None or tokens[-1] == 0 else f"\t{weights[place]:.7g}"
            lines.append(f"{logs[place]:.7g}\t{spelled_out}{weight}\n")
        yield "".join(lines).encode()


def _logarithms(numbers: npt.NDArray[np.float64]) -> list[float]:
    with np.errstate(divide="ignore"):
        found: list[float] = np.maximum(np.log10(numbers), NEVER).tolist()
    return found


def backoff_orders(counts: Counts) -> Iterator[BackoffOrder]:
    """The orders, from the lowest."""
    tree, V, K = counts.tree, counts.vocab_size, counts.kept
    tokens_MN: Ids = np.arange(V)[:, None]
    unigrams_V: F64 = tree.unigrams_V.astype(np.float64)
    yield tokens_MN, unigrams_V, tree.lengths[0].left_M.astype(np.float64)
    ends: list[Ids] = [np.arange(V)]
    """For each n-gram, the places of its last 1, 2, ... tokens among the n-grams of that order."""
    for order in range(2, K + 2):
        contexts = tree.lengths[order - 2]
        parents_M = np.repeat(np.arange(len(contexts.starts) - 1), np.diff(contexts.starts))
        last_M = contexts.tokens_C.astype(np.int64)
        tokens_MN = np.concatenate([tokens_MN[parents_M], last_M[:, None]], axis=1)
        before = [places[parents_M] for places in ends]
        nodes_KM = np.stack([*before, *[np.full(len(last_M), -1)] * (K - len(before))])
        found = Contexts(nodes_KM, np.zeros(0, np.int64), np.zeros((0, K)))
        weights_M = tree.lengths[order - 1].left_M.astype(np.float64) if order <= K else None
        yield tokens_MN, counts.probabilities(found, last_M), weights_M
        shorter = [
            counts.children(length, places, last_M) for length, places in enumerate(before[:-1], start=1)
        ]
        ends = [last_M, *shorter, np.arange(len(last_M))]


def export(content: ModelFile, out: Path, texts: Sequence[str]) -> dict[str, Any]:
    """``pantoum export --to arpa``."""
    tokenizer = from_spec(content.tokenizer)
    counted = counts_of(content.extras, tokenizer.vocab_size, out)
    rule = "needs n-grams that were counted in the training text, and this model has none"
    require(counted is not None, "to", "arpa", rule, "train it with --kneser-ney 5")
    assert counted is not None
    sizes = write(out, counted.counts, tokenizer)
    many = ", ".join(f"{size:,} of {order}" for order, size in enumerate(sizes, start=1))
    hint = f"n-grams by number of tokens: {many}; the network itself is not in the file"
    return {"ngrams": sizes, "hints": [hint]}
