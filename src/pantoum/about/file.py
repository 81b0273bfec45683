"""What a file or folder of ours is, and what it says about itself.

A thing is known by its content, never by its name: a model, a state, a token shard by how they begin; a
run, a prepared folder, a checkpoint by what is in them. Whatever is shown was verified by the format's own
reader, so ``info`` is also the way to check a file. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pantoum.config import ModelConfig
from pantoum.data.prepare import open_prepared
from pantoum.errors import FormatError, PantoumError
from pantoum.formats import checkpoint, metrics, model_file, state_file, token_shard
from pantoum.inference.evaluate import Evaluation
from pantoum.inference.loaded_model import MODEL_NAME
from pantoum.inference.precision import number, shape_of
from pantoum.network.ensemble import members_of
from pantoum.network.ngrams import TABLE
from pantoum.report.escape import visible
from pantoum.report.history import History
from pantoum.report.sparkline import sparkline
from pantoum.report.wording import clock, count, figure, size
from pantoum.training.run_folder import RunFolder

__all__ = ["Info", "inspect"]

STATE_MAGIC = b"PANTOUMS"
SHARD_MAGIC = b"PANTOUMT"


@dataclass(frozen=True)
class Info:
    """What was found."""

    path: Path
    kind: str
    """``model``, ``run``, ``checkpoint``, ``prepared``, ``shard`` or ``state``."""
    facts: Mapping[str, Any]
    """Plain values, for JSON."""
    rows: Sequence[tuple[str, str]] = field(repr=False)
    """The same for people."""

    def to_dict(self) -> dict[str, Any]:
        """The answer of ``info --json``."""
        return {**self.facts, "path": str(self.path), "kind": self.kind}

    def __str__(self) -> str:
        rows = [(self.kind, str(self.path)), *self.rows]
        return "\n".join(f"{name:<14}{visible(text)}" for name, text in rows)


def inspect(path: Path) -> Info:
    """Say what ``path`` is; ``FormatError`` where it is nothing of ours."""
    if not path.exists():
        raise FormatError(f"{str(path)!r} does not exist: give a file or folder that pantoum made")
    if path.is_dir():
        return _folder(path)
    if model_file.is_model_file(path):
        return _model(path)
    start = _start(path)
    if start == STATE_MAGIC:
        return _state(path)
    if start == SHARD_MAGIC:
        return _shard(path)
    raise _foreign(path)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(STATE_MAGIC))


def _foreign(path: Path) -> FormatError:
    return FormatError(
        f"{str(path)!r} is nothing that pantoum knows: it must be a model, a state, a token shard, a "
        "checkpoint, a run folder or a prepared folder; give one of these"
    )


def _folder(path: Path) -> Info:
    if (path / "config.json").exists():
        return _run(path)
    if (path / "prepared.json").exists():
        return _prepared(path)
    if (path / "manifest.json").exists() and path.name.startswith("step-") and path.name[5:].isdigit():
        return _checkpoint(path)
    if (path / MODEL_NAME).exists():
        return inspect(path / MODEL_NAME)
    raise _foreign(path)


def _model(path: Path) -> Info:
    found = model_file.read(path)
    (shape, precision), card = shape_of(found.config), found.card
    parameters = number(found.parameters)
    facts = {
        "bytes": path.stat().st_size,
        "sha256": found.sha256,
        "parameters": parameters,
        "precision": precision,
        "config": found.config,
        "tokenizer": {"kind": found.tokenizer.get("kind"), "documents": found.tokenizer.get("documents")},
        "card": card,
    }
    members = members_of(card)
    rows = [
        ("shape", _shape(shape) + (f", {members} models side by side" if members > 1 else "")),
        ("parameters", f"{parameters:,} in {precision} ({size(path.stat().st_size)})"),
        *_ngrams(shape, found.parameters),
        ("tokens", _kind(found.tokenizer)),
        ("sha256", found.sha256),
        *_card(card),
    ]
    return Info(path, "model", facts, rows)


def _shape(shape: ModelConfig) -> str:
    inputs = "one-hot" if shape.embedding_size is None else f"embedding {shape.embedding_size}"
    options = [name for name in ("tied", "residual") if getattr(shape, name)]
    options += [f"{shape.norm} norm"] if shape.norm else []
    return ", ".join([f"{shape.num_layers} x {shape.hidden_size} {shape.cell}", inputs, *options])


def _ngrams(shape: ModelConfig, parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The table beside the network, and how many of the parameters are its."""
    if TABLE not in parameters:
        return []
    orders = ", ".join(map(str, shape.ngrams))
    return [
        (
            "n-grams",
            f"of {orders} tokens, {shape.ngram_rows:,} rows each: "
            f"{parameters[TABLE].size:,} of the parameters",
        )
    ]


def _kind(tokenizer: Mapping[str, Any]) -> str:
    documents = tokenizer.get("documents")
    return f"{tokenizer.get('kind')}" + (f", documents are {documents}" if documents else "")


