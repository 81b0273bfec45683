"""Streaming clients against ``Batch``: tokens per second, of the clock and of processor time.

    PYTHONPATH=src python benchmarks/serving_streams.py [--clients 64,256] [--tokens 1000] [--form] [--json]

A server of a 3 x 512 int8 GRU with a slot for each client; all clients stream at once, from another process
on the same cores. ``Batch`` writes as many texts of the same length in a process of its own. Processor time
is that of the server's process, all threads, without the clients. Best turns. ``--form``: against the same
server, whose texts have no form, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measured import machine
from serving_process import Process, ours

HERE = Path(__file__).parent
PROMPT = "Once upon a time, "
WANTED = {64: (0.75, 0.6), 256: (0.6, 0.5)}
"""Clients: shares of the rate of ``Batch``, by the clock and by processor time."""
FORM = {"guided_regex": "([a-z]{1,9} ){100,}"}
WITH_FORM = 0.7
"""Share of the rate without a form."""


def load(url: str, **spec: Any) -> Any:
    """What the load generator tells."""
    script = [sys.executable, str(HERE / "serving_load.py"), "-"]
    text = json.dumps({"url": url, "path": "/v1/completions", **spec})
    done = subprocess.run(script, input=text, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout)


def streaming(tokens: int, **more: Any) -> dict[str, Any]:
    options = {"include_usage": True}
    return {"max_tokens": tokens, "temperature": 0.8, "stream": True, "stream_options": options, **more}


def batch_rates(model: str, streams: int, tokens: int, turns: int = 5) -> dict[str, float]:
    """Tokens per second of ``Batch`` alone, in a process of its own, by the clock and by processor time."""
    code = f"""
import json, time
import pantoum
model = pantoum.load({model!r})
rates = []
for turn in range({turns}):
    batch = model.batch()
    for seed in range({streams}):
        batch.start({PROMPT!r}, length={tokens}, seed=seed, temperature=0.8)
    begun, processor = time.perf_counter(), time.process_time()
    for _ in batch:
        pass
    seconds, processor = time.perf_counter() - begun, time.process_time() - processor
    rates.append(({streams * tokens} / seconds, {streams * tokens} / processor))
print(json.dumps({{"rate": max(r for r, _ in rates), "per_processor": max(p for _, p in rates)}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    rates: dict[str, float] = json.loads(done.stdout)
    return rates


def processor_seconds(process: Process) -> float:
    """Processor time of a server so far, all of its threads."""
    fields = Path(f"/proc/{process.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(model: str, folder: str, clients: int, tokens: int, turns: int) -> dict[str, Any]:
    """So many clients against as many streams of ``Batch``."""
    alone = batch_rates(model, clients, tokens)
    told = []
    with ours(model, folder, "--slots", str(clients)) as server:
        load(server.url, clients=4, prompts=[PROMPT], body=streaming(50))
        for _ in range(turns):
            before = processor_seconds(server)
            turn = load(server.url, clients=clients, prompts=[PROMPT], body=streaming(tokens))
            used = processor_seconds(server) - before
            told.append({**turn, "per_processor": turn["tokens"] / used})
    best = max(told, key=lambda turn: turn["rate"] or 0.0)
    processor = max(turn["per_processor"] for turn in told)
    return {
        "batch": alone,
        "share": best["rate"] / alone["rate"],
        "processor_share": processor / alone["per_processor"],
        **best,
        "turns": told,
    }


def with_form(model: str, folder: str, clients: int, tokens: int, turns: int) -> tuple[float, float]:
    """The rate of texts with a form as a share of the rate without, by the clock and by processor time."""
    best = {False: (0.0, 0.0), True: (0.0, 0.0)}
    with ours(model, folder, "--slots", str(clients)) as server:
        for formed in (False, True):
            load(server.url, clients=4, prompts=[PROMPT], body=streaming(1000, **FORM if formed else {}))
        for _ in range(turns):
            for formed in (False, True):
                before = processor_seconds(server)
                body = streaming(tokens, **FORM if formed else {})
                turn = load(server.url, clients=clients, prompts=[PROMPT], body=body)
                per_processor = turn["tokens"] / (processor_seconds(server) - before)
                rate, most = best[formed]
                best[formed] = max(rate, turn["rate"]), max(most, per_processor)
    (rate, most), (rate_formed, most_formed) = best.values()
    return rate_formed / rate, most_formed / most


def main() -> None:
    from startup import write_model

    from pantoum.inference.exporting import export

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", default=",".join(map(str, WANTED)))
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--form", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        plain, model = Path(folder, "float32.safetensors"), Path(folder, "int8.safetensors")
        write_model(plain)
        export(plain, "int8", model)
        for clients in map(int, options.clients.split(",")):
            if options.form:
                shares = with_form(str(model), folder, clients, options.tokens, options.turns)
                print(
                    f"{clients:4} clients with a form: {shares[0]:.3f} of the rate by the clock, "
                    f"{shares[1]:.3f} by processor time  >= {WITH_FORM:g}"
                )
                continue
            found[clients] = measure(str(model), folder, clients, options.tokens, options.turns)
    if options.json:
        print(json.dumps({"machine": machine(), "found": found}))
        return
    for clients, one in found.items():
        wanted = WANTED.get(clients, (0.0, 0.0))
        for name, figure, least in zip(
            ("clock", "processor time"), (one["share"], one["processor_share"]), wanted, strict=True
        ):
            verdict = "holds" if figure >= least else "MISSED"
            print(f"{clients:4} clients, share of Batch by {name:15} {figure:.3f}  >= {least:g}  {verdict}")
        print(
            f"     {one['rate']:,.0f} tokens/s, first token p99 {one['first_p99'] * 1e3:.0f} ms, "
            f"gap p99 {one['gap_p99'] * 1e3:.0f} ms, {one['events']:,} events; Batch {one['batch']}"
        )


if __name__ == "__main__":
    main()
