"""docs/formats.md names every field of a record, in its order, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from pantoum.report.record import Report

DOCS = Path(__file__).parents[2] / "docs" / "formats.md"


def test_every_field_of_a_record_is_documented() -> None:
    section = re.split(r"^## ", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (metrics,) = [part for part in section if part.startswith("Metrics:")]
    assert re.findall(r"^\| `(\w+)` \|", metrics, re.MULTILINE) == [each.name for each in fields(Report)]
