"""Fault test 23: models to import made by someone who wants to harm, mutations of real ones of five kinds.

A state_dict of PyTorch in safetensors, ``.weights.h5`` and ``.keras`` of Keras, a checkpoint of TensorFlow 1,
a graph of ONNX. The originals are written by these programs where they are installed, else by the writers of
the tests. Bytes are changed, cut, doubled, moved; names, shapes, types and settings are changed in files that
stay well-formed. Each is imported. It may give a model, or be refused in one line that names the file. These
are faults:

    bug       an error that is none of ours, one of several lines or without the name of the file, or a
              module or file that the process that reads models wants too late
    memory    more than 500 MB in this process or in the one that reads
    time      more than 22 s of processor time, and 30 more for each MB

    python benchmarks/faults/hostile_models.py [--count 2000] [--seed 0] [--first 0] [--kind onnx]
        [--keep FOLDER]   copies of the files that had a fault

A case is repeated from its seed and number: ``--first N --count 1``. Files are read by forks
(``forked_child``), each tenth by a process of its own as users have it. Each 100 cases are one process.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import runpy
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from drawn_cases import Teller, in_processes, keep, parser, taken

BATCH, APART = 100, 10
MOST_MEMORY, LEAST_TIME, TIME_PER_BYTE = 500 << 20, 22.0, 30 / 1e6
V, E, H = 23, 7, 11
TESTS = Path(__file__).parents[2] / "tests" / "apps" / "convert"
NUMBERS = (0, 1, 2, -1, 255, 256, 65_535, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, 10**30)
Files = dict[str, bytes]


def originals(folder: Path) -> None:
    """Write real files of each kind, by their endings."""
    import safetensors.numpy

    draw = np.random.default_rng(0)
    arrays = {"emb.weight": (V, E), "out.weight": (V, H), "out.bias": (V,)}
    for layer, inputs in ((0, E), (1, H)):
        arrays |= {f"rnn.weight_ih_l{layer}": (3 * H, inputs), f"rnn.weight_hh_l{layer}": (3 * H, H)}
        arrays |= {f"rnn.bias_ih_l{layer}": (3 * H,), f"rnn.bias_hh_l{layer}": (3 * H,)}
    made = {name: draw.standard_normal(shape).astype(np.float32) for name, shape in arrays.items()}
    safetensors.numpy.save_file(made, folder / "m.safetensors", {"format": "pt"})
    _keras(folder)
    _onnx(folder)
    writers = runpy.run_path(str(TESTS / "test_from_tensorflow.py"))
    writers["checkpoint"](folder / "m", writers["model"]("gru", V, E, H, 2)[0])
    kinds = {
        "torch": ("safetensors",), "weights": ("weights.h5",), "keras": ("keras",), "onnx": ("onnx",),
        "tensorflow": ("index", "data-00000-of-00001"),
    }  # fmt: skip
    (folder / "kinds.json").write_text(json.dumps(kinds))


def _keras(folder: Path) -> None:
    os.environ["KERAS_BACKEND"] = "torch"
    try:
        import keras
    except ImportError:
        writer = runpy.run_path(str(TESTS / "test_from_keras.py"))
        saved = writer["weights"](folder / "m.weights.h5", "gru", 3, (2, 15))
        layers = [("Embedding", {}), ("GRU", {}), ("GRU", {}), ("Dense", {"activation": "linear"})]
        writer["archive"](folder / "m.keras", saved, *layers)
        return
    cells = [keras.layers.GRU(H, return_sequences=True) for _ in range(2)]
    model = keras.Sequential([keras.layers.Embedding(V, E), *cells, keras.layers.Dense(V)])
    model.build((2, 7))
    model.save(folder / "m.keras")
    model.save_weights(folder / "m.weights.h5")


def _onnx(folder: Path) -> None:
    try:
        import onnxscript  # noqa: F401
        import torch
    except ImportError:
        runpy.run_path(str(TESTS / "test_from_onnx.py"))["graph"](folder, "GRU", 3, lambda *_: None)
        return

    class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.emb, self.out = torch.nn.Embedding(V, E), torch.nn.Linear(H, V)
            self.rnn = torch.nn.GRU(E, H, 2, batch_first=True)

        def forward(self, tokens: Any) -> Any:
            return self.out(self.rnn(self.emb(tokens))[0])

    shapes = ({0: torch.export.Dim("batch"), 1: torch.export.Dim("time")},)
    tokens, file = torch.zeros((2, 7), dtype=torch.int64), str(folder / "m.onnx")
    options: dict[str, Any] = {"dynamo": True, "dynamic_shapes": shapes, "external_data": False}
    torch.onnx.export(Model().eval(), (tokens,), file, **options)


def damaged(draw: random.Random, data: bytes) -> bytes:
    """Bytes changed, cut, doubled or moved."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 5, 40))):
        size = len(changed)
        if not size:
            break
        place = draw.randrange(size)
        if draw.random() < 0.5:
            place = draw.randrange(min(size, 2000))  # where most of the structure is
        end = min(size, place + draw.choice((1, 4, 8, 64, 4096)))
        how = draw.randrange(7)
        if how == 0:
            del changed[place : size if draw.random() < 0.3 else end]
        elif how == 1:
            changed[place:place] = changed[place:end] * draw.choice((1, 2, 1000))
        elif how == 2:
            changed[place:end] = draw.randbytes(end - place)
        elif how == 3:
            changed[place:end] = bytes([draw.choice((0, 0x7F, 0xFF))]) * (end - place)
        elif how == 4:
            number = draw.choice(NUMBERS) % 2**64
            changed[place : place + 8] = number.to_bytes(8, draw.choice(("little", "big")))
        else:
            changed[place] ^= 1 << draw.randrange(8)
    return bytes(changed)


