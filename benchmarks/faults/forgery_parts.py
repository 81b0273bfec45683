"""Good files of every kind; a model file, taken apart and put together with hashes that match."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.cli.main import main as pantoum
from pantoum.config import ModelConfig
from pantoum.formats import container, model_file, tensor_layout
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import to_int8
from pantoum.inference.files.novelty import NoveltyFilter
from pantoum.inference.loaded_model import load
from pantoum.inference.session import Session
from pantoum.network import LanguageModel
from pantoum.text.bpe import BpeTokenizer
from pantoum.text.byte import ByteTokenizer
from pantoum.text.tokenizer import Tokenizer, learner

__all__ = ["Good", "Parts", "parts_of", "safetensors", "together"]

TEXT = "The cat sat on the mat.\nA naïve dog ran, ran and ran!\n\nThe end of the day: 12 o'clock.\n" * 3


@dataclass
class Parts:
    """A model, apart."""

    body: dict[str, Any]
    tokenizer: dict[str, Any] | None
    arrays: dict[str, tuple[str, list[int], bytes]]
    """Data type, shape and bytes by name."""


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
    text = '{"sha256":"' + "0" * 64 + '",' + json.dumps(body, separators=(",", ":"), sort_keys=True)[1:]
    arrays = dict(parts.arrays)
    tokenizer = json.dumps(parts.tokenizer, separators=(",", ":")).encode()
    spec = tokenizer if raw_tokenizer is None else raw_tokenizer
    arrays["tokenizer"] = ("U8", [len(spec)], spec)
    whole = safetensors(text, arrays, raw_header)
    place = container.DIGITS
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


def write_models(folder: Path) -> list[Path]:
    """One model for each tokenizer, cell and option."""
    shapes: list[tuple[Tokenizer, dict[str, Any]]] = [
        (learned("characters"), {"cell": "gru", "ngrams": (2, 3), "ngram_rows": 16}),
        (learned("words", "lines"), {"cell": "lstm", "embedding_size": 5}),
        (learned("words:whitespace"), {"cell": "gru-before", "embedding_size": 6}),
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
    session = Session(load(folder / "model-0"))
    session.feed("The cat")
    return bytes(session.state)
