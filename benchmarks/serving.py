"""The server's marks: streams, texts with a form, scoring, start and memory.

    PYTHONPATH=src python benchmarks/serving.py [--only streams,form,...] [--clients 64,256] [--tokens 1000]

Each section starts its own server in a process of its own (``python -m pantoum serve`` of a 3 x 512 GRU with
98 symbols, int8); the load comes from another process (``serving_load.py``) on the same cores. Processor time
is that of the server's process, all threads, without the clients. Best turns count.

    streams    so many clients stream at once, with a slot each, against ``Batch``, which writes as many texts
               of the same length in a process of its own
    form       64 streams whose texts have a form against those without one, on the same server, in turns
    scoring    max_tokens 0, echo, logprobs, 64 clients, against ``Scorer`` with 64 segments
    start      start to first answer; memory with a 5 M parameter model and 16 slots
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measured import machine, parser, print_marks
from serving_process import Process, ours
from startup import write_models

HERE = Path(__file__).parent
PROMPT = "Once upon a time, "
TEXT = "The rest of the evening was spent in conjecturing how soon he would return. " * 25
FORM = {"guided_regex": "([a-z]{1,9} ){100,}"}
Figures = dict[str, Any]


def load(server: Process, clients: int, body: Figures, **spec: Any) -> Figures:
    """What the load generator tells, and tokens per second of the server's processor time."""
    before = server.processor()
    spec = {
        "url": server.url,
        "path": "/v1/completions",
        "clients": clients,
        "prompts": [PROMPT],
        "body": body,
    } | spec
    script = [sys.executable, str(HERE / "serving_load.py")]
    done = subprocess.run(script, input=json.dumps(spec), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: Figures = json.loads(done.stdout)
    return {**found, "per_processor": found["tokens"] / max(1e-9, server.processor() - before)}


def streaming(tokens: int, **more: Any) -> Figures:
    options = {"include_usage": True}
    return {"max_tokens": tokens, "temperature": 0.8, "stream": True, "stream_options": options, **more}


def in_python(code: str) -> Any:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return json.loads(done.stdout)


def best(turns: list[Figures]) -> Figures:
    """The turn with the highest rate; its tokens per second of processor time are the most of all turns."""
    return max(turns, key=lambda turn: turn["rate"]) | {
        "per_processor": max(t["per_processor"] for t in turns)
    }


def measure_streams(model: str, folder: str, asked: argparse.Namespace) -> Figures:
    """By the number of clients."""
    return {str(clients): against_batch(model, folder, clients, asked) for clients in asked.clients}


def against_batch(model: str, folder: str, clients: int, asked: argparse.Namespace) -> Figures:
    code = f"""
import json, time
import pantoum
model = pantoum.load({model!r})
rates = []
for turn in range(5):
    batch = model.batch()
    for seed in range({clients}):
        batch.start({PROMPT!r}, length={asked.tokens}, seed=seed, temperature=0.8)
    begun, processor = time.perf_counter(), time.process_time()
    for _ in batch:
        pass
    seconds, processor = time.perf_counter() - begun, time.process_time() - processor
    rates.append(({clients * asked.tokens} / seconds, {clients * asked.tokens} / processor))
print(json.dumps([max(each) for each in zip(*rates)]))
"""
    rate, per_processor = in_python(code)
    with ours(model, folder, "--slots", str(clients)) as server:
        load(server, 4, streaming(50))
        found = best([load(server, clients, streaming(asked.tokens)) for _ in range(asked.turns)])
    shares = {"share": found["rate"] / rate, "processor_share": found["per_processor"] / per_processor}
    return {**shares, **found, "batch": [rate, per_processor]}


def measure_form(model: str, folder: str, asked: argparse.Namespace) -> Figures:
    """The rate of texts with a form as a share of the rate without, by the clock and by processor time."""
    tokens = max(400, asked.tokens)  # a shorter text cannot have the form
    bodies = {"plain": streaming(tokens), "form": streaming(tokens, **FORM)}
    turns: dict[str, list[Figures]] = {name: [] for name in bodies}
    with ours(model, folder, "--slots", "64") as server:
        for body in bodies.values():
            load(server, 4, body)
        for _ in range(asked.turns):
            for name, body in bodies.items():
                turns[name].append(load(server, 64, body))
    plain, form = best(turns["plain"]), best(turns["form"])
    return {name: form[name] / plain[name] for name in ("rate", "per_processor")}


def measure_scoring(model: str, folder: str, asked: argparse.Namespace) -> Figures:
    code = f"""
import time
import pantoum
model, text = pantoum.load({model!r}), {TEXT!r} * 64
best = 0.0
for turn in range(5):
    begun = time.perf_counter()
    model.score(text, by="line", streams=64)
    best = max(best, len(text) / (time.perf_counter() - begun))
print(best)
"""
    found: Figures = {"score_rate": in_python(code)}
    with ours(model, folder) as server:
        for logprobs in (0, 1):
            body = {"max_tokens": 0, "echo": True, "logprobs": logprobs}
            turns = [load(server, 64, body, prompts=[TEXT], seeds=False) for _ in range(asked.turns)]
            found[f"logprobs_{logprobs}"] = best(turns) | {"share": best(turns)["rate"] / found["score_rate"]}
    return found


def measure_start(model: str, folder: str, asked: argparse.Namespace) -> Figures:
    seconds = []
    for _ in range(asked.turns):
        with ours(model.replace("int8", "float32"), folder, "--slots", "16") as server:
            server.post("/v1/completions", prompt="A", max_tokens=1)
            seconds.append(time.perf_counter() - server.begun)
            load(server, 16, streaming(100))
            resident = server.resident()
    return {"seconds": min(seconds), "turns": seconds, "resident_mb": resident / 1e6}


SECTIONS: dict[str, Callable[[str, str, argparse.Namespace], Figures]] = {
    "streams": measure_streams,
    "form": measure_form,
    "scoring": measure_scoring,
    "start": measure_start,
}
MARKS: list[tuple[str, str, Callable[[Figures], float], float]] = [
    ("streams", "64 clients: share of the rate of Batch", lambda f: f["64"]["share"], 0.75),
    ("streams", "64 clients: the same by processor time", lambda f: f["64"]["processor_share"], 0.6),
    ("streams", "256 clients: share of the rate of Batch", lambda f: f["256"]["share"], 0.6),
    ("streams", "256 clients: the same by processor time", lambda f: f["256"]["processor_share"], 0.5),
    ("streams", "64 clients: first token, p99, ms, at most", lambda f: f["64"]["first_p99"] * 1e3, 150),
    ("streams", "64 clients: gap between events, p99, ms, at most", lambda f: f["64"]["gap_p99"] * 1e3, 60),
    ("form", "with a form: share of the rate without", lambda f: f["rate"], 0.7),
    ("form", "with a form: the same by processor time", lambda f: f["per_processor"], 0.7),
    ("scoring", "echo, logprobs 0: share of the rate of score", lambda f: f["logprobs_0"]["share"], 0.5),
    ("scoring", "echo, logprobs 1: share of the rate of score", lambda f: f["logprobs_1"]["share"], 0.5),
    ("start", "start to first answer, s, at most", lambda f: f["seconds"], 1.5),
    ("start", "resident, 5 M parameters, 16 slots, MB, at most", lambda f: f["resident_mb"], 140),
]


def marks(found: Figures) -> list[Figures]:
    """A row for each mark of what was measured."""
    rows = []
    for section, name, figure, wanted in MARKS:
        clients = name.partition(" ")[0]
        if section not in found or (section == "streams" and clients not in found[section]):
            continue
        value, most = figure(found[section]), name.endswith("at most")
        holds = value <= wanted if most else value >= wanted
        words = f"{'<=' if most else '>='} {wanted:g}"
        rows.append({"mark": name, "figure": value, "wanted": words, "holds": holds})
    return rows


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between")
    options.add_argument(
        "--clients", default="64,256", type=lambda words: [int(each) for each in words.split(",")]
    )
    options.add_argument("--tokens", type=int, default=1000)
    options.add_argument("--turns", type=int, default=3)
    asked = options.parse_args()
    found: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        model = str(write_models(Path(folder))["int8"])
        for section in asked.only.split(","):
            place = Path(folder, section)
            place.mkdir()
            found[section] = SECTIONS[section](model, str(place), asked)
            print(f"{section}: {json.dumps(found[section])}", file=sys.stderr, flush=True)
    report = {"machine": machine(), "found": found, "marks": marks(found)}
    if asked.json:
        return print(json.dumps(report))
    print(report["machine"])
    return print_marks(report["marks"])


if __name__ == "__main__":
    main()