def _card(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a training card says, as far as it says it."""
    rows = []
    texts = [str(text.get("name")) for text in card.get("texts") or () if isinstance(text, Mapping)]
    if texts:
        rows.append(("trained on", _some(texts)))
    if card.get("step") is not None:
        rows.append(("after", f"{card['step']:,} steps, {count(card.get('tokens_trained'))} tokens"))
    rows += _held_out(card.get("validation"), ", before it adapted" if card.get("adapted") else "")
    rows += _int8(card.get("int8"))
    rows += _adapted(card.get("adapted"))
    losses = [point.get("loss") for point in card.get("curve") or () if isinstance(point, Mapping)]
    return rows + _curve(losses)


def _some(names: Sequence[Any]) -> str:
    """The first of many names."""
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(map(str, names[:3])) + more


def _held_out(validation: Any, when: str) -> list[tuple[str, str]]:
    if not isinstance(validation, Mapping):
        return []
    found = Evaluation.from_dict(dict(validation))
    unit = (
        f"{figure(found.nats_per_character)} nats a character, {figure(found.bits_per_byte, 2)} bits a byte "
        f"(xz {figure(found.xz_bits_per_byte, 2)}) by {found.protocol}{when}"
    )
    return [("held out", unit), ("accuracy", figure(found.accuracy))]


def _int8(said: Any) -> list[tuple[str, str]]:
    cost = said.get("cost") if isinstance(said, Mapping) else None
    if not isinstance(cost, Mapping):
        return []
    told = f"{cost['nats_per_token']:+.4f} nats a token by {cost['protocol']}"
    return [("int8 costs", f"{told} ({count(cost['tokens'])} tokens)")]


def _adapted(said: Any) -> list[tuple[str, str]]:
    """What the model adapted to, time after time."""
    rows = []
    for one in said if isinstance(said, list) else []:
        if isinstance(one, Mapping):
            names = [str(text.get("name")) for text in one.get("texts") or () if isinstance(text, Mapping)]
            told = f"{_some(names)}, " if names else ""
            rows.append(("adapted to", f"{told}{count(one.get('tokens'))} tokens"))
    return rows


def _curve(losses: Sequence[Any]) -> list[tuple[str, str]]:
    drawn = sparkline(losses)
    known = [loss for loss in losses if isinstance(loss, (int, float))]
    return [("loss", f"{figure(known[0], 2)} {drawn} {figure(known[-1], 2)}")] if drawn and known else []


def _run(path: Path) -> Info:
    folder = RunFolder(path)
    config = folder.read_config()
    records = metrics.read(folder.metrics)
    history = History.of(records)
    steps = checkpoint.steps(path)
    model = _tried(folder.model)
    last = dict(history.last)
    facts = {
        "settings": config.get("settings"),
        "texts": config.get("texts"),
        "ended": history.ended,
        "last": last,
        "checkpoints": steps,
        "model": None if model is None else model.to_dict(),
        "curve": [record.get("loss") for record in history.records],
    }
    rows = [
        ("texts", _some(config.get("texts") or [])),
        (
            "state",
            f"{history.ended or 'running or interrupted'}, step {last.get('step', 0):,}, "
            f"{count(last.get('tokens', 0))} tokens, {clock(last.get('seconds', 0))}",
        ),
        ("checkpoints", ", ".join(f"{step:,}" for step in steps) or "none"),
    ]
    if model is None:
        rows += [("model", "none yet"), *_curve(facts["curve"])]  # type: ignore[arg-type]
    else:
        curve = [row for row in model.rows if row[0] != "sha256"]
        rows += [("model", MODEL_NAME), *curve]
    return Info(path, "run", facts, rows)


def _tried(path: Path) -> Info | None:
    """The run's model; a run that has none yet, or a damaged one, can still be looked at."""
    try:
        return _model(path)
    except PantoumError:
        return None


def _checkpoint(path: Path) -> Info:
    found = checkpoint.read(path.parent.parent, int(path.name[5:]))
    sizes = {name: int(array.nbytes) for name, array in found.arrays.items()}
    facts = {"step": found.step, "arrays": len(sizes), "bytes": sum(sizes.values())}
    rows = [
        ("step", f"{found.step:,}"),
        ("arrays", f"{len(sizes)} ({size(sum(sizes.values()))}), all verified"),
    ]
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


def _shard(path: Path) -> Info:
    found = token_shard.open(path)
    facts = {
        "tokens": found.count,
        "vocab_size": found.vocab_size,
        "tokenizer_fingerprint": found.tokenizer_fingerprint.hex(),
        "text_fingerprint": found.text_fingerprint.hex(),
    }
    rows = [
        ("tokens", f"{found.count:,} below {found.vocab_size:,}"),
        ("tokenizer", found.tokenizer_fingerprint.hex()),
        ("text", found.text_fingerprint.hex()),
    ]
    return Info(path, "shard", facts, rows)


def _state(path: Path) -> Info:
    found = state_file.read(path)
    facts = {
        "bytes": path.stat().st_size,
        "tokens_seen": found.tokens_seen,
        "last_token": found.last_token,
        "layers": [int(layer.size) for layer in found.layers],
        "model_sha256": found.model_sha256,
    }
    rows = [
        ("tokens seen", f"{found.tokens_seen:,}"),
        ("layers", " + ".join(str(layer.size) for layer in found.layers)),
        ("model", f"the one with SHA-256 {found.model_sha256}"),
    ]
    return Info(path, "state", facts, rows)
