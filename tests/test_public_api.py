"""What people import: the names, their laziness, and the keywords that are the flags."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

import pantoum
from pantoum.cli.commands import commands as all_commands
from pantoum.texts import Texts

PUBLIC = [
    "Evaluation",
    "Model",
    "PantoumError",
    "Run",
    "Scores",
    "Session",
    "State",
    "Tokenizer",
    "compare",
    "compress",
    "decompress",
    "doctor",
    "export",
    "import_model",
    "info",
    "load",
    "plan",
    "prepare",
    "train",
]
NETWORK = [
    "GRU",
    "LSTM",
    "LanguageModel",
    "MinGRU",
    "RNN",
    "Stack",
    "concatenate_state",
    "cross_entropy",
    "split_state",
    "unroll",
    "unroll_vjp",
]


def fresh(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True
    ).stdout.strip()


def test_the_public_names_are_these() -> None:
    assert sorted(pantoum.__all__) == sorted(PUBLIC)
    assert all(hasattr(pantoum, name) for name in PUBLIC)
    assert sorted(pantoum.network.__all__) == sorted(NETWORK)
    assert {"Batch", "StatefulBatches"} <= set(pantoum.data.__all__)
    assert set(PUBLIC) | {"network", "data"} <= set(dir(pantoum))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Trainer'"):
        _ = pantoum.Trainer


def test_importing_pantoum_imports_no_numpy() -> None:
    assert fresh("import sys, pantoum; print('numpy' in sys.modules)") == "False"


def test_the_version_is_the_projects() -> None:
    project = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    assert f'version = "{pantoum.__version__}"' in project


def test_star_import_gives_the_public_names() -> None:
    names = fresh("from pantoum import *; print(sorted(n for n in dir() if not n.startswith('__')))")
    assert names == str(sorted(PUBLIC))


def test_loading_a_model_imports_no_training_code(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("The cat sat on the mat.\n" * 40)
    run = pantoum.train(
        tmp_path / "t.txt", run=str(tmp_path / "r"), steps=2, hidden_size=8, num_layers=1, progress=False
    )
    script = (
        f"import sys, pantoum; m = pantoum.load({str(run.folder)!r}); m.generate('The', length=3, seed=1); "
        "print([n for n in sys.modules if n.startswith(('pantoum.training', 'rich', 'pantoum.data.prep'))])"
    )
    assert fresh(script) == "[]"


def test_a_run_is_what_became_of_it(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("The cat sat on the mat.\n" * 60)
    seen: list[int] = []
    texts: Texts = [tmp_path / "t.txt"]
    run = pantoum.train(
        texts,
        run=str(tmp_path / "r"),
        steps=3,
        hidden_size=8,
        num_layers=1,
        progress=False,
        on_report=lambda report: seen.append(report.step),
    )
    assert run.folder == tmp_path / "r" and run.stopped is None
    assert [report.step for report in run.history] == seen and seen[-1] == 3
    assert run.evaluation is not None and run.evaluation.protocol == "segments:64"
    assert isinstance(run.model, pantoum.Model) and "1 x 8 gru" in repr(run.model) and "3 steps" in repr(run)
    assert run.model.num_parameters == run.to_dict()["parameters"] and run.model.card["step"] <= 3
    again = pantoum.train(run=str(tmp_path / "r"), resume=True, progress=False)
    assert again.evaluation == run.evaluation
    session = run.model.session()
    session.feed("The cat")
    assert pantoum.State.from_bytes(bytes(session.state)) == session.state
    assert run.model.generate("The", length=5, seed=1, state=session.state) != ""


class Terminal(io.StringIO):
    """A stream that says a person looks at it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("can_draw", [False, True])
def test_progress_is_shown_to_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_draw: bool
) -> None:
    (tmp_path / "t.txt").write_text("The cat sat on the mat.\n" * 60)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("pantoum.report.live.possible", lambda console: can_draw)
    pantoum.train(tmp_path / "t.txt", run=str(tmp_path / "r"), steps=3, hidden_size=8, num_layers=1)
    assert "writes after" in terminal.getvalue() if can_draw else "loss" in terminal.getvalue()


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(
        pantoum.PantoumError, match="layers is not a setting of train; did you mean num_layers"
    ):
        pantoum.train("x.txt", layers=3)


def test_scores_are_a_picture_in_a_notebook(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("The cat sat on the mat.\n" * 40)
    model = pantoum.train(
        tmp_path / "t.txt", run=str(tmp_path / "r"), steps=1, hidden_size=8, num_layers=1, progress=False
    ).model
    scores = model.score("The cat\nsat")
    assert isinstance(scores, pantoum.Scores) and [s.text for s in scores] == ["The cat\n", "sat"]
    assert "pantoum-surprisal" in scores._repr_html_() and [
        s.text for s in model.score_stream(["The cat"])
    ] == ["The cat"]


def test_every_command_has_a_file() -> None:
    assert {"demo", "train", "generate", "evaluate", "score", "prepare", "info", "doctor"} <= set(
        all_commands()
    )
