"""Hostile documents of every kind: a text, or a refusal in one line. A benchmark draws 20,000 of them."""

from __future__ import annotations

import json
import random
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "faults" / "hostile_documents.py"


APART = {"pdf": "pypdf", "rtf": "striprtf"}


@pytest.mark.parametrize("kind", ["html", "docx", "odt", "epub", "zip", "stream", *APART])
def test_hostile_documents_of_a_kind(kind: str) -> None:
    count = 12
    if kind in APART:  # each case is a process
        pytest.importorskip(APART[kind])
        count = 3
    command = [sys.executable, str(SCRIPT), "--worker", f"--count={count}", "--seed=5", f"--kind={kind}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    cases = [json.loads(line) for line in answer.stdout.splitlines() if "begins" not in line]
    assert len(cases) == count
    # How long a case takes depends on what else runs here: the benchmark measures it.
    assert [what for case in cases for what in case["faults"] if not what.startswith("time")] == []


def test_a_drawn_document_is_small() -> None:
    """The numbers that are drawn for this one multiply to 3.6 GB of operators."""
    pages = runpy.run_path(str(SCRIPT.with_name("hostile_pages.py")))
    _, data = pages["pdf"](random.Random("1 51"))
    assert len(data) < 8 << 20
