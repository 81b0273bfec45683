"""Ten thousand clients of a drawn mix in ten minutes: the good ones are served right, and nothing grows.

    PYTHONPATH=src python benchmarks/faults/many_clients.py [--clients 10000] [--seconds 600] [--json]

They come one after the other, evenly over the time, each from an address of its own (127.0.0.0/8), to a
server of a 3 x 512 int8 GRU with default settings:

    good       60 %   a text, streamed or not, alone or two at once; it must be that of ``Model.generate``.
                      Who is told to come again (429) does so when it was told to
    slow       10 %   reads a long stream at some hundred bytes per second, for up to 20 s
    dear       10 %   a long prompt, all its log-probabilities, many texts, large lists
    vanished   10 %   leaves before the first token, or in the middle of a stream
    wrong      10 %   no JSON, wrong types, no such path, half a request

Then a fifth of them comes once more. Marks: every good one served right and every dear one answered, no 5xx;
resident memory and descriptors flat: what a crowd takes goes back, so the second one leaves no more than the
first. A line is printed every ten seconds or minute. Whoever is not answered ``PATIENCE`` seconds after the
last client has come counts as not served, so the run ends.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from raw_client import Json, Reply, Server, events, writes
from serving_faults import percentile

PATH = "/v1/completions"
KINDS = ("good",) * 6 + ("slow", "dear", "vanished", "wrong")
PROMPTS = ("The", "Once upon a time, ", "x" * 300, "")
LENGTHS = (5, 40, 200)
GOOD = list(itertools.product(PROMPTS, LENGTHS, (1, 2)))
"""Prompt, tokens and texts of what good clients ask for."""
PATIENCE = 600.0
"""The longest that the server lets an answer take (`job.LONGEST`)."""
REST = 35.0
"""Seconds after which memory is looked at."""
SAMPLED = 5.0
"""Seconds between two samples of memory and descriptors."""
DEAR = [
    writes(1, prompt="The cat sat " * 2000),
    writes(0, prompt="The cat sat " * 16_000, echo=True, logprobs=20),
    writes(0, prompt="The cat sat " * 500, echo=True, logprobs=5),
    writes(300, n=16),
    writes(5, prompt=[""] * 100_000),
    writes(5, prompt=["x" * 9] * 4000),
]
WRONG: list[tuple[str, str, Json | bytes | None]] = [
    ("POST", PATH, b'{"prompt": "x'),
    ("POST", PATH, writes(5, prompt={"a": 1}, top_p=7)),
    ("GET", "/v1/nothing/../../etc/passwd", None),
    ("POST", "/v1/sessions/none/generate", {"max_tokens": 5}),
    ("POST", PATH, writes(5, state="AAAA" * 100)),
]


def texts(reply: Reply, count: int) -> list[str]:
    """The texts of an answer, streamed or not."""
    if not reply.headers["content-type"].startswith("text/event-stream"):
        return [choice["text"] for choice in reply.json()["choices"]]
    found = [""] * count
    for event in events(reply.body):
        for choice in event["choices"]:
            found[choice["index"]] += choice["text"]
    return found


class Mix:
    """All clients of one run, what they were told, and what was wrong with it."""

    def __init__(self, server: Server, expected: dict[tuple[Any, ...], list[str]]) -> None:
        self.server, self.expected = server, expected
        self.statuses: dict[str, Counter[str]] = {kind: Counter() for kind in dict.fromkeys(KINDS)}
        self.first: list[float] = []
        """Seconds until the first token of good clients that stream, from when they were let in."""
        self.waited: list[float] = []
        """Seconds for which good clients came again and again."""
        self.served = self.again = 0
        self.faults: list[str] = []
        self._dear = [json.dumps(body).encode() for body in DEAR]

    async def good(self, server: Server, draw: random.Random) -> None:
        prompt, length, count = asked = draw.choice(GOOD)
        stream = draw.random() < 0.7
        body = json.dumps(writes(length, prompt=prompt, n=count, stream=stream)).encode()
        came = time.perf_counter()
        while True:
            begun = time.perf_counter()
            reply = await server.ask("POST", PATH, body)
            self._count("good", reply)
            if reply.status != 429:
                break
            self.again += 1
            await asyncio.sleep(int(reply.headers["retry-after"]))
        if reply.status != 200 or texts(reply, count) != self.expected[asked]:
            self.faults.append(f"good {asked}: {reply.status} {reply.body[:100]!r}")
            return
        self.served += 1
        self.waited.append(begun - came)
        if stream:
            self.first.append(reply.times[0] - begun)

    async def slow(self, server: Server, draw: random.Random) -> None:
        reader, writer = await server.opened("POST", PATH, writes(20_000, stream=True), receive=2048)
        reader._limit = 64  # the reader itself must not read ahead
        end = time.perf_counter() + draw.uniform(1, 20)
        try:
            while time.perf_counter() < end and await reader.read(50):
                await asyncio.sleep(0.25)
        finally:
            writer.transport.abort()

    async def dear(self, server: Server, draw: random.Random) -> None:
        self._count("dear", await server.ask("POST", PATH, draw.choice(self._dear)))

    async def vanished(self, server: Server, draw: random.Random) -> None:
        late = draw.random() < 0.5
        body = writes(100_000, prompt="The" if late else "The cat sat " * 2000, stream=True)
        reader, writer = await server.opened("POST", PATH, body)
        if late:
            await reader.readuntil(b"\r\n\r\n")
            await reader.read(draw.randrange(1, 3000))
        else:
            await asyncio.sleep(draw.uniform(0, 0.05))
        writer.transport.abort()

    async def wrong(self, server: Server, draw: random.Random) -> None:
        kind = draw.randrange(len(WRONG) + 1)
        if kind < len(WRONG):
            self._count("wrong", await server.ask(*WRONG[kind]))
            return
        reader, writer = await server.opened("POST", PATH, b"")
        writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Len")
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(1000), draw.uniform(0, 40))
        writer.transport.abort()

    def _count(self, kind: str, reply: Reply) -> None:
        self.statuses[kind][str(reply.status)] += 1
        if reply.status >= 500 or (kind == "wrong" and reply.status < 400):
            self.faults.append(f"{kind}: {reply.status} {reply.body[:100]!r}")

    async def client(self, kind: str, server: Server, draw: random.Random) -> None:
        try:
            await getattr(self, kind)(server, draw)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            if kind in ("good", "dear", "wrong"):
                self.faults.append(f"{kind}: {error!r}")
        except asyncio.CancelledError:
            self.faults.append(f"{kind}: not answered in time")


async def play(server: Server, expected: Any, count: int, seconds: float, seed: int) -> Json:
    """All clients; what they and the process showed."""
    draw, mix = random.Random(seed), Mix(server, expected)
    await asyncio.gather(*(server.ask("POST", PATH, writes(50, seed=n)) for n in range(64)))  # warm
    before, begun = server.descriptors(), time.perf_counter()
    samples: list[tuple[float, float, int]] = []
    running: set[asyncio.Task[None]] = set()
    each = 60.0 if seconds > 300 else 10.0

    async def sampling() -> None:
        print("    s  running  good served  turned away   MB  files", file=sys.stderr)
        while True:
            await asyncio.sleep(SAMPLED)
            now = time.perf_counter() - begun
            samples.append((now, server.resident(), server.descriptors()))
            if now // each > (now - SAMPLED) // each:
                _, resident, files = samples[-1]
                told = f"{now:5.0f} {len(running):8} {mix.served:12} {mix.again:12} {resident:4.0f} {files:6}"
                print(told, file=sys.stderr, flush=True)

    watching = asyncio.ensure_future(sampling())
    for number in range(count):
        await asyncio.sleep(max(0.0, begun + number * seconds / count - time.perf_counter()))
        place = number + 257  # 127.0.1.1 and on
        address = f"127.{place >> 16}.{place >> 8 & 255}.{place & 255}"
        client = mix.client(
            draw.choice(KINDS), replace(server, address=address), random.Random(draw.random())
        )
        task = asyncio.ensure_future(client)
        running.add(task)
        task.add_done_callback(running.discard)
    came = time.perf_counter() - begun
    if running:
        _, late = await asyncio.wait(running, timeout=PATIENCE)
        for task in late:
            task.cancel()
        await asyncio.gather(*late)
    watching.cancel()
    took = time.perf_counter() - begun
    await server.free(60.0)
    await asyncio.sleep(REST)
    return {
        "clients": count,
        "came_within_s": came,
        "all_gone_after_s": took,
        "statuses": {kind: dict(found) for kind, found in mix.statuses.items()},
        "good_served": mix.served,
        "good_turned_away": mix.again,
        "good_waited_s": [percentile(mix.waited, share) for share in (0.5, 0.99, 1.0)],
        "good_first_ms": [percentile(mix.first, share) * 1e3 for share in (0.5, 0.99, 1.0)],
        "faults": mix.faults,
        "resident_mb": [round(sample[1], 1) for sample in samples],
        "descriptors_most": max((sample[2] for sample in samples), default=0),
        "descriptors": server.descriptors() - before,
        "resident_at_rest_mb": server.resident(),
    }


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from serving_process import ours
    from startup import write_model

    import pantoum
    from pantoum.inference.exporting import export

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain, place = Path(folder, "float32.safetensors"), Path(folder, "int8.safetensors")
        write_model(plain)
        export(plain, "int8", place)
        model = pantoum.load(str(place))
        expected = {
            (prompt, length, count): model.generate(
                prompt, length=length, count=count, exact=True, seed=1, temperature=1.0
            )
            for prompt, length, count in GOOD
        }
        alike = {asked: [found] if isinstance(found, str) else found for asked, found in expected.items()}
        with ours(str(place), folder) as process:
            server = Server(process.url, process.process.pid)
            crowds = []
            for part in (1, 5):
                crowd = play(server, alike, options.clients // part, options.seconds / part, options.seed)
                crowds.append(asyncio.run(crowd))
    rests = [crowd["resident_at_rest_mb"] for crowd in crowds]
    marks = {
        "every good one served right, all answered, no 5xx": not any(crowd["faults"] for crowd in crowds),
        "memory flat": rests[1] - rests[0] < 5,
        "descriptors flat": all(abs(crowd["descriptors"]) <= 5 for crowd in crowds),
    }
    if options.json:
        print(json.dumps({"crowds": crowds, "marks": marks}))
        return
    for crowd in crowds:
        print(json.dumps(crowd))
    for name, holds in marks.items():
        print(f"{name:50} {'holds' if holds else 'MISSED'}")


if __name__ == "__main__":
    main()
