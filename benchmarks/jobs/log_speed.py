"""Lines of a log that ``score`` judges per second: 100 characters each, int8, alerts alone.

    python benchmarks/jobs/log_speed.py [--lines 100000] [--repeat 3] [--models FOLDER] [--json]

The lines are made up (``examples/log_lines.py``) and cut or filled to 100 characters. Models are trained for
a few steps, because time does not depend on what the weights are, and exported to int8. What is timed is the
scorer with a threshold that few lines exceed, from the text to its alerts; the least time of the repetitions
counts. "masked" is with ``--mask``. On a busy machine the processor time of one thread says more
(``PANTOUM_THREADS=1``): threads that wait for one another spin. Two checkouts are compared in turns with
``PYTHONPATH=CHECKOUT/src``, of which both read the models that ``--models FOLDER`` keeps.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from log_lines import clean
from measured import machine

import pantoum
from pantoum.config import ScoreConfig

WIDTH = 100
MODELS: dict[str, dict[str, Any]] = {
    "characters, 1 x 64": {"tokens": "characters", "hidden_size": 64, "num_layers": 1},
    "characters, 2 x 64": {"tokens": "characters", "hidden_size": 64, "num_layers": 2},
    "characters, 1 x 128": {"tokens": "characters", "hidden_size": 128, "num_layers": 1},
    "words, 1 x 128": {"tokens": "words", "vocab_size": 2000, "hidden_size": 128, "num_layers": 1},
}


def text_of(lines: int) -> str:
    """A log of lines of one width."""
    return "".join(f"{line.text:<{WIDTH}}"[:WIDTH] + "\n" for line in clean(lines, 1)[:lines])


def seconds(model: pantoum.Model, text: str, config: ScoreConfig, repeat: int) -> tuple[float, float]:
    """The least time for the whole text, by the clock and of the processor."""
    found = []
    for _ in range(repeat):
        scorer, alerts = model.scorer(config), 0
        begun, used = time.perf_counter(), time.process_time()
        for scores in scorer.batches([text]):
            alerts += sum(score.alert for score in scores)
        found.append((time.perf_counter() - begun, time.process_time() - used))
    by_clock, of_processor = map(min, zip(*found, strict=True))
    return by_clock, of_processor


def model_of(folder: Path, name: str, text: str) -> pantoum.Model:
    """A model in int8, made unless the folder has it."""
    place = folder / name.replace(" ", "")
    int8 = place.with_suffix(".safetensors")
    if not int8.exists():
        (folder / "app.log").write_text(text[: 20_000 * (WIDTH + 1)])
        run = pantoum.train(folder / "app.log", run=place, steps=5, progress=False, **MODELS[name])
        pantoum.export(run.folder, to="int8", out=int8)
    return pantoum.load(int8)


def main() -> None:
    """Train, export, time, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--streams", type=int, default=256)
    parser.add_argument("--models", type=Path, help="an existing folder for the models")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    text, rates = text_of(options.lines), {}
    with tempfile.TemporaryDirectory() as made:
        folder = options.models or Path(made)
        for name in MODELS:
            model = model_of(folder, name, text)
            for mask in (False, True):
                config = ScoreConfig(streams=options.streams, alert=25.0, mask=mask)
                taken = seconds(model, text, config, options.repeat)
                named = name + (", masked" if mask else "")
                rates[named] = [options.lines / each for each in taken]
                print(
                    f"{named:30} {rates[named][0]:10,.0f} lines per second,"
                    f" {rates[named][1]:10,.0f} per second of the processor",
                    file=sys.stderr,
                    flush=True,
                )
    if options.json:
        print(json.dumps({"machine": machine(), "lines_per_second": rates}))


if __name__ == "__main__":
    main()
