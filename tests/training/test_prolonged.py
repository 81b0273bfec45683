"""A prolonged run tells the budget in force, and is compared by it."""

import json
import shutil
from pathlib import Path

import pytest

import pantoum
from pantoum.config import TrainSettings
from pantoum.data.prepare import prepare
from pantoum.errors import StorageError
from pantoum.formats import checkpoint, durable, model_file
from pantoum.report.comparison import compare
from pantoum.training.begin import TrainingCommand
from pantoum.training.run_session import train


@pytest.fixture
def config(tmp_path):
    return lambda name="run": json.loads((tmp_path / name / "config.json").read_text())


@pytest.fixture
def resume(tmp_path):
    """``resume(steps=5)``: the run goes on by a command that says so."""

    def go(name="run", **settings):
        words = [str(word) for pair in settings.items() for word in pair]
        asked = TrainSettings(run=str(tmp_path / name), resume=True, **settings)
        return train(TrainingCommand(asked, words=["go", *words]))

    return go


def test_a_run_that_goes_further_says_so_in_its_page_its_config_and_its_card(run, resume, config, tmp_path):
    run(steps=8)
    assert config()["budget"] == "8 steps" and "resumed_by" not in config()
    resume(steps=4)
    result = resume(steps=5)
    page = (tmp_path / "run" / "report.html").read_text()
    assert config()["budget"] == "8 steps + 4 steps + 5 steps"
    assert config()["resumed_by"] == [["go", "steps", "4"], ["go", "steps", "5"]]
    assert "<dd>8 steps + 4 steps + 5 steps</dd>" in page and "go steps 4\ngo steps 5<" in page
    assert model_file.read(result.model).card["budget"] == config()["budget"]
    assert config()["settings"]["steps"] == 8


def test_a_budget_in_place_of_another_is_told_alone(run, resume, config):
    run(steps=8, stop_after=3)
    resume(steps=12, stop_after=5)
    assert config()["budget"] == "12 steps"
    resume()
    assert config()["budget"] == "12 steps" and config()["resumed_by"] == [
        ["go", "steps", "12", "stop_after", "5"]
    ]


def test_a_command_repeated_after_a_crash_counts_once(run, resume, config, tmp_path):
    run(steps=8, keep_data=True)
    shutil.copytree(tmp_path / "run" / "checkpoints", tmp_path / "before")
    resume(steps=4, stop_after=9)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "before").rename(tmp_path / "run" / "checkpoints")  # as if it was killed before it saved
    resume(steps=4, stop_after=9)
    assert checkpoint.newest(tmp_path / "run").state["earlier"] == ["8 steps"]
    assert config()["budget"] == "8 steps + 4 steps" and len(config()["resumed_by"]) == 1


def test_a_config_that_cannot_be_changed_is_a_note(run, resume, monkeypatch):
    run(steps=8)
    write = durable.write_file

    def full(path, data):
        if path.name == "config.json":
            raise StorageError("the disk is full")
        write(path, data)

    monkeypatch.setattr(durable, "write_file", full)
    result = resume(steps=4)
    assert result.finished and "config.json keeps the earlier budget: the disk is full" in result.notes


def test_seeds_are_one_group_and_a_prolonged_run_and_another_text_are_others(run, resume, text, tmp_path):
    run("a", steps=8)
    run("b", steps=8, seed=1)
    for name in ("c", "d"):
        run(name, steps=4, seed=ord(name))
        resume(name, steps=8)
    other = tmp_path / "other.txt"
    other.write_text(text.read_text()[::-1])
    for name, source in (("e", text), ("f", other)):
        prepare([source], out=tmp_path / f"{name}.data")
        run(name, texts=[], steps=8, seed=ord(name), data=str(tmp_path / f"{name}.data"))
    found = compare([tmp_path / name for name in "abcdef"])
    groups = {"".join(path[-1] for path in group.runs): group.differs["budget"] for group in found.groups}
    assert groups == {"abe": "8 steps", "cd": "4 steps + 8 steps", "f": "8 steps"}
    assert "the runs learned from different texts" in found.notes


def test_the_texts_of_a_run_are_those_of_the_folder_where_it_was_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"hidden_size": 8, "num_layers": 1, "progress": False}
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
    (tmp_path / "here" / "t.txt").write_text("The cat sat on the mat.\n" * 90)
    (tmp_path / "here" / "v.txt").write_text("The dog sat on the cat.\n" * 30)
    (tmp_path / "there" / "t.txt").write_text("another text of the same name\n" * 90)
    monkeypatch.chdir(tmp_path / "here")
    pantoum.train("t.txt", valid="v.txt", run="run", steps=3, **small)
    monkeypatch.chdir(tmp_path / "there")
    run = str(tmp_path / "here" / "run")
    assert pantoum.train(run=run, resume=True, steps=2, progress=False).result.steps == 5
    (tmp_path / "here" / "t.txt").rename(tmp_path / "there" / "t.txt")
    assert pantoum.train(run=run, resume=True, steps=2, progress=False).result.steps == 7  # moved along
