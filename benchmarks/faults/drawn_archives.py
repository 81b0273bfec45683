"""Fault test 23: drawn files of every kind are compressed in every way, and all of their bytes come back.

A file is drawn: no bytes, random ones, words, lines with any ends, many alphabets, cut UTF-8, zeros, records
with NUL, one long line, a piece of a file of this Python (source, byte code, machine code), or some of these
together. It is compressed by a model of each tokenizer as a text, as lines and with ``--adapt``, or by what
learns from nothing, and decompressed: whole, a part by its offset, one line by its number.

    python benchmarks/faults/drawn_archives.py [--count 1000] [--seed 0] [--first 0] [--log FILE] [--json]

A case is repeated from its seed and number: ``--first N --count 1``. With ``--log`` a run that was ended goes
on. ``digest`` is the SHA-256 of all archives: with another PANTOUM_ISA or PANTOUM_THREADS it is the same.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from pantoum.apps.archive import archiving, learning, payloads, restoring
from pantoum.config import DecompressConfig
from pantoum.inference.loaded_model import LoadedModel
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.text.byte import ByteTokenizer
from pantoum.text.tokenizer import Tokenizer, learner

WAYS = ("text", "lines", "adapted", "learned")
TOKENIZERS = ("characters", "bytes", "words", "bpe:300", "words:whitespace")
ALPHABETS = ("abc deé", "αβγ δ", "абв г", "日本語。", "🙂👍🏽\u200d", "אבג ", "\u0301a\ufeff\ud800")
LEARNED = "The cat sat on the mat.\nA naïve dog ran, ran and ran!\n12 o'clock.\n" * 20
MOST = 1500
BLOCK = 400
"""Bytes of a frame, so that a file has several; a line must fit in one."""


@cache
def model(kind: str) -> LoadedModel:
    """A small one with drawn weights."""
    if kind == "bytes":
        tokenizer: Tokenizer = ByteTokenizer()
    else:
        scholar = learner(kind, None, None)
        scholar.feed(LEARNED)
        tokenizer = scholar.learn()
    network = LanguageModel(tokenizer.vocab_size, 16, hidden_size=24, num_layers=2, seed=3)
    return LoadedModel(Program(network, precision="int8"), tokenizer, sha256="ab" * 32)


@cache
def files_here() -> list[Path]:
    """Files of this Python."""
    folder = Path(sysconfig.get_path("stdlib"))
    return sorted(path for path in folder.glob("*") if path.is_file()) + sorted(folder.glob("lib-dynload/*"))


def drawn(draw: np.random.Generator, deep: bool = True) -> bytes:
    """A file."""
    size = int(draw.integers(MOST)) if draw.random() < 0.9 else int(draw.integers(4))
    kind = int(draw.integers(10 if deep else 9))
    words = [word.encode() for word in LEARNED.split()]
    if kind == 0:
        return draw.bytes(size)
    if kind == 1:
        return b" ".join(words[i] for i in draw.integers(len(words), size=size // 5))
    if kind == 2:
        ends = (b"\n", b"\r\n", b"\r", b"\n\n", b"\x0b", "\u2028".encode())
        return b"".join(
            words[draw.integers(len(words))] + ends[draw.integers(len(ends))] for _ in range(size // 8)
        )
    if kind == 3:
        alphabet = list(ALPHABETS[draw.integers(len(ALPHABETS))])
        return "".join(draw.choice(alphabet, size // 3)).encode("utf-8", "surrogatepass")
    if kind == 4:
        return ("".join(ALPHABETS[:-1]) * 20).encode()[int(draw.integers(40)) :][:size]
    if kind == 5:
        return bytes([int(draw.integers(256))]) * size
    if kind == 6:
        return b"\0".join(words[i] for i in draw.integers(len(words), size=size // 6)) + b"\0"
    if kind == 7:
        return LEARNED.replace("\n", " ").encode()[:size]
    if kind == 8:
        data = files_here()[int(draw.integers(len(files_here())))].read_bytes()
        begin = int(draw.integers(max(1, len(data))))
        return data[begin : begin + size]
    return b"".join(drawn(draw, deep=False) for _ in range(int(draw.integers(2, 4))))[: 2 * MOST]


def restored(archive: bytes, given: LoadedModel | None, **asked: int) -> bytes:
    return b"".join(restoring.restore(io.BytesIO(archive), given, DecompressConfig(**asked), []))


def one_case(seed: int, number: int) -> tuple[str, str, list[str]]:
    """(the way, the digest of the archive, what is wrong)."""
    draw = np.random.default_rng([seed, number])
    way, kind = WAYS[number % len(WAYS)], TOKENIZERS[number // len(WAYS) % len(TOKENIZERS)]
    given, data, found = None if way == "learned" else model(kind), drawn(draw), list[str]()
    asked = {"lines": way == "lines", "adapt": way == "adapted"}
    archiving.MOST_PLAIN = 2 * MOST if way == "lines" else BLOCK
    archive = b"".join(archiving.compress(io.BytesIO(data), given, **asked))
    if restored(archive, given) != data:
        found.append("other bytes")
    offset, length = int(draw.integers(len(data) + 1)), int(draw.integers(1, 400))
    if restored(archive, given, offset=offset, length=length) != data[offset : offset + length]:
        found.append(f"other bytes from {offset} on")
    if way == "lines" and data:
        lines = data.removesuffix(b"\n").split(b"\n")
        line = int(draw.integers(len(lines)))
        if restored(archive, given, record=line) != lines[line]:
            found.append(f"another line {line}")
    return f"{way}, {kind}" if given else way, hashlib.sha256(archive).hexdigest(), found


def cases(seed: int, numbers: range, log: Path | None) -> Iterator[tuple[int, str, str, list[str]]]:
    """Each case, from the log where it is there."""
    known = log.read_text().splitlines() if log is not None and log.exists() else []
    done = {(line[0], line[1]): line[2:] for line in map(json.loads, known)}
    for number in numbers:
        found = done.get((seed, number))
        if found is None:
            found = one_case(seed, number)
            if log is not None:
                with log.open("a") as file:
                    print(json.dumps([seed, number, *found]), file=file)
        yield number, *found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--log", type=Path, help="a line per case, for a run that may be ended")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    archiving.SEARCHED, archiving.RECORDS_A_FRAME, payloads.TOKENS_A_LANE, learning.SLOTS = 50, 20, 30, 12
    ways, faults, digest = Counter[str](), list[str](), hashlib.sha256()
    numbers = range(given.first, given.first + given.count)
    for number, way, sha256, found in cases(given.seed, numbers, given.log):
        ways[way] += 1
        digest.update(sha256.encode())
        faults += [f"{number}, {way}: {fault}" for fault in found]
    report = {"cases": dict(ways), "digest": digest.hexdigest(), "faults": faults}
    if given.json:
        print(json.dumps(report, indent=1))
    else:
        print(
            f"{given.count:,} files, digest {digest.hexdigest()[:16]}, {len(faults)} faults",
            *faults,
            sep="\n",
        )
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
