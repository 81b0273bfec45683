"""A small trained model, and servers of it in this process and in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

import pantoum
from pantoum.apps.server.app import make_app
from pantoum.apps.server.models import Models
from pantoum.apps.server.serve import config_of, listening
from pantoum.apps.server.settings import ServeSettings

PATIENCE = 120.0
"""Seconds after which a test has failed that waits for what must come."""
TEXT = "".join(f"The cat number {n} sat on the mat, and dog {n * 7 % 10} ran.\n" for n in range(120))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; its texts differ from one another."""
    folder = tmp_path_factory.mktemp("runs") / "mats"
    text = folder.with_suffix(".txt")
    text.write_text(TEXT)
    pantoum.train(text, run=str(folder), steps=20, hidden_size=24, num_layers=2, progress=False)
    return folder


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of words."""
    folder = tmp_path_factory.mktemp("runs") / "words"
    text = folder.with_suffix(".txt")
    text.write_text(TEXT)
    pantoum.train(text, run=str(folder), steps=3, hidden_size=8, num_layers=1, tokens="words", progress=False)
    return folder


@pytest.fixture(scope="session")
def model(run: Path) -> pantoum.Model:
    return pantoum.load(run)


class Server:
    """A server in a thread of this process, with a client."""

    def __init__(self, models: list[str], settings: ServeSettings) -> None:
        self.models = Models(models, settings)
        self.app = make_app(self.models, settings)
        self._socket = listening("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(config_of(self.app, settings))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE)
        wait_until(lambda: self._server.started)

    def _run(self) -> None:
        with contextlib.suppress(SystemExit):
            asyncio.run(self._server.serve(sockets=[self._socket]))

    @property
    def engine(self) -> Any:
        """The engine of its first model."""
        return self.models.all()[0].engine

    @property
    def connections(self) -> Any:
        """The connections that are open."""
        return self._server.server_state.connections

    def post(self, path: str, **fields: Any) -> Any:
        """The response to a JSON object."""
        return self.client.post(path, json=fields)

    def text(self, prompt: Any = "The cat", **fields: Any) -> str:
        """The one text of a completion."""
        response = self.post("/v1/completions", prompt=prompt, **fields)
        assert response.status_code == 200, response.text
        return str(response.json()["choices"][0]["text"])

    def close(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        self._socket.close()
        assert not self._thread.is_alive()


def wait_until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.002)


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    return wait_until


@pytest.fixture(scope="session")
def serve(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """``serve(**settings)``: a server that ends with the tests."""
    opened = []

    def make(*models: Path, **settings: Any) -> Server:
        folder = tmp_path_factory.mktemp("server")
        settings.setdefault("state_key_file", str(folder / "state.key"))
        settings.setdefault("sessions", str(folder / "sessions.sqlite"))
        server = Server([str(path) for path in models or (run,)], ServeSettings(**settings))
        opened.append(server)
        return server

    yield make
    for server in opened:
        server.close()


@pytest.fixture(scope="session")
def server(serve: Callable[..., Server]) -> Server:
    """One server for all who change nothing of it."""
    return serve(slots=16, queue=64)


class Process:
    """``pantoum serve`` in a process of its own."""

    def __init__(self, run: Path, folder: Path, *flags: str) -> None:
        command = [sys.executable, "-m", "pantoum", "serve", str(run), "--port", "0", *flags]
        self.log = folder / "log.txt"
        begun = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stderr=log, env={**os.environ, "XDG_STATE_HOME": str(folder)}
            )
        lines: list[str] = []

        def told() -> bool:
            whole = self.log.read_bytes()[begun:].decode().rpartition("\n")[0]
            lines[:] = [line for line in whole.splitlines() if "http://" in line]
            return bool(lines) or self.process.poll() is not None

        try:
            wait_until(told)
            assert lines, f"the server has ended: {self.log.read_text()}"
        except AssertionError:
            self.kill()
            raise
        self.url = json.loads(lines[0])["message"].split()[1].rstrip("/")
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@pytest.fixture
def process(run: Path, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """``process(*flags)``: started again it has the same folder."""
    opened = []

    def start(*flags: str) -> Process:
        opened.append(Process(run, tmp_path, *flags))
        return opened[-1]

    yield start
    for one in opened:
        one.client.close()
        if one.process.poll() is None:
            one.kill()


@pytest.fixture(scope="module")
def opened(serve: Callable[..., Server]) -> Server:
    """A server whose page a browser opens."""
    return serve(slots=16, queue=64)


@pytest.fixture
def desk(opened: Server, tab: Callable[..., Any]) -> Any:
    """The writing desk in a new tab, ready; ``expect`` waits for what it shows."""
    found = tab()
    found.expect = pytest.importorskip("playwright.sync_api").expect
    found.page.goto(opened.url)
    found.page.wait_for_selector("#facts:not(:empty)")
    return found
