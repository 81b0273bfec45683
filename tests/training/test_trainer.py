"""A whole run, from a text to a model file, and what it leaves behind."""

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum import kernels
from pantoum.data.batches import StatefulBatches
from pantoum.data.prepare import open_prepared
from pantoum.errors import RunError, SettingError, ShardError, TextError
from pantoum.formats import checkpoint, metrics_file, model_file, token_file
from pantoum.inference.evaluation import evaluate
from pantoum.inference.loaded_model import load
from pantoum.training import assembly
from pantoum.training.keep_best import KeepBest
from pantoum.training.reporting import Reporter
from pantoum.training.run.run_state import RunState
from pantoum.training.saving import Saving
from pantoum.training.trainer import Trainer


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_run_learns_and_leaves_a_model_a_log_a_page_and_its_settings(run, tmp_path):
    records = []
    result = run(steps=60, learning_rate=0.03, listen=records.append)
    folder = tmp_path / "run"
    assert result.finished and result.steps == 60 and result.stopped is None and result.run == folder
    assert records[-1].ended == "finished" and records[-1].progress == 1.0
    losses = [record.valid for record in records if record.valid is not None]
    assert len(losses) == 20 and losses[-1] < losses[0] - 0.5
    assert [line["step"] for line in metrics_file.read(folder / "metrics.jsonl")] == [r.step for r in records]
    assert {path.name for path in folder.iterdir()} == {
        ".lock",
        "model.safetensors",
        "config.json",
        "metrics.jsonl",
        "report.html",
        "checkpoints",
        "data",
    }
    config = json.loads((folder / "config.json").read_text())
    assert config["settings"]["steps"] == 60 and config["chosen"]["model"]["hidden_size"] == 12
    assert checkpoint.steps(folder) == [60]


def test_a_text_that_is_soon_known_by_heart_does_not_use_all_its_minutes(run, text):
    text.write_text(text.read_text()[:1500])
    result = run(minutes=2)
    assert result.finished and result.seconds < 120
    assert any(note.startswith("50 epochs over 1,350 tokens are enough") for note in result.notes)


def test_the_figure_of_the_run_is_what_evaluating_its_model_gives(run):
    result = run(steps=20, keep_data=True)
    model = load(result.model)
    held_out = model_file.read(result.model).card["validation"]
    assert result.validation == held_out and held_out["protocol"] == "segments:64"
    tokens = open_prepared(result.run / "data").valid.tokens
    again = evaluate(model.program, tokens, model.tokenizer, "segments:64")
    assert math.isclose(again.nats_per_token, held_out["nats_per_token"], rel_tol=1e-6)


def test_the_same_command_gives_the_same_file_byte_for_byte(run, tmp_path):
    one, other = run("one", steps=12, dropout=0.2), run("other", steps=12, dropout=0.2)
    assert digest(one.model) == digest(other.model)
    different = run("different", steps=12, dropout=0.2, seed=1)
    assert digest(different.model) != digest(one.model)


def test_nothing_of_this_machine_or_moment_is_in_the_model_file(run, tmp_path):
    card = model_file.read(run(steps=4).model).card
    assert "seconds" not in card and str(tmp_path) not in json.dumps(card)
    assert card["texts"][0]["name"] == "story.txt" and len(card["curve"]) <= 200


def test_without_a_held_out_text_the_last_model_is_kept_and_nothing_is_claimed(run):
    result = run(steps=6, valid_fraction=0.0)
    card = model_file.read(result.model).card
    assert result.validation is None and card["validation"] is None and card["step"] == 6


def test_minutes_end_on_time(run):
    result = run(
        minutes=0.05,
        hidden_size="auto",
        num_layers="auto",
        embedding_size="auto",
        batch_size="auto",
        seq_len="auto",
    )
    assert result.finished and 1.0 < result.seconds < 60.0 and result.steps >= 1
    seconds = model_file.read(result.model).card["seconds"]
    assert 1.0 < seconds < result.seconds + 0.1, "until the file was made, not until a checkpoint before"


