"""What a file or folder of ours is, and what it says about itself.

A thing is known by its content, never by its name: a model, a checkpoint, a prepared text, a state by how
they begin; a run by what is in its folder. Whatever is shown was read by the reader of its format, which
checks its hash. ``verify`` also does what using it would do first: its errors are those of loading. Nothing
is changed.

A card comes out of a file that anyone may have made: what is missing, or is not what a card of ours has
there, gives no row, or a dash. It never is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

from pantoum import extensions
from pantoum.config import ModelConfig
from pantoum.config.plain import Plain
from pantoum.data.prepare import are_removed, open_prepared
from pantoum.errors import FormatError, ModelFileError, PantoumError
from pantoum.formats import (
    bounded,
    checkpoint,
    container,
    metrics_file,
    model_file,
    state_file,
)
from pantoum.formats.checkpoint import CHECKPOINT
from pantoum.formats.model_file import COUNTS, SCALE, ModelFile
from pantoum.formats.token_file import NAME, PREPARED
from pantoum.inference.files.novelty import BITS_NAME
from pantoum.inference.files.precision import coded_names, number, shape_of, weights
from pantoum.inference.loaded_model import MODEL_NAME, is_named, load, model_path
from pantoum.kernels import Array
from pantoum.network.mixers.counts import MOST_ORDER
from pantoum.network.packing import Weight
from pantoum.network.spec import named
from pantoum.report.escape import visible
from pantoum.report.plot import sparkline
from pantoum.report.story import RunHistory
from pantoum.report.wording import (
    clock,
    comparable,
    count,
    figure,
    finite,
    how_measured,
    loss_in_words,
    part_of,
    perplexity,
    size,
)
from pantoum.training.run.run_folder import RunFolder

STATE_MAGIC = b"PANTOUMS"


@dataclass(frozen=True)
class Info:
    """What a file or folder is."""

    path: Path
    kind: str
    """``model``, ``run``, ``checkpoint``, ``prepared``, ``state``, ``archive`` or ``torch``."""
    facts: Mapping[str, object]
    """Plain values, for JSON."""
    rows: Sequence[tuple[str, str]] = field(repr=False)
    """The same for people."""

    def to_dict(self) -> dict[str, Any]:
        """The answer of ``info --json``."""
        return {**self.facts, "path": str(self.path), "kind": self.kind}

    def __str__(self) -> str:
        rows = [(self.kind, str(self.path)), *self.rows]
        return "\n".join(f"{name:<14}{visible(text)}" for name, text in rows)


def inspect(path: Path, *, verify: bool = False) -> Info:
    """Say what ``path`` is; ``FormatError`` where it is nothing of ours.

    ``verify``: load it as well, all of it; the errors are those of loading.
    """
    found = _inspect(model_path(path) if is_named(path) else path)
    if not verify:
        return found
    return replace(found, rows=[*found.rows, ("verified", _verified(found))])


def _verified(found: Info) -> str:
    """Load it; what was done, in words."""
    if found.kind == "model":
        load(found.path)
        return "it loads"
    if found.kind == "prepared":
        return "every token, the tokenizer"  # opening it reads all of it
    if found.kind in extensions.names("descriptions"):
        words: str = extensions.find("descriptions", found.kind).verify(found.path)
        return words
    if found.kind != "run":
        return "every byte"  # reading a state or a checkpoint reads all of it
    folder = RunFolder(found.path)
    if folder.model.exists():
        load(folder.model)
    for step in checkpoint.steps(found.path):
        checkpoint.read(found.path, step)
    done = ["its model loads" if folder.model.exists() else "there is no model to load", "every checkpoint"]
    if folder.data.is_dir() and not are_removed(folder.data):
        open_prepared(folder.data)
        done.append("every token")
    return ", ".join(done)


def _inspect(path: Path) -> Info:
    if not path.exists():
        raise FormatError(f"{str(path)!r} does not exist: give a file or folder that pantoum made")
    if path.is_dir():
        return _folder(path)
    if model_file.is_model_file(path):
        return _model(path)
    if container.begins(path, CHECKPOINT):
        return _checkpoint(path)
    if container.begins(path, PREPARED):
        return _prepared(path.parent)
    start = _start(path)
    if start == STATE_MAGIC:
        return _state(path)
    for kind, module in extensions.items("descriptions"):
        described = module.describe(path, start)
        if described is not None:
            return Info(path, kind, *described)
    raise _foreign(path)


def _start(path: Path) -> bytes:
    with bounded.opened(path, FormatError) as (file, _):
        return file.read(len(STATE_MAGIC))


def _foreign(path: Path) -> FormatError:
    return FormatError(
        f"{str(path)!r} is not a file or folder of pantoum: it must be a model, a state, a "
        "checkpoint, an archive, a file for PyTorch, a run folder or a prepared folder; give one of these"
    )


def _folder(path: Path) -> Info:
    if (path / "config.json").exists():
        return _run(path)
    if (path / NAME).exists():
        return _prepared(path)
    if (path / MODEL_NAME).exists():
        return _inspect(path / MODEL_NAME)
    raise _foreign(path)


def _model(path: Path) -> Info:
    found = model_file.read(path)
    (shape, precision), card = shape_of(found.config), found.card
    try:
        held = weights(found)
    except ValueError as problem:
        raise ModelFileError(f"{path}: {problem}; {model_file.USE_ANOTHER}") from problem
    parameters = number(held)
    facts = {
        "bytes": path.stat().st_size,
        "sha256": found.sha256,
        "parameters": parameters,
        "precision": precision,
        "config": found.config,
        "tokenizer": {"kind": found.tokenizer.get("kind"), "documents": found.tokenizer.get("documents")},
        "card": card,
    }
    held_as = ", stored in eight bits" if precision != "int8" and coded_names(found.parameters) else ""
    lacks = _lacking(found)
    facts["lacks"] = lacks
    rows = [
        ("shape", _shape(shape)),
        ("parameters", f"{parameters:,} in {precision}{held_as} ({size(path.stat().st_size)})"),
        *_tables(shape, held),
        *_counts(found.extras),
        ("tokens", _kind(found.tokenizer)),
        ("sha256", found.sha256),
        *card_rows(card),
        *(("lacks", what) for what in lacks),
    ]
    return Info(path, "model", facts, rows)


def _lacking(found: ModelFile) -> list[str]:
    """What a model file does not have, and which option needs it."""
    card, extras = found.card, found.extras
    lacks = [] if isinstance(card.get("validation"), Mapping) else ["a validation loss"]
    if not isinstance(card.get("peaks"), Mapping):
        lacks.append("the peaks of a validation text, which `score --alert auto:P%` needs")
    if not any(name.startswith(SCALE) for name in extras):
        lacks.append("the usual sizes of its gradients, which --adapt needs")
    if found.tokenizer.get("documents") and BITS_NAME not in extras:
        lacks.append("a filter of its training documents, which `generate --novel` needs")
    return lacks


def _shape(shape: ModelConfig) -> str:
    inputs = "one-hot" if shape.embedding_size is None else f"embedding {shape.embedding_size}"
    options = ["tied"] if shape.tied else []
    sizes = f"{shape.num_layers} x {shape.hidden_size} {shape.cell}"
    if shape.members > 1:
        sizes = f"an ensemble of {shape.members} members of {sizes}"
    return ", ".join([sizes, inputs, *options])


def _tables(shape: ModelConfig, parameters: Mapping[str, Weight]) -> list[tuple[str, str]]:
    """Tables of logits, and how many of the parameters are in them."""
    numbers = sum(prod(parameters[name].shape) for name in named(shape, "table") if name in parameters)
    if not numbers:
        return []
    described = shape.described_tables
    return [(title, f"{words}: {numbers:,} of the parameters") for title, words in described.items()]


def _counts(extras: Mapping[str, Array]) -> list[tuple[str, str]]:
    """The counted n-grams."""
    numbers = [
        len(extras[name])
        for order in range(1, MOST_ORDER + 1)
        if (name := f"{COUNTS}{order}.counts") in extras
    ]
    if not numbers:
        return []
    bytes_ = sum(array.nbytes for name, array in extras.items() if name.startswith(COUNTS))
    told = f"{sum(numbers):,} n-grams of up to {len(numbers)} tokens, modified Kneser-Ney ({size(bytes_)})"
    return [("counts", told)]


def _kind(tokenizer: Mapping[str, Plain]) -> str:
    documents = tokenizer.get("documents")
    return f"{tokenizer.get('kind')!s:.40}" + (f", documents are {documents!s:.40}" if documents else "")


def _run(path: Path) -> Info:
    folder = RunFolder(path)
    config = folder.read_config()
    records = metrics_file.read(folder.metrics)
    history = RunHistory.of(records)
    steps = checkpoint.steps(path)
    model = _tried(folder.model)
    curve = [record.get("loss") for record in history.records]
    last, texts = dict(history.last), config.get("texts")
    facts = {
        "settings": config.get("settings"),
        "texts": texts,
        "ended": history.ended,
        "last": last,
        "checkpoints": steps,
        "model": None if model is None else model.to_dict(),
        "curve": curve,
    }
    rows = [
        ("texts", some(texts if isinstance(texts, list) else [])),
        (
            "state",
            f"{history.ended or 'running or interrupted'}, step {whole(last.get('step', 0))}, "
            f"{count(last.get('tokens', 0))} tokens, {clock(last.get('seconds', 0))}",
        ),
        ("checkpoints", ", ".join(f"{step:,}" for step in steps) or "none"),
    ]
    if model is None:
        said = "damaged; `pantoum info --verify` shows where" if folder.model.exists() else "none yet"
        rows += [("model", said), *curve_rows(curve)]
    else:
        rows += [("model", MODEL_NAME), *(row for row in model.rows if row[0] != "sha256")]
    return Info(path, "run", facts, rows)


def _tried(path: Path) -> Info | None:
    """The run's model; a run that has none yet, or a damaged one, can still be looked at."""
    try:
        return _model(path)
    except PantoumError:
        return None


