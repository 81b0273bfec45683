"""A server in a process of its own, and what that process takes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

__all__ = ["Process", "ours"]


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


class Process:
    """A server, with what its process takes."""

    def __init__(self, command: list[str], port: int, folder: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.begun = time.perf_counter()
        environment = {**os.environ, "XDG_STATE_HOME": folder}
        with Path(folder, "log.txt").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self.client = httpx.Client(base_url=self.url, timeout=120)
        while True:
            try:
                if self.client.get("/health").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if self.process.poll() is not None or time.perf_counter() - self.begun > 120:
                raise RuntimeError(Path(folder, "log.txt").read_text()[-2000:])
            time.sleep(0.01)
        self.ready = time.perf_counter() - self.begun

    def resident(self) -> int:
        """Bytes of memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def processor(self) -> float:
        """Seconds of processor time so far, of all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def post(self, path: str, **fields: Any) -> Any:
        response = self.client.post(path, json=fields)
        if response.status_code != 200:
            raise RuntimeError(response.text)
        return response.json()

    def end(self) -> int:
        """End it as a service manager does."""
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def ours(model: str, folder: str, *flags: str) -> Iterator[Process]:
    """``pantoum serve``; what it stores and its log are in the folder."""
    port, sessions = free_port(), str(Path(folder, "pantoum", "sessions.sqlite"))
    command = [sys.executable, "-m", "pantoum", "serve", model, "--port", str(port), "--sessions", sessions]
    process = Process([*command, *flags], port, folder)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.end()
