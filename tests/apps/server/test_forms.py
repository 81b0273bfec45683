"""Forms of texts and next words in the server: kept to, or an error that names the field."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import pantoum

pytest.importorskip("llguidance")

ASKED = {"prompt": "The ", "max_tokens": 40, "seed": 3, "temperature": 1.0}
SCHEMA = {"type": "array", "items": {"type": "integer"}, "minItems": 1}


@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        ({"guided_regex": "[a-z]+( [a-z]+)+"}, {"matching": "[a-z]+( [a-z]+)+"}),
        ({"guided_choice": ["cat", "dog"]}, {"choices": ["cat", "dog"]}),
        ({"guided_grammar": 'start: "a" start "n" | "d"'}, {"grammar": 'start: "a" start "n" | "d"'}),
        ({"structured_outputs": {"regex": "[a-z]+"}}, {"matching": "[a-z]+"}),
        ({"response_format": {"type": "text"}}, {}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_completion_has_the_form_that_generate_gives(
    server: Any, model: pantoum.Model, fields: dict[str, Any], settings: dict[str, Any], stream: bool
) -> None:
    expected = model.generate("The ", length=40, seed=3, temperature=1.0, exact=True, **settings)
    answer = server.client.post("/v1/completions", json={**ASKED, **fields, "stream": stream})
    assert answer.status_code == 200, answer.text
    if stream:
        events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
        found = "".join(json.loads(event)["choices"][0]["text"] for event in events)
    else:
        found = answer.json()["choices"][0]["text"]
    assert found == expected


def body(fields: dict[str, Any]) -> dict[str, Any]:
    """A request, also with what only the escapes of JSON can hold."""
    return {"content": json.dumps(fields), "headers": {"content-type": "application/json"}}


def test_streams_of_different_forms_share_a_batch(server: Any) -> None:
    for expression in ("[a-z]{5}", "[0-9]{3}( [a-z]+)*", "(cat|dog){2,}"):
        fields = {**ASKED, "guided_regex": expression, "n": 5}
        for choice in server.client.post("/v1/completions", json=fields).json()["choices"]:
            assert re.fullmatch(expression, choice["text"])
            assert choice["finish_reason"] in ("stop", "length")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": {"type": "json_object"}}, "response_format"),  # no brace in the vocabulary
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}, "response_format"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"guided_json": {"type": "strin"}}, "guided_json"),
        ({"guided_regex": "(a"}, "guided_regex"),
        ({"guided_regex": "(?=a)"}, "guided_regex"),
        ({"guided_regex": "[a-z]{50}"}, "max_tokens"),
        ({"guided_regex": "(" * 9_999 + ")" * 9_999}, "guided_regex"),
        ({"guided_choice": []}, "guided_choice"),
        ({"guided_choice": [""]}, "guided_choice"),
        ({"guided_json": [1]}, "guided_json"),
        ({"guided_grammar": 'start: "a" <end>'}, "guided_grammar"),
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": {"choice": []}}, "structured_outputs"),
        ({"structured_outputs": {"choice": "cat"}}, "structured_outputs"),
        ({"structured_outputs": {"regex": 5}}, "structured_outputs"),
        ({"guided_grammar": "start: foo"}, "guided_grammar"),
        ({"guided_regex": "a", "guided_choice": ["a"]}, "guided_regex and guided_choice"),
        ({"structured_outputs": {"structural_tag": "x"}}, "structured_outputs"),
        ({"guided_json": {}, "guided_whitespace_pattern": " ?"}, "guided_whitespace_pattern"),
        ({"tools": [{}]}, "tools"),
    ],
)
def test_what_cannot_be_kept_to_is_a_400_that_names_the_field(
    server: Any, fields: dict[str, Any], param: str
) -> None:
    answer = server.client.post("/v1/completions", **body({**ASKED, **fields}))
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param
    message = answer.json()["error"]["message"]
    assert (
        "matching" not in message
        and "\n" not in message
        and (not param.startswith("guided") or message.startswith(param))
    )


def test_chats_responses_and_sessions_have_forms(server: Any) -> None:
    client, form = server.client, {"guided_choice": ["cat", "dog"]}
    messages = [{"role": "user", "content": "The"}]
    chat = client.post("/v1/chat/completions", json={"messages": messages, **form}).json()
    assert chat["choices"][0]["message"]["content"] in form["guided_choice"]
    wrong = {"input": "The", "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}}
    assert client.post("/v1/responses", json=wrong).json()["error"]["param"] == "text"
    for format in (5, [], "json_object", {}):
        answer = client.post("/v1/responses", json={"input": "The", "text": {"format": format}})
        assert answer.status_code == 400 and answer.json()["error"]["message"].startswith("text must have")
    short = {"input": "The", "max_output_tokens": 1, "guided_regex": "[a-z]{9}"}
    told = client.post("/v1/responses", json=short).json()["error"]
    assert told["param"] == "max_output_tokens" and told["message"].startswith("max_output_tokens is 1: ")
    session = client.post("/v1/sessions", json={"prompt": "The "}).json()["id"]
    written = client.post(f"/v1/sessions/{session}/generate", json={**form, "max_tokens": 9}).json()
    assert written["choices"][0]["text"] in form["guided_choice"]


def test_suggestions_are_those_of_the_model(server: Any, model: pantoum.Model) -> None:
    client = server.client
    for prompt in ("The ", "The c", "", "The cat number 12 sa"):
        found = client.post("/v1/suggest", json={"prompt": prompt, "k": 4}).json()
        expected = model.suggest(prompt, 4)
        assert [item["text"] for item in found["items"]] == [one.text for one in expected]
        own = [item["probability"] for item in found["items"]]
        assert own == pytest.approx([one.probability for one in expected], rel=1e-4)
    session = client.post("/v1/sessions", json={"prompt": "The cat "}).json()
    after = client.post("/v1/suggest", json={"session": session["id"], "prompt": "nu"}).json()
    assert [one.text for one in model.suggest("The cat nu")] == [item["text"] for item in after["items"]]
    assert client.get(f"/v1/sessions/{session['id']}").json()["tokens_seen"] == session["tokens_seen"]
    for wrong in ({"k": 0}, {"k": 1000}, {"prompt": "\ud800"}):
        body = json.dumps(wrong)
        assert client.post("/v1/suggest", content=body, headers={"content-type": "application/json"}).is_error
    assert client.post("/v1/suggest", json={"session": "none"}).status_code == 404


def test_tokens_that_were_drawn_and_taken_back_are_not_counted(server: Any) -> None:
    before, sent = server.engine.counters["tokens_written"], 0
    for expression in ("([a-z]+ ){3}[0-9]{15}", "[a-z]{5}", "(cat|dog){2,}"):
        fields = {**ASKED, "guided_regex": expression, "n": 3}
        sent += server.client.post("/v1/completions", json=fields).json()["usage"]["completion_tokens"]
        assert server.engine.counters["tokens_written"] - before == sent
