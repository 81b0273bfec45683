"""Good files of every kind, and ways to change a part of one whose hashes match afterwards.

``forge`` is a pure function of a generator: it takes one good file apart, changes one to three of its parts,
and writes it to a folder with the commands that should meet it.
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.config import ModelConfig
from pantoum.formats import checkpoint, model_file, plain_json, state_file, tensor_layout, token_shard
from pantoum.formats.model_file import ModelFile
from pantoum.inference.convert import to_int8
from pantoum.inference.novelty import NoveltyFilter
from pantoum.network import LanguageModel
from pantoum.text.bpe import BpeTokenizer
from pantoum.text.byte import ByteTokenizer
from pantoum.text.tokenizer import Tokenizer, learner

__all__ = ["Case", "Good", "forge"]

TEXT = "The cat sat on the mat.\nA naïve dog ran, ran and ran!\n\nThe end of the day: 12 o'clock.\n" * 3
LARGEST = 3_000_000
"""Bytes to which an expansion blows a part up."""
MOST_JSON, MOST_STATE = 64 << 20, 64 << 20
"""Bytes of JSON, and of the layers of a state, that changes of changes may come to."""
NUMBERS = [0, 1, -1, 2, 3, 7, 255, 256, 257, 65_535, 65_536, 10**30, 0.5, -0.5, 1e-320, 3e38, 1e308, -1e308]
POWERS = [sign * 2**bits + more for bits in (31, 32, 53, 63, 64) for sign in (1, -1) for more in (0, -1)]
WORDS = ["", "x", "0", "-1", "nan", "é\u4e00", "\0", "\n\n", "\ud800", "x" * 5000, "../../x"]
NAMES = ["lstm", "gru", "lines", "none", "2,3,4", "auto"]
NESTED: list[Any] = [[], {}, [[]], [0], [None], [1, 2], [[1, 2]], {"": ""}, {"a": 1}, ["x"], [3e38] * 3]
STRANGE: list[Any] = [None, True, False, *NUMBERS, *POWERS, *WORDS, *NAMES, *NESTED]
KINDS = ("model", "state", "prepared", "checkpoint", "run")
SHARES = (0.72, 0.08, 0.08, 0.08, 0.04)


@dataclass
class Parts:
    """A model or the arrays of a checkpoint, apart."""

    body: dict[str, Any]
    tokenizer: dict[str, Any] | None
    arrays: dict[str, tuple[str, list[int], bytes]]
    """Data type, shape and bytes by name."""


@dataclass
class Case:
    """One forgery on the disk."""

    kind: str
    words: str
    size: int
    commands: list[list[str]] = field(default_factory=list)


class Good:
    """Good files, made once for each process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        (folder / "text.txt").write_text(TEXT * 20, encoding="utf-8")
        (folder / "lines.txt").write_text(TEXT, encoding="utf-8")
        self.models = [parts_of(path.read_bytes()) for path in write_models(folder)]
        self.state = write_state(folder)
        self.run = folder / "run"
        code = pantoum(
            f"train {folder}/text.txt --run {self.run} --steps 4 --stop-after 3 --hidden-size 8 --quiet "
            "--num-layers 1 --batch-size 4 --seq-len 16 --seed 1 --ngrams 2 --checkpoint-every 1".split()
        )
        if code:
            raise AssertionError("the good run failed")


def pantoum(command: list[str]) -> int:
    from pantoum.cli.main import main

    return main(command)


