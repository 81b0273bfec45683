"""Which texts a resumed run learns from: its own, wherever they came from. No address in a file is opened."""

import io
import json
import shutil
import sys

import pytest

from pantoum.data.prepare import are_removed
from pantoum.errors import CheckpointError, RunError, TextError
from pantoum.formats import checkpoint
from pantoum.training.begin import TrainingCommand
from pantoum.training.run_session import train

FAR = "https://example.org/far.txt"


def same_model(one, other):
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


def rewrite(folder, texts=None, **settings):
    """Change what ``config.json`` says was asked."""
    config = json.loads((folder / "config.json").read_text())
    config["settings"].update(settings)
    if texts is not None:
        config["texts"] = texts
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture
def held(story, tmp_path):
    """A held-out text of its own."""
    path = tmp_path / "held.txt"
    path.write_text("".join(reversed(story.read_text().splitlines(keepends=True)))[:3000])
    return path


def test_a_held_out_text_of_its_own_is_that_of_the_resumed_run(run, held, tmp_path):
    run("whole", steps=8, valid=str(held))
    run("cut", steps=8, stop_after=3, valid=str(held))
    with pytest.raises(RunError, match=r"but --valid is other\.txt, the run has .*held\.txt; leave it out"):
        run("cut", resume=True, valid="other.txt")
    assert run("cut", resume=True, valid=str(held)).finished
    same_model(tmp_path / "whole", tmp_path / "cut")


def test_a_finished_run_makes_its_held_out_text_again_too(run, held, tmp_path):
    for name in ("named", "known"):
        run(name, steps=4, valid=str(held))
        assert are_removed(tmp_path / name / "data")
    assert run("named", resume=True, steps=2, valid=str(held)).steps == 6
    assert run("known", resume=True, steps=2, texts=[]).steps == 6
    same_model(tmp_path / "named", tmp_path / "known")
    held.unlink()
    with pytest.raises(TextError, match=r"held\.txt"):
        run("known", resume=True, steps=2)


def test_a_held_out_text_that_has_changed_is_refused_where_texts_are_given(run, story, held):
    run("cut", steps=8, stop_after=3, valid=str(held))
    held.write_text(held.read_text() + "more")
    with pytest.raises(RunError, match=r"cannot continue with other data: .*held\.txt"):
        run("cut", resume=True)
    assert run("cut", resume=True, texts=[]).finished


def test_other_tokens_than_those_the_run_began_with_are_refused(run, story, tmp_path):
    run("cut", steps=8, stop_after=3)
    run("other", steps=8, stop_after=3, texts=[str(_changed(story))])
    shutil.rmtree(tmp_path / "cut" / "data")
    shutil.copytree(tmp_path / "other" / "data", tmp_path / "cut" / "data")
    told = "with other data: another text; another held-out text; another tokenizer; give what it began with"
    with pytest.raises(RunError, match=told):
        run("cut", resume=True, texts=[])


def _changed(story):
    """A text of the same symbols and another order."""
    path = story.with_name("changed.txt")
    path.write_text("".join(reversed(story.read_text().splitlines(keepends=True))))
    return path


def test_tokens_in_another_folder_are_found_again(run, story, tmp_path):
    run("first", steps=2, stop_after=1)
    data = shutil.copytree(tmp_path / "first" / "data", tmp_path / "data")
    for name, cut in (("whole", {}), ("known", {"stop_after": 3}), ("named", {"stop_after": 3})):
        run(name, texts=[], data=str(data), steps=6, **cut)
        assert not (tmp_path / name / "data").exists()
    moved = data.rename(tmp_path / "moved")
    assert run("named", resume=True, texts=[], data=str(moved)).finished
    moved.rename(data)
    assert run("known", resume=True, texts=[]).finished
    same_model(tmp_path / "whole", tmp_path / "known")
    same_model(tmp_path / "whole", tmp_path / "named")


