"""The load of ``serving.py``, a process of its own: many HTTP connections, as little Python per event as can
be.

    echo '{"url": "http://127.0.0.1:8000", "clients": 64, ...}' | python benchmarks/serving_load.py

Each client sends its requests one after the other over one connection and notes when bytes arrive; what they
are is parsed after the end, so that the load generator takes little of the two cores that it shares with the
server. Prints one line of JSON: tokens, seconds, first token, gaps between events, statuses.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

END = b"\r\n0\r\n\r\n"


@dataclass
class Answer:
    """One answer as it arrived."""

    begun: float = 0.0
    times: list[float] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    ended: float = 0.0

    @property
    def raw(self) -> bytes:
        return b"".join(self.parts)

    @property
    def status(self) -> int:
        raw = self.raw
        return int(raw[9:12]) if raw[:5] == b"HTTP/" else 0

    def body(self) -> bytes:
        """The body without the chunks' sizes."""
        head, _, rest = self.raw.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" not in head.lower():
            return rest
        found = []
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size or b"0", 16)
            if not length:
                break
            found.append(rest[:length])
            rest = rest[length + 2 :]
        return b"".join(found)


class Client(asyncio.Protocol):
    """One connection, one request after the other."""

    def __init__(self, requests: list[bytes], done: asyncio.Future[None]) -> None:
        self.answers: list[Answer] = []
        self._requests, self._done = requests[::-1], done
        self._left: int | None = None
        self._tail = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        if not self._requests:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(None)
            return
        self.answers.append(Answer(time.perf_counter()))
        self._left, self._tail = None, b""
        self._transport.write(self._requests.pop())

    def data_received(self, data: bytes) -> None:
        answer = self.answers[-1]
        answer.times.append(time.perf_counter())
        answer.parts.append(data)
        if len(answer.parts) == 1:
            head, mark, rest = data.partition(b"\r\n\r\n")
            at = head.lower().find(b"content-length:")
            if mark and at >= 0:
                self._left = int(head[at + 15 :].split(b"\r\n", 1)[0]) - len(rest)
        elif self._left is not None:
            self._left -= len(data)
        self._tail = (self._tail + data)[-len(END) :]
        if (self._left is not None and self._left <= 0) or (self._left is None and self._tail == END):
            answer.ended = answer.times[-1]
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)


def request(path: str, body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    head = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    return "\r\n".join([*head, f"Content-Length: {len(data)}", "", ""]).encode() + data


async def run(spec: dict[str, Any]) -> list[Answer]:
    """All clients at once; their answers."""
    place = urlsplit(spec["url"])
    loop = asyncio.get_running_loop()
    waits, clients = [], []
    for number in range(spec["clients"]):
        bodies = [
            {**spec["body"], **({"seed": 1000 * number + k} if spec.get("seeds", True) else {})}
            for k in range(spec.get("requests", 1))
        ]
        if "prompts" in spec:
            for k, body in enumerate(bodies):
                body["prompt"] = spec["prompts"][(number + k) % len(spec["prompts"])]
        done = loop.create_future()
        requests = [request(spec["path"], body) for body in bodies]
        client = Client(requests, done)
        await loop.create_connection(lambda client=client: client, place.hostname, place.port)
        waits.append(done)
        clients.append(client)
    await asyncio.wait_for(asyncio.gather(*waits), spec.get("timeout", 300))
    return [answer for client in clients for answer in client.answers]


def percentile(values: list[float], share: float) -> float | None:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def summary(answers: list[Answer]) -> dict[str, Any]:
    """What became of them."""
    good = [answer for answer in answers if answer.status == 200 and answer.ended]
    statuses: dict[str, int] = {}
    for answer in answers:
        name = str(answer.status if answer.ended or answer.status != 200 else "cut")
        statuses[name] = statuses.get(name, 0) + 1
    first, gaps, tokens, events = [], [], 0, 0
    for answer in good:
        body = answer.body()
        if body[:5] == b"data:":
            lines = [line[6:] for line in body.split(b"\n\n") if line and not line.endswith(b"[DONE]")]
            events += len(lines)
            values = [json.loads(line) for line in lines]
            tokens += sum((value.get("usage") or {}).get("completion_tokens", 0) for value in values)
            # The first bytes are the response's head; a token is there when an event is.
            at = next(k for k in range(len(answer.parts)) if b"data:" in answer.parts[k])
            first.append(answer.times[at] - answer.begun)
            times = answer.times[at:]
            gaps += [b - a for a, b in itertools.pairwise(times)]
        else:
            value = json.loads(body)
            used = value.get("usage") or {}
            tokens += used.get("total_tokens", 0)
            first.append(answer.ended - answer.begun)
    begun = min((answer.begun for answer in answers), default=0.0)
    ended = max((answer.ended for answer in good), default=begun)
    return {
        "tokens": tokens,
        "seconds": ended - begun,
        "rate": tokens / (ended - begun) if ended > begun else None,
        "events": events,
        "statuses": statuses,
        "first_p50": percentile(first, 0.5),
        "first_p99": percentile(first, 0.99),
        "gap_p50": percentile(gaps, 0.5),
        "gap_p99": percentile(gaps, 0.99),
    }


def main() -> None:
    spec = json.load(sys.stdin)
    gc.disable()
    print(json.dumps(summary(asyncio.run(run(spec)))))


if __name__ == "__main__":
    main()
