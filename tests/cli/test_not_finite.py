"""A model whose products overflow is an error in every command that uses it: no alert fails open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pantoum
from pantoum.formats import model_file
from pantoum.inference.files.precision import plain

Run = Callable[..., Any]


def changed(trained: Path, out: Path, **changes: Any) -> Path:
    model_file.write(out, replace(model_file.read(trained / "model.safetensors"), **changes))
    return out


@pytest.fixture(scope="module")
def huge(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid file whose weights are finite, and so large that products are not."""
    content = plain(model_file.read(trained / "model.safetensors"))
    signs = np.random.default_rng(0)
    weights = {
        name: (3e38 * signs.choice([-1, 1], array.shape)).astype(np.float32)
        for name, array in content.parameters.items()
    }
    return changed(trained, tmp_path_factory.mktemp("huge") / "model.safetensors", parameters=weights)


@pytest.mark.parametrize("isa", ["", "numpy"])
@pytest.mark.parametrize(
    "words",
    [
        "score {m} {t} --alert 5 --exit-code",
        "score {m} {t} --streams 8",
        "score {m} {t} --by token --format json",
        "score {m} {t} --alert auto:1% --alert-text {t}",
        "score {m} {t} --adapt",
        "evaluate {m} {t}",
        "evaluate {m} {t} --protocol segments:4",
        "evaluate {m} {t} --protocol windows:16 --json",
        "evaluate {m} {t} --adapt --model-out {d}/a.safetensors",
        "generate {m} --prompt The --length 5 --seed 1",
        "generate {m} --prompt The --length 0 --seed 1 --state-out {d}/a.state",
        "generate {m} --prompt The --adapt --length 5 --seed 1",
        "export {m} --to int8 --out {d}/q.safetensors --text {t}",
    ],
)
def test_every_command_refuses_figures_that_are_not_finite(
    run: Run, huge: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, isa: str
) -> None:
    if isa:
        monkeypatch.setenv("PANTOUM_ISA", isa)
    done = run(*words.format(m=huge, t=text, d=tmp_path).split())
    assert done.code == 1 and "not finite" in done.lines[-1]
    assert "nan" not in done.out and list(tmp_path.iterdir()) == []


def test_a_session_refuses_to_read_on_and_stays_where_it_was(huge: Path) -> None:
    session = pantoum.load(huge).session()
    before = session.state
    with pytest.raises(pantoum.PantoumError, match="not finite"):
        session.feed("The cat", hidden=True)
    with pytest.raises(pantoum.PantoumError, match="not finite"):
        session.generate(5, seed=1)
    assert session.state == before
