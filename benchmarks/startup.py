"""How long a person waits before anything happens: `--help`, `import pantoum`, `generate`'s first character.

Each is a whole process, started anew, with Python's byte code in place (in a folder of its own, also where
the environment forbids to write it); the first character is timed from the start of the command to the first
byte on its stdout, which is a pipe. The model is a 3 x 512 GRU over 98 symbols with random weights (written
here): what it writes does not matter, its size does. With `--base` the commands of another checkout take
turns with those of this one.

    python benchmarks/startup.py [--runs 15] [--base FOLDER] [--json]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measured import machine, parser

from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import export
from pantoum.network import LanguageModel
from pantoum.text.tokenizer import learner

HERE = Path(__file__).parent.parent
MARKS = {"pantoum --help": 0.1, "import pantoum": 0.2, "first character of generate": 0.5}


def write_model(path: Path) -> None:
    """A 3 x 512 GRU over some 100 symbols."""
    scholar = learner("characters", None, None)
    scholar.feed("".join(map(chr, range(32, 127))) + "\n")
    tokenizer = scholar.learn()
    network = LanguageModel(tokenizer.vocab_size, None, "gru", 512, 3)
    model_file.write(path, ModelFile(network.config.spec(), dict(network.parameters), tokenizer.spec(), {}))


def write_models(folder: Path) -> dict[str, Path]:
    """The same in both precisions."""
    files = {name: folder / f"{name}.safetensors" for name in ("float32", "int8")}
    write_model(files["float32"])
    export(files["float32"], "int8", files["int8"])
    return files


def environment(checkout: Path, byte_code: str) -> dict[str, str]:
    """This environment with the package of a checkout, and a place for byte code."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **plain,
        "PYTHONPATH": str(checkout / "src"),
        "PYTHONPYCACHEPREFIX": byte_code,
        "PYTHONSAFEPATH": "1",
    }


def whole(env: dict[str, str], *command: str) -> Callable[[], float]:
    """Seconds until a command has ended."""

    def run() -> float:
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=env)
        return time.perf_counter() - began

    return run


def first_byte(env: dict[str, str], *command: str) -> Callable[[], float]:
    """Seconds until the first byte of a command."""

    def run() -> float:
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
            assert process.stdout is not None
            assert process.stdout.read(1)
            took = time.perf_counter() - began
            process.stdout.read()
        return took

    return run


def contestants(checkout: Path, folder: str, model: Path) -> dict[str, Callable[[], float]]:
    """The commands of one checkout."""
    env, pantoum = environment(checkout, folder), (sys.executable, "-m", "pantoum")
    return {
        "pantoum --help": whole(env, *pantoum, "--help"),
        "import pantoum": whole(env, sys.executable, "-c", "import pantoum"),
        "first character of generate": first_byte(
            env, *pantoum, "generate", str(model), "--length", "20", "--seed", "1"
        ),
    }


def main() -> None:
    """Measure all in turn, so that a busy moment hits them alike."""
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=15)
    options.add_argument("--base", type=Path, metavar="FOLDER", help="another checkout to compare with")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model.safetensors")
        write_model(model)
        tries = contestants(HERE, folder, model)
        if asked.base is not None:
            others = contestants(asked.base.resolve(), folder, model)
            tries |= {f"{name}, base": run for name, run in others.items()}
        env = environment(HERE, folder)
        tries["an empty Python"] = whole(env, sys.executable, "-c", "pass")
        tries["import numpy"] = whole(env, sys.executable, "-c", "import numpy")
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
    for name, t in sorted(found.items()):
        mark = f"   mark {t['mark']}" if t["mark"] else ""
        print(f"{name:<36}{t['minimum']:7.3f} {t['median']:7.3f} {t['maximum']:7.3f} s{mark}")


if __name__ == "__main__":
    main()
