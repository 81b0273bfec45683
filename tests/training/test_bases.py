"""A base that is installed: found by its name, and begun from where it helps with the text."""

import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pantoum import extensions
from pantoum.config import TrainSettings
from pantoum.data.prepare import prepare
from pantoum.errors import ModelFileError, TextError
from pantoum.formats import model_file
from pantoum.inference.evaluation import held_out_loss
from pantoum.inference.loaded_model import load
from pantoum.training.begin import TrainingCommand
from pantoum.training.run_session import train
from pantoum.training.source import begun_from

PACKAGE = Path(__file__).parents[2] / "examples" / "base"
"""A base that is called polish."""


@pytest.fixture
def base(run, tmp_path, monkeypatch):
    """The package of a base of bytes that knows the words of ``text``; the digest of its model."""
    made = run("made", tokens="bytes", steps=150, hidden_size=32, batch_size=16, learning_rate=0.02)
    site = tmp_path / "site"
    shutil.copytree(PACKAGE, site)
    shutil.copy(made.model, site / "pantoum_base_polish" / "polish.safetensors")
    (entry,) = re.findall(r'entry-points\."(pantoum\.bases)"\]\n(.*)', (site / "pyproject.toml").read_text())
    (site / "base-1.dist-info").mkdir()
    (site / "base-1.dist-info" / "entry_points.txt").write_text("[{}]\n{}\n".format(*entry).replace('"', ""))
    monkeypatch.syspath_prepend(str(site))
    extensions._entries.cache_clear()
    yield model_file.read(made.model).sha256
    extensions._entries.cache_clear()
    sys.modules.pop("pantoum_base_polish", None)


@pytest.fixture
def begin(text, tmp_path):
    """A short run in which nothing says what model it should be."""

    def go(name, texts=None, **settings):
        asked = {"batch_size": 4, "seq_len": 16, "steps": 4, "run": str(tmp_path / name), **settings}
        given = [str(text)] if texts is None else texts
        return train(TrainingCommand(TrainSettings(**asked), given))

    return go


def strange(tmp_path):
    """A text that the base has not learned to read."""
    draw = random.Random(2)
    path = tmp_path / "numbers.txt"
    path.write_text("".join(f"{draw.getrandbits(40)}\n" for _ in range(900)))
    return str(path)


def began_from(result):
    return model_file.read(result.model).card["began_from"]


def test_a_text_that_a_base_knows_begins_from_it(base, begin):
    result = begin("run")
    assert began_from(result) == base and load(result.model).tokenizer.kind == "bytes"
    assert any("begins from base:polish (--from none begins from scratch)" in note for note in result.notes)


def test_a_text_that_a_base_does_not_know_begins_from_nothing(base, begin, tmp_path):
    result = begin("run", [strange(tmp_path)])
    assert began_from(result) is None and load(result.model).tokenizer.kind == "characters"
    assert any("begins from scratch: a base helps where" in note for note in result.notes)


@pytest.mark.parametrize(
    "asked",
    [
        {"from_": None},
        {"hidden_size": 8},
        {"tokens": "characters"},
        {"documents": "lines"},
        {"cell": "rnn"},
        {"neighbours": 3},
    ],
)
def test_what_is_asked_for_comes_before_a_base(base, begin, asked):
    result = begin("run", **asked)
    assert began_from(result) is None and not any("base:" in note for note in result.notes)


def test_a_base_is_used_by_its_name(base, begin, tmp_path):
    assert load("base:polish").sha256 == base
    named = begin("named", [strange(tmp_path)], from_="base:polish")
    assert began_from(named) == base
    with pytest.raises(ModelFileError, match=r"no base 'small': installed: base:polish"):
        load("base:small")


def test_the_same_command_gives_the_same_bytes_stopped_or_not(base, begin):
    whole = begin("whole", steps=6)
    begin("parts", steps=6, stop_after=2)
    parts = begin("parts", [], steps=None, batch_size="auto", seq_len="auto", resume=True)
    assert parts.finished and parts.model.read_bytes() == whole.model.read_bytes()


def test_a_text_prepared_with_the_tokenizer_of_a_base_begins_from_it(base, text):
    held = prepare([text], out=None, tokenizer=load("base:polish").tokenizer)
    begun = begun_from(TrainSettings(steps=1), ["-"], None, held)
    assert begun.source is not None and begun.source.sha256 == base and begun.from_ == "base:polish"


def test_a_file_that_is_not_utf8_is_refused_as_without_a_base(base, begin, tmp_path):
    latin = tmp_path / "latin.txt"
    latin.write_bytes("the café sat on the mat\n".encode("latin-1") * 200)
    with pytest.raises(TextError, match="is not UTF-8"):
        begin("run", [str(latin)])


def test_without_a_base_none_is_there(monkeypatch):
    monkeypatch.setattr(extensions, "names", lambda group: [])
    with pytest.raises(ModelFileError, match="none is installed; a base comes as a package"):
        load("base:english")


ENGLISH = Path(__file__).parents[2] / "bases" / "english"


@pytest.mark.skipif(not ENGLISH.exists(), reason="bases are no part of the sdist")
def test_the_base_of_english_is_whole_and_knows_english():
    model = load(ENGLISH / "pantoum_base_english" / "english.safetensors")
    assert model.sha256 in (ENGLISH / "README.md").read_text("utf-8")
    tokens = model.tokenizer.encode("The old man sat down by the fire, and told us of the sea. " * 3)
    german = model.tokenizer.encode("Der alte Mann setzte sich ans Feuer und erzählte vom Meer. " * 3)
    assert 2 * held_out_loss(model.program, tokens, model.tokenizer) < held_out_loss(
        model.program, german, model.tokenizer
    )
    assert (ENGLISH / "pantoum_base_english" / "english.safetensors").stat().st_size < 12e6


@pytest.mark.skipif(not ENGLISH.exists(), reason="bases are no part of the sdist")
def test_the_corpus_of_a_base_is_that_of_its_list(tmp_path):
    books = tmp_path / "books"
    books.mkdir()
    made = subprocess.run(
        [sys.executable, ENGLISH / "corpus.py", books, tmp_path / "out"], capture_output=True, text=True
    )
    assert made.returncode and "33-the-scarlet-letter.txt" in made.stderr
    (books / "33-the-scarlet-letter.txt").write_bytes(b"another book")
    made = subprocess.run(
        [sys.executable, ENGLISH / "corpus.py", books, tmp_path / "other"], capture_output=True, text=True
    )
    assert made.returncode and "is not the book that SOURCES.tsv lists" in made.stderr
