"""Tokens of a model over HTTP, as vLLM and the server of llama.cpp give them."""

from __future__ import annotations

import json
from typing import Any


def test_a_text_becomes_tokens_and_back(server: Any) -> None:
    found = server.post("/tokenize", prompt="The cat", return_token_strs=True).json()
    assert found["count"] == 7 and "".join(found["token_strs"]) == "The cat"
    again = server.post("/tokenize", content="The cat", add_special_tokens=False).json()
    assert again["tokens"] == found["tokens"]
    assert server.post("/detokenize", tokens=found["tokens"]).json()["prompt"] == "The cat"
    chat = server.post("/tokenize", messages=[{"role": "user", "content": "The cat"}])
    assert chat.json()["count"] == len("user: The cat\nassistant:")
    assert server.client.get("/tokenizer_info").json()["vocab_size"] == server.engine.model.vocab_size


def test_what_is_no_text_or_no_token_is_a_400(server: Any) -> None:
    for path, fields in (
        ("/tokenize", {}),
        ("/tokenize", {"prompt": "a", "content": "a"}),
        ("/tokenize", {"prompt": "\ud800"}),
        ("/detokenize", {"tokens": [10**9]}),
        ("/detokenize", {"tokens": "a"}),
        ("/detokenize", {"tokens": [1, -1]}),
    ):
        assert server.client.post(path, content=json.dumps(fields)).status_code == 400
    assert server.client.get("/tokenizer_info", params={"model": "x"}).status_code == 404
