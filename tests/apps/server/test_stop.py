"""The end of a server: what still runs when its time is used up is told so."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pantoum.apps.server import serve as serving

LONG = {"prompt": "The cat", "max_tokens": 1_000_000}


def test_requests_beyond_the_time_to_stop_get_an_error_of_the_usual_form(
    serve: Callable[..., Any], until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "DRAIN", 0.2)
    server = serve(slots=4)

    with ThreadPoolExecutor() as pool:
        whole = pool.submit(server.post, "/v1/completions", **LONG)
        streamed = pool.submit(server.post, "/v1/completions", stream=True, **LONG)
        until(lambda: server.engine.taken == 2)
        server._server.should_exit = True
    response = whole.result()
    assert response.status_code == 503 and response.headers["retry-after"] == "5"
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and "is stopping" in error["message"]
    *_, last, end = streamed.result().text.split("\n\n")
    assert json.loads(last.removeprefix("data: ")) == {"error": error} and not end
    until(lambda: not server.engine.taken)