def test_an_address_in_the_folder_is_not_opened_before_a_first_checkpoint(run, story, tmp_path):
    run("whole", steps=5)
    run("cut", steps=5, stop_after=1)
    shutil.rmtree(tmp_path / "cut" / "checkpoints")
    rewrite(tmp_path / "cut", texts=[str(story), FAR])
    with pytest.raises(TextError) as caught:
        run("cut", resume=True, texts=[])
    assert str(caught.value) == (
        f"the run in {str(tmp_path / 'cut')!r} was begun from an address and has no checkpoint yet: an "
        "address from a file is not opened; give TEXT again, and --valid if there was one"
    )
    rewrite(tmp_path / "cut", texts=[str(story)], valid=FAR)
    for texts in ([], [str(story)]):
        with pytest.raises(TextError, match="was begun from an address and has no checkpoint yet"):
            run("cut", resume=True, texts=texts)
    with pytest.raises(RunError, match=f"but --valid is near.txt, the run has {FAR}; leave it out"):
        run("cut", resume=True, valid="near.txt")
    rewrite(tmp_path / "cut", texts=[FAR], valid=None)
    shutil.rmtree(tmp_path / "cut" / "data")
    assert run("cut", resume=True).finished  # the text was given again
    same_model(tmp_path / "whole", tmp_path / "cut")


def test_nor_after_it(run, story, tmp_path):
    run("whole", steps=5)
    run("cut", steps=5, stop_after=3)
    rewrite(tmp_path / "cut", texts=[FAR], valid=FAR)
    assert run("cut", resume=True, texts=[]).finished
    same_model(tmp_path / "whole", tmp_path / "cut")
    assert not are_removed(tmp_path / "cut" / "data")  # nothing here gives them again


def test_what_came_through_stdin_is_not_asked_for_again(run, story, tmp_path, monkeypatch):
    for name, cut in (("whole", {}), ("cut", {"stop_after": 1})):
        stdin = io.TextIOWrapper(io.BytesIO(story.read_bytes()), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", stdin)
        run(name, texts=["-"], steps=5, **cut)
    shutil.rmtree(tmp_path / "cut" / "checkpoints")
    assert run("cut", resume=True, texts=[]).finished
    newest = [checkpoint.newest(tmp_path / name) for name in ("whole", "cut")]
    weights = [{name: array.tobytes() for name, array in each.arrays.items()} for each in newest]
    assert weights[0] == weights[1] and newest[1].step == 5


def test_a_run_whose_config_is_lost_goes_on_from_its_checkpoint(run, tmp_path):
    run("whole", steps=6)
    run("cut", steps=6, stop_after=3)
    (tmp_path / "cut" / "config.json").unlink()
    with pytest.raises(RunError, match="but --seed is 3, the run has 0; leave it out"):
        run("cut", resume=True, seed=3)
    assert run("cut", resume=True, tokens="characters").finished  # what it began with is not known any more
    same_model(tmp_path / "whole", tmp_path / "cut")


def test_a_checkpoint_of_another_run_is_refused(run, tmp_path):
    run("one", steps=8, stop_after=2)
    run("other", steps=8, stop_after=5)
    name = "step-00000005.safetensors"
    shutil.copy(tmp_path / "other" / "checkpoints" / name, tmp_path / "one" / "checkpoints" / name)
    with pytest.raises(CheckpointError) as caught:
        run("one", resume=True)
    place = str(tmp_path / "one" / "checkpoints" / name)
    assert str(caught.value) == (
        f"the checkpoint {place!r} belongs to another run; move it out of this run's folder"
    )


def test_a_run_begun_again_keeps_the_command_and_takes_the_new_interval(run, story, tmp_path):
    run("cut", steps=6, stop_after=1)
    shutil.rmtree(tmp_path / "cut" / "checkpoints")
    from pantoum.config import TrainSettings

    asked = TrainSettings(run=str(tmp_path / "cut"), resume=True, checkpoint_every=2, stop_after=3)
    train(TrainingCommand(asked, words=["pantoum", "train", "again"]))
    config = json.loads((tmp_path / "cut" / "config.json").read_text())
    assert config["command"] == ["pantoum", "train", "again"] and config["settings"]["steps"] == 6
    assert config["settings"]["checkpoint_every"] == 2 and config["texts"] == [str(story)]