def write_models(folder: Path) -> list[Path]:
    """One model for each tokenizer, cell and option."""
    shapes: list[tuple[Tokenizer, dict[str, Any]]] = [
        (learned("characters"), {"cell": "gru", "ngrams": (2, 3), "ngram_rows": 16}),
        (learned("words", "lines"), {"cell": "lstm", "embedding_size": 5, "norm": "layer"}),
        (learned("words:whitespace"), {"cell": "gru-before", "embedding_size": 6, "residual": True}),
        (ByteTokenizer(), {"cell": "mingru"}),
        (BpeTokenizer([(33, 34), (65, 66), (257, 98)]), {"cell": "rnn", "embedding_size": 8, "tied": True}),
        (learned("characters", "blank-lines"), {"cell": "gru", "num_layers": 2, "embedding_size": 4}),
        (learned("characters"), {"cell": "gru", "members": 2, "ngrams": (2,), "ngram_rows": 16}),
    ]
    paths = []
    for number, (tokenizer, shape) in enumerate(shapes):
        config = ModelConfig(**{"hidden_size": 8, "num_layers": 1, **shape})
        network = LanguageModel(tokenizer.vocab_size, config=config)
        extras = {f"adapt.{name}": np.full(len(a), 0.1, np.float32) for name, a in network.parameters.items()}
        novelty = NoveltyFilter.of([b"one", b"two"])
        if tokenizer.documents and novelty is not None:
            extras.update(novelty.extras())
        card = {
            "texts": [{"name": "a", "size": 1, "sha256": "0" * 64}],
            "step": 3,
            "tokens_trained": 9,
            "curve": [{"step": 1, "loss": 2.5, "valid": 2.0}],
            "peaks": {"token": {"units": 9, "ranks": [1, 2, 4], "nats": [5.0, 4.0, 3.0]}},
            "settings": {"members": 1},
        }
        made = ModelFile(network.config.spec(), dict(network.parameters), tokenizer.spec(), card, extras)
        path = folder / f"model-{number}"
        model_file.write(path, made)
        paths.append(path)
        if number in (0, 4):
            model_file.write(folder / f"int8-{number}", to_int8(model_file.read(path)))
            paths.append(folder / f"int8-{number}")
    return paths


def learned(kind: str, documents: str | None = None) -> Tokenizer:
    scholar = learner(kind, None, documents)
    scholar.feed(TEXT)
    return scholar.learn()


def write_state(folder: Path) -> bytes:
    """The state of a session of the first model."""
    from pantoum.inference.loaded_model import load
    from pantoum.inference.session import Session

    session = Session(load(folder / "model-0"))
    session.feed("The cat")
    return bytes(session.state)


# Taking apart and putting together. ---------------------------------------------------------------------


def parts_of(data: bytes) -> Parts:
    """A model file's parts."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    body = json.loads(header.pop("__metadata__")["pantoum"])
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        arrays[name] = (entry["dtype"], entry["shape"], data[8 + length + begin : 8 + length + end])
    dtype_shape_data = arrays.pop("tokenizer", None)
    tokenizer = None if dtype_shape_data is None else json.loads(dtype_shape_data[2])
    return Parts(body, tokenizer, arrays)


def together(parts: Parts, *, raw_header: bytes = b"", raw_tokenizer: bytes | None = None) -> bytes:
    """A model file of these parts, its SHA-256 made to match."""
    body = {key: value for key, value in parts.body.items() if key != "sha256"}
    text = '{"sha256":"' + "0" * 64 + '",' + json.dumps(body, separators=(",", ":"))[1:]
    arrays = dict(parts.arrays)
    tokenizer = json.dumps(parts.tokenizer, separators=(",", ":")).encode()
    spec = tokenizer if raw_tokenizer is None else raw_tokenizer
    arrays["tokenizer"] = ("U8", [len(spec)], spec)
    whole = safetensors(text, arrays, raw_header)
    place = model_file.DIGITS
    return whole[: place.start] + hashlib.sha256(whole).hexdigest().encode() + whole[place.stop :]


def safetensors(text: str, arrays: dict[str, tuple[str, list[int], bytes]], raw_header: bytes = b"") -> bytes:
    """A file in the safetensors layout, unchecked."""
    widths = {name: np.dtype(kind).itemsize for name, kind in tensor_layout.DTYPES.items()}
    order = sorted(arrays, key=lambda name: (-widths.get(arrays[name][0], 1), name))
    header, place = {"__metadata__": {"pantoum": text}}, 0
    for name in order:
        dtype, shape, data = arrays[name]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [place, place + len(data)]}
        place += len(data)
    packed = json.dumps(header, separators=(",", ":")).encode()
    if raw_header:
        packed = packed[:-1] + b',"x":' + raw_header + b"}"
    packed += b" " * (-len(packed) % 8)
    return len(packed).to_bytes(8, "little") + packed + b"".join(arrays[name][2] for name in order)


# Changes of JSON. ---------------------------------------------------------------------------------------


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a value, breadth first, few of a long list."""
    found: list[tuple[Any, Any]] = []
    queue = [value] if isinstance(value, (dict, list)) else []
    while queue and len(found) < 400:
        here = queue.pop(0)
        keys: list[Any] = list(here) if isinstance(here, dict) else list(range(min(len(here), 20)))
        for key in keys:
            found.append((here, key))
            if isinstance(here[key], (dict, list)):
                queue.append(here[key])
    return found


