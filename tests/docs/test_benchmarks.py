"""The figures for readers are those of the log, and none is written by hand."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("make_benchmarks")


def test_the_page_has_the_figures_of_the_log(making: ModuleType) -> None:
    assert making.PAGE.read_text("utf-8") == making.page(), "python docs/make_benchmarks.py"


def test_another_figure_of_the_log_makes_another_page(
    making: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").mkdir()
    for figure in making.FIGURES:
        text = (DOCS / "log" / f"{figure.page}.md").read_text("utf-8")
        changed = re.sub(r"^\| GRU bf16 \| 207\.2", "| GRU bf16 | 99.5", text, flags=re.MULTILINE)
        (tmp_path / "log" / f"{figure.page}.md").write_text(changed, "utf-8")
    before = making.page()
    monkeypatch.setattr(making, "DOCS", tmp_path)
    assert "| pantoum, bf16 | 99.5 |" in making.page() != before
    monkeypatch.setattr("sys.argv", ["make_benchmarks.py", "--check"])
    with pytest.raises(SystemExit, match="is not what the log gives"):
        making.main()


def test_a_figure_that_the_log_has_no_more_is_named(making: ModuleType) -> None:
    with pytest.raises(SystemExit, match="is not in the section 'Speed' of the log any more"):
        making.found(r"^\| GRU (\d+)", "Speed\n| LSTM 5\n")
