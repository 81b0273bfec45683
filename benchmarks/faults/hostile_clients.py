"""Hostile clients beside two ordinary ones: what the ordinary ones notice, and what the server holds.

    PYTHONPATH=src python benchmarks/faults/hostile_clients.py [--only dear,lists,...] [--json]

Each client attacks a fresh server of a 3 x 512 int8 GRU for ``--seconds``. Meanwhile two ordinary clients
stream short texts and another one asks for ``/health``. Marks: first token p99 <= 150 ms, ``/health`` <= 100
ms, <= 300 MB resident, no 5xx, no ordinary request refused (429), and no other text than before the attack.

    dear        200 KB of prompt with echo and 20 alternatives per token
    lists       200,000 empty prompts; other lists of wrong types
    bodies      40 bodies of 1 MB at once
    silent      1,100 connections that say nothing, with 1,024 open files
    pipelined   a stream that nobody reads, with 14 MB of requests behind it
    unread      80 streams that nobody reads
    many        requests for n=16 on 16 slots
    headers     8 connections whose headers have no end, and come again when they are refused
    looking     200 requests for the values of 64 units over 4 KB, whose answers nobody reads

``--share SECONDS``: how many texts of 30 tokens 16 streaming clients get in that time beside ``headers``,
as a share of those without, and processor time of the server per text, in turns. Marks: >= 0.9 of the texts,
<= 200 MB. The attack runs in a process of its own at the lowest priority: on the same cores it would take the
time of the clients that it attacks, whatever the server does.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from raw_client import Json, Server, events, percentile, served, writes

WRITTEN = "/v1/completions"
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def encoded(**fields: object) -> bytes:
    """A body that is encoded once, so that the attack costs this process little."""
    return json.dumps(fields).encode()


async def repeated(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask again as soon as it was answered, until cancelled."""
    while True:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await ask()
        await asyncio.sleep(0)


async def dear(server: Server) -> None:
    body = encoded(prompt="The cat sat " * 16_000, max_tokens=0, echo=True, logprobs=20)
    await asyncio.gather(*(repeated(lambda: server.ask("POST", WRITTEN, body)) for _ in range(4)))


async def lists(server: Server) -> None:
    bodies = [encoded(prompt=[""] * 200_000), encoded(prompt=[1.5] * 100_000), encoded(input=[None] * 99_000)]
    paths = (WRITTEN, WRITTEN, "/v1/embeddings")
    pairs = list(zip(paths, bodies, strict=True))
    asked = (repeated(partial(server.ask, "POST", *pair)) for pair in pairs)
    await asyncio.gather(*asked)


async def bodies(server: Server) -> None:
    body = encoded(prompt="x", messages=["x" * 7] * 95_000)
    await asyncio.gather(*(repeated(lambda: server.ask("POST", WRITTEN, body)) for _ in range(40)))


async def silent(server: Server) -> None:
    place = urlsplit(server.url)
    opened = []
    for _ in range(1100):
        with suppress(ConnectionError):
            opened.append(await asyncio.open_connection(place.hostname, place.port))
    await asyncio.Event().wait()


