"""Servers in processes of their own, ours and those of the peers."""

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

__all__ = ["Process", "free_port", "ours", "peer"]

HERE = Path(__file__).parent


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

    def post(self, path: str, **fields: Any) -> Any:
        response = self.client.post(path, json=fields)
        if response.status_code != 200:
            raise RuntimeError(response.text)
        return response.json()

    def pause(self, paused: bool) -> None:
        self.process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.client.close()
        self.process.send_signal(signal.SIGCONT)  # it may be paused
        self.process.send_signal(how)
        return self.process.wait(60)


@contextmanager
def ours(model: str, folder: str, *flags: str) -> Iterator[Process]:
    port = free_port()
    kept = str(Path(folder, "pantoum", "sessions.sqlite"))
    command = [
        sys.executable,
        "-m",
        "pantoum",
        "serve",
        model,
        "--port",
        str(port),
        "--sessions",
        kept,
        *flags,
    ]
    process = Process(command, port, folder)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.end()


@contextmanager
def peer(name: str, folder: str) -> Iterator[Process]:
    port = free_port()
    process = Process([sys.executable, str(HERE / "serving_peers.py"), name, str(port)], port, folder)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.end(signal.SIGKILL)
