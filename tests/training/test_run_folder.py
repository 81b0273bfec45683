"""Names of runs, and ``config.json``."""

import json
from pathlib import Path

import pytest

from pantoum.config import TrainSettings
from pantoum.errors import PantoumError, RunError
from pantoum.training.begin import TrainingCommand
from pantoum.training.run.run_folder import RunFolder, create, find, machine
from pantoum.training.run_session import train


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def new_run(texts, **settings):
    """The name of a run that has just begun."""
    with create(TrainSettings(**settings), texts).locked() as folder:
        folder.write_config({"texts": texts})
        return str(folder.path)


def test_runs_are_named_for_the_text_and_then_numbered(tmp_path):
    made = [new_run(["texts/book.txt"]) for _ in range(3)]
    assert made == ["runs/book", "runs/book-2", "runs/book-3"]
    assert new_run(["-"]) == "runs/stdin"
    assert new_run([str(tmp_path / "folder")]) == "runs/folder"
    assert new_run([], data="../words/book.words") == "runs/book-4"


def test_a_folder_in_which_a_killed_command_left_nothing_is_taken_unless_one_has_it():
    left = Path("runs/book")
    left.mkdir(parents=True)
    (left / ".lock").write_text("{}")
    (left / f".config.json.{'0' * 16}.pantoum-tmp").touch()
    with create(TrainSettings(), ["book.txt"]).locked() as folder:
        assert folder.path == left
        assert new_run(["book.txt"]) == "runs/book-2"
        with pytest.raises(RunError, match="in use by"):
            create(TrainSettings(run="runs/book"), ["book.txt"])
    (left / "notes.txt").touch()
    assert new_run(["book.txt"]) == "runs/book-3"


def test_the_newest_run_of_a_text_is_the_one_to_resume():
    for _ in range(2):
        new_run(["book.txt"])
    assert str(find(TrainSettings(), ["book.txt"]).path) == "runs/book-2"
    with pytest.raises(RunError, match=r"there is no such run to resume"):
        find(TrainSettings(), ["other.txt"])


def test_what_is_typed_instead_of_run_is_understood_or_answered_with_the_command(run, tmp_path):
    with pytest.raises(RunError, match="give --run DIR; there is none in 'runs'"):
        find(TrainSettings(resume=True), [])
    for name in ("a", "b c"):
        run(f"runs/{name}", steps=2)
    with pytest.raises(RunError, match="`pantoum train --run 'runs/b c' --resume` continues"):
        find(TrainSettings(resume=True), [])
    assert find(TrainSettings(resume=True), ["runs/a"]).path == Path("runs/a")
    assert train(TrainingCommand(TrainSettings(resume=True, steps=1), ["runs/a"])).steps == 3
    Path("notes").mkdir()
    with pytest.raises(RunError, match="there is no such run to resume"):
        find(TrainSettings(resume=True), ["notes"])


def test_a_named_folder_must_be_new_or_be_there(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    exists = {"run": r"exists already.*--resume", "folder": "is not a run.*remove that folder first"}
    for name, what in {"file": "is a file", **exists}.items():
        with pytest.raises(RunError, match=what):
            create(TrainSettings(run=name), ["book.txt"])
    with pytest.raises(RunError, match="is a file"):
        find(TrainSettings(run="file"), [])
    assert find(TrainSettings(run="folder"), []).path.name == "folder"
    with pytest.raises(PantoumError, match="file"):
        create(TrainSettings(run="file/run"), ["book.txt"])


def test_config_goes_to_the_folder_and_back(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_config({"command": ["pantoum", "train"], "machine": machine()})
    assert folder.read_config()["machine"]["cores"] >= 1
    for content in ("not JSON", "[1]"):
        folder.config.write_text(content)
        with pytest.raises(RunError, match=r"config\.json cannot be used"):
            folder.read_config()


def test_the_machine_is_plain_and_names_no_host():
    import socket

    told = json.dumps(machine())
    assert socket.gethostname() not in json.loads(told).values()


def begun(name, texts, began):
    folder = RunFolder(Path("runs") / name)
    folder.path.mkdir(parents=True)
    folder.write_config({"texts": texts, "began": f"2026-01-01T00:00:{began:02}+0000"})
    return folder.path


def test_the_run_to_resume_is_one_of_this_text_and_the_last_that_began():
    begun("part-2", ["texts/part-2.txt"], 9)
    mine = begun("part", ["part.txt"], 1)
    assert find(TrainSettings(), ["elsewhere/part.txt"]).path == mine
    begun("part-4", ["part.txt"], 2)
    newest = begun("part-3", ["part.txt"], 3)
    assert find(TrainSettings(), ["part.txt"]).path == newest
    (newest / "config.json").write_text("cut")
    assert find(TrainSettings(), ["part.txt"]).path.name == "part-4"