async def pipelined(server: Server) -> None:
    opened = [
        await server.opened("POST", WRITTEN, writes(1_000_000, stream=True), receive=2048) for _ in range(4)
    ]

    async def push(writer: asyncio.StreamWriter) -> None:
        for _ in range(14 * (1 << 20) // 4 // len(GET) // 100):
            writer.write(GET * 100)
            await writer.drain()
        await asyncio.Event().wait()

    await asyncio.gather(*(push(writer) for _, writer in opened), return_exceptions=True)
    await asyncio.Event().wait()


async def unread(server: Server) -> None:
    opened = [
        await server.opened("POST", WRITTEN, writes(1_000_000, stream=True), receive=2048) for _ in range(80)
    ]
    for reader, _ in opened:
        reader._limit = 64  # the reader itself must not read ahead
    await asyncio.Event().wait()


async def many(server: Server) -> None:
    ask = repeated(lambda: server.ask("POST", WRITTEN, writes(400, n=16)))
    await asyncio.gather(ask, repeated(lambda: server.ask("POST", WRITTEN, writes(2000, stream=True))))


async def headers(server: Server) -> None:
    place = urlsplit(server.url)

    async def endless() -> None:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        with suppress(OSError):
            writer.write(GET[:-2] + b"X: ")
            while not reader.at_eof():
                writer.write(b"a" * 65_536)
                await writer.drain()
        writer.close()

    await asyncio.gather(*(repeated(endless) for _ in range(8)))


async def looking(server: Server) -> None:
    body = encoded(text="The cat sat " * 330, units=list(range(64)))
    opened = [await server.opened("POST", "/v1/activations", body, receive=2048) for _ in range(200)]
    for reader, _ in opened:
        reader._limit = 64
    await asyncio.Event().wait()


async def texts(server: Server, seconds: float) -> Json:
    """What 16 streaming clients get."""
    begun, end = server.processor(), time.perf_counter() + seconds
    resident, counts = [server.resident()], Counter[int]()

    async def good(seed: int) -> None:
        while time.perf_counter() < end:
            counts[(await server.ask("POST", WRITTEN, writes(30, seed=seed, stream=True))).status] += 1
            resident.append(server.resident())

    await asyncio.gather(*(good(seed) for seed in range(16)))
    each = (server.processor() - begun) / max(1, counts[200])
    return {"texts": counts[200], "processor_ms_per_text": 1e3 * each, "resident_mb": max(resident)}


def share(server: Server, seconds: float, turns: int = 6) -> Json:
    """The texts beside ``headers`` and without, in turns."""
    found: dict[str, list[Json]] = {"alone": [], "attacked": []}
    for _ in range(turns):
        found["alone"].append(asyncio.run(texts(server, seconds)))
        with subprocess.Popen([sys.executable, __file__, "--attack", server.url]) as attacking:
            time.sleep(1.0)
            found["attacked"].append(asyncio.run(texts(server, seconds)))
            attacking.kill()
    counts = {name: sum(one["texts"] for one in turns) for name, turns in found.items()}
    return {**found, "share": counts["attacked"] / counts["alone"]}


async def beside(server: Server, attack: Callable[[Server], Awaitable[None]], seconds: float) -> Json:
    """What two ordinary clients and one that asks for ``/health`` notice while another one attacks."""
    first, health, statuses, resident, other = [], [], Counter[int](), [], Counter[int]()

    async def text(seed: int) -> list[str]:
        begun = time.perf_counter()
        reply = await server.ask("POST", WRITTEN, writes(30, seed=seed, stream=True))
        statuses[reply.status] += 1
        if reply.status != 200:
            return []
        first.append(reply.times[0] - begun)
        return [choice["text"] for event in events(reply.body) for choice in event["choices"]]

    alone = {seed: "".join(await text(seed)) for seed in (1, 2)}
    first.clear()
    attacking = asyncio.ensure_future(attack(server))
    await asyncio.sleep(1.0)
    end = time.perf_counter() + seconds

    async def ordinary(seed: int) -> None:
        while time.perf_counter() < end:
            if parts := await text(seed):
                other[seed] += "".join(parts) != alone[seed]
            await asyncio.sleep(0.1)

    async def alive() -> None:
        while time.perf_counter() < end:
            reply = await server.ask("GET", "/health")
            statuses[reply.status] += 1
            health.append(reply.seconds)
            resident.append(server.resident())
            await asyncio.sleep(0.1)

    await asyncio.gather(ordinary(1), ordinary(2), alive())
    attacking.cancel()
    await asyncio.gather(attacking, return_exceptions=True)
    return {
        "first_p99_ms": percentile(first, 0.99) * 1e3,
        "health_max_ms": max(health) * 1e3,
        "resident_mb": max(resident),
        "statuses": {str(status): count for status, count in statuses.items()},
        "refused": statuses[429],
        "failed": sum(count for status, count in statuses.items() if status >= 500),
        "other_texts": other.total(),
    }


ATTACKS = {
    each.__name__: each for each in (dear, lists, bodies, silent, pipelined, unread, many, headers, looking)
}
MOST = {
    "first_p99_ms": 150,
    "health_max_ms": 100,
    "resident_mb": 300,
    "refused": 0,
    "failed": 0,
    "other_texts": 0,
}


def main() -> None:
    from measured import parser, print_marks

    options = parser(__doc__)
    options.add_argument("--only", default=",".join(ATTACKS))
    options.add_argument("--seconds", type=float, default=40.0)
    options.add_argument("--share", type=float, metavar="SECONDS")
    options.add_argument("--attack", metavar="URL", help="only attack this server with headers")
    asked = options.parse_args()
    if asked.attack:
        os.nice(19)
        asyncio.run(headers(Server(asked.attack)))
    few, found = ("--slots", "16", "--queue", "32"), dict[str, Json]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.share:
            with served(folder, *few) as server:
                return print(json.dumps(share(server, asked.share), indent=1))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for attack in asked.only.split(","):
            resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # the server inherits it
            with served(folder, *few) as server:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                found[attack] = asyncio.run(beside(server, ATTACKS[attack], asked.seconds))
            print(f"{attack}: {json.dumps(found[attack])}", file=sys.stderr, flush=True)
    rows = [
        {
            "mark": f"{name}: {figure}",
            "figure": one[figure],
            "wanted": f"<= {most}",
            "holds": one[figure] <= most,
        }
        for name, one in found.items()
        for figure, most in MOST.items()
    ]
    return print(json.dumps({"found": found, "marks": rows})) if asked.json else print_marks(rows)


if __name__ == "__main__":
    main()
