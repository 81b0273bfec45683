"""Workflows use actions by full hashes with least permissions; their blocks run here as far as they can."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_nothing_is_permitted_by_default(path: Path) -> None:
    text = path.read_text("utf-8")
    for line in re.findall(r"uses: (.*)", text):
        assert re.match(r"\./|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"] and ("timeout-minutes" in job or "uses" in job)


def test_only_a_pushed_tag_publishes() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8"))
    jobs, triggers = workflow["jobs"], workflow[True]  # YAML takes `on` for a truth value
    assert triggers["push"] == {"tags": ["v*"]} and set(triggers) == {"push", "workflow_dispatch"}
    assert jobs["publish"]["if"] == "github.event_name == 'push'" and "check" in jobs["publish"]["needs"]
    assert jobs["rehearse"]["if"] == "github.event_name == 'workflow_dispatch'"
    entitled = {name for name, job in jobs.items() if job["permissions"].get("id-token") == "write"}
    assert entitled == {"publish", "rehearse"}


MADE = """
on: push
jobs:
  one:
    runs-on: ${{ matrix.os }}
    strategy: { matrix: { os: [ubuntu-latest, windows-latest] } }
    env:
      PLACE: ${{ matrix.os }}
    steps:
      - run: test "$PLACE" = ubuntu-latest && test -z "$SECRET" && touch "$HOME/made" && cat tracked
      - run: test -e "$HOME/made" && python -c "import sys; assert sys.prefix != sys.base_prefix"
      - run: sudo true
      - run: false | true
  two:
    runs-on: macos-latest
    steps: [{ run: exit 1 }]
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or shutil.which("git") is None, reason="for clones on Linux")
def test_blocks_run_in_an_empty_clone_and_others_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the caller")
    for name, text in {".github/workflows/made.yml": MADE, "tracked": "here"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".ci").mkdir()
    runner = shutil.copy(ROOT / ".ci" / "workflow-runs", tmp_path / ".ci")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "made"]):
        subprocess.run(
            ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *words], cwd=tmp_path, check=True
        )
    done = subprocess.run([sys.executable, runner], capture_output=True, text=True, timeout=300)
    said = [line for line in done.stdout.splitlines() if line.startswith("made.yml")]
    ends = [re.sub(r"\d+ s$", "", line.rpartition(": ")[2]) for line in said]
    assert done.returncode == 1 and len(said) == 5, done.stdout + done.stderr
    assert ends[:2] == ["ran in "] * 2 and ends[2] == "it installs packages of the system"
    assert ends[3] == "FAILED with 1" and ends[4] == "it needs the machine macos-latest"
