"""What Python users have beside the commands: texts as values, predictions, copies on disk, short
pictures."""

from __future__ import annotations

import inspect
import io
import json
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pantoum
from pantoum.config import (
    EvaluationConfig,
    GenerationConfig,
    SamplingConfig,
    ScoreConfig,
    StreamConfig,
    TextSettings,
    TrainSettings,
    declared,
)
from pantoum.data.prepare import open_prepared
from pantoum.formats import metrics_file
from pantoum.inference.session import Prediction
from pantoum.report import terminal

TEXT = "The cat sat on the mat. A dog ran!\n" * 40
SMALL: Any = {"steps": 2, "hidden_size": 8, "num_layers": 1, "progress": False}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python")
    (folder / "t.txt").write_text(TEXT)
    return folder


@pytest.fixture(scope="module")
def run(home: Path) -> pantoum.Run:
    return pantoum.train(home / "t.txt", run=home / "run", **SMALL)


def lines() -> Iterator[str]:
    yield from TEXT.splitlines(keepends=True)


@pytest.mark.parametrize(
    "text",
    [
        lambda: TEXT,
        lambda: TEXT.encode(),
        lambda: [TEXT[:100], TEXT[100:]],
        lines,
        lambda: io.StringIO(TEXT),
        lambda: io.BytesIO(TEXT.encode()),
        lambda: [TEXT[:7].encode(), TEXT[7:]],
    ],
)
def test_a_text_itself_trains_the_model_of_its_file(
    run: pantoum.Run, tmp_path: Path, text: Callable[[], Any]
) -> None:
    made = pantoum.train(text=text(), run=tmp_path / "r", **SMALL)
    assert made.model.generate("The", length=20, seed=1) == run.model.generate("The", length=20, seed=1)
    found = made.model.evaluate(text=text())
    assert found == run.model.evaluate(run.folder.parent / "t.txt")


def test_a_run_of_a_text_itself_is_named_and_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stopped = pantoum.train(text=TEXT, stop_after=1, **SMALL)
    assert stopped.folder == Path("runs/text") and stopped.stopped == "stop_after"
    assert pantoum.train(run=stopped.folder, resume=True, progress=False).result.steps == 2
    assert pantoum.train(run=stopped.folder, resume=True, steps=4, progress=False).result.steps == 6


@pytest.mark.parametrize("documents", ["lines", "blank-lines", "files"])
def test_with_documents_each_string_is_one(tmp_path: Path, documents: str) -> None:
    names = ["Anna", "Bob\n", "Carla", "Dé"] * 30
    run = pantoum.train(text=iter(names), documents=documents, run=tmp_path / "r", valid_fraction=0, **SMALL)
    border = run.model.tokenizer.eos
    shard = np.asarray(open_prepared(run.folder / "data").train.tokens)
    assert run.model.documents == documents and len(names) - 1 <= (shard == border).sum() <= len(names) + 1


