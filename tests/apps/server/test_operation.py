"""What operators ask: readiness, metrics, prefixes of proxies, sockets, methods, the documentation."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pantoum.config import VERSION


def test_sighup_reads_the_keys_again(
    process: Callable[..., Any], until: Callable[..., None], tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("old\n")
    one = process("--api-key-file", str(keys))

    def status(key: str) -> int:
        return int(one.client.get("/version", headers={"Authorization": f"Bearer {key}"}).status_code)

    assert (status("old"), status("new")) == (200, 401)
    keys.write_text("new\n")
    one.process.send_signal(signal.SIGHUP)
    until(lambda: status("new") == 200)
    assert status("old") == 401
    keys.write_text("\n")
    one.process.send_signal(signal.SIGHUP)
    until(lambda: "the old ones stay" in one.log.read_text())
    assert status("new") == 200


def test_sighup_before_the_server_listens_does_not_end_it(run: Path, tmp_path: Path) -> None:
    hanging = """
import os, signal, sys
import pantoum.apps.server.serve as serve
def hung_up(*arguments):
    os.kill(os.getpid(), signal.SIGHUP)
    sys.exit(7)
serve.Models = hung_up
from pantoum.cli.main import main
sys.exit(main())
"""
    command = [sys.executable, "-c", hanging, "serve", str(run), "--port", "0"]
    around = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    assert subprocess.run(command, env=around, capture_output=True, check=False).returncode == 7


def test_the_page_works_behind_a_prefix_that_the_proxy_takes_away(serve: Callable[..., Any]) -> None:
    server = serve(root_path="/models/book", slots=2)
    page = server.client.get("/").text
    for name in re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page):
        assert not name.startswith("/") and server.client.get(f"/{name}").status_code == 200
    assert server.client.get("/v1/models").status_code == 200
    assert server.client.get("/openapi.json").json()["servers"] == [{"url": "/models/book"}]
    assert "/models/book/openapi.json" in server.client.get("/docs").text


def test_head_is_where_get_is_and_allow_names_methods(server: Any) -> None:
    for path in ("/health", "/v1/models", "/metrics", "/", "/page/desk.js", "/docs", "/openapi.json"):
        head, got = server.client.head(path), server.client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
    refused = server.client.put("/v1/completions")
    assert refused.status_code == 405 and refused.headers["allow"] == "POST"
    assert "PUT is not a method" in refused.json()["error"]["message"]


def test_large_json_is_compressed_where_the_client_takes_it(server: Any) -> None:
    fields = {"prompt": "The cat sat. " * 100, "max_tokens": 0, "echo": True, "logprobs": 1}
    headers = {"Accept-Encoding": "gzip"}
    with server.client.stream("POST", "/v1/completions", json=fields, headers=headers) as response:
        packed = b"".join(response.iter_raw())
    plain = server.client.post("/v1/completions", json=fields, headers={"Accept-Encoding": "identity"})
    assert response.headers["content-encoding"] == "gzip" and len(packed) < len(plain.content) / 3
    assert b'"logprobs"' in gzip.decompress(packed)
    streamed = server.client.post("/v1/completions", json={**fields, "stream": True}, headers=headers)
    assert "content-encoding" not in streamed.headers


def test_the_documentation_loads_nothing_of_others_and_needs_no_key(serve: Callable[..., Any]) -> None:
    server = serve(api_keys="one", slots=2)
    page = server.client.get("/docs").text
    names = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert names and all(name.startswith("/docs/files/") for name in names)
    assert all(server.client.get(name).status_code == 200 for name in names)
    described = server.client.get("/openapi.json").json()
    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert described["paths"]["/v1/completions"]["post"]["security"] == [{"HTTPBearer": []}]
    assert server.client.get("/version").status_code == 401


def test_metrics_tell_what_runs_what_waits_and_how_long_the_first_token_took(
    serve: Callable[..., Any], until: Callable[..., None]
) -> None:
    server = serve(slots=1, queue=4)
    assert server.client.get("/version").json() == {"version": VERSION}
    server.post("/v1/sessions")

    def metric(name: str) -> float:
        lines = server.client.get("/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"pantoum_{name}"))

    assert metric("sessions") == 1 and metric("slots{") == 1
    long = {"prompt": "The", "max_tokens": 1_000_000, "stream": True}
    with server.client.stream("POST", "/v1/completions", json=long) as one:
        lines = one.iter_lines()
        until(
            lambda: bool(next(lines)) and metric("texts_running") == 1
        )  # it pauses for whoever reads nothing
        assert metric("first_token_seconds_count") == 1
    until(lambda: metric("texts_running") == 0)
