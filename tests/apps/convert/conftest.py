"""What the tests of imported models share: the logits of a model file, in the order of the other program."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.apps.convert.import_model import convert_file
from pantoum.inference.loaded_model import load


@pytest.fixture(scope="session")
def alphabet() -> Callable[[Path, int], Path]:
    """``alphabet(folder, size)``: a vocabulary of so many characters, ``<unk>`` among them."""

    def write(folder: Path, size: int) -> Path:
        tokens = [chr(0x100 + number) for number in range(size)]
        tokens[size // 2] = "<unk>"
        path = folder / "vocabulary.json"
        path.write_text(json.dumps(tokens))
        return path

    return write


@pytest.fixture(scope="session")
def imported() -> Callable[..., Any]:
    """``imported(file, folder, numbers_BT, vocabulary)``: the logits [B,T,V] of the imported model."""
    return _imported


@pytest.fixture(scope="session")
def losses() -> Callable[[Any, Any], Any]:
    """``losses(logits_TV, targets_T)``: nats."""
    return _losses


def _imported(file: Path, folder: Path, numbers_BT: Any, vocabulary: Path | None = None) -> Any:
    """The logits [B,T,V] of the imported model for tokens of the other program, in that program's order; its
    own reading of the file must give the same losses."""
    size = json.loads(vocabulary.read_text()) if vocabulary is not None else None
    out = folder / "imported.safetensors"
    told = convert_file(file, out, vocabulary)
    model = load(out)
    assert told["sha256"] == model.sha256
    order = _ours(size, model.tokenizer) if size is not None else np.arange(model.vocab_size)
    program = model.program
    tokens = order[np.asarray(numbers_BT)]
    logits, _ = program.logits(tokens, program.initial_state(len(tokens)))
    rest = np.delete(logits, order, axis=2)
    assert rest.size == 0 or rest.max() < -50  # what the other program lacks is never written
    return logits[..., order]


def _ours(tokens: Sequence[str], tokenizer: Any) -> Any:
    """Our number of each token of the other program."""
    known = {"<unk>": tokenizer.unk, "<eos>": 0}
    return np.array([known[t] if t in known else int(tokenizer.encode(t)[0]) for t in tokens])


def _losses(logits_TV: Any, targets_T: Any) -> Any:
    """Nats of targets."""
    shifted = logits_TV - logits_TV.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(targets_T)), targets_T]
