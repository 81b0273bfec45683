"""A finished run keeps one checkpoint and no shards that its text gives again; it can be trained further."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import pytest

import pantoum
from pantoum.data.prepare import are_removed, open_prepared, prepare, remove_tokens
from pantoum.errors import RunError, TextError
from pantoum.formats import checkpoint
from pantoum.inference.files.novelty import NoveltyFilter
from pantoum.training.timing import Timing

SMALL = {"hidden_size": 8, "num_layers": 1, "batch_size": 4, "seq_len": 8, "progress": False}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "mats.txt"
    path.write_text("".join(f"The cat number {n} sat on the mat.\n" for n in range(60)))
    return path


def train(text: Path | tuple[()], run: Path, **settings: object) -> pantoum.Run:
    return pantoum.train(text, run=str(run), **{**SMALL, **settings})


def test_it_keeps_one_checkpoint_and_no_shards(text: Path, tmp_path: Path) -> None:
    run = train(text, tmp_path / "r", steps=30).folder
    assert checkpoint.steps(run) == [30] and are_removed(run / "data")
    assert (run / "data" / "prepared.safetensors").stat().st_size < 2000
    kept = train(text, tmp_path / "k", steps=30, keep_data=True).folder
    assert open_prepared(kept / "data").train.count > 1000
    assert (kept / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()


def test_training_further_makes_the_same_shards_again(text: Path, tmp_path: Path) -> None:
    models = []
    for name, keep in (("r", False), ("k", True)):
        train(text, tmp_path / name, steps=20, keep_data=keep)
        further = train((), tmp_path / name, resume=True, steps=10)
        assert further.result.steps == 30 and checkpoint.steps(further.folder) == [30]
        models.append((further.folder / "model.safetensors").read_bytes())
    assert models[0] == models[1]


def test_a_finished_run_says_so_without_its_text(text: Path, tmp_path: Path) -> None:
    train(text, tmp_path / "r", steps=5)
    text.unlink()
    assert train((), tmp_path / "r", resume=True).result.already
    with pytest.raises(TextError, match=r"'mats.txt' must be made again to continue.*as TEXT"):
        train((), tmp_path / "r", resume=True, steps=5)


def test_another_text_is_refused_and_the_right_one_accepted(text: Path, tmp_path: Path) -> None:
    train(text, tmp_path / "r", steps=5)
    moved = tmp_path / "elsewhere" / "mats.txt"
    moved.parent.mkdir()
    shutil.move(text, moved)
    text.write_text("another text\n" * 200)
    before = (tmp_path / "r" / "data" / "prepared.safetensors").read_bytes()
    with pytest.raises(TextError, match=r"cannot be made again: .*as TEXT"):
        train((), tmp_path / "r", resume=True, steps=5)
    assert (tmp_path / "r" / "data" / "prepared.safetensors").read_bytes() == before
    assert train(moved, tmp_path / "r", resume=True, steps=5).result.steps == 10


def test_a_stopped_run_and_one_from_stdin_keep_their_shards(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = train(text, tmp_path / "r", steps=20, stop_after=10).folder
    assert open_prepared(stopped / "data").train.count > 1000
    assert are_removed(train((), tmp_path / "r", resume=True).folder / "data")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.read_bytes()), encoding="utf-8"))
    piped = pantoum.train("-", run=str(tmp_path / "p"), steps=5, **SMALL).folder
    assert open_prepared(piped / "data").train.count > 1000


def test_a_prepared_folder_of_several_runs_is_left_alone(text: Path, tmp_path: Path) -> None:
    prepare([text], out=tmp_path / "p")
    pantoum.train(data=str(tmp_path / "p"), run=str(tmp_path / "r"), steps=5, **SMALL)
    assert open_prepared(tmp_path / "p").train.count > 1000


def test_shards_of_a_changed_text_stay(text: Path, tmp_path: Path) -> None:
    prepare([text], out=tmp_path / "p")
    text.write_text("changed " * 50)
    assert not remove_tokens(tmp_path / "p", [text], None) and not are_removed(tmp_path / "p")


def test_a_text_that_only_the_run_has_keeps_its_shards(tmp_path: Path) -> None:
    run = pantoum.train(text="The cat sat on the mat.\n" * 90, run=str(tmp_path / "r"), steps=5, **SMALL)
    assert open_prepared(run.folder / "data").train.count > 1000
    assert pantoum.train(run=str(run.folder), resume=True, steps=5, progress=False).result.steps == 10
    assert open_prepared(run.folder / "data").train.count > 1000


def test_another_text_does_not_finish_a_run(text: Path, tmp_path: Path) -> None:
    train(text, tmp_path / "r", steps=5)
    other = tmp_path / "other.txt"
    other.write_text(text.read_text())
    with pytest.raises(RunError, match=r"begun with .*mats\.txt, not with .*other\.txt"):
        train(other, tmp_path / "r", resume=True)
    assert train(text, tmp_path / "r", resume=True).result.already


def test_the_tokenizer_that_was_chosen_may_be_named(text: Path, tmp_path: Path) -> None:
    train(text, tmp_path / "r", steps=9, stop_after=3)
    with pytest.raises(RunError, match="tokens is bytes, the run has characters"):
        train((), tmp_path / "r", resume=True, tokens="bytes")
    assert train(text, tmp_path / "r", resume=True, tokens="characters").result.steps == 9


def test_a_fine_tuned_run_goes_on_without_the_model_that_it_began_from(text: Path, tmp_path: Path) -> None:
    source = train(text, tmp_path / "s", steps=5).folder
    pantoum.train(text, run=str(tmp_path / "r"), from_=str(source), steps=9, stop_after=3, progress=False)
    (source / "model.safetensors").unlink()
    assert pantoum.train(run=str(tmp_path / "r"), resume=True, progress=False).result.steps == 9


def test_a_piped_run_that_was_killed_early_begins_again_from_what_came(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def piped() -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.read_bytes()), encoding="utf-8"))

    settings = {**SMALL, "steps": 9, "valid_fraction": 0.2}
    piped()
    whole = pantoum.train("-", run=str(tmp_path / "whole"), **settings).folder
    for name, lost in (("all", "checkpoints"), ("part", "data")):
        piped()
        run = pantoum.train("-", run=str(tmp_path / name), **{**settings, "stop_after": 3}).folder
        shutil.rmtree(run / "checkpoints")
        if lost == "data":
            shutil.rmtree(run / "data")
            with pytest.raises(TextError, match="pipe the text once more into: pantoum train - --run"):
                pantoum.train(run=str(run), resume=True, progress=False)
            piped()
            pantoum.train("-", run=str(run), resume=True, progress=False, steps=9)
        else:
            pantoum.train(run=str(run), resume=True, progress=False, steps=9)
        assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_shorter_budget_keeps_the_end_at_which_the_text_was_read_often_enough(
    tmp_path: Path,
) -> None:
    text = tmp_path / "short.txt"
    text.write_text("The cat sat on the mat. " * 40)
    first = train(text, tmp_path / "r", minutes=50, stop_after=2, members=1).folder
    train((), first, resume=True, minutes=40, stop_after=3)
    found = checkpoint.newest(first)
    assert found is not None and found.state["span"]["end"] < 1200


@pytest.mark.parametrize("held_out", [{"valid_fraction": 0.2}, {"valid": "others.txt"}])
def test_a_model_of_documents_knows_those_that_were_held_out_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_out: dict[str, object]
) -> None:
    monkeypatch.chdir(tmp_path)
    names, others = ([f"Anna {n}" for n in range(start, start + 50)] for start in (0, 50))
    Path("names.txt").write_text("\n".join(names))
    Path("others.txt").write_text("\n".join(others))
    train(Path("names.txt"), tmp_path / "r", steps=3, documents="lines", **held_out)
    known = NoveltyFilter.from_extras(pantoum.load(tmp_path / "r")._loaded.extras)
    assert known is not None and all(map(known.knows, names + others * ("valid" in held_out)))


def test_where_the_time_is_over_the_last_reading_is_cut_short_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "long.txt"
    text.write_text("".join(f"The cat number {n} sat on the mat.\n" for n in range(1500)))
    monkeypatch.setattr(Timing, "has_to_end", lambda self: True)
    run = train(text, tmp_path / "r", minutes=0.01)
    found = run.evaluation
    assert (
        found is not None
        and found.bits_per_byte is not None
        and 0 < found.tokens < 4_000
        and found.bits_per_byte > 0
    )
    assert "the time ended" in str(found.note) and any("time ended" in n for n in run.result.notes)
    assert pantoum.load(run.folder).card["peaks"]["token"]["units"] == found.tokens
    assert "the time" not in str(train(text, tmp_path / "s", steps=1).evaluation)