def _checkpoint(path: Path) -> Info:
    found = checkpoint.read_file(path)
    step, sizes = found.step, {name: int(array.nbytes) for name, array in found.arrays.items()}
    facts = {"step": step, "arrays": len(sizes), "bytes": sum(sizes.values())}
    rows = [("step", f"{step:,}"), ("arrays", f"{len(sizes)} ({size(sum(sizes.values()))}), all verified")]
    return Info(path, "checkpoint", facts, rows)


def _prepared(path: Path) -> Info:
    found = open_prepared(path)
    valid = 0 if found.valid is None else found.valid.count
    facts = {**found.facts, "tokenizer": found.facts["kind"]}
    rows = [
        ("tokens", f"{_kind(found.tokenizer.spec())}, vocabulary {found.tokenizer.vocab_size:,}"),
        ("training", f"{found.train.count:,} tokens"),
        ("held out", f"{valid:,} tokens"),
    ]
    return Info(path, "prepared", facts, rows)


def _state(path: Path) -> Info:
    found = state_file.read(path)
    facts = {
        "bytes": path.stat().st_size,
        "tokens_seen": found.tokens_seen,
        "undecoded_bytes": len(found.pending),
        "last_token": found.last_token,
        "layers": [int(layer.size) for layer in found.layers],
        "model_sha256": found.model_sha256,
    }
    sizes = " + ".join(f"{layer.size:,}" for layer in found.layers)
    rows = [
        ("size", f"{path.stat().st_size:,} bytes"),
        ("tokens seen", f"{found.tokens_seen:,}"),
        ("last token", "none" if found.last_token is None else f"number {found.last_token}, not read yet"),
        ("arrays", f"{sizes} numbers: one array per layer, two per LSTM layer, last that of n-grams"),
        (
            "model",
            f"SHA-256 {found.model_sha256}" if found.model_sha256 else "of a model that was never saved",
        ),
    ]
    if found.pending == b" ":
        rows.append(("undecoded", "a space before the next word"))
    elif found.pending:
        rows.append(("undecoded", f"{len(found.pending)} bytes of an incomplete character"))
    return Info(path, "state", facts, rows)