def test_minutes_too_few_for_float32_say_in_what_the_held_out_text_was_read(run, monkeypatch):
    monkeypatch.setattr("pantoum.training.timing.END_SHARE", 0.0)
    own = kernels.precisions()[-1]
    result = run(minutes=0.03, precision=own, keep_data=True)
    model = load(result.model)
    tokens = open_prepared(result.run / "data").valid.tokens
    exact = evaluate(model.program, tokens, model.tokenizer, "segments:64")
    assert result.validation["precision"] == own and exact.precision == "float32"
    assert abs(exact.nats_per_token - result.validation["nats_per_token"]) < 0.003


def test_an_existing_folder_is_never_entered(run, tmp_path):
    run(steps=1)
    before = digest(tmp_path / "run" / "model.safetensors")
    with pytest.raises(RunError, match="exists already"):
        run(steps=1)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="is a file"):
        run("file", steps=1)
    assert digest(tmp_path / "run" / "model.safetensors") == before


def test_what_fails_to_begin_leaves_no_folder(run, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    for texts in ([str(tmp_path / "empty.txt")], [str(tmp_path / "missing.txt")]):
        with pytest.raises(TextError):
            run(steps=1, texts=texts)
    with pytest.raises(TextError, match="no text was given: name a file"):
        run(steps=1, texts=[])
    assert not (tmp_path / "run").exists()


def test_a_text_too_small_for_the_batch_trains_smaller_and_says_so(run, tmp_path):
    small = tmp_path / "small.txt"
    small.write_text("ab" * 30)
    result = run(steps=3, texts=[str(small)], batch_size=64, seq_len=64)
    assert result.steps == 3 and any("too few for batches of 64" in note for note in result.notes)


def test_a_missing_core_is_told_but_not_to_those_who_asked_for_numpy(run, tmp_path, monkeypatch):
    monkeypatch.delenv("PANTOUM_REQUIRE_CORE", raising=False)
    monkeypatch.setattr("pantoum.kernels.native.library.FILE", tmp_path / "libpantoum_core.so")
    told = [note for note in run(steps=1).notes if "NumPy trains" in note]
    assert len(told) == 1 and "libpantoum_core.so is not beside library.py" in told[0]
    monkeypatch.setenv("PANTOUM_ISA", "numpy")
    assert not [note for note in run("other", steps=1).notes if "NumPy" in note]


def test_settings_that_cannot_be_met_are_refused_in_one_line(run, monkeypatch):
    monkeypatch.setenv("PANTOUM_ISA", "numpy")
    with pytest.raises(SettingError, match="precision is 'bf16': it needs the native core") as caught:
        run(steps=1, precision="bf16")
    assert "\n" not in str(caught.value)


@pytest.fixture
def made(monkeypatch):
    """The batches and backends that are made: their name, and what they are made of."""
    found, batches, backend = [], StatefulBatches.__init__, assembly.make_backend

    def made_batches(*given, **named):
        found.append(("batches", given))
        batches(*given, **named)

    def made_backend(*given, **named):
        found.append(("backend", given))
        return backend(*given, **named)

    monkeypatch.setattr(StatefulBatches, "__init__", made_batches)
    monkeypatch.setattr(assembly, "make_backend", made_backend)
    return found


@pytest.mark.parametrize("resumed", [False, True])
def test_batches_and_a_backend_are_made_once(run, made, resumed):
    run(steps=6, stop_after=3)
    if resumed:
        made.clear()
        run(resume=True)
    assert sorted(name for name, _ in made) == ["backend", "batches"]
    draws = next(given[-1] for name, given in made if name == "backend")
    assert draws is (not resumed), "weights that a checkpoint overwrites are not drawn"


HELPERS = {
    KeepBest: ("monitor", "release"),
    RunState: ("add_point",),
    Reporter: ("report", "write_page_if_due"),
    Saving: ("checkpoint",),
}


@pytest.fixture
def called(monkeypatch):
    """The names of what is called at each step, by its number."""
    at, inside = {}, []

    def recorded(name, honest):
        def call(self, *arguments, **named):
            if inside:
                at[inside[-1]].append(name)
            return honest(self, *arguments, **named)

        return call

    def after_step(self):
        inside.append(self.run.state.step)
        at[self.run.state.step] = []
        after(self)
        inside.clear()

    for kind, names in HELPERS.items():
        for name in names:
            monkeypatch.setattr(kind, name, recorded(name, getattr(kind, name)))
    after = Trainer.after_step
    monkeypatch.setattr(Trainer, "after_step", after_step)
    return at


def test_the_order_is_that_of_decision_042_at_every_step(run, called):
    run(steps=3)
    hooks = ["monitor", "add_point", "report", "write_page_if_due", "release", "checkpoint"]
    assert called == dict.fromkeys((1, 2, 3), hooks)


def test_the_checkpoint_of_a_step_knows_the_evaluation_of_that_step(run):
    result = run(steps=40, stop_after=8)
    for step in checkpoint.steps(result.run):
        state = RunState.of(checkpoint.read(result.run, step))
        assert state.curve.points[-1]["step"] == step and state.curve.points[-1]["valid"] is not None
        assert state.best is not None and state.best.step <= step
    assert checkpoint.steps(result.run)[-1] == 8


def test_a_record_holds_what_was_found_before_it(run):
    reports = [report for report in run(steps=8).history if report.ended is None]
    evaluated = [report for report in reports if report.valid is not None]
    assert [report.step for report in evaluated] == list(range(1, 9))
    assert [report.step for report in evaluated if report.sample is not None] == [4, 8]


TEXT = "".join(f"The {i}th cat sat on mat {i * i % 17}.\n" for i in range(600))
SMALL: Any = {"hidden_size": 8, "num_layers": 1, "batch_size": 5, "seq_len": 7, "progress": False}


@pytest.mark.parametrize("tokens", ["bytes", "words"])
def test_the_model_is_the_same_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokens: str
) -> None:
    (tmp_path / "t.txt").write_text(TEXT)
    data = pantoum.prepare(tmp_path / "t.txt", tmp_path / "data", tokens=tokens, documents="lines").folder
    pantoum.train(data=data, run=tmp_path / "memory", steps=9, **SMALL)
    monkeypatch.setattr(token_file, "LARGEST_IN_MEMORY", 0)
    monkeypatch.setattr(token_file, "BLOCK", 1 << 10)
    data = pantoum.prepare(tmp_path / "t.txt", tmp_path / "again", tokens=tokens, documents="lines").folder
    pantoum.train(data=data, run=tmp_path / "ranged", steps=9, stop_after=4, **SMALL)
    pantoum.train(run=tmp_path / "ranged", resume=True, progress=False)
    one, other = (tmp_path / name / "model.safetensors" for name in ("memory", "ranged"))
    assert pantoum.load(one).generate("The", length=40, seed=1) == pantoum.load(other).generate(
        "The", length=40, seed=1
    )
    assert one.read_bytes() == other.read_bytes()


def test_a_file_that_is_cut_ends_the_run_where_it_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_file, "LARGEST_IN_MEMORY", 0)
    monkeypatch.setattr("pantoum.formats.token_file.LARGEST", 64)
    (tmp_path / "t.txt").write_text(TEXT)
    data = pantoum.prepare(tmp_path / "t.txt", tmp_path / "data", tokens="bytes").folder
    file = data / "prepared.safetensors"

    def cut(report: object) -> None:
        os.truncate(file, file.stat().st_size // 2)

    with pytest.raises(ShardError, match="it was truncated while it was in use"):
        pantoum.train(data=data, run=tmp_path / "run", epochs=1, checkpoint_every=5, on_report=cut, **SMALL)
    assert list((tmp_path / "run" / "checkpoints").iterdir())


def test_a_damaged_text_is_refused_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(TEXT)
    data = pantoum.prepare(tmp_path / "t.txt", tmp_path / "data", tokens="bytes").folder
    with (data / "prepared.safetensors").open("r+b") as file:
        file.seek(20_000)
        file.write(b"\xff\x01")
    with pytest.raises(ShardError, match="its SHA-256 does not match"):
        pantoum.train(data=data, run=tmp_path / "run", epochs=1, **SMALL)
