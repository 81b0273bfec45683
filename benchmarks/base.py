"""What a base is worth: whole commands from it and from nothing, in turns, by the clock.

    python benchmarks/base.py --shakespeare FOLDER --base base:english [--others TEXT...] [--dictionary WORDS]
                              [--letters TEXT] [--compressed TEXT] [--textgenrnn PYTHON] [--rounds 3]
                              [--log base.jsonl] [--json]

``pantoum train --minutes M --valid HELD_OUT``, then ``pantoum evaluate`` of the held-out text, ``carried``.
FOLDER has tiny Shakespeare as train.txt and val.txt: its first 100,000 characters for a minute, all of it for
one and for three. ``--letters``: of a modern text the first 20,000 bytes for a minute, the rest judges. TEXTs
are of other kinds: each is trained on for a minute without its last tenth, which judges, and may begin from
what it wants. WORDS: a word a line; of the words that a model of 100,000 characters writes, the share is
printed that is there or in its text. ``start``: seconds before the first update of a run of one step.
``--compressed``: bits per byte of TEXT as ``pantoum compress --adapt`` packs it with the base, without the
base itself. ``--textgenrnn``: the interpreter of an environment that ``jobs/tuned_textgenrnn.py`` can run in,
for the first 100,000 characters. What the log has is not done again. The machine should do nothing else.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measured import PANTOUM, Results, command, machine, parser, print_marks

WRITTEN = 20_000
TEXTGENRNN, PEER = "textgenrnn", Path(__file__).parent / "jobs" / "tuned_textgenrnn.py"
MARKS = {"first 100 KB, 1": 1.55, "whole, 1": 1.35, "whole, 3": 1.31}


def units(asked: Any, folder: Path) -> Iterator[tuple[str, Path, Path, float, str]]:
    """(name, training text, held-out text, minutes, what ``--from`` says if it is not none)."""
    train, valid = asked.shakespeare / "train.txt", asked.shakespeare / "val.txt"
    (folder / "first.txt").write_bytes(train.read_bytes()[:100_000])
    yield "first 100 KB, 1", folder / "first.txt", valid, 1, asked.base
    yield "whole, 1", train, valid, 1, asked.base
    yield "whole, 3", train, valid, 3, asked.base
    if asked.letters:
        data = asked.letters.read_bytes()
        learned, judged = folder / "letters.txt", folder / "other-letters.txt"
        learned.write_bytes(data[:20_000])
        judged.write_bytes(data[20_000:])
        yield "letters, 1", learned, judged, 1, asked.base
    for other in asked.others:
        data = other.read_text("utf-8")
        cut = 9 * len(data) // 10
        learned, judged = folder / f"{other.stem}-learned.txt", folder / f"{other.stem}-judged.txt"
        learned.write_text(data[:cut], "utf-8")
        judged.write_text(data[cut:], "utf-8")
        yield f"{other.name}, 1", learned, judged, 1, "auto"


def trained(learned: Path, judged: Path, minutes: float, begin: str, seed: int, run: Path) -> float:
    """Nats per byte of the held-out text after a run."""
    words = ["train", learned, "--valid", judged, "--minutes", minutes, "--from", begin, "--seed", seed]
    words += ["--run", run]
    command(*map(str, words))
    found = command("evaluate", run, judged)
    return float(found["nats_per_token"]) * found["tokens"] / found["bytes"]


def known_words(run: Path, text: str, dictionary: set[str]) -> float:
    """The share of the words that a model writes which are in its text or in a dictionary."""
    asked = [*PANTOUM, "generate", str(run), "--length", str(WRITTEN), "--seed", "0", "--quiet"]
    written = subprocess.run(asked, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    words = re.findall(r"[a-z]+", written.lower())
    known = dictionary | set(re.findall(r"[a-z]+", text.lower()))
    return sum(word in known for word in words) / len(words)


def main() -> None:
    """Every unit from nothing and from the base, and the marks."""
    options = parser(__doc__)
    options.add_argument("--shakespeare", type=Path, required=True)
    options.add_argument("--base", default="base:english")
    options.add_argument("--others", type=Path, nargs="*", default=[])
    options.add_argument("--dictionary", type=Path)
    options.add_argument("--letters", type=Path)
    options.add_argument("--compressed", type=Path)
    options.add_argument("--textgenrnn", type=Path, metavar="PYTHON")
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--log", type=Path)
    asked = options.parse_args()
    results = Results(asked.log)
    known = {(line["unit"], line["from"], line["seed"]) for line in results.lines}
    dictionary = (
        set() if asked.dictionary is None else set(asked.dictionary.read_text("utf-8").lower().split())
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in range(asked.rounds):
            for unit, learned, judged, minutes, base in units(asked, folder):
                peers = [TEXTGENRNN] if asked.textgenrnn and unit.startswith("first") else []
                for begin in ("none", base, *peers):
                    if (unit, begin, seed) in known:
                        continue
                    if begin == TEXTGENRNN:
                        words = [asked.textgenrnn, PEER, learned, judged, str(minutes)]
                        found = subprocess.run(
                            words, stdout=subprocess.PIPE, check=True, encoding="utf-8"
                        ).stdout
                        results.add(
                            {"unit": unit, "from": begin, "seed": seed, **json.loads(found.splitlines()[-1])}
                        )
                        continue
                    run = folder / f"{len(results.lines)}"
                    line = {"unit": unit, "from": begin, "seed": seed}
                    line["nats_per_byte"] = trained(learned, judged, minutes, begin, seed, run)
                    if dictionary and unit == "first 100 KB, 1":
                        line["known_words"] = known_words(run, learned.read_text("utf-8"), dictionary)
                    command("train", learned, "--steps", "1", "--from", begin, "--run", f"{run}-start")
                    first = json.loads(Path(f"{run}-start/metrics.jsonl").read_text("utf-8").splitlines()[0])
                    line["start"] = first["phases"]["preparing"]
                    results.add(line)
    lines = results.lines
    of = {(line["unit"], line["from"]): line["nats_per_byte"] for line in lines}  # of the last seed
    marks = [
        {
            "mark": unit,
            "figure": of[unit, asked.base],
            "wanted": f"<= {most}",
            "holds": of[unit, asked.base] <= most,
        }
        for unit, most in MARKS.items()
    ]
    if asked.textgenrnn:
        unit = next(iter(MARKS))
        ratio = of[unit, asked.base] / of[unit, TEXTGENRNN]
        marks.append({"mark": "against textgenrnn", "figure": ratio, "wanted": "< 1", "holds": ratio < 1})
    if asked.compressed:
        with tempfile.TemporaryDirectory() as name:
            archive = Path(name) / "archive"
            command("compress", asked.compressed, "--model", asked.base, "--adapt", "--out", archive)
            bits = 8 * archive.stat().st_size / asked.compressed.stat().st_size
        marks.append({"mark": "compressed", "figure": bits, "wanted": "<= 1.75", "holds": bits <= 1.75})
    for unit, begin in of:
        most = 1.005 if begin == "auto" else 0.75
        if begin == "auto" or (begin, unit) == (asked.base, "letters, 1"):
            ratio = of[unit, begin] / of[unit, "none"]
            marks.append({"mark": unit, "figure": ratio, "wanted": f"<= {most}", "holds": ratio <= most})
    if asked.json:
        return print(json.dumps({"machine": machine(), "lines": lines, "marks": marks}))
    print(machine())
    for line in lines:
        print(json.dumps(line))
    return print_marks(marks)


if __name__ == "__main__":
    main()