def altered(draw: random.Random, value: Any) -> Any:
    """A value of JSON, some part of which is another."""
    if draw.random() < 0.15:
        return draw.choice(
            (None, True, "", "relu", [], {}, 1.5, "a" * 5000, draw.choice(NUMBERS), [value] * 3)
        )
    if isinstance(value, dict) and value:
        found = dict(value)
        name = draw.choice(sorted(found))
        how = draw.randrange(4)
        saved = altered(draw, found[name])
        if how == 0:
            del found[name]
        elif how == 1:
            found[f"{name}{draw.choice(('2', '_reverse', '.weight', '_l7'))}"] = found.pop(name)
        else:
            found[name] = saved
        return found
    if isinstance(value, list) and value:
        place = draw.randrange(len(value))
        changed = [*value[:place], altered(draw, value[place]), *value[place + 1 :]]
        return changed * draw.choice((1, 1, 1, 2000 // len(changed)))
    return draw.choice(NUMBERS) if isinstance(value, int) else f"{value}{draw.choice('x0_')}"


def torch(draw: random.Random, files: Files) -> Files:
    """A header that is JSON of something else."""
    data = files["safetensors"]
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for _ in range(draw.choice((1, 1, 3))):
        header = altered(draw, header)
    text = json.dumps(header).encode()
    return {"safetensors": len(text).to_bytes(8, "little") + text + data[8 + length :]}


def keras(draw: random.Random, files: Files) -> Files:
    """An archive with another description, damaged weights, or more parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(files["keras"])) as archive, zipfile.ZipFile(out, "w") as made:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "config.json":
                content = json.dumps(altered(draw, json.loads(content))).encode()
            elif name.endswith(".h5") and draw.random() < 0.4:
                content = h5(draw, content)
            if draw.random() > 0.03:
                made.writestr(name, content, draw.choice((0, 8, 8, 12, 14)))
        if draw.random() < 0.1:
            made.writestr("model.weights.h5", bytes(draw.choice((9, 300_000_000))), 8)
    return {"keras": damaged(draw, out.getvalue()) if draw.random() < 0.3 else out.getvalue()}


def h5(draw: random.Random, data: bytes) -> bytes:
    """A well-formed file with other datasets."""
    import h5py

    file = io.BytesIO(data)
    with h5py.File(file, "a") as opened:
        names = dict[str, Any]()
        opened.visititems(
            lambda name, one: names.update({name: one.shape}) if isinstance(one, h5py.Dataset) else None
        )
        for _ in range(draw.choice((1, 2))):
            name = draw.choice(sorted(names))
            shape = names.pop(name)
            del opened[name]
            how = draw.randrange(8)
            if how == 0:
                opened[name] = np.float32(1)
            elif how == 1:
                opened[f"{name}{draw.choice('0179')}"] = np.ones(shape, np.float32)
            elif how == 2:
                opened[name] = np.full(shape, draw.choice((np.nan, 1e38)), np.float32)
            elif how == 3:
                opened.create_dataset(name, (draw.choice((10**5, 10**9)), *shape), np.float32)
            elif how == 4:
                size = draw.choice((10**4, 10**8))
                opened.create_dataset(name, (size, 4), "f4", chunks=(10**4, 4), compression="gzip")
            elif how == 5:
                opened[name] = h5py.SoftLink(draw.choice(("/layers", f"/{name}", "/nothing")))
            elif how == 6:
                opened[name] = h5py.ExternalLink("/etc/passwd", "/a")
            else:
                opened[name] = np.ones([draw.choice((0, 1, 2, 300)) for _ in range(draw.randrange(5))], "f4")
    return file.getvalue()


def weights(draw: random.Random, files: Files) -> Files:
    """A file of weights alone."""
    return {"weights.h5": h5(draw, files["weights.h5"])}


def onnx(draw: random.Random, files: Files) -> Files:
    """A graph with other nodes, names, shapes and constants."""
    import onnx

    model = onnx.load_model_from_string(files["onnx"])
    graph = model.graph
    for _ in range(draw.choice((1, 1, 3))):
        node, tensor = draw.choice(graph.node), draw.choice(graph.initializer)
        how = draw.randrange(10)
        if how == 0:
            node.op_type = draw.choice(("Mul", "MatMul", "Gemm", "GRU", "LSTM", "Expand", "Scan", "Add"))
        elif how == 1 and node.input:
            node.input[draw.randrange(len(node.input))] = draw.choice(
                ["", node.output[0], tensor.name, draw.choice(graph.node).output[0]]
            )
        elif how == 2:
            graph.node.remove(node)
        elif how == 3 and tensor.dims:
            tensor.dims[draw.randrange(len(tensor.dims))] = draw.choice(
                [n for n in NUMBERS if abs(n) < 2**63]
            )
        elif how == 4:
            tensor.data_type = draw.randrange(24)
        elif how == 5:
            tensor.raw_data = damaged(draw, tensor.raw_data)
        elif how == 6:
            tensor.data_location = onnx.TensorProto.EXTERNAL
            place = draw.choice(("m.onnx.data", "/etc/passwd", "../m", "m.onnx"))
            tensor.external_data.add(key="location", value=place)
            tensor.external_data.add(key="length", value=draw.choice(("9", "x", "-5", "9" * 30)))
        elif how == 7:
            sizes = [draw.choice((1, 5, H, 20_000)) for _ in range(2)]
            if sizes[0] * sizes[1] < 10**6:
                array = np.ones(sizes, np.float32)
                graph.initializer.append(onnx.numpy_helper.from_array(array, "more"))
                last = graph.output[0].name
                graph.node.append(onnx.helper.make_node("MatMul", [last, "more"], ["far"]))
                graph.output[0].name = "far"
        elif how == 8 and node.attribute:
            node.attribute[draw.randrange(len(node.attribute))].i = draw.choice((0, 1, -1, 2**40))
        else:
            graph.node.insert(draw.randrange(len(graph.node)), draw.choice(graph.node))
    return {"onnx": model.SerializeToString()}


def tensorflow(draw: random.Random, files: Files) -> Files:
    """An index of other entries over the same data."""
    writers = runpy.run_path(str(TESTS / "test_from_tensorflow.py"))
    arrays = writers["model"](draw.choice(("gru", "lstm", "rnn")), V, E, H, draw.choice((1, 2)))[0]
    for _ in range(draw.choice((1, 3))):
        name = draw.choice(sorted(arrays))
        array = arrays.pop(name)
        how = draw.randrange(6)
        if how == 0:
            arrays[f"{name}{draw.choice(('/Adam', 's', '_1', '/w_f_diag'))}"] = array
        elif how == 1:
            arrays[name] = np.asarray(array, np.float64 if array.ndim else np.int64)
        elif how == 2:
            arrays[name] = np.ones([draw.choice((0, 1, 9)) for _ in range(draw.randrange(4))], np.float32)
        elif how == 3:
            arrays |= {f"{name * 9}{number}": np.float32(number) for number in range(2000)}
    with tempfile.TemporaryDirectory() as folder:
        writers["checkpoint"](Path(folder) / "m", arrays)
        found = {end: (Path(folder) / f"m.{end}").read_bytes() for end in files}
    if draw.random() < 0.5:
        found["index"] = damaged(draw, found["index"])[:-8] + found["index"][-8:]
    return found


KINDS: dict[str, Callable[[random.Random, Files], Files]] = {
    "torch": torch, "weights": weights, "keras": keras, "onnx": onnx, "tensorflow": tensorflow,
}  # fmt: skip


def case(seed: int, number: int, real: dict[str, Files], kind: str | None = None) -> tuple[str, Files]:
    """The kind and the files of a case."""
    draw = random.Random(f"{seed} {number}")
    kind = kind or sorted(real)[number % len(real)]
    if draw.random() < 0.4:
        files = dict(real[kind])
        end = draw.choice(sorted(files))
        return kind, files | {end: damaged(draw, files[end])}
    return kind, KINDS[kind](draw, real[kind])


def fault(path: Path, out: Path) -> str | None:
    """What is wrong with how a file is imported."""
    from pantoum.apps.convert.import_model import import_model, read_source
    from pantoum.errors import PantoumError

    try:
        size = len(read_source(path).bias_V)
        if size < 5000:
            vocabulary = path.with_name("vocabulary.json")
            vocabulary.write_text(json.dumps([chr(0x100 + number) for number in range(size)]))
            import_model(path, out, vocabulary)
    except PantoumError as error:
        late = "Too many open files" in str(error) or "ImportError" in str(error)
        named = path.name in str(error) or "vocabulary" in str(error) or "model would become" in str(error)
        return f"bug: {str(error)[:300]!r}" if late or "\n" in str(error) or not named else None
    except Exception as error:
        return f"bug: {type(error).__name__}: {str(error)[:200]!r}"
    return None


def work(asked: argparse.Namespace) -> None:
    """Do the cases of a process."""
    import h5py  # noqa: F401
    import onnx.numpy_helper  # noqa: F401
    from forked_child import fork_instead

    from pantoum.formats import bounded_child

    teller, popen = Teller(), subprocess.Popen
    fork_instead()
    forked: Any = bounded_child.subprocess.Popen
    kinds = json.loads((asked.real / "kinds.json").read_text())
    real = {
        kind: {end: (asked.real / f"m.{end}").read_bytes() for end in ends} for kind, ends in kinds.items()
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(asked.first, asked.first + asked.count):
            teller.begins(number, asked.kind or "")
            kind, files = case(asked.seed, number, real, asked.kind)
            for end, data in files.items():
                (folder / f"m.{end}").write_bytes(data)
            began, *before = taken()
            bounded_child.subprocess.Popen = forked if number % APART else popen  # type: ignore[misc]
            what = fault(folder / f"m.{next(iter(files))}", folder / "out")
            ended, *after = taken()
            took, most, size = ended - began, max(after), sum(map(len, files.values()))
            if what is None and most > max(before) and most > MOST_MEMORY + 10 * max(0, size - 10_000_000):
                own, apart = (number >> 20 for number in after)
                what = f"memory: {own} MB, and {apart} MB where it is read, for {size:,} bytes"
            if what is None and took > LEAST_TIME + TIME_PER_BYTE * size:
                what = f"time: {took:.1f} s for {size:,} bytes"
            result = f"{kind}: {'model' if (folder / 'out').exists() else 'refused'}"
            if what is not None:
                keep(asked.keep, f"{asked.seed}-{number}", folder.iterdir())
            faults = [what] if what is not None else []
            teller.ended(number, {result: 1}, faults, seconds=round(took, 2), megabytes=most >> 20)
            for file in folder.iterdir():
                file.unlink()


def main() -> int:
    options = parser(__doc__, 2000, KINDS)
    options.add_argument("--real", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.real is not None:
        work(asked) if asked.worker else originals(asked.real)
        return 0
    with tempfile.TemporaryDirectory() as real:
        # In a process of its own: what PyTorch takes would count as what those after it take.
        subprocess.run([sys.executable, __file__, f"--real={real}"], capture_output=True, check=True)
        return in_processes(__file__, asked, BATCH, f"--real={real}")


if __name__ == "__main__":
    sys.exit(main())
