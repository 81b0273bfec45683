"""A stranger adds a command, a reader, an exporter, an importer, an engine and a constraint: the package that
docs/how-to/extend.md shows, word for word."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "extend.md"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the package is installed."""
    folder = tmp_path_factory.mktemp("site-packages")
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL))
    (folder / "shout.py").write_text(blocks["python"], encoding="utf-8")
    lines = []
    for group, entry in re.findall(r'entry-points\."([\w.]+)"\]\n(.*)', blocks["toml"]):
        lines += [f"[{group}]", entry.replace('"', "")]
    made = folder / "shout-1.0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: shout\nVersion: 1.0\n")
    (made / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def command(installed: Path, *words: object) -> str:
    script = f"import sys; sys.path.append({str(installed)!r}); from pantoum.cli.main import main; "
    done = subprocess.run(
        [sys.executable, "-c", script + "sys.exit(main(sys.argv[1:]))", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_is_listed_and_runs(installed: Path, text: Path) -> None:
    assert re.search(r"shout +write a text in capitals", command(installed, "--help"))
    assert "pantoum shout book.txt" in command(installed, "shout", "--help")
    assert command(installed, "shout", text).startswith("THE CAT NUMBER 0 SAT")


def test_its_files_are_read(installed: Path, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.shout").write_bytes(b"SHOUTTHE CAT SAT ON THE MAT\nTHE DOG RAN\n")
    assert "the cat sat on the mat" in command(installed, "score", trained, tmp_path / "a.shout")


def test_its_form_is_exported_and_its_models_imported(installed: Path, trained: Path, tmp_path: Path) -> None:
    command(installed, "export", trained, "--to", "names", "--out", tmp_path / "names.txt")
    assert "head.bias" in (tmp_path / "names.txt").read_text().split()
    (tmp_path / "a.shout").write_bytes((trained / "model.safetensors").read_bytes())
    command(installed, "import", tmp_path / "a.shout", "--out", tmp_path / "model.safetensors")
    assert command(installed, "generate", tmp_path / "model.safetensors", "--length", 3, "--seed", 1)


def test_what_it_does_not_know_is_left_to_others(installed: Path, trained: Path, text: Path) -> None:
    pytest.importorskip("llguidance")
    found = command(installed, "generate", trained, "--matching", "[ab]{3}", "--seed", 1, "--prompt", "The ")
    assert re.fullmatch("The [ab]{3}\n?", found)
