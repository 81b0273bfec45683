"""What the library for browsers cannot use is refused in a sentence that names it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pantoum
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile

pytestmark = pytest.mark.slow


def encoded(data: bytes) -> dict[str, str]:
    return {"bytes": base64.b64encode(data).decode()}


def test_files_that_are_no_model(write: Callable[..., Path], ask: Any, tmp_path: Path) -> None:
    data = write().read_bytes()
    content = model_file.read(write())
    wide = {
        name: array.astype(np.uint16) if name == "head.bias" else array
        for name, array in content.parameters.items()
    }
    files = {}
    for name, config, parameters in (
        ("layers", {**content.config, "num_layers": 200}, content.parameters),
        ("keys", {**content.config, "attention": 8}, content.parameters),
        ("cell", {**content.config, "cell": "sru"}, content.parameters),
        ("bf16", content.config, wide),
    ):
        files[name] = tmp_path / f"{name}.safetensors"
        model_file.write(files[name], ModelFile(config, parameters, content.tokenizer, {}))
    cases = {
        "too short": encoded(b"abc"),
        "SHA-256 does not match": encoded(data[:-3] + bytes(3)),
        "not complete": encoded(data[:300]),
        "not a model file": encoded((40).to_bytes(8, "little") + b'{"a":1}' + b" " * 60),
        "needs": str(files["layers"]),
        "unknown keys: attention": str(files["keys"]),
        "sru": str(files["cell"]),
        "bfloat16": str(files["bf16"]),
    }
    found = ask([{"model": model, "calls": []} for model in cases.values()])
    for words, (answer,) in zip(cases, found, strict=True):
        assert answer["kind"] == "PantoumError" and words in answer["error"], answer


def test_settings_and_states_that_do_not_fit(write: Callable[..., Path], ask: Any) -> None:
    one, other = write(), write(seed=9)
    state = bytes(pantoum.load(other).session().state)
    damaged = state[:80] + b"\x01" + state[81:]
    settings: dict[str, dict[str, Any]] = {
        "temperature is -1": {"temperature": -1},
        "length is 1.5": {"length": 1.5},
        "logit_bias": {"logit_bias": {"3": 1}},
        "belongs to the model": {"state": base64.b64encode(state).decode()},
        "checksum does not match": {"state": base64.b64encode(damaged).decode()},
    }
    calls = [["generate", {"seed": 1, **asked}] for asked in settings.values()]
    (found,) = ask([{"model": str(one), "calls": calls}])
    for words, answer in zip(settings, found, strict=True):
        assert answer["kind"] == "PantoumError" and words in answer["error"], answer
