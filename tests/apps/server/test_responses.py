"""``/v1/responses``: text in, text out, and events as OpenAI names them."""

from __future__ import annotations

import json
from typing import Any

import pytest

FIELDS: dict[str, Any] = {"input": "The cat", "max_output_tokens": 20, "seed": 3}


def events(answer: str) -> list[dict[str, Any]]:
    found = []
    for block in answer.strip().split("\n\n"):
        name, data = block.split("\n")
        made = json.loads(data.removeprefix("data: "))
        assert name == f"event: {made['type']}"
        found.append(made)
    return found


def test_the_text_is_that_of_a_chat_and_streams_as_it_is(server: Any) -> None:
    whole = server.post("/v1/responses", instructions="Be a cat.", **FIELDS).json()
    messages = [{"role": "system", "content": "Be a cat."}, {"role": "user", "content": "The cat"}]
    chat = server.post("/v1/chat/completions", messages=messages, max_tokens=20, seed=3).json()
    (part,) = whole["output"][0]["content"]
    assert part["text"] == chat["choices"][0]["message"]["content"]
    assert whole["usage"]["input_tokens"] == chat["usage"]["prompt_tokens"]
    streamed = events(server.post("/v1/responses", instructions="Be a cat.", stream=True, **FIELDS).text)
    assert [one["sequence_number"] for one in streamed] == list(range(len(streamed)))
    deltas = [one["delta"] for one in streamed if one["type"] == "response.output_text.delta"]
    assert "".join(deltas) == part["text"] == streamed[-4]["text"]
    kinds = [one["type"].removeprefix("response.") for one in streamed]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", kinds[-1]]
    assert kinds[-1] == {"completed": "completed", "incomplete": "incomplete"}[whole["status"]]
    assert streamed[-1]["response"]["usage"] == whole["usage"]


def test_a_conversation_may_go_on_from_the_state_of_its_last_answer(server: Any) -> None:
    parts = [{"type": "input_text", "text": "The "}, {"type": "input_text", "text": "cat"}]
    asked = [{"role": "user", "content": parts}]
    first = server.post("/v1/responses", **{**FIELDS, "input": asked}, return_state=True).json()
    assert first["output"] and first["tokens_seen"] > 20
    again = server.post("/v1/responses", **{**FIELDS, "state": first["state"]}).json()
    assert again["usage"]["input_tokens"] == first["usage"]["input_tokens"]


def test_log_probabilities_come_where_they_are_asked_for(server: Any) -> None:
    found = server.post("/v1/responses", include=["message.output_text.logprobs"], top_logprobs=2, **FIELDS)
    (part,) = found.json()["output"][0]["content"]
    assert len(part["logprobs"][0]["top_logprobs"]) == 2
    assert part["text"].startswith(part["logprobs"][0]["token"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"text": {"format": {"type": "json_object"}}}, "text"),
        ({"n": 2}, "n"),
        ({"input": [{"type": "function_call_output", "role": "user"}]}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "messages"),
    ],
)
def test_what_cannot_be_done_is_said(server: Any, fields: dict[str, Any], param: str) -> None:
    refused = server.post("/v1/responses", **{**FIELDS, **fields})
    assert refused.status_code == 400 and refused.json()["error"]["param"] == param


@pytest.mark.parametrize(
    "metadata", [{"a": "\ud800"}, {"\udc00": "a"}, {"\ud800": 1}, {"a": "\U0001f431", "b": "\ud83d"}]
)
def test_metadata_that_no_answer_could_repeat_is_refused(server: Any, metadata: dict[str, Any]) -> None:
    for raw in (False, True):
        body = json.dumps({**FIELDS, "metadata": metadata}, ensure_ascii=not raw)
        sent = body.encode("utf-8", "surrogatepass")
        refused = server.client.post(
            "/v1/responses", content=sent, headers={"Content-Type": "application/json"}
        )
        assert refused.status_code == 400 and refused.json()["error"]["type"] == "invalid_request_error"
    cat = server.post("/v1/responses", **FIELDS, metadata={"cat": "\U0001f431"})
    assert cat.json()["metadata"] == {"cat": "\U0001f431"}
