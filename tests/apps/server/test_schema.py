"""Row 19: whatever is sent, no answer is a 500, and no key is in any log."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pantoum.apps.server.guard import OPEN

PATHS = [
    "/v1/completions",
    "/v1/chat/completions",
    "/v1/responses",
    "/tokenize",
    "/detokenize",
    "/v1/embeddings",
    "/v1/score",
    "/v1/activations",
    "/v1/units",
    "/v1/sessions",
    "/v1/sessions/x/generate",
]
NAMES = [
    *(
        "prompt",
        "messages",
        "input",
        "text",
        "max_tokens",
        "temperature",
        "top_p",
        "n",
        "stop",
        "seed",
        "logprobs",
    ),
    *("echo", "stream", "logit_bias", "state", "from", "by", "alert", "units", "feature", "count", "model"),
]
LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.sampled_from(PATHS),
    body=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6),
    small=st.fixed_dictionaries({}, optional={"max_tokens": st.integers(0, 9), "stream": st.just(False)}),
)
def test_no_body_is_a_bug(server: Any, path: str, body: dict[str, Any], small: dict[str, Any]) -> None:
    response = server.client.post(path, content=json.dumps({**body, **small}))
    assert response.status_code in (200, 400, 403, 404, 422), response.text
    if response.status_code != 200:
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.slow
def test_schemathesis_finds_no_bug(
    serve: Callable[..., Any], tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Over 2,000 drawn requests to every route, with a key, without, and with a wrong one."""
    schemathesis = pytest.importorskip("schemathesis", reason="make check installs schemathesis")
    key = "sk-never-in-a-log-7c1f"
    (tmp_path / "keys").write_text(key)
    server = serve(api_key_file=str(tmp_path / "keys"), slots=16, queue=1000)
    schema = schemathesis.openapi.from_asgi(
        "/openapi.json", server.app, headers={"Authorization": f"Bearer {key}"}
    )
    sent = 0
    for operation in (found.ok() for found in schema.get_all_operations()):

        @settings(max_examples=100, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(), header=st.sampled_from([key, key, key, "wrong", ""]))
        def send(case: Any, header: str) -> None:
            nonlocal sent
            sent += 1
            body = case.body if isinstance(case.body, (dict, list)) else {}
            if isinstance(body, dict):
                body = {
                    name: min(50, value) if name in LENGTHS and isinstance(value, int) else value
                    for name, value in body.items()
                }
            path = case.formatted_path
            response = server.client.request(
                case.method,
                path,
                content=json.dumps(body) if case.method == "POST" else None,
                headers={"Authorization": f"Bearer {header}"} if header else {},
            )
            assert response.status_code < 500, (path, response.text)
            if header != key and path not in OPEN:
                assert response.status_code in (401, 404, 405)

        with caplog.at_level(logging.INFO):
            send()
    assert sent >= 2000
    assert key not in "".join(record.getMessage() for record in caplog.records if record.name != "httpx")
