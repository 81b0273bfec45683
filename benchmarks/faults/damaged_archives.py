"""Fault test 22: thousands of damaged archives are decompressed; no wrong byte, no crash, no hang.

Each case is one damage (``damage.py``) of a good archive: of a text or of lines by a model, of a text by what
learns from nothing, or by both. Read strictly it is refused by an ``ArchiveError`` of one line, read with
``keep_going`` every piece that comes out is a frame of the good archives; both in seconds. With every fourth
damage come drawn frames whose checksums match: what they say is their author's, so they may be read, but not
beyond what they claim.

    python benchmarks/faults/damaged_archives.py [--count 10000] [--seed 0] [--first 0] [--kind K] [--log F]

A case is repeated from its seed, kind and number: ``--first N --count 1``. With ``--log`` a run that was
ended goes on.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from damage import damaged

from pantoum.apps.archive import archive, archiving, learning, payloads, restoring
from pantoum.apps.archive.archive import Frame, Header, Index, Kind
from pantoum.apps.archive.settings import DecompressConfig
from pantoum.config import ModelConfig
from pantoum.errors import ArchiveError, PantoumError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.text.character import CharacterTokenizer

SLOWEST = 5.0
"""Seconds of processor time, which other work on the machine does not change."""
BLOCK = 300
"""Bytes of a frame: an archive of a kilobyte then has many."""
KINDS = ("text", "lines", "learned", "adapted")


def model() -> LoadedModel:
    """A small one with drawn weights, which finds all characters about as probable."""
    tokenizer = CharacterTokenizer("catdogmrnshe12 \n")
    network = LanguageModel(tokenizer.vocab_size, config=ModelConfig("gru", 16, 1, 8), seed=1)
    return LoadedModel(Program(network), tokenizer, sha256="ab" * 32)


def text(seed: int) -> bytes:
    """Some words in lines."""
    draw = random.Random(seed)
    words = [draw.choice(("cat", "dog", "mat", "ran", "sat", "12", "the\n")) for _ in range(400)]
    return " ".join(words).encode()


def made(kind: str, seed: int, loaded: LoadedModel) -> bytes:
    """A good archive."""
    given = None if kind == "learned" else loaded
    asked = {"lines": kind == "lines", "adapt": kind == "adapted", "verify": False}
    return b"".join(archiving.compress(io.BytesIO(text(seed)), given, **asked))


def forged(draw: np.random.Generator, kind: str, loaded: LoadedModel) -> bytes:
    """Frames of drawn numbers with checksums that match."""
    header = Header("" if kind == "learned" else loaded.sha256, "lines" if kind == "lines" else None)
    index, body = Index(), b""
    for _ in range(draw.integers(1, 4)):
        numbers = draw.integers(0, [4, 300, 2**34][draw.integers(3)], draw.integers(1, 8)).tolist()
        payload = archive.to_numbers(numbers) + draw.bytes(int(draw.integers(60)))
        which = Kind(int(draw.integers(len(Kind))))
        records = numbers[0] if which == Kind.RECORDS else 0
        frame = Frame(which, int(draw.integers(2000)), crc32(payload), payload, records)
        index.add(frame)
        body += frame.head + frame.payload
    return header.to_bytes() + body + index.to_bytes()


def pieces(data: bytes, loaded: LoadedModel, **asked: Any) -> Iterator[bytes]:
    """What comes out."""
    return restoring.restore(io.BytesIO(data), loaded, DecompressConfig(**asked), [])


def one_case(
    kind: str, number: int, seed: int, good: tuple[bytes, bytes], known: set[bytes], loaded: LoadedModel
) -> list[str]:
    """What is wrong with how one damage was answered. ``known``: the pieces of the good archives."""
    draw = np.random.default_rng([seed, KINDS.index(kind), number])
    what, bad = damaged(draw, *good, number)
    found, begun = [], time.process_time()
    try:
        size = sum(map(len, pieces(bad, loaded)))
        found.append(f"{what}: read without an error, {size} bytes")
    except ArchiveError as problem:
        if "\n" in str(problem):
            found.append(f"{what}: several lines: {problem}")
    except Exception as problem:
        found.append(f"{what}: {type(problem).__name__}: {problem}")
    try:
        wrong = [piece for piece in pieces(bad, loaded, keep_going=True) if piece not in known]
        if wrong:
            found.append(f"{what}: a piece that nobody has compressed: {wrong[0][:40]!r}")
    except ArchiveError:
        pass  # the header is damaged
    except Exception as problem:
        found.append(f"{what}, kept going: {type(problem).__name__}: {problem}")
    if number % 4 == 0:
        for asked in ({}, {"keep_going": True}, {"offset": 10}, {"record": 1}):
            try:
                for _ in pieces(forged(draw, kind, loaded), loaded, **asked):
                    pass
            except PantoumError:
                pass
            except Exception as problem:
                found.append(f"forged, {asked}: {type(problem).__name__}: {problem}")
    if (seconds := time.process_time() - begun) > SLOWEST:
        found.append(f"{what}: {seconds:.1f} s")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--log", type=Path, help="a line per case, for a run that may be ended")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    archiving.MOST_PLAIN = payloads.TOKENS_A_LANE = BLOCK
    archiving.FRAMES_A_CHAIN, learning.SLOTS = 3, 12
    loaded, faults, cases = model(), list[str](), Counter[str]()
    lines = given.log.read_text().splitlines() if given.log is not None and given.log.exists() else []
    done = {tuple(case): found for *case, found in map(json.loads, lines)}
    kinds = [given.kind] if given.kind else list(KINDS)
    good = {kind: (made(kind, 1, loaded), made(kind, 2, loaded)) for kind in kinds}
    known = {kind: {piece for data in both for piece in pieces(data, loaded)} for kind, both in good.items()}
    for number, kind in itertools.product(range(given.first, given.first + given.count), kinds):
        cases[kind] += 1
        case = (given.seed, kind, number)
        if (found := done.get(case)) is None:
            found = one_case(kind, number, given.seed, good[kind], known[kind], loaded)
            if given.log is not None:
                with given.log.open("a") as file:
                    print(json.dumps([*case, found]), file=file)
        faults += [f"{kind} {number}: {fault}" for fault in found]
    report = {"cases": dict(cases), "faults": faults}
    if given.json:
        print(json.dumps(report, indent=1))
    else:
        print(f"{sum(cases.values()):,} damaged archives, {len(faults)} faults", *faults, sep="\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
