"""Fault tests 15 to 18 and 20 of the server: crowds, mixed requests, clients that vanish or read slowly.

    python benchmarks/faults/serving_faults.py [--only crowd,mixed,vanish,slow,same] [--json]

Each function plays one fault against a server that runs, in the numbers it is given, and tells what it saw.
The main program starts servers of a 3 x 512 int8 GRU and asks for the full numbers;
``tests/faults/test_serving.py`` asks for a few. Row 19, fuzzing, is ``tests/apps/server/test_schema.py``.

    15 crowd    256 clients on 16 slots and a queue of 32
    16 mixed    20,000 requests of every kind, wrong ones too
    17 vanish   1,000 clients leave in mid stream, 200 before the first token
    18 slow     50 readers at 10 bytes per second, 200 connections that never send a request
    20 same     one request alone, beside neighbours, beside cancelled ones, through a session
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from raw_client import Json, Reply, Server, events, percentile, served, writes

MOST_SESSIONS = 40
"""Sessions that the mixed requests leave open at the same time: their number must not grow, nor memory with
it."""


async def crowd(server: Server, clients: int, tokens: int, seconds: float, at_peak: int = 16) -> Json:
    """Row 15: so many clients that each ask again as soon as they were answered, or
    when a rejection says that it may. Rates are of the texts that ended while the clients asked: how long the
    last of them sleep or wait after that says nothing of the server."""

    told, returned = list[int](), Counter[bool]()

    async def run(count: int, statuses: Counter[int], rejections: list[float]) -> float:
        written, end = 0, time.perf_counter() + seconds

        async def client(number: int) -> None:
            nonlocal written
            again = False
            await asyncio.sleep(number / count * min(1.0, seconds / 4))  # a burst would measure this process
            while time.perf_counter() < end:
                reply = await server.ask("POST", "/v1/completions", writes(tokens, seed=number, stream=True))
                statuses[reply.status] += 1
                if again:
                    returned[reply.status == 200] += 1
                again = reply.status != 200
                if not again:
                    events(reply.body)
                    written += tokens * (time.perf_counter() < end)
                else:
                    rejections.append(reply.seconds)
                    wait = int(reply.headers["retry-after"])
                    assert wait >= 1
                    told.append(wait)
                    await asyncio.sleep(min(seconds, wait + random.random()))

        await asyncio.gather(*map(client, range(count)))
        return written / seconds

    peak = await run(at_peak, Counter(), [])
    before = server.resident()
    statuses, rejections = Counter[int](), list[float]()
    rate = await run(clients, statuses, rejections)
    await server.free()
    return {
        "statuses": {str(status): count for status, count in statuses.items()},
        "rejected_p99_ms": percentile(rejections, 0.99) * 1e3,
        "share_of_peak": rate / peak,
        "told_p50_s": percentile(told, 0.5),
        "told_most_s": max(told, default=0),
        "served_on_return": returned[True] / max(1, returned.total()),
        "growth_mb": server.resident() - before,
    }


async def mixed(server: Server, count: int, at_once: int, seconds: float = 0.0, blocks: int = 10) -> Json:
    """Row 16: requests of every kind by a seed, wrong ones too, in blocks. After each block the server rests
    and its memory is read, so that what is in work is not taken for what grows. Blocks go on until ``count``
    requests were sent and ``seconds`` have passed. The slope is that of the last two thirds of the blocks."""
    statuses: Counter[int] = Counter()
    resident: list[tuple[float, float]] = []
    before, begun, sent = server.descriptors(), time.perf_counter(), 0
    while sent < count or time.perf_counter() - begun < seconds:
        statuses += await mixed_block(server, count // blocks, at_once, sent)
        sent += count // blocks
        await asyncio.sleep(0.2)
        resident.append((time.perf_counter() - begun, server.resident()))
    warm = resident[len(resident) // 3 :]
    slope = statistics.linear_regression(*zip(*warm, strict=True)).slope if len(warm) > 2 else 0.0
    return {
        "requests": sent,
        "statuses": {str(status): number for status, number in sorted(statuses.items())},
        "failed": sum(number for status, number in statuses.items() if status >= 500),
        "requests_per_second": sent / resident[-1][0],
        "mb_per_10_minutes": slope * 600,
        "resident_mb": [round(megabytes, 1) for _, megabytes in resident],
        "descriptors": server.descriptors() - before,
    }


async def mixed_block(server: Server, count: int, at_once: int, seed: int) -> Counter[int]:
    """So many requests; all sessions are deleted and all slots free afterwards."""
    draw = random.Random(seed)
    statuses: Counter[int] = Counter()
    sessions: list[str] = []

    async def one() -> None:
        kind = draw.randrange(12)
        tokens = draw.randrange(1, 40)
        path, body = (
            "/v1/completions",
            writes(tokens, seed=draw.randrange(99), prompt="The cat " * draw.randrange(9)),
        )
        if kind == 0:
            body["stream"] = True
        elif kind == 1:
            body.update(n=3, stop=["at"], logprobs=2, frequency_penalty=0.5)
        elif kind == 2:
            body.update(max_tokens=0, echo=True, logprobs=1)
        elif kind == 3:
            path, body = "/v1/score", {"text": "The cat\nsat on " * tokens, "by": "word"}
        elif kind == 4:
            path, body = "/v1/embeddings", {"input": ["The", "cat"]}
        elif kind == 5:
            path, body = (
                "/v1/chat/completions",
                {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9},
            )
        elif kind == 6:
            body = {"prompt": 7, "max_tokens": "x"}
        elif kind == 7:
            path, body = "/v1/units", {"text": "The cat\nsat"}
        elif kind == 8:
            body["state"] = "AAAA"
        elif kind >= 9 and sessions and draw.random() < 0.8:
            name = sessions.pop(draw.randrange(len(sessions)))
            path = f"/v1/sessions/{name}/" + ("generate" if kind == 9 else "feed" if kind == 10 else "fork")
            body = {"max_tokens": tokens, "seed": 1, "text": " cat"}
            reply = await server.ask("POST", path, body)
            statuses[reply.status] += 1
            if path.endswith("/fork") and reply.status == 200:
                sessions.append(reply.json()["id"])
            if draw.random() < 0.3 or len(sessions) > MOST_SESSIONS:
                reply = await server.ask("DELETE", f"/v1/sessions/{name}")
            else:
                sessions.append(name)
                return
            statuses[reply.status] += 1
            return
        elif kind >= 9 and len(sessions) < MOST_SESSIONS:
            path, body = "/v1/sessions", {"prompt": "The cat"}
        reply = await server.ask("POST", path, body)
        statuses[reply.status] += 1
        if path == "/v1/sessions" and reply.status == 200:
            sessions.append(reply.json()["id"])

    left = count

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await one()

    await asyncio.gather(*(worker() for _ in range(at_once)))
    for name in sessions:
        await server.ask("DELETE", f"/v1/sessions/{name}")
    await server.free()
    return statuses


async def vanish(server: Server, midway: int, before: int) -> Json:
    """Row 17: clients that leave, one after the other; how long their slot stays taken."""
    freed: dict[str, list[float]] = {"midway": [], "before": []}
    for number in range(midway + before):
        late = number < midway
        prompt = "The" if late else "The cat sat " * 30_000
        body = writes(100_000, prompt=prompt, stream=number % 3 > 0 or late)
        reader, writer = await server.opened("POST", "/v1/completions", body)
        if late:
            await reader.readuntil(b"data: ")
        else:
            while not await server.metric("pantoum_slots_taken"):
                await asyncio.sleep(0.005)
        writer.transport.abort()
        freed["midway" if late else "before"].append(await server.free())
    balance = [await server.metric(f"pantoum_texts_{name}_total") for name in ("begun", "ended", "cancelled")]
    return {
        "midway_p99_ms": percentile(freed["midway"], 0.99) * 1e3,
        "before_p99_ms": percentile(freed["before"], 0.99) * 1e3,
        "begun": balance[0],
        "ended_or_cancelled": balance[1] + balance[2],
    }


async def slow(
    server: Server, readers: int, half_open: int, others: int, tokens: int, patience: float
) -> Json:
    """Row 18: readers at 10 bytes per second and connections without a request; what the others notice."""

    async def gaps() -> list[float]:
        asked = [
            server.ask("POST", "/v1/completions", writes(tokens, seed=n, stream=True)) for n in range(others)
        ]
        found = []
        for reply in await asyncio.gather(*asked):
            events(reply.body)
            found += [b - a for a, b in zip(reply.times, reply.times[1:], strict=False)]
        return found

    async def crawl(reader: asyncio.StreamReader) -> float:
        begun = time.perf_counter()
        try:
            while await reader.read(10):
                await asyncio.sleep(1.0)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        return time.perf_counter() - begun

    idle = percentile(await gaps(), 0.99)
    resident = server.resident()
    opened = [
        await server.opened("POST", "/v1/completions", writes(1_000_000, stream=True), receive=2048)
        for _ in range(readers)
    ]
    for reader, _ in opened:
        reader._limit = 64  # the reader itself must not read ahead
    halves = [
        await asyncio.open_connection(urlsplit(server.url).hostname, urlsplit(server.url).port)
        for _ in range(half_open)
    ]
    for _, writer in halves:
        writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: te")
    begun = time.perf_counter()
    crawling = [asyncio.ensure_future(crawl(reader)) for reader, _ in opened]
    await asyncio.sleep(1.0)
    before_full = percentile(await gaps(), 0.99)
    await asyncio.sleep(patience / 5)  # by now their buffers are full, and their texts pause
    busy = percentile(await gaps(), 0.99)
    health = [(await server.ask("GET", "/health")).seconds for _ in range(50)]
    growth = server.resident() - resident
    closed = await asyncio.wait_for(
        asyncio.gather(*(reader.read(100) for reader, _ in halves), return_exceptions=True), 3 * patience
    )
    half_seconds = time.perf_counter() - begun
    await server.free(4 * patience)
    cut = time.perf_counter() - begun
    for _, writer in [*opened, *halves]:
        writer.transport.abort()
    for task in crawling:
        task.cancel()
    await asyncio.gather(*crawling, return_exceptions=True)
    return {
        "gap_p99_ms": {"idle": idle * 1e3, "before_buffers_fill": before_full * 1e3, "busy": busy * 1e3},
        "times_idle": busy / idle if idle else 0.0,
        "health_max_ms": max(health) * 1e3,
        "growth_mb": growth,
        "half_open_cut_after_s": half_seconds,
        "half_open_closed": sum(one in (b"",) or isinstance(one, Exception) for one in closed),
        "readers_cut_after_s": cut,
    }


async def same(server: Server, neighbours: int, tokens: int) -> Json:
    """Row 20: text and log-probabilities of one request in every company."""
    body = writes(tokens, seed=7, logprobs=2)

    def told(*replies: Reply) -> Any:
        choices = [reply.json()["choices"][0] for reply in replies]
        return "".join(one["text"] for one in choices), [one["logprobs"]["token_logprobs"] for one in choices]

    def joined(found: Any) -> Any:
        return found[0], [nats for part in found[1] for nats in part]

    async def beside(cancelled: bool) -> Reply:
        opened = [
            await server.opened(
                "POST", "/v1/completions", writes(100_000, seed=n, prompt="The cat " * n, stream=True)
            )
            for n in range(neighbours)
        ]
        for reader, _ in opened:
            await reader.readuntil(b"data: ")
        asked = asyncio.ensure_future(server.ask("POST", "/v1/completions", body))
        for _, writer in opened:
            if cancelled:
                await asyncio.sleep(0.002)
                writer.transport.abort()
        reply = await asked
        for _, writer in opened:
            writer.transport.abort()
        return reply

    alone = joined(told(await server.ask("POST", "/v1/completions", body)))
    found = {
        "again": joined(told(await server.ask("POST", "/v1/completions", body))),
        "among": joined(told(await beside(False))),
        "beside cancelled": joined(told(await beside(True))),
    }
    session = (await server.ask("POST", "/v1/sessions", {"prompt": "The"})).json()["id"]
    half = {**body, "max_tokens": tokens // 2, "prompt": ""}
    first = await server.ask("POST", f"/v1/sessions/{session}/generate", half)
    exported = (await server.ask("GET", f"/v1/sessions/{session}/state")).json()["state"]
    restored = (await server.ask("POST", "/v1/sessions", {"state": exported})).json()["id"]
    rest = {**body, "max_tokens": tokens - tokens // 2, "prompt": ""}
    found["session"] = joined(told(first, await server.ask("POST", f"/v1/sessions/{session}/generate", rest)))
    found["restored"] = joined(
        told(first, await server.ask("POST", f"/v1/sessions/{restored}/generate", rest))
    )
    await server.free()
    return {"same": {name: one == alone for name, one in found.items()}}


FEW = ("--slots", "16", "--queue", "32")
PLAYED: dict[str, tuple[tuple[str, ...], Callable[[Server], Awaitable[Json]]]] = {
    "crowd": (FEW, lambda server: crowd(server, 256, 300, 20.0)),
    "mixed": (("--slots", "32", "--queue", "64"), lambda server: mixed(server, 20_000, 16, 660.0)),
    "vanish": (FEW, lambda server: vanish(server, 1000, 200)),
    "slow": (("--slots", "64"), lambda server: slow(server, 50, 200, 8, 600, 30.0)),
    "same": (("--slots", "64"), lambda server: same(server, 16, 200)),
}
MARKS: list[tuple[str, str, Callable[[Json], float], float]] = [
    ("crowd", "other statuses than 200 and 429", lambda f: len(set(f["statuses"]) - {"200", "429"}), 0),
    ("crowd", "p99 of a rejection, ms", lambda f: f["rejected_p99_ms"], 50),
    ("crowd", "throughput that is lost, of its peak", lambda f: 1 - f["share_of_peak"], 0.1),
    ("crowd", "growth, MB", lambda f: f["growth_mb"], 50),
    ("mixed", "slope, MB in 10 minutes", lambda f: f["mb_per_10_minutes"], 1),
    ("mixed", "descriptors, more or fewer", lambda f: abs(f["descriptors"]), 5),
    ("mixed", "5xx", lambda f: f["failed"], 0),
    ("vanish", "slot free, p99, ms", lambda f: max(f["midway_p99_ms"], f["before_p99_ms"]), 50),
    ("vanish", "texts that begun and did not end", lambda f: abs(f["begun"] - f["ended_or_cancelled"]), 0),
    ("slow", "p99 gap of others, times idle", lambda f: f["times_idle"], 2),
    ("slow", "/health, ms", lambda f: f["health_max_ms"], 100),
    ("slow", "growth of 50 readers, 64 KB each and 8 MB", lambda f: f["growth_mb"], 50 * 0.064 + 8),
    ("slow", "half-open connections cut after, s", lambda f: f["half_open_cut_after_s"], 35),
    ("slow", "slow readers cut after, s", lambda f: f["readers_cut_after_s"], 45),
    ("same", "answers that differ", lambda f: list(f["same"].values()).count(False), 0),
]
"""All: at most."""


def main() -> None:
    from measured import parser, print_marks

    options = parser(__doc__)
    options.add_argument("--only", default=",".join(PLAYED))
    asked = options.parse_args()
    found: dict[str, Json] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.only.split(","):
            flags, play = PLAYED[name]
            with served(Path(folder), *flags) as server:
                found[name] = asyncio.run(play(server))  # type: ignore[arg-type]
            print(f"{name}: {json.dumps(found[name])}", file=sys.stderr, flush=True)
    rows = [
        {"mark": f"{name}: {mark}", "figure": value, "wanted": f"<= {most:g}", "holds": value <= most}
        for name, mark, figure, most in MARKS
        if name in found and (value := figure(found[name])) is not None
    ]
    print(json.dumps({"found": found, "marks": rows})) if asked.json else print_marks(rows)


if __name__ == "__main__":
    main()
