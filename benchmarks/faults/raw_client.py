"""A client of the server on bare sockets, which counts every byte and can stop reading; what the process of
the server uses; and such a server, of a 3 x 512 int8 GRU."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the scripts that measure the server

__all__ = ["Json", "Reply", "Server", "events", "percentile", "served", "writes"]

Json = dict[str, Any]


@dataclass
class Reply:
    """An answer that was read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float
    times: list[float] = field(default_factory=list)
    """When parts of a stream came."""

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """Where it listens, and its process where it has one of its own. ``address``: that of this client, one of
    127.0.0.0/8."""

    url: str
    pid: int | None = None
    address: str | None = None

    async def opened(self, method: str, path: str, body: Json | bytes | None = None, receive: int = 0) -> Any:
        """A connection on which a request was sent."""
        place = urlsplit(self.url)
        made = socket.socket()
        if receive:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        if self.address is not None:
            made.bind((self.address, 0))
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, (place.hostname, place.port))
        reader, writer = await asyncio.open_connection(sock=made, limit=1 << 24)
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        head = [
            f"{method} {path} HTTP/1.1",
            "Host: localhost",
            "Connection: close",
            f"Content-Length: {len(data)}",
        ]
        writer.write("\r\n".join([*head, "Content-Type: application/json", "", ""]).encode() + data)
        return reader, writer

    async def ask(self, method: str, path: str, body: Json | bytes | None = None) -> Reply:
        """The whole answer."""
        begun = time.perf_counter()
        reader, writer = await self.opened(method, path, body)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
            }
            times, parts = [], []
            while part := await reader.read(1 << 16):
                times.append(time.perf_counter())
                parts.append(part)
        finally:
            writer.close()
        raw = b"".join(parts)
        body_read = unchunked(raw) if headers.get("transfer-encoding") == "chunked" else raw
        return Reply(int(lines[0].split()[1]), headers, body_read, time.perf_counter() - begun, times)

    async def metric(self, name: str) -> float:
        """A metric, summed over its labels."""
        text = (await self.ask("GET", "/metrics")).body.decode()
        return sum(
            float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        )

    async def free(self, seconds: float = 10.0) -> float:
        """Seconds until no slot is taken. It asks a hundred times per second; asked more often, the server
        would be busy with that."""
        begun = time.perf_counter()
        while await self.metric("pantoum_slots_taken"):
            if time.perf_counter() - begun > seconds:
                raise AssertionError("slots are still taken")
            await asyncio.sleep(0.01)
        return time.perf_counter() - begun

    def resident(self) -> float:
        """Megabytes of its process."""
        pages = int(Path(f"/proc/{self.pid or os.getpid()}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def processor(self) -> float:
        """Seconds of processor time that its process has taken."""
        fields = Path(f"/proc/{self.pid or os.getpid()}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        """Open files of its process."""
        return sum(1 for _ in Path(f"/proc/{self.pid or os.getpid()}/fd").iterdir())


def unchunked(raw: bytes) -> bytes:
    found = []
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        length = int(size or b"0", 16)
        found.append(raw[:length])
        raw = raw[length + 2 :]
    return b"".join(found)


def events(body: bytes) -> list[Any]:
    """The JSON of a stream's events; its end must be there."""
    lines = [line.removeprefix(b"data: ") for line in body.split(b"\n\n") if line]
    assert lines[-1] == b"[DONE]", lines[-1:]
    return [json.loads(line) for line in lines[:-1]]


def writes(tokens: int, **more: Any) -> Json:
    """The body of a request for a completion."""
    return {"prompt": "The", "max_tokens": tokens, "temperature": 1.0, "seed": 1, **more}


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


@contextmanager
def served(folder: Path, *flags: str) -> Iterator[Server]:
    """A server in a process of its own."""
    from serving_process import ours
    from startup import write_models

    model = folder / "int8.safetensors"
    if not model.exists():
        write_models(folder)
    with ours(str(model), tempfile.mkdtemp(dir=folder), *flags) as process:
        yield Server(process.url, process.process.pid)
