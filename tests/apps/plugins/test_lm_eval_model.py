"""The model of lm-evaluation-harness, whose two classes that it needs are made up here."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import pantoum

TEXT = "The cat number 3 sat on the mat, and dog 1 ran.\nThe cat number 4 sat."
NAME = "pantoum.apps.plugins.lm_eval_model"


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, beside the harness that is not installed."""
    api, registry = ModuleType("lm_eval.api.model"), ModuleType("lm_eval.api.registry")
    api.LM, registry.register_model = object, lambda name: lambda made: made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lm_eval.api.model", api)
    monkeypatch.setitem(sys.modules, "lm_eval.api.registry", registry)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    yield importlib.import_module(NAME)
    sys.modules.pop(NAME, None)


@pytest.fixture
def run(tmp_path: Path) -> str:
    (tmp_path / "t.txt").write_text(TEXT * 20)
    small = {"hidden_size": 8, "num_layers": 1}
    pantoum.train(tmp_path / "t.txt", run=str(tmp_path / "run"), steps=3, progress=False, **small)
    return str(tmp_path / "run")


def asked(*arguments: Any) -> SimpleNamespace:
    return SimpleNamespace(args=arguments)


def test_nats_are_those_of_score_in_texts_of_any_length(
    adapter: Any, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, own = adapter.PantoumLM(run, batch_size=1), pantoum.load(run)
    texts = ["The cat", TEXT, "", TEXT[:9]]
    expected = [-sum(one.nats for one in own.score(text, by="token")) for text in texts]
    assert model.loglikelihood_rolling([asked(text) for text in texts]) == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr(adapter, "TOKENS_AT_ONCE", 7)  # the state is carried from part to part
    assert model.loglikelihood_rolling([asked(text) for text in texts]) == pytest.approx(expected, rel=1e-5)


def test_a_document_within_a_text_begins_from_zero(adapter: Any, tmp_path: Path) -> None:
    small = {"hidden_size": 8, "num_layers": 1, "documents": "lines", "progress": False}
    pantoum.train(text=TEXT.splitlines() * 9, run=str(tmp_path / "run"), steps=5, **small)
    model = adapter.PantoumLM(tmp_path / "run")
    whole, *alone = model.loglikelihood_rolling(
        [asked("The cat\nThe mat"), asked("The cat\n"), asked("The mat")]
    )
    assert whole == pytest.approx(sum(alone), rel=1e-5)


def test_a_continuation_is_what_the_model_writes_or_not(adapter: Any, run: str) -> None:
    model = adapter.PantoumLM(run)
    settings = {"until": ["\n"], "max_gen_toks": 9, "do_sample": False}
    (written,) = model.generate_until([asked("The cat", settings)])
    assert 0 < len(written) <= 9 and "\n" not in written
    (own, greedy), (_, other) = model.loglikelihood([asked("The", written), asked("The", f"7{written}")])
    whole, context = model.loglikelihood_rolling([asked(f"The{written}"), asked("The")])
    assert own == pytest.approx(whole - context, rel=1e-4) and not other
    assert greedy == (model.generate_until([asked("The", settings)]) == [written])
    assert model.loglikelihood([asked("The cat", written)])[0][1]
