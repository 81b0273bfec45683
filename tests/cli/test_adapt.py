"""``--adapt`` and ``--model-out``: the model's file never changes, what is kept is an ordinary model."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pantoum
from pantoum.cli.running import Asked, Stopped


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
    assert adapted["texts"] == [
        {
            "name": "mats.txt",
            "size": len(text.read_bytes()),
            "sha256": hashlib.sha256(text.read_bytes()).hexdigest(),
        }
    ]
    assert adapted["tokens"] == found["tokens"]
    assert pantoum.load(trained).evaluate(text, adapt=True).to_dict() == found


def test_what_cannot_be_is_refused_in_a_line(run, trained: Path, text: Path, tmp_path: Path) -> None:
    for options, words in (
        (("--model-out", tmp_path / "m"), "give --adapt too"),
        (("--adapt", "--model-out", trained / "model.safetensors"), "the model itself, which would be lost"),
        (("--adapt", "--model-out", text), "it is a text that is read, which would be lost"),
        (("--adapt", "--model-out", tmp_path / "none" / "m"), "must be a file in a folder that exists"),
        (("--adapt", "--protocol", "windows:64"), "must be carried with --adapt"),
    ):
        done = run("evaluate", trained, text, *options)
        assert (done.code, done.out, len(done.lines)) == (1, "", 1) and words in done.err


def test_no_output_takes_the_place_of_what_is_read(run, trained: Path, text: Path, tmp_path: Path) -> None:
    own, folder = tmp_path / "own.txt", tmp_path / "corpus"
    own.write_bytes(text.read_bytes())
    folder.mkdir()
    (folder / "a.txt").write_bytes(text.read_bytes())
    model = trained / "model.safetensors"
    before = model.read_bytes()
    for command in (
        ("evaluate", trained, folder, "--adapt", "--model-out", folder / "a.txt"),
        ("score", trained, own, "--adapt", "--model-out", own),
        ("score", trained, text, "--alert", "auto:1%", "--alert-text", own, "--adapt", "--model-out", own),
        ("export", trained, "--to", "int8", "--text", own, "--out", own),
        ("generate", trained, "--length", 3, "--state-out", model),
        ("generate", trained, "--length", 3, "--state-out", tmp_path / "none" / "a.state"),
    ):
        done = run(*command)
        assert (done.code, done.out, len(done.lines)) == (1, "", 1), command
        assert "would be lost" in done.err or "in a folder that exists" in done.err
    assert model.read_bytes() == before
    assert own.read_bytes() == (folder / "a.txt").read_bytes() == text.read_bytes()


def test_score_adapts_live_and_keeps_the_model(
    run, trained: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, plain = tmp_path / "kept.safetensors", json.loads(run("score", trained, text, "--json").out)
    whole = run("score", trained, text, "--adapt", "--model-out", kept, "--json")
    found = json.loads(whole.out)
    assert whole.code == 0 and found["nats"] < plain["nats"] and found["tokens"] == plain["tokens"]
    card = pantoum.load(kept).card["adapted"][0]
    assert card["texts"] == [{"name": "mats.txt"}] and card["tokens"] == found["tokens"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.read_bytes()), encoding="utf-8"))
    live = tmp_path / "live.safetensors"
    done = run("score", trained, "-", "--adapt", "--model-out", live, "--json")
    assert json.loads(done.out)["nats"] == found["nats"]
    ours, theirs = (pantoum.load(path)._loaded.network.parameters for path in (kept, live))
    assert all((array == theirs[name]).all() for name, array in ours.items())


def test_what_was_read_before_an_interruption_is_kept(
    run, trained: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parts(_: str, _encoding: str | None):
        yield text.read_bytes()
        raise KeyboardInterrupt

    monkeypatch.setattr("pantoum.texts.parts", parts)
    kept = tmp_path / "kept.safetensors"
    done = run("score", trained, "-", "--adapt", "--model-out", kept)
    assert done.code == 130 and pantoum.load(kept).card["adapted"][0]["tokens"] > 1000


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize(
    ("command", "name"),
    [("score", "SIGTERM"), ("score", "SIGHUP"), ("complete", "SIGTERM"), ("complete", "SIGINT")],
)
def test_a_signal_to_stop_saves_the_model(
    trained: Path, text: Path, tmp_path: Path, command: str, name: str
) -> None:
    number, kept, pipe = getattr(signal, name), tmp_path / "kept.safetensors", subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-m", "pantoum", command, str(trained), "--adapt", "--model-out", str(kept)],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(text.read_bytes())
    process.stdin.flush()
    for _ in text.read_bytes().splitlines():
        assert process.stdout.readline()
    process.send_signal(number)
    process.wait(timeout=120)  # the end of stdin would be another reason to end
    said = process.communicate()[1].decode()
    assert process.returncode == 128 + number and "Traceback" not in said
    assert ("interrupted" if name == "SIGINT" else f"ended by {name}") in said
    assert pantoum.load(kept).card["adapted"][0]["tokens"] == len(text.read_bytes())


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_signal_never_cuts_into_what_is_learned() -> None:
    parts, done, before = iter([b"a", b"b", b"c"]), [], signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped), Asked() as asked:
        for part in asked.waited_for(parts):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)  # a terminal that closes sends its signal twice
            done.append(part)
    assert done == [b"a"] and signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(Stopped), Asked(at_once=True):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("went on")


def test_generate_adapts_to_its_prompt(run, trained: Path, text: Path, tmp_path: Path) -> None:
    prompt, before = text.read_text()[:1500], (trained / "model.safetensors").read_bytes()
    writes = ("generate", trained, "--prompt", prompt, "--seed", 3, "--length", 60)
    plain, adapted, again = (run(*writes, *more).out for more in ((), ("--adapt",), ("--adapt",)))
    assert adapted == again != plain and adapted.startswith(prompt)
    assert (trained / "model.safetensors").read_bytes() == before
    model = pantoum.load(trained)
    assert model.generate(prompt, length=60, seed=3, adapt=True) == adapted[len(prompt) :]
    assert "".join(model.stream(prompt, length=60, seed=3, adapt=True)) == adapted[len(prompt) :]
    assert model.generate("", length=20, seed=3, adapt=True) == model.generate("", length=20, seed=3)
    state = tmp_path / "a.state"
    run("generate", trained, "--prompt", prompt, "--length", 5, "--state-out", state)
    assert run(*writes, "--adapt", "--state-in", state).code == 0


def test_a_state_of_an_adapted_model_is_kept_with_that_model(
    run, trained: Path, text: Path, tmp_path: Path
) -> None:
    prompt, (model, state) = text.read_text()[:700], (tmp_path / "m.safetensors", tmp_path / "a.state")
    adapts = ("generate", trained, "--prompt", prompt, "--seed", 3, "--adapt")
    whole = run(*adapts, "--length", 40, "--model-out", tmp_path / "w").out
    first = run(*adapts, "--length", 15, "--model-out", model, "--state-out", state).out
    rest = run("generate", model, "--state-in", state, "--seed", 3, "--length", 25)
    assert first + rest.out == whole
    refused = run("generate", trained, "--state-in", state)
    assert refused.code == 1 and "must be used with the model that made it" in refused.err
    told = run("info", model).out
    assert "adapted to    a prompt, " in told and "(segments:64), before it adapted" in told
    for options, words in (
        (("--adapt", "--state-out", state), "give --model-out FILE too"),
        (("--adapt", "--state-out", state, "--model-out", state), "give two different files"),
        (("--model-out", model), "give --adapt too"),
    ):
        done = run("generate", trained, "--prompt", prompt, *options)
        assert (done.code, done.out, len(done.lines)) == (1, "", 1) and words in done.err
    again = pantoum.load(trained).generate(prompt, length=40, seed=3, adapt=True, model_out=tmp_path / "n")
    assert prompt + again == whole and (tmp_path / "n").read_bytes() == model.read_bytes()
    pieces = pantoum.load(trained).stream(prompt, length=4, seed=3, adapt=True, model_out=tmp_path / "o")
    assert again.startswith("".join(pieces)) and (tmp_path / "o").exists()


def test_one_stream_adapts(run, trained: Path, text: Path) -> None:
    done = run("score", trained, text, "--adapt", "--streams", "4")
    assert (done.code, done.out) == (1, "") and "must be 1 with --adapt" in done.err


def test_a_model_that_learned_documents_adapts_too(text: Path, tmp_path: Path) -> None:
    pantoum.train(
        text,
        run=str(tmp_path / "run"),
        steps=12,
        hidden_size=16,
        num_layers=1,
        documents="lines",
        progress=False,
    )
    model = pantoum.load(tmp_path / "run")
    plain, adapted = model.evaluate(text), model.evaluate(text, adapt=True)
    assert adapted.nats_per_token < plain.nats_per_token
    assert model.score(text.read_text(), adapt=True).nats < model.score(text.read_text()).nats
    assert model.generate("The cat", length=5, seed=1, adapt=True)


def test_an_int8_model_adapts_as_a_float32_copy(run, trained: Path, text: Path, tmp_path: Path) -> None:
    small, kept = tmp_path / "small.safetensors", tmp_path / "kept.safetensors"
    assert run("export", trained, "--to", "int8", "--out", small, "--text", text).code == 0
    done = run("evaluate", small, text, "--adapt", "--model-out", kept, "--json")
    assert done.code == 0 and "a float32 copy of it learns" in done.err
    plain, adapted = json.loads(run("evaluate", small, text, "--json").out), json.loads(done.out)
    assert adapted["nats_per_token"] < plain["nats_per_token"]
    card = pantoum.load(kept).card
    assert "int8" not in card and card["adapted"][0]["from_precision"] == "int8"
    told = run("info", kept).out
    assert "adapted to" in told and "mats.txt, " in told and "in float32" in told