@pytest.mark.parametrize("wrong", [3, [3], None, object(), ["a", b"b", 3.0]])
def test_what_is_no_text_is_refused(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(pantoum.PantoumError, match=r"(?i)text"):
        pantoum.train(text=wrong, run=tmp_path / "r", **SMALL)
    with pytest.raises(pantoum.PantoumError, match="cannot be given together with text"):
        pantoum.train("t.txt", text="the text", **SMALL)


def test_numpy_integers_are_integers(home: Path, tmp_path: Path, run: pantoum.Run) -> None:
    made = pantoum.train(
        home / "t.txt",
        run=tmp_path / "r",
        steps=np.int64(2),
        hidden_size=np.uint8(8),
        num_layers=np.int32(1),
        valid_fraction=np.float64(0.1),
        progress=np.bool_(False),  # type: ignore[arg-type]
    )
    assert made.to_dict()["validation"] == run.to_dict()["validation"]
    settings = json.loads((tmp_path / "r" / "config.json").read_text())["settings"]
    assert (settings["steps"], settings["hidden_size"]) == (2, 8)
    assert run.model.generate(length=np.int64(5), seed=np.uint64(1)) == run.model.generate(length=5, seed=1)  # type: ignore[call-overload]


def test_predictions_are_the_models_own_probabilities(run: pantoum.Run) -> None:
    session = run.model.session()
    session.feed("The ca")
    before = session.state
    best = session.predict(3)
    everything = session.predict(10_000)
    assert (
        session.state == before
        and everything[:3] == best
        and len(everything) == run.model.tokenizer.vocab_size
    )
    assert sum(one.probability for one in everything) == pytest.approx(1.0)
    assert [one.probability for one in everything] == sorted(
        (one.probability for one in everything), reverse=True
    )
    token, text, probability = best[0]
    assert isinstance(best[0], Prediction) and run.model.tokenizer.decode([token]) == text
    assert session.generate(1, seed=1, greedy=True) == text
    batch = run.model.batch()
    stream = batch.start("The ca", length=1, seed=1, greedy=True)
    batch.round()
    assert np.log(probability) == pytest.approx(stream.log_probability, abs=1e-5)


def test_predictions_before_the_first_token_are_those_after_the_border(
    run: pantoum.Run, tmp_path: Path
) -> None:
    session = run.model.session()
    first = session.generate(1, seed=1, greedy=True)
    assert run.model.session().predict(1)[0].text == first
    names = pantoum.train(text=["Anna", "Bob"] * 40, documents="lines", run=tmp_path / "n", **SMALL).model
    begun = names.session()
    begun.feed("Anna\n")
    assert begun.predict(5) == names.session().predict(5)
    for wrong in (0, -1, 1.5, "3"):
        with pytest.raises(pantoum.PantoumError, match="k is"):
            session.predict(wrong)  # type: ignore[arg-type]


def test_a_saved_model_is_the_same_file(run: pantoum.Run, tmp_path: Path) -> None:
    run.model.save(tmp_path / "mine.safetensors")
    assert (tmp_path / "mine.safetensors").read_bytes() == (run.folder / "model.safetensors").read_bytes()
    session = run.model.session()
    session.feed("The")
    assert pantoum.load(tmp_path / "mine.safetensors").session(session.state).state == session.state
    with pytest.raises(pantoum.PantoumError, match="folder"):
        run.model.save(tmp_path / "no" / "such" / "file")


def test_everything_has_a_short_picture(run: pantoum.Run, home: Path) -> None:
    model = run.model
    found, scores = model.evaluate(home / "t.txt"), model.score("The cat\nsat <q>\n", alert=1)
    compared = pantoum.compare([run.folder])
    assert repr(run).startswith(f"<Run {run.folder}: 2 steps, ") and "validation loss" in repr(run)
    assert repr(model) == f"<Model 1 x 8 gru, {model.num_parameters:,} parameters, characters>"
    assert repr(found).startswith("<Evaluation carried: ") and repr(found).endswith("1,399 tokens>")
    assert "nats per token" in repr(found) and "bits per byte" in repr(found)
    assert repr(scores).startswith("<Scores of 2 lines: 16 tokens, ") and repr(scores).endswith("2 alerts>")
    assert repr(compared).startswith(f"<Comparison by bits_per_byte: {run.folder} ")
    assert "bits/byte" in str(compared)
    for one in (run, model, found, scores, compared):
        assert len(repr(one)) < 300 and "\n" not in repr(one)
        page = one._repr_html_()
        assert page.count("<table") <= 1 and len(page) < 8000 and "<q>" not in page
    long = model.score("The cat sat on the mat.\n" * 400)._repr_html_()
    assert "and 191 more lines" in long and long.count("</i>") < 5100
    assert "sha256" in model._repr_html_() and "report" in run._repr_html_()
    assert "<svg" in run._repr_html_() and "<svg" in compared._repr_html_()


CALLS: list[tuple[Callable[..., Any], list[type[Any]], set[str]]] = [
    (pantoum.train, [TrainSettings], {"texts", "text", "progress", "on_report", "threads"}),
    (pantoum.plan, [TrainSettings], {"texts", "text"}),
    (pantoum.prepare, [TextSettings], {"texts", "out", "progress", "processes"}),
    (pantoum.Model.generate, [GenerationConfig, SamplingConfig], {"self", "prompt", "state"}),
    (pantoum.Model.stream, [StreamConfig, SamplingConfig], {"self", "prompt", "state"}),
    (pantoum.Model.score, [ScoreConfig], {"self", "text"}),
    (pantoum.Model.evaluate, [EvaluationConfig], {"self", "texts", "text", "progress"}),
    (pantoum.Session.generate, [SamplingConfig], {"self", "length", "seed"}),
]


@pytest.mark.parametrize(("call", "kinds", "own"), CALLS)
def test_signature_and_documentation_list_the_settings(
    call: Callable[..., Any], kinds: list[type[Any]], own: set[str]
) -> None:
    found, settings = inspect.signature(call), {k: one for kind in kinds for k, one in declared(kind).items()}
    assert set(found.parameters) == own | set(settings)
    assert not any(each.kind is each.VAR_KEYWORD for each in found.parameters.values())
    for name, one in settings.items():
        if name not in ("count", "n_best", "by", "protocol"):  # these have a place of their own
            assert found.parameters[name].default == one.default
            assert f"    {name}: {one.help}" in inspect.getdoc(call), name


def test_tab_completes_settings_and_shows_no_internals(run: pantoum.Run) -> None:
    completer = pytest.importorskip("IPython.core.completer")
    for jedi in (False, True):
        shell = completer.IPCompleter(namespace={"pantoum": pantoum, "m": run.model}, use_jedi=jedi)

        def offered(line: str, shell: Any = shell) -> set[str]:
            with completer.provisionalcompleter():
                return {each.text.lstrip(".") for each in shell.completions(line, len(line))}

        assert {"minutes=", "hidden_size=", "seed="} <= offered("pantoum.train('t', ")
        assert not {"started=", "command="} & offered("pantoum.train('t', ")
        assert {"temperature=", "top_k=", "length="} <= offered("m.generate('t', ")
        assert {"streams=", "alert="} <= offered("m.score('t', ")
        members = offered("m.")
        assert {"generate", "score"} <= {each.removeprefix("m.") for each in members}
        assert not any("loaded" in each for each in members)


GOOD = """
import numpy as np
import pantoum
from pathlib import Path
run = pantoum.train(Path("t.txt"), steps=np.int64(3), ngrams=(2, 3), run=Path("r"), tokens="bytes")
pantoum.train(text=["a", "b"], documents="lines", hidden_size="auto")
text: str = run.model.generate("x", length=3, temperature=0.5, stop="x")
many: list[str] = run.model.generate(count=3, top_k=4)
run.model.score("x", streams=4).alerts
run.model.session().predict(3)[0].probability
pantoum.prepare("t.txt", "out", tokens="words")
print(pantoum.plan("t.txt", minutes=3), pantoum.compare(["r"]), pantoum.export("r", "int8", "o"))
"""
WRONG = [
    'pantoum.train("t.txt", stepz=3)',
    'pantoum.train("t.txt", steps="3")',
    'run.model.generate("x", max_tokens=5)',
    'run.model.generate("x", temperature="hot")',
    'run.model.score("x", foo=1)',
    "run.model.session().stream(5, top=3)",
    'run.model.batch().start("x", temprature=1.0)',
    'pantoum.prepare("t.txt", "out", minutes=3)',
    'pantoum.plan("t.txt", stepz=3)',
    'pantoum.export("r", "int8", "o", foo=1)',
]


@pytest.mark.slow
def test_mypy_refuses_misspelt_settings_and_takes_right_ones(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "snippet.py").write_text("\n".join([GOOD, *WRONG, ""]))
    # mypy finds an installed package by itself and refuses a path into site-packages.
    home = Path(pantoum.__file__).parent.parent
    path = {} if home.name == "site-packages" else {"MYPYPATH": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "snippet.py"],
        cwd=tmp_path,
        env={**path, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    errors = {
        int(line.split(":")[1])
        for line in done.stdout.splitlines()
        if "snippet.py:" in line and "error" in line
    }
    first = GOOD.count("\n") + 2
    assert errors == set(range(first, first + len(WRONG))), done.stdout


def test_mistakes_of_calls_say_what_was_meant(run: pantoum.Run) -> None:
    for call, words in (
        (
            lambda: run.model.generate(max_tokens=5),
            "max_tokens is not a setting of Model.generate; did you mean length",
        ),
        (lambda: run.model.generate(temprature=1), "did you mean temperature"),
        (lambda: run.model.score("a", foo=1), "foo is not a setting of Model.score"),
        (lambda: run.model.score("a", stream=4), "did you mean streams"),
        (lambda: run.model.session().stream(lenght=3), "did you mean length"),
        (lambda: pantoum.export(), "export takes model, to, out, text, progress, but was called wrongly"),
        (lambda: pantoum.export("r", "int8", "o", texts="t"), "did you mean text"),
        (lambda: pantoum.train("t.txt", lr=1e-3), "did you mean learning_rate"),
        (lambda: pantoum.plan("t.txt", epoch=1), "did you mean epochs"),
        (lambda: pantoum.prepare("t.txt", "o", minutes=3), "minutes is not a setting of prepare"),
        (lambda: pantoum.load(), "load takes path, but was called wrongly"),
        (lambda: run.model.batch().start("a", top=3), "did you mean top_k"),
    ):
        with pytest.raises(pantoum.PantoumError, match=words):
            call()  # type: ignore[no-untyped-call]


class ZMQInteractiveShell:
    """Named as the shell of a notebook's kernel."""


def test_a_notebook_shows_progress(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.StringIO())
    quiet = {**SMALL, "progress": None}
    pantoum.train(home / "t.txt", run=tmp_path / "a", **quiet)
    assert sys.stderr.getvalue() == "" and not terminal.in_notebook()
    shell = types.SimpleNamespace(get_ipython=ZMQInteractiveShell)
    monkeypatch.setitem(sys.modules, "IPython", shell)  # type: ignore[arg-type]
    pantoum.train(home / "t.txt", run=tmp_path / "b", **quiet)
    assert terminal.in_notebook() and "loss" in sys.stdout.getvalue()
    assert sys.stderr.getvalue() == ""  # which is shown in red, as an error
    assert len(metrics_file.read(tmp_path / "b" / "metrics.jsonl")) >= 2


@pytest.mark.slow
def test_a_real_notebook_shows_progress_and_tables(home: Path, tmp_path: Path) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    book = nbformat.v4.new_notebook()
    paths = f"{str(home / 't.txt')!r}, run={str(tmp_path / 'r')!r}"
    code = f"import pantoum\nrun = pantoum.train({paths}, steps=3)\nrun"
    book.cells = [nbformat.v4.new_code_cell(code), nbformat.v4.new_code_cell("run.model.score('The cat')")]
    nbclient.NotebookClient(book, timeout=120).execute()
    shown = json.dumps([cell.outputs for cell in book.cells])
    assert (
        "loss" in shown and "<table>" in shown and "pantoum-surprisal" in shown and "Traceback" not in shown
    )
