"""``--adapt`` and ``--model-out``: the model's file never changes, what is kept is an ordinary model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pantoum

Run = Callable[..., object]


def test_evaluate_adapts_and_keeps_the_adapted_model(run, trained: Path, text: Path, tmp_path: Path) -> None:
    file = trained / "model.safetensors"
    before, plain = file.read_bytes(), json.loads(run("evaluate", trained, text, "--json").out)
    kept = tmp_path / "kept.safetensors"
    done = run("evaluate", trained, text, "--adapt", "--model-out", kept, "--json")
    found = json.loads(done.out)
    assert (done.code, found["adapt"], plain["adapt"], found["protocol"]) == (0, True, False, "carried")
    assert found["nats_per_token"] < plain["nats_per_token"] and found["tokens"] == plain["tokens"]
    assert file.read_bytes() == before
    again = json.loads(run("evaluate", kept, text, "--json").out)
    assert again["nats_per_token"] < plain["nats_per_token"]
    adapted = pantoum.load(kept).card["adapted"][0]
    assert adapted["texts"] == [{"name": "mats.txt", "size": len(text.read_bytes()),
                                 "sha256": hashlib.sha256(text.read_bytes()).hexdigest()}]
    assert adapted["tokens"] == found["tokens"]
    assert pantoum.load(trained).evaluate(text, adapt=True).to_dict() == found


def test_what_cannot_be_is_refused_in_a_line(run, trained: Path, text: Path, tmp_path: Path) -> None:
    for options, words in ((("--model-out", tmp_path / "m"), "give --adapt too"),
                           (("--adapt", "--model-out", trained / "model.safetensors"), "never changed"),
                           (("--adapt", "--protocol", "windows:64"), "must be carried with --adapt")):
        done = run("evaluate", trained, text, *options)
        assert (done.code, done.out, len(done.lines)) == (1, "", 1) and words in done.err
