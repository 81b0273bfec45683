"""Write docs/explanation/benchmarks.md from the log: ``python docs/make_benchmarks.py [--check]``.

No figure is typed here: each is read from the newest section of the log that has such a heading.
``--check`` writes nothing and exits with 1 where the page is not what the log gives.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parent
PAGE = DOCS / "explanation" / "benchmarks.md"
NUMBER = r"(\d+(?:,\d{3})*(?:\.\d+)?)"
WIDTH = 30
"""Blocks of the longest bar."""
BEGIN = """# Three figures

`python docs/make_benchmarks.py` makes this page from [the log](../log/index.md), which has all
rows, the machines, the seeds, the peers and what did not work. All are from one machine with two
cores. `make bench` measures the second and the third on your machine, `make bench-quality` the
first.
"""


@dataclass(frozen=True)
class Figure:
    """Some numbers of one section of the log."""

    title: str
    says: str
    page: str
    heading: str
    rows: tuple[tuple[str, str], ...]
    """A label, and a pattern whose first group is the number."""


FIGURES = (
    Figure(
        "What more minutes bring",
        "Validation loss in nats per character (protocol `carried`) on the held-out last tenth of tiny\n"
        "Shakespeare, after these minutes of wall-clock time on two cores, mean over seeds. Lower is better.",
        "quality",
        "Quality after 1, 3 and 10 minutes",
        (
            ("pantoum, 1 minute", rf"^\| 1 minute \| {NUMBER}"),
            ("pantoum, 3 minutes", rf"^\| 3 minutes[^|]*\| {NUMBER}"),
            (
                "PyTorch's `nn.LSTM` with AdamW, 3 minutes",
                rf"^\| `nn\.LSTM`[^|]*, 3 (?:\|[^|]*){{3}}\| \*\*{NUMBER}",
            ),
            ("pantoum, 10 minutes", rf"^\| 10 minutes[^|]*\| {NUMBER}"),
            (
                "PyTorch's `nn.LSTM` with AdamW, 10 minutes",
                rf"^\| the same, 10 (?:\|[^|]*){{3}}\| \*\*{NUMBER}",
            ),
        ),
    ),
    Figure(
        "How long a training step takes",
        "Milliseconds for 100 streams of 30 tokens through three GRU layers of 512 units, forward, backward\n"
        "and update. Lower is better.",
        "training-speed",
        "Whole training steps, every peer in one run",
        (
            ("pantoum, bf16", rf"^\| GRU bf16 \| {NUMBER}"),
            ("pantoum, float32", rf"^\| GRU float32 \| {NUMBER}"),
            ("PyTorch, bf16", rf"^\| `nn\.GRU` float32; bf16 \|[^;|]*; {NUMBER}"),
            ("PyTorch, float32", rf"^\| `nn\.GRU` float32; bf16 \| {NUMBER}"),
            ("Keras on JAX, float32", rf"^\| Keras GRU float32: TensorFlow; JAX \|[^;|]*; {NUMBER}"),
            ("Keras on TensorFlow, float32", rf"^\| Keras GRU float32: TensorFlow; JAX \| {NUMBER}"),
        ),
    ),
    Figure(
        "How fast it writes",
        "Tokens per second of one text from a GRU of three layers of 512 units, sampling included; peers on\n"
        "one or two threads, whichever is faster. Higher is better.",
        "inference",
        "Writing and scoring beside PyTorch and ONNX Runtime",
        (
            ("pantoum, int8", rf"^\| one stream, int8 \| {NUMBER}"),
            ("pantoum, float32", rf"^\| one stream, float32 \| {NUMBER}"),
            ("ONNX Runtime, int8", rf"written out [^;]*?, int8 [\d,]+ / {NUMBER}"),
            ("ONNX Runtime, float32", rf"written out [\d,]+ / {NUMBER}"),
            ("PyTorch, int8", rf"torch eager [\d,]+ / [\d,]+, int8 [\d,]+ / {NUMBER}"),
            ("PyTorch, float32", rf"torch eager [\d,]+ /\s{NUMBER}"),
        ),
    ),
)


def page() -> str:
    """The whole page."""
    return "\n".join([BEGIN, *(section(figure) for figure in FIGURES)])


def section(figure: Figure) -> str:
    """A figure with the command that made it."""
    text = (DOCS / "log" / f"{figure.page}.md").read_text("utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)
    (source, *_) = [one for one in sections if one.startswith(figure.heading)]
    date, command = found(r"\((\d{4}-\d\d-\d\d)\)", source), found(r"`(python benchmarks/[^`]+)`", source)
    numbers = [found(pattern, source) for _, pattern in figure.rows]
    values = [float(number.replace(",", "")) for number in numbers]
    lines = [f"## {figure.title}", "", figure.says, "", "|  |  |  |", "| -- | -- | -- |"]
    for (label, _), number, value in zip(figure.rows, numbers, values, strict=True):
        bar = "█" * round(WIDTH * value / max(values))
        lines.append(f"| {label} | {number} | {bar} |")
    made = f"Measured on {date} by [this command](../log/{figure.page}.md):"
    return "\n".join([*lines, "", made, "", "```text", command, "```", ""])


def found(pattern: str, source: str) -> str:
    """The one group of a pattern in a section of the log."""
    match = re.search(pattern, source, re.MULTILINE)
    if match is None:
        raise SystemExit(f"{pattern!r} is not in the section {source.splitlines()[0]!r} of the log any more")
    return " ".join(match[1].split())


def main() -> None:
    """Write the page, or say whether it is up to date."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(), "utf-8")
    elif PAGE.read_text("utf-8") != page():
        sys.exit(f"{PAGE} is not what the log gives: python docs/make_benchmarks.py")


if __name__ == "__main__":
    main()