Rows = list[tuple[str, str]]


def card_rows(card: Mapping[str, Plain]) -> Rows:
    """What the card says of texts, steps, figures and curve."""
    rows: Rows = []
    if names := _texts(card):
        rows.append(("trained on", names))
    if finite(card.get("step")) is not None:
        steps = f"{whole(card['step'])} step{'' if card['step'] == 1 else 's'}"
        rows.append(("after", f"{steps}; the whole run read {count(card.get('tokens_trained'))} tokens"))
    if card.get("trained_in") is not None:
        rows.append(("and then", f"trained further in {card['trained_in']!s:.40}; not evaluated since"))
    if imported := part_of(card, "imported"):
        name, sha256 = f"{imported.get('name')!s:.200}", f"{imported.get('sha256')!s:.64}"
        rows.append(("imported from", f"{imported.get('from')!s:.40}: {name}, SHA-256 {sha256}"))
    if isinstance(card.get("validation"), Mapping):
        rows += _held_out(part_of(card, "validation"), ", before it adapted" if card.get("adapted") else "")
    if isinstance(part_of(card, "int8").get("cost"), Mapping):
        cost = part_of(part_of(card, "int8"), "cost")
        before, after = (figure(cost.get(name), 4) for name in ("float32", "int8"))
        rows.append(("int8", f"{after} nats per token, {before} in float32 ({how_measured(cost)})"))
    if finite(times := card.get("adapted_times")):
        rows.append(("adapted", f"{whole(times)} times; the first and the last:"))
    for one in _mappings(card.get("adapted")):
        names = _texts(one)
        rows.append(("adapted to", f"{names}{', ' if names else ''}{count(one.get('tokens'))} tokens"))
    return rows + curve_rows([point.get("loss") for point in _mappings(card.get("curve"))])


