"""How long a person waits before anything happens: `--help`, `import pantoum`, `generate`'s first character.

Each is a whole process, started anew, with Python's byte code in place; the first character is timed
from the command's start to the first byte on its stdout, which is a pipe. The model is 3 x 512 GRU over
98 symbols with random weights (written here): what it writes does not matter, its size does.

    python benchmarks/startup.py [--runs 15] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measured import machine

from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.network import LanguageModel
from pantoum.text.tokenizer import learner

MARKS = {"pantoum --help": 0.1, "import pantoum": 0.2, "first character of generate": 0.5}


def write_model(path: Path) -> None:
    """A 3 x 512 GRU over some 100 symbols."""
    scholar = learner("characters", None, None)
    scholar.feed("".join(map(chr, range(32, 127))) + "\n")
    tokenizer = scholar.learn()
    network = LanguageModel(tokenizer.vocab_size, None, "gru", 512, 3)
    model_file.write(path, ModelFile(network.config.spec(), dict(network.parameters), tokenizer.spec(), {}))


def whole(*command: str) -> Callable[[], float]:
    """Seconds until a command has ended."""

    def run() -> float:
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began

    return run


def first_byte(*command: str) -> Callable[[], float]:
    """Seconds until a command's first byte."""

    def run() -> float:
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.read(1)
            took = time.perf_counter() - began
            process.stdout.read()
        return took

    return run


def main() -> None:
    """Measure all three in turn, so that a busy moment hits them alike."""
    parser = argparse.ArgumentParser(description="start-up times")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model.safetensors")
        write_model(model)
        pantoum = (sys.executable, "-m", "pantoum")
        tries = {
            "pantoum --help": whole(*pantoum, "--help"),
            "import pantoum": whole(sys.executable, "-c", "import pantoum"),
            "first character of generate": first_byte(
                *pantoum, "generate", str(model), "--length", "20", "--seed", "1"
            ),
            "an empty Python": whole(sys.executable, "-c", "pass"),
            "import numpy": whole(sys.executable, "-c", "import numpy"),
        }
        times: dict[str, list[float]] = {name: [] for name in tries}
        for run in tries.values():
            run()  # once before: byte code and the page cache
        for _ in range(asked.runs):
            for name, run in tries.items():
                times[name].append(run())
    found = {
        name: {"minimum": min(t), "median": statistics.median(t), "maximum": max(t), "mark": MARKS.get(name)}
        for name, t in times.items()
    }
    if asked.json:
        print(json.dumps({"machine": machine(), "runs": asked.runs, "seconds": found}))
        return
    print(machine())
    for name, t in found.items():
        mark = f"   mark {t['mark']}" if t["mark"] else ""
        print(f"{name:<30}{t['minimum']:7.3f} {t['median']:7.3f} {t['maximum']:7.3f} s{mark}")


if __name__ == "__main__":
    main()