def pick(rng: np.random.Generator, items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


def change_json(rng: np.random.Generator, value: Any) -> str:
    """Change one place of a value, unless that would make it larger than ``MOST_JSON``."""
    found = places(value)
    if not found:
        return "nothing"
    container, key = pick(rng, found)
    before = copy.copy(container)
    words = change_place(rng, found, container, key)
    if spelled(value, {}) > MOST_JSON:
        container.clear()
        (container.update if isinstance(container, dict) else container.extend)(before)
        return f"{key}: too large"
    return words


def change_place(rng: np.random.Generator, found: list[tuple[Any, Any]], container: Any, key: Any) -> str:
    """Change what a container has under a key; ``found``: what may take its place."""
    old = container[key]
    kind = int(rng.integers(6))
    if kind == 0 and isinstance(container, dict):
        del container[key]
        return f"{key} gone"
    if kind == 1 and isinstance(old, (int, float)) and not isinstance(old, bool):
        container[key] = pick(rng, [old + 1, old - 1, old * 2, -old, old * 1000, old + 0.5, old * 16, 0.0])
    elif kind == 2 and isinstance(old, (list, str)) and old:
        times = max(1, min(int(2 ** rng.integers(1, 20)), LARGEST // max(1, len(json.dumps(old)))))
        container[key] = old * times
        return f"{key} repeated {times} times"
    elif kind == 3:
        other, other_key = pick(rng, found)
        container[key] = (
            copy.deepcopy(other[other_key]) if not contains(other[other_key], container) else None
        )
    elif kind == 4 and isinstance(container, dict):
        container[
            pick(rng, ["x", "precision", "ngrams", "ngram_rows", "int8", "adapted", "kind", "peaks"])
        ] = strange(rng)
    else:
        container[key] = strange(rng)
    return f"{key}: {str(container.get(key) if isinstance(container, dict) else container[key])[:40]!r}"


def spelled(value: Any, known: dict[int, int]) -> int:
    """About how many bytes of JSON a value takes. A repeated list holds one and the same part many times,
    so that a change of this part counts as often: each part is walked through once."""
    if isinstance(value, str):
        return len(value)
    if not isinstance(value, (dict, list)):
        return 8
    if id(value) not in known:
        keys = sum(map(len, value)) if isinstance(value, dict) else 0
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = keys + sum(4 + spelled(part, known) for part in parts)
    return known[id(value)]


def contains(value: Any, container: Any) -> bool:
    return (
        value is container or any(here is container for here, _ in places(value))
        if isinstance(value, (dict, list))
        else False
    )


def strange(rng: np.random.Generator) -> Any:
    return copy.deepcopy(pick(rng, STRANGE))


# Changes of a model. ------------------------------------------------------------------------------------


def config(rng: np.random.Generator, parts: Parts) -> str:
    return "config " + change_json(rng, parts.body.get("config", {}))


def card(rng: np.random.Generator, parts: Parts) -> str:
    return "card " + change_json(rng, parts.body.get("card", {}))


def body(rng: np.random.Generator, parts: Parts) -> str:
    return "body " + change_json(rng, parts.body)


def tokenizer(rng: np.random.Generator, parts: Parts) -> str:
    return "tokenizer " + change_json(rng, parts.tokenizer)


def vocabulary(rng: np.random.Generator, parts: Parts) -> str:
    """Another vocabulary, large or odd; the arrays follow it, so that it reaches the network."""
    spec, kind = parts.tokenizer or {}, int(rng.integers(8))
    before = vocabulary_size(spec)
    if kind < 3:
        doubling = [[1, 1], *([257 + at, 257 + at] for at in range(int(rng.integers(1, 22))))]
        top = 256 + len(doubling)
        more = [
            [top, 1 + at % 256] if at < 256 else [top + 1 + at % 99, 1 + at % 256]
            for at in range(int(2 ** rng.integers(15)))
        ]
        parts.tokenizer = {
            "kind": "bpe",
            "documents": spec.get("documents"),
            "split": 1,
            "merges": doubling + more,
        }
    elif kind < 5:
        length, number = int(2 ** rng.integers(12)), int(2 ** rng.integers(14))
        letter = pick(rng, ["a", "é", "\u4e00", "\U0001f600", " ", "\n", "\ud800"])
        pieces = [
            letter * (length % (at + 2) + 1) + str(at)
            for at in range(max(1, min(number, LARGEST // length // 6)))
        ]
        parts.tokenizer = {
            "kind": pick(rng, ["words", "words:whitespace"]),
            "documents": spec.get("documents"),
            "pieces": pieces,
        }
    else:
        begin, number = int(rng.integers(0x11000)), int(2 ** rng.integers(16))
        letters = "".join(
            chr(at) for at in range(begin, begin + number) if not 0xD800 <= at < 0xE000 or kind == 7
        )
        parts.tokenizer = {"kind": "characters", "documents": spec.get("documents"), "characters": letters}
    after = vocabulary_size(parts.tokenizer)
    if rng.integers(4) and before and after < 40_000:
        for name, (dtype, shape, data) in parts.arrays.items():
            if before in shape and np.prod(shape) * np.dtype(tensor_layout.DTYPES[dtype]).itemsize == len(
                data
            ):
                axis = shape.index(before)
                array = np.frombuffer(data, tensor_layout.DTYPES[dtype]).reshape(shape)
                new = np.take(array, np.arange(after) % before, axis)
                parts.arrays[name] = (dtype, list(new.shape), np.ascontiguousarray(new).tobytes())
    return f"vocabulary {kind}: {before} to {after}"


def vocabulary_size(spec: dict[str, Any]) -> int:
    for key, more in (("merges", 257), ("pieces", 2), ("characters", 2)):
        if isinstance(spec.get(key), (list, str)):
            return len(spec[key]) + more
    return 257


def values(rng: np.random.Generator, parts: Parts) -> str:
    """Other numbers in an array, or in all."""
    names = [pick(rng, sorted(parts.arrays))] if rng.integers(3) else sorted(parts.arrays)
    how = int(rng.integers(8))
    for name in names:
        dtype, shape, data = parts.arrays[name]
        if dtype == "F32":
            array = np.frombuffer(data, "<f4").copy()
            fill = [3e38, -3e38, 1e-45, 0.0, None, None, None, np.nan][how]
            if fill is not None:
                array[...] = fill
            elif how == 4:
                array = rng.integers(0, 1 << 32, array.size, np.uint32).view(np.float32).copy()
                array[~np.isfinite(array)] = -1e30
            elif how == 5:
                array *= np.float32(1e30)
            else:
                array[::2] = 3e38
                array[1::2] = -3e38
            new = array.tobytes()
        else:
            new = bytes([[0x80, 0xFF, 0x7F, 0, 1][how % 5]]) * len(data)
        parts.arrays[name] = (dtype, shape, new)
    return f"values {how} in {names[0] if len(names) == 1 else 'all'}"


def arrays(rng: np.random.Generator, parts: Parts) -> str:
    """An array gone, doubled, renamed, of another shape or type."""
    name = pick(rng, sorted(parts.arrays))
    dtype, shape, data = parts.arrays[name]
    how = int(rng.integers(8))
    if how == 0:
        del parts.arrays[name]
    elif how == 1:
        parts.arrays[name] = (dtype, shape[::-1], data)
    elif how == 2:
        parts.arrays[name] = (
            pick(rng, ["F32", "I32", "U32", "F64", "I8", "U8", "BF16", "BOOL"]),
            shape,
            data,
        )
    elif how == 3:
        parts.arrays[name] = (dtype, [0, *shape], b"")
    elif how == 4:
        parts.arrays[name] = (dtype, [2, *shape], data * 2)
    elif how == 5:
        parts.arrays[name + pick(rng, [".scale", "x", ""])] = parts.arrays.pop(name)
    elif how == 6:
        name = pick(
            rng, [f"extras.{part}" for part in ("novelty.bits", "novelty.shape", "adapt.head.weight", "x")]
        )
        numbers = struct.pack("<4I", *map(int, rng.integers(0, 2**32, 4)))
        parts.arrays[name] = (pick(rng, ["U8", "U32", "F32"]), [4], numbers)
    else:
        parts.arrays[name] = (dtype, [len(data) // 4 if dtype == "F32" else len(data)], data)
    return f"array {name}: {how}"


CHANGES: list[Callable[[np.random.Generator, Parts], str]] = [
    config, config, card, body, tokenizer, tokenizer, vocabulary, vocabulary, values, values, arrays,
]  # fmt: skip


def expansion(rng: np.random.Generator) -> bytes:
    """Raw JSON that takes far more memory than bytes."""
    item = pick(
        rng, [b"[]", b"{}", b'{"a":1}', b'""', b"1", b"999", b'"ab"', b"[[]]", b'"\\u0100"', b"1.5", b"[1,2]"]
    )
    count = int(2 ** rng.integers(8, 21))
    kind = int(rng.integers(4))
    if kind == 0:
        return b"[" * count
    if kind == 1:
        return b"{" + b",".join(b'"%x":%s' % (at, item) for at in range(min(count, 200_000))) + b"}"
    return b"[" + b",".join([item] * count) + b"]"


# Whole cases. -------------------------------------------------------------------------------------------


def forge(rng: np.random.Generator, good: Good, folder: Path, kind: str | None = None) -> Case:
    """Write one forgery into ``folder``."""
    folder.mkdir()
    kind = kind or KINDS[int(rng.choice(len(KINDS), p=SHARES))]
    made = {"model": model, "state": state, "prepared": prepared, "checkpoint": a_checkpoint, "run": a_run}[
        kind
    ]
    words, commands = made(rng, good, folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Case(kind, words, size, commands)


def model(rng: np.random.Generator, good: Good, folder: Path) -> tuple[str, list[list[str]]]:
    parts = copy.deepcopy(pick(rng, good.models))
    raw = rng.integers(12)
    if raw == 0:
        data, words = together(parts, raw_tokenizer=expansion(rng)), "expanded tokenizer"
    elif raw == 1:
        data, words = together(parts, raw_header=expansion(rng)[:990_000]), "expanded header"
    else:
        words = "; ".join(
            pick(rng, CHANGES)(rng, parts) for _ in range(int(rng.integers(1, 4))) if parts.arrays
        )
        data = together(parts)
    path = folder / "model.safetensors"
    path.write_bytes(data)
    text = str(good.folder / "lines.txt")
    drawn = [
        ["--greedy"],
        ["--temperature", "0.01"],
        ["--top-k", "3", "--top-p", "0.5"],
        ["--min-p", "0.3", "--repetition-penalty", "1.5"],
        ["--count", "3", "--stop", "e"],
        ["--adapt"],
    ]
    others = [
        ["score", str(path), text, "--alert", "auto:1%"],
        ["score", str(path), text, "--by", "token", "--format", "json"],
        ["evaluate", str(path), text, "--json"],
        ["evaluate", str(path), text, "--adapt"],
        ["score", str(path), text, "--streams", "4", "--format", "html"],
        ["export", str(path), "--to", "int8", "--out", str(folder / "out")],
        ["export", str(path), "--to", "torch", "--out", str(folder / "out")],
    ]
    return words, [
        ["info", str(path)],
        ["generate", str(path), "--length", "4", "--seed", "1", "--prompt", "The c", *pick(rng, drawn)],
        pick(rng, others),
    ]


def state(rng: np.random.Generator, good: Good, folder: Path) -> tuple[str, list[list[str]]]:
    """A state with a digest that matches, of the model that is there."""
    record = state_file.from_bytes(good.state)
    head = list(state_file.HEAD.unpack_from(good.state))
    layers = [np.array(layer) for layer in record.layers]
    words = []
    for _ in range(int(rng.integers(1, 4))):
        how = int(rng.integers(7))
        words.append(str(how))
        if how == 0:
            head[3] = int(pick(rng, [0, 1, 40, 97, 2**31, 2**32 - 2, 2**32 - 1]))
        elif how == 1:
            head[4] = int(pick(rng, [0, 1, 2**31, 2**62, 2**63 - 1, 2**63]))
        elif how == 2:
            head[6], head[7] = int(rng.integers(16)), rng.bytes(15)
        elif how == 3 and layers:
            pick(rng, layers)[...] = pick(rng, [3e38, -3e38, 1e-45, -1.0, 0.5, 2.0**31, 1e10])
        elif how == 4 and layers:
            layers[int(rng.integers(len(layers)))] = np.zeros(int(rng.integers(0, 3000)), np.float32)
        elif how == 5:
            layers = layers[: int(rng.integers(len(layers) + 1))]
        else:
            times, held = int(rng.integers(2, 500)), sum(4 + layer.nbytes for layer in layers)
            layers = layers * min(times, max(1, MOST_STATE // max(1, held)))
    head[2] = len(layers) & 0xFFFF
    data = state_file.HEAD.pack(*head) + np.array([len(a) for a in layers], "<u4").tobytes()
    data += b"".join(layer.astype("<f4").tobytes() for layer in layers)
    path = folder / "state"
    path.write_bytes(data + hashlib.sha256(data).digest())
    model = str(good.folder / "model-0")
    return "state " + " ".join(words), [
        ["info", str(path)],
        ["generate", model, "--state-in", str(path), "--length", "3", "--seed", "1"],
    ]


def prepared(rng: np.random.Generator, good: Good, folder: Path) -> tuple[str, list[list[str]]]:
    """A prepared folder: its JSON or a shard, with fingerprints and sums that match."""
    shutil.copytree(good.run / "data", folder, dirs_exist_ok=True)
    path = folder / "prepared.json"
    content = json.loads(path.read_bytes())
    how = int(rng.integers(8))
    if how == 0:
        path.write_bytes(b'{"facts":' + expansion(rng) + b"}")
        words = "expanded"
    else:
        words = (
            "; ".join(change_json(rng, content) for _ in range(int(rng.integers(1, 3))))
            if how < 5
            else "shard"
        )
        path.write_bytes(json.dumps(content, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    if how >= 4:
        words += " " + forge_shard(rng, folder / "train.tokens", content)
    train = f"train --data {folder} --run {folder}/run --steps 1 --hidden-size 4 --num-layers 1 --quiet"
    return words, [
        ["info", str(folder)],
        ["info", str(folder / "train.tokens")],
        [*train.split(), *([] if rng.integers(3) else [str(good.folder / "text.txt")])],
    ]


def forge_shard(rng: np.random.Generator, path: Path, content: Any) -> str:
    """Another header or other tokens, every sum made to match."""
    data = path.read_bytes()
    fields = list(token_shard.HEAD.unpack_from(data))
    tokens = bytearray(data[token_shard.START : token_shard.START + fields[2] * fields[5]])
    how = int(rng.integers(5)) if tokens else 1
    if how == 0:
        tokens[int(rng.integers(len(tokens)))] = int(rng.integers(256))
    elif how == 1:
        fields[4] = int(pick(rng, [0, 1, 2, 3, 200, 2**32 - 1]))
    elif how == 2:
        fields[2] = int(pick(rng, [0, 1, 2, 3, 4, 255]))
    elif how == 3:
        fields[5] = int(pick(rng, [0, 1, 2, fields[5] // 2, 2**40, 2**63]))
    else:
        del tokens[int(rng.integers(len(tokens))) :]
        fields[5] = len(tokens) // fields[2]
    table = struct.pack(f"<{bool(tokens):d}I", *([zlib.crc32(tokens)] if tokens else []))
    fields[-1] = zlib.crc32(table)
    head = token_shard.HEAD.pack(*fields)
    path.write_bytes(head + struct.pack("<I", zlib.crc32(head)) + tokens + table)
    return f"shard {how}"


def a_checkpoint(rng: np.random.Generator, good: Good, folder: Path) -> tuple[str, list[list[str]]]:
    """The newest checkpoint of a run, its manifest made to match, resumed."""
    run = folder / "run"
    shutil.copytree(good.run, run)
    step = checkpoint.steps(run)[-1]
    for other in checkpoint.steps(run)[:-1]:
        shutil.rmtree(run / "checkpoints" / f"step-{other:08d}")
    place = run / "checkpoints" / f"step-{step:08d}"
    state = json.loads((place / "state.json").read_bytes())
    parts = arrays_of((place / "arrays.safetensors").read_bytes())
    how = int(rng.integers(10))
    if how == 0:
        state_bytes, words = expansion(rng), "expanded state"
    else:
        if how < 7:
            words = "; ".join(change_json(rng, state) for _ in range(int(rng.integers(1, 3))))
        else:
            words = pick(rng, [values, arrays])(rng, parts)
        state_bytes = json.dumps(state, sort_keys=True, separators=(",", ":")).encode()
    files = {
        "arrays.safetensors": safetensors(checkpoint.checkpoint_folder.METADATA, parts.arrays),
        "state.json": state_bytes,
    }
    listed = {}
    for name, data in files.items():
        (place / name).write_bytes(data)
        listed[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    manifest = {"files": listed, "format": "pantoum checkpoint", "step": step, "version": 1}
    (place / "manifest.json").write_bytes(plain_json.encode(manifest))
    return words, [["info", str(place)], f"train --resume --run {run} --quiet --threads 1".split()]


def arrays_of(data: bytes) -> Parts:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__")
    found = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        found[name] = (entry["dtype"], entry["shape"], data[8 + length + begin : 8 + length + end])
    return Parts({}, None, found)


def a_run(rng: np.random.Generator, good: Good, folder: Path) -> tuple[str, list[list[str]]]:
    """What a run says of itself: its configuration and its log."""
    run = folder / "run"
    shutil.copytree(good.run, run)
    if rng.integers(2):
        path = run / "config.json"
        content = json.loads(path.read_bytes())
        words = "config.json " + "; ".join(change_json(rng, content) for _ in range(int(rng.integers(1, 3))))
        path.write_bytes(expansion(rng) if rng.integers(12) == 0 else json.dumps(content).encode())
    else:
        path = run / "metrics.jsonl"
        records = [json.loads(line) for line in path.read_bytes().splitlines()]
        words = "metrics.jsonl " + "; ".join(change_json(rng, pick(rng, records)) for _ in range(3))
        lines = [json.dumps(record).encode() for record in records]
        if rng.integers(8) == 0:
            lines += [pick(rng, [b"{}", b'{"step":1}', b"[]"])] * int(2 ** rng.integers(20))
        path.write_bytes(b"\n".join(lines) + b"\n")
    return words, [
        ["info", str(run)],
        ["watch", str(run), "--json"],
        pick(
            rng,
            [["compare", str(run), str(good.run)], f"train --resume --run {run} --quiet --threads 1".split()],
        ),
    ]