def curve_rows(losses: Sequence[object]) -> Rows:
    """The losses drawn, the first and the last in figures."""
    drawn = sparkline(losses)
    known = [loss for loss in losses if finite(loss) is not None]
    if not drawn:
        return []
    return [
        ("training", f"{figure(known[0], 2)} {drawn} {figure(known[-1], 2)} nats per token of its batches")
    ]


def some(names: Sequence[object], number: int = 0) -> str:
    """The first of many names; ``number``: of all, where it is more than are named."""
    more = max(len(names), number) - 3
    return ", ".join(str(name)[:200] for name in names[:3]) + (f" and {more:,} more" if more > 0 else "")


def whole(value: object) -> str:
    """A count, every digit of it."""
    number = finite(value)
    return f"{number:,.0f}" if number is not None else count(value)


def _mappings(value: Any) -> list[Mapping[str, Plain]]:
    """The mappings in a list; none where it is no list."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _texts(said: Mapping[str, Plain]) -> str:
    """The first of the texts, and how many there are."""
    number = finite(part_of(said, "all_texts").get("number"))
    return some([text.get("name") for text in _mappings(said.get("texts"))], int(number or 0))


def _held_out(validation: Mapping[str, Plain], when: str) -> Rows:
    loss = " ".join(loss_in_words(validation))
    if finite(bits := validation.get("bits_per_byte")) is not None:
        beside = f" (xz {figure(validation.get('xz_bits_per_byte'), 2)})"
        loss += f", {figure(bits, 2)} bits per byte{beside if comparable(validation.get('bytes')) else ''}"
    rows = [("held out", f"{loss} ({how_measured(validation)}){when}")]
    if validation.get("unit") == "word":
        shown = perplexity(validation.get("nats_per_token"))
        rows.append(("perplexity", f"{shown} per word ({how_measured(validation)})"))
    return [*rows, ("accuracy", figure(validation.get("accuracy")))]
