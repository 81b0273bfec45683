"""Row 16 of the fault tests of the server: requests of every kind, wrong ones too, many at once."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter

from raw_client import Json, Server, writes

__all__ = ["mixed"]

MOST_SESSIONS = 40
"""Sessions that the mixed requests leave open at the same time: their number must not grow, nor memory with
it."""


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
