"""The server's marks: streams, peers, first byte, sessions, scoring, start, memory, identity, install.

    python benchmarks/serving.py [--only streams,peers,...] [--json] [--clients 64] [--sessions 100000] ...

Each section starts its own server in a process of its own (``python -m pantoum serve`` of a 3 x 512 GRU with
98 symbols, int8); the load comes from another process (``serving_load.py``) on the same cores. The peers
(``serving_peers.py``) and ours run in turns, whoever has not its turn is stopped. All sections take less than
ten minutes together.

    streams    64 clients, 300 tokens each, against the rate of ``Batch`` with 64 streams
    peers      the same through FastAPI and torch, one request at a time and batched
    first      one client: the first byte of a stream
    sessions   100,000 sessions in memory and 300,000 in SQLite, each back while 32 clients stream; SIGKILL
    scoring    max_tokens 0, echo, logprobs, 64 clients, against ``Scorer`` with 64 segments
    start      start to first answer; memory with a 5 M parameter model and 16 slots
    identity   one request alone, beside 255, through a state, a session, after a restart
    install    megabytes that the extra adds to the base install (needs a package index)
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measured import machine
from serving_process import ours, peer
from serving_streams import PROMPT, load, measure, streaming
from startup import write_model

TEXT = "The rest of the evening was spent in conjecturing how soon he would return. " * 40


def measure_streams(models: dict[str, str], folder: str, options: argparse.Namespace) -> dict[str, Any]:
    return measure(models["int8"], folder, options.clients, options.tokens, options.turns)


def measure_peers(models: dict[str, str], folder: str, options: argparse.Namespace) -> dict[str, Any]:
    """Ours and the peers in turns, each alone on the machine for its turn."""
    body, few = streaming(options.tokens), streaming(options.tokens // 10 or 1)
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "one": [], "batched": []}
    with ours(models["int8"], folder) as mine, peer("one", folder) as one, peer("batched", folder) as many:
        servers = {"ours": mine, "one": one, "batched": many}
        for server in servers.values():
            load(server.url, clients=2, prompts=[PROMPT], body=streaming(10))
            server.pause(True)
        for _ in range(options.turns):
            for name, server in servers.items():
                server.pause(False)
                # One request at a time is too slow for all of it: a tenth of the tokens gives its rate.
                asked = few if name == "one" else body
                found[name].append(load(server.url, clients=options.clients, prompts=[PROMPT], body=asked))
                server.pause(True)
        for server in servers.values():
            server.pause(False)
    rates = {name: max(turn["rate"] or 0.0 for turn in turns) for name, turns in found.items()}
    return {
        "rates": rates,
        "against_one": rates["ours"] / rates["one"],
        "against_batched": rates["ours"] / rates["batched"],
    }


def measure_first(models: dict[str, str], folder: str, options: argparse.Namespace) -> dict[str, Any]:
    with ours(models["int8"], folder) as server:
        body = streaming(3)
        load(server.url, clients=1, requests=20, prompts=[PROMPT], body=body)
        found: dict[str, Any] = load(
            server.url, clients=1, requests=options.requests, prompts=[PROMPT], body=body
        )
        return found


def measure_scoring(models: dict[str, str], folder: str, options: argparse.Namespace) -> dict[str, Any]:
    text = TEXT[:2000]
    code = f"""
import time
import pantoum
model, text = pantoum.load({models["int8"]!r}), {text!r} * 64
best = 0.0
for turn in range(5):
    begun = time.perf_counter()
    model.score(text, by="line", streams=64)
    best = max(best, len(text) / (time.perf_counter() - begun))
