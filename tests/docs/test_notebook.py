"""The notebooks run from the first cell to the last, with small budgets, and as pages show their pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

import pantoum

ROOT = Path(__file__).resolve().parents[2]
PICTURES = {  # what a page must hold beside text
    "tutorial.ipynb": ("surprisal",),
    "notebooks/first-model.ipynb": ('class="curve"', "image/png"),
    "notebooks/what-it-learns.ipynb": ("surprisal", "image/png"),
    "notebooks/fair-comparison.ipynb": ("a bar at the mean", "image/png"),
}
SMALLER = {"minutes=1": "minutes=0.05", "minutes=2": "minutes=0.05", '"steps": 300': '"steps": 20'}


def test_every_notebook_is_known_and_holds_no_output() -> None:
    found = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.ipynb")}
    assert found == set(PICTURES)
    for name in found:
        text = (ROOT / "docs" / name).read_text("utf-8")
        assert '"output_type"' not in text and '"execution_count": null' in text
        assert any(budget in text.replace('\\"', '"') for budget in SMALLER)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PICTURES)
def test_a_notebook_runs_and_shows_its_pictures(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    nbconvert = pytest.importorskip("nbconvert")
    pytest.importorskip("ipykernel")
    if "image/png" in PICTURES[name]:
        pytest.importorskip("matplotlib")
    monkeypatch.setenv("PYTHONPATH", str(Path(pantoum.__file__).parents[1]))
    notebook = nbformat.read(ROOT / "docs" / name, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        for budget, smaller in SMALLER.items():
            cell.source = cell.source.replace(budget, smaller)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.get("output_type") == "error"]
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    for picture in PICTURES[name]:
        assert picture in page