print(best)
"""
    alone = float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    found: dict[str, Any] = {"score_rate": alone}
    with ours(models["int8"], folder) as server:
        for logprobs in (0, 1):
            body = {"max_tokens": 0, "echo": True, "logprobs": logprobs}
            spec = {
                "clients": options.clients,
                "prompts": [text],
                "body": body,
                "requests": 1,
                "seeds": False,
            }
            turns = [load(server.url, **spec) for _ in range(options.turns)]
            best = max(turns, key=lambda turn: turn["rate"] or 0.0)
            found[f"logprobs_{logprobs}"] = {**best, "share": best["rate"] / alone}
    return found


def measure_start(models: dict[str, str], folder: str, options: argparse.Namespace) -> dict[str, Any]:
    seconds = []
    for _ in range(5):
        with ours(models["float32"], folder, "--slots", "16") as server:
            server.post("/v1/completions", prompt="A", max_tokens=1)
            seconds.append(time.perf_counter() - server.begun)
            load(server.url, clients=16, prompts=[PROMPT], body=streaming(100))
            resident = server.resident()
    return {"seconds": min(seconds), "turns": seconds, "resident_mb": resident / 1e6}


def measure_identity(models: dict[str, str], folder: str, options: argparse.Namespace) -> dict[str, Any]:
    body = {"prompt": PROMPT, "max_tokens": 120, "seed": 7, "temperature": 0.8, "logprobs": 2}
    half = {**body, "max_tokens": 60}
    rest = {**half, "prompt": ""}
    del rest["prompt"]

    def told(*answers: Any) -> Any:
        choices = [answer["choices"][0] for answer in answers]
        text = "".join(choice["text"] for choice in choices)
        return text, [nats for choice in choices for nats in choice["logprobs"]["token_logprobs"]]

    found = {}
    with ours(models["int8"], folder, "--slots", "256", "--queue", "300") as server:
        found["alone"] = told(server.post("/v1/completions", **body))
        first = server.post("/v1/completions", **half, return_state=True)
        session = server.post("/v1/sessions", prompt=PROMPT)["id"]
        kept = server.post(f"/v1/sessions/{session}/generate", **{**half, "prompt": ""})

        def crowd() -> None:
            load(server.url, clients=255, prompts=[PROMPT, "x", "y" * 300], body=streaming(600))

        crowding = threading.Thread(target=crowd)
        crowding.start()
        time.sleep(1.0)
        found["among 255"] = told(server.post("/v1/completions", **body))
        found["busy meanwhile"] = crowding.is_alive()
        crowding.join()
        state = first["choices"][0]["state"]
        found["through a state"] = told(first, server.post("/v1/completions", **rest, state=state))
    with ours(models["int8"], folder) as server:
        found["session after restart"] = told(kept, server.post(f"/v1/sessions/{session}/generate", **rest))
        found["state after restart"] = told(first, server.post("/v1/completions", **rest, state=state))
        found["alone after restart"] = told(server.post("/v1/completions", **body))
    busy = found.pop("busy meanwhile")
    same = {name: one == found["alone"] for name, one in found.items()}
    return {"same": same, "all": all(same.values()), "neighbours_were_writing": busy}


def measure_sessions(models: dict[str, str], folder: str, options: argparse.Namespace) -> dict[str, Any]:
    """Three quarters of the sessions are in SQLite alone: they are written by the store itself before the
    server starts. One quarter is forked over HTTP."""
    hot, cold = options.sessions, 3 * options.sessions
    stored = fill(models["int8"], folder, cold)
    found: dict[str, Any] = {"in_memory": hot, "in_sqlite": hot + cold}
    with ours(models["int8"], folder, "--slots", "64") as server:
        first = server.post("/v1/sessions", prompt=PROMPT)["id"]
        spec = {"clients": 8, "requests": hot // 8, "body": {}, "seeds": False, "ids": True, "timeout": 600}
        begun = time.perf_counter()
        names = load(server.url, path=f"/v1/sessions/{first}/fork", **spec)
        found["forks_per_second"] = len(names) / (time.perf_counter() - begun)
        found["resident_mb"] = server.resident() / 1e6
        stop = threading.Event()

        def stream() -> None:
            while not stop.is_set():
                load(server.url, clients=32, prompts=[PROMPT], body=streaming(400))

        streams = threading.Thread(target=stream)
        streams.start()
        time.sleep(2.0)
        for kind, among in (("memory", names), ("sqlite", stored)):
            times = []
            for name in among[:: max(1, len(among) // 500)]:
                begun = time.perf_counter()
                response = server.client.get(f"/v1/sessions/{name}")
                times.append(time.perf_counter() - begun)
                if response.status_code != 200:
                    raise RuntimeError(response.text)
            found[f"{kind}_p50"], found[f"{kind}_p99"] = percentile(times, 0.5), percentile(times, 0.99)
        stop.set()
        streams.join()
        found["resident_after_mb"] = server.resident() / 1e6
        server.end(signal.SIGKILL)
    with ours(models["int8"], folder, "--slots", "64") as server:
        sample = names[:: max(1, len(names) // options.checked)]
        lost = sum(server.client.get(f"/v1/sessions/{name}").status_code != 200 for name in sample)
        found["checked_after_sigkill"], found["lost"] = len(sample), lost
    return found


def fill(model: str, folder: str, count: int) -> list[str]:
    """So many sessions in the store of a server that is about to start; their names."""
    from pantoum.apps.server.sessions import to_bytes
    from pantoum.apps.server.signing import Signer, load_key
    from pantoum.apps.server.stores import SqliteStore
    from pantoum.inference.loaded_model import load as loaded
    from pantoum.inference.session import Session

    place = Path(folder, "pantoum")
    signer = Signer(load_key(place / "state.key"))
    session = Session(loaded(model))
    session.feed(PROMPT)
    value = to_bytes(((len(PROMPT), signer.sign(session.state)),))
    store = SqliteStore(str(place / "sessions.sqlite"), 1e6)
    names = [f"stored-session-{number:08}" for number in range(count)]
    for name in names:
        store.put(name, value, None, time.time())
    store.close()
    return names


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure_install(models: dict[str, str], folder: str, options: argparse.Namespace) -> dict[str, Any]:
    """Two environments of the packages alone: what the extra adds."""
    extra = ["fastapi", "uvicorn", "httptools", "prometheus-client"]
    sizes = {}
    for name, packages in (("base", ["numpy", "rich"]), ("serve", ["numpy", "rich", *extra])):
        place = Path(folder, f"install-{name}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, "--target", str(place), *packages], check=True)
        sizes[name] = sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) / 1e6
    return {"megabytes": sizes, "added_mb": sizes["serve"] - sizes["base"]}


SECTIONS: dict[str, Callable[[dict[str, str], str, argparse.Namespace], dict[str, Any]]] = {
    "streams": measure_streams,
    "peers": measure_peers,
    "first": measure_first,
    "scoring": measure_scoring,
    "start": measure_start,
    "identity": measure_identity,
    "sessions": measure_sessions,
    "install": measure_install,
}
Mark = tuple[str, str, Callable[[dict[str, Any]], float], str, float]
MARKS: list[Mark] = [
    ("streams", "64 clients: share of the rate of Batch", lambda f: f["share"], ">=", 0.60),
    ("streams", "64 clients: first token, p99, ms", lambda f: f["first_p99"] * 1e3, "<=", 150),
    ("streams", "64 clients: gap between events, p99, ms", lambda f: f["gap_p99"] * 1e3, "<=", 60),
    ("peers", "against torch, one request at a time", lambda f: f["against_one"], ">=", 10),
    ("peers", "against torch, batched", lambda f: f["against_batched"], ">=", 4),
    ("first", "one client: first token, median, ms", lambda f: f["first_p50"] * 1e3, "<=", 15),
    (
        "scoring",
        "echo, logprobs 0: share of the rate of score",
        lambda f: f["logprobs_0"]["share"],
        ">=",
        0.5,
    ),
    (
        "scoring",
        "echo, logprobs 1: share of the rate of score",
        lambda f: f["logprobs_1"]["share"],
        ">=",
        0.5,
    ),
    ("start", "start to first answer, s", lambda f: f["seconds"], "<=", 1.5),
    ("start", "resident, 5 M parameters, 16 slots, MB", lambda f: f["resident_mb"], "<=", 140),
    ("identity", "identical text and log-probabilities", lambda f: float(f["all"]), ">=", 1),
    ("sessions", "resident with all sessions, MB", lambda f: f["resident_after_mb"], "<=", 1200),
    ("sessions", "a session in memory is back, p99, ms", lambda f: f["memory_p99"] * 1e3, "<=", 20),
    ("sessions", "a session in SQLite is back, p99, ms", lambda f: f["sqlite_p99"] * 1e3, "<=", 20),
    ("sessions", "lost by SIGKILL", lambda f: f["lost"], "<=", 0),
    ("install", "the extra adds, MB", lambda f: f["added_mb"], "<=", 40),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--requests", type=int, default=300, help="of the one client")
    parser.add_argument(
        "--sessions", type=int, default=100_000, help="in memory; three times as many in SQLite alone"
    )
    parser.add_argument("--checked", type=int, default=5000, help="sessions looked for after SIGKILL")
    options = parser.parse_args()
    asked = options.only.split(",")
    if not set(asked) <= set(SECTIONS):
        parser.error(f"--only takes {','.join(SECTIONS)}")
    from pantoum.inference.exporting import export

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        models = {name: str(Path(folder, f"{name}.safetensors")) for name in ("float32", "int8")}
        write_model(Path(models["float32"]))
        export(models["float32"], "int8", models["int8"])
        for section in asked:
            begun = time.perf_counter()
            place = Path(folder, section)
            place.mkdir()
            found[section] = SECTIONS[section](models, str(place), options)
            found[section]["took"] = time.perf_counter() - begun
            print(f"{section}: {found[section]['took']:.0f} s", file=sys.stderr, flush=True)
    marks = []
    for section, name, figure, sign, wanted in MARKS:
        if section in found:
            value = figure(found[section])
            holds = value >= wanted if sign == ">=" else value <= wanted
            marks.append({"mark": name, "figure": value, "wanted": f"{sign} {wanted:g}", "holds": holds})
    report = {"machine": machine(), "found": found, "marks": marks}
    if options.json:
        print(json.dumps(report))
        return
    print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    for row in marks:
        verdict = "holds" if row["holds"] else "MISSED"
        print(f"{row['mark']:48} {row['figure']:10.4g}   {row['wanted']:>8}   {verdict}")


if __name__ == "__main__":
    main()
