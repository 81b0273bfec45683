"""Completions and chats: the text is that of ``pantoum generate``, in OpenAI's form."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.apps.server import job

PROMPT = "The cat number 7"


def events(server: Any, path: str, **fields: Any) -> list[Any]:
    """The JSON of each event of a stream, which must end with [DONE]."""
    with server.client.stream("POST", path, json={"stream": True, **fields}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": 0.8},
        {"temperature": 1.3, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.3},
        {"temperature": 0.0},
        {"temperature": 1.0, "frequency_penalty": 0.7, "presence_penalty": -0.4, "min_p": 0.02},
        {"temperature": 1.0, "logit_bias": {3: 5.0, 4: -100.0}},
    ],
)
def test_a_completion_is_what_generate_writes_streamed_or_not(
    server: Any, model: pantoum.Model, sampling: dict[str, Any]
) -> None:
    expected = model.generate(PROMPT, length=60, exact=True, seed=5, stop=("dog 3",), **sampling)
    fields = {**sampling, "prompt": PROMPT, "max_tokens": 60, "seed": 5, "stop": "dog 3"}
    fields["logit_bias"] = {str(token): bias for token, bias in sampling.get("logit_bias", {}).items()}
    whole = server.post("/v1/completions", **fields).json()["choices"][0]
    parts = [event["choices"][0] for event in events(server, "/v1/completions", **fields)]
    assert whole["text"] == "".join(part["text"] for part in parts) == expected
    assert [part["finish_reason"] for part in parts[:-1]] == [None] * (len(parts) - 1)
    assert parts[-1]["finish_reason"] == whole["finish_reason"]


def test_text_k_of_n_is_stream_k_of_the_seed_for_each_prompt(server: Any, model: pantoum.Model) -> None:
    expected = [
        text
        for prompt in (PROMPT, "T")
        for text in model.generate(prompt, length=20, exact=True, seed=2, count=3, temperature=1)
    ]
    found = server.post("/v1/completions", prompt=[PROMPT, "T"], n=3, max_tokens=20, seed=2, temperature=1)
    choices = found.json()["choices"]
    assert [choice["text"] for choice in choices] == expected
    assert [choice["index"] for choice in choices] == list(range(6))
    assert found.json()["usage"]["completion_tokens"] == 120


def test_a_prompt_of_tokens_is_the_prompt_of_their_text(server: Any, model: pantoum.Model) -> None:
    tokens = model.tokenizer.encode(PROMPT).tolist()
    expected = server.text(PROMPT, seed=1, max_tokens=30)
    assert server.text(tokens, seed=1, max_tokens=30) == expected
    assert server.text([tokens], seed=1, max_tokens=30) == expected


def test_echo_with_logprobs_gives_each_tokens_own_and_the_alternatives(
    server: Any, model: pantoum.Model
) -> None:
    answer = server.post(
        "/v1/completions", prompt=PROMPT, max_tokens=9, echo=True, logprobs=3, seed=4, temperature=1.0
    ).json()["choices"][0]
    found = answer["logprobs"]
    assert answer["text"].startswith(PROMPT) and "".join(found["tokens"]) == answer["text"]
    assert found["text_offset"] == list(range(len(answer["text"])))
    assert found["token_logprobs"][0] is None and found["top_logprobs"][0] is None
    for token, nats, top in list(
        zip(found["tokens"], found["token_logprobs"], found["top_logprobs"], strict=True)
    )[1:]:
        assert len(top) == 3 and list(top.values()) == sorted(top.values(), reverse=True)
        assert token not in top or top[token] == pytest.approx(nats, abs=1e-6)
        assert nats <= max(top.values()) + 1e-6
    scores = model.score(answer["text"], by="token")
    own = [-item.nats for item in scores.items[1:]]
    # The score begins after a newline, the completion after nothing: they differ at first, and forget it.
    assert found["token_logprobs"][-5:] == pytest.approx(own[-5:], abs=0.3)


def test_the_prompt_alone_is_scored_as_it_is_written(server: Any) -> None:
    whole = server.post("/v1/completions", prompt=PROMPT, max_tokens=12, logprobs=0, seed=8).json()[
        "choices"
    ][0]
    again = server.post(
        "/v1/completions", prompt=PROMPT + whole["text"], max_tokens=0, echo=True, logprobs=0
    ).json()["choices"][0]
    written = whole["logprobs"]["token_logprobs"]
    assert again["logprobs"]["token_logprobs"][-12:] == pytest.approx(written, abs=2e-6)
    assert again["finish_reason"] == "length" and again["logprobs"]["top_logprobs"] is None


def test_logprobs_of_a_stream_are_those_of_the_whole(server: Any) -> None:
    fields: dict[str, Any] = {
        "prompt": PROMPT,
        "max_tokens": 40,
        "logprobs": 2,
        "seed": 3,
        "stop": [" sat", "ran"],
    }
    whole = server.post("/v1/completions", **fields).json()["choices"][0]
    parts = [event["choices"][0]["logprobs"] for event in events(server, "/v1/completions", **fields)]
    for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        assert [value for part in parts for value in part[name]] == whole["logprobs"][name]
    assert "".join(whole["logprobs"]["tokens"]) == whole["text"]


def test_penalties_and_biases_leave_the_models_own_probabilities(server: Any) -> None:
    changed = server.post(
        "/v1/completions",
        prompt=PROMPT,
        max_tokens=20,
        seed=1,
        logprobs=1,
        frequency_penalty=2,
        logit_bias={"9": 50},
    ).json()["choices"][0]
    echoed = server.post(
        "/v1/completions", prompt=PROMPT + changed["text"], max_tokens=0, echo=True, logprobs=0
    ).json()["choices"][0]
    assert echoed["logprobs"]["token_logprobs"][-20:] == pytest.approx(
        changed["logprobs"]["token_logprobs"], abs=2e-6
    )


def test_a_state_goes_on_where_the_text_ended(server: Any, model: pantoum.Model) -> None:
    fields: dict[str, Any] = {"temperature": 1.0, "seed": 6}
    expected = model.generate(PROMPT, length=40, exact=True, **fields)
    first = server.post("/v1/completions", prompt=PROMPT, max_tokens=15, return_state=True, **fields).json()[
        "choices"
    ][0]
    last = [
        event["choices"][0]
        for event in events(
            server, "/v1/completions", state=first["state"], max_tokens=25, return_state=True, **fields
        )
    ]
    assert first["text"] + "".join(part["text"] for part in last) == expected
    assert last[-1]["tokens_seen"] == len(PROMPT) + 40 and not any("state" in part for part in last[:-1])


def test_a_chat_is_a_completion_of_the_plain_template(server: Any) -> None:
    messages = [
        {"role": "system", "content": "{content}"},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
    ]
    prompt = "system: {content}\nuser: Hi\nassistant:"
    fields: dict[str, Any] = {"max_tokens": 25, "seed": 3}
    answer = server.post(
        "/v1/chat/completions", messages=messages, logprobs=True, top_logprobs=2, **fields
    ).json()
    expected = server.text(prompt, stop=["\nuser:"], **fields)
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": expected, "refusal": None}
    assert len(answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 2
    streamed = events(server, "/v1/chat/completions", messages=messages, **fields)
    assert "".join(event["choices"][0]["delta"]["content"] for event in streamed) == expected
    assert streamed[0]["object"] == "chat.completion.chunk"
    streamed = events(server, "/v1/chat/completions", messages=messages, max_tokens=3000)
    roles = [event["choices"][0]["delta"].get("role") for event in streamed]
    assert roles[0] == "assistant" and not any(roles[1:]), "clients join what they get"


def test_what_came_together_is_sent_together(server: Any) -> None:
    fields = {"prompt": PROMPT, "n": 8, "max_tokens": 400, "stream": True}
    with server.client.stream("POST", "/v1/completions", json=fields) as response:
        chunks = [chunk for chunk in response.iter_raw() if chunk.startswith(b"data: {")]
    assert max(chunk.count(b"data: ") for chunk in chunks) >= 4


def test_usage_comes_last_in_a_stream_that_asks_for_it(server: Any) -> None:
    found = events(
        server, "/v1/completions", prompt="abc", max_tokens=7, stream_options={"include_usage": True}
    )
    assert found[-1]["choices"] == []
    assert found[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}
    assert all(event["usage"] is None for event in found[:-1])


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"prompt": 7}, 400, "prompt"),
        ({"prompt": []}, 400, "prompt"),
        ({"prompt": [10_000]}, 400, "prompt"),
        ({"max_tokens": -1}, 400, "max_tokens"),
        ({"temperature": 101}, 400, "temperature"),
        ({"top_p": 0}, 400, "top_p"),
        ({"n": 17}, 400, "n"),
        ({"n": 17, "max_tokens": 0}, 400, "n"),
        ({"n": 2, "best_of": 3}, 400, "best_of"),
        ({"stop": ["x"] * 65}, 400, "stop"),
        ({"stop": "x" * 1001}, 400, "stop"),
        ({"tools": [{"type": "function"}]}, 400, "tools"),
        ({"suffix": "x"}, 400, "suffix"),
        ({"logit_bias": {"a": 1}}, 400, "logit_bias"),
        ({"logit_bias": {"9999": 1}}, 400, "logit_bias"),
        ({"logit_bias": {"9" * 5000: 1}}, 400, "logit_bias"),
        ({"logit_bias": {"3": 101}}, 400, "logit_bias"),
        ({"seed": -2}, 400, "seed"),
        ({"logprobs": 21}, 400, "logprobs"),
        ({"model": "gpt-5"}, 404, "model"),
        ({"state": "AAAA"}, 422, "state"),
        ({"state": "?"}, 422, "state"),
    ],
)
def test_what_cannot_be_is_an_error_that_names_the_field(
    server: Any, fields: dict[str, Any], status: int, param: str
) -> None:
    response = server.post("/v1/completions", **fields)
    error = response.json()["error"]
    assert (response.status_code, error["param"].split(".")[0]) == (status, param)
    assert set(error) == {"message", "type", "param", "code"}
    assert server.engine.taken == 0


def test_unknown_fields_are_ignored_as_openai_does(server: Any) -> None:
    assert server.text("A", seed=1, max_tokens=3, store=True, metadata={"a": "b"}) == server.text(
        "A", seed=1, max_tokens=3
    )


def test_embeddings_are_the_last_hidden_state_or_the_mean(server: Any, model: pantoum.Model) -> None:
    hidden = model.session().feed("The cat.", hidden=True)
    for pooling, expected in (("last", hidden[-1]), ("mean", hidden.mean(axis=0))):
        found = server.post("/v1/embeddings", input=["The cat.", "B"], pooling=pooling).json()
        assert found["data"][0]["embedding"] == pytest.approx(expected.tolist(), abs=1e-6)
        assert len(found["data"]) == 2 and found["usage"]["prompt_tokens"] == 9
    assert server.post("/v1/embeddings", input="").status_code == 400


def test_score_is_what_score_gives(server: Any, model: pantoum.Model) -> None:
    text = "The cat\nnumber seven sat \u20ac on\n\nthe mat"
    for by in ("token", "word", "line"):
        expected = model.score(text, by=by, alert=2.5)
        found = server.post("/v1/score", text=text, by=by, alert=2.5).json()
        assert [item["text"] for item in found["items"]] == [item.text for item in expected.items]
        assert [item["nats"] for item in found["items"]] == [item.nats for item in expected.items]
        assert [item["peak"] for item in found["items"]] == [item.peak for item in expected.items]
        assert [item["alert"] for item in found["items"]] == [item.alert for item in expected.items]
        assert math.isclose(found["nats"], expected.nats, rel_tol=1e-9) and found["tokens"] == expected.tokens
    assert server.post("/v1/score", text="").json()["items"] == []


def test_a_space_at_the_end_of_a_prompt_of_words_is_not_written_twice(
    serve: Callable[..., Any], words: Path
) -> None:
    server, fields = serve(words, slots=4), {"max_tokens": 9, "temperature": 1.0}
    for seed in range(3):
        plain, spaced = (
            server.post("/v1/completions", prompt=prompt, seed=seed, **fields).json()
            for prompt in ("The cat", "The cat ")
        )
        text = spaced["choices"][0]["text"]
        assert text == plain["choices"][0]["text"].removeprefix(" ") and plain["usage"] == spaced["usage"]
    kept = server.post("/v1/completions", prompt="The ", max_tokens=0, return_state=True).json()
    state = kept["choices"][0]["state"]
    found = server.post(
        "/v1/completions", prompt="cat ", state=state, echo=True, logprobs=0, seed=2, **fields
    ).json()["choices"][0]
    assert found["text"] == "cat " + text and found["logprobs"]["text_offset"][:2] == [0, 4]
    session = server.post("/v1/sessions").json()["id"]
    server.post(f"/v1/sessions/{session}/feed", text="The ")
    written = server.post(f"/v1/sessions/{session}/generate", prompt="cat ", seed=2, **fields)
    assert written.json()["choices"][0]["text"] == text


def test_the_unchanged_openai_client_uses_it(server: Any) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
    name = client.models.list().data[0].id
    assert client.models.retrieve(name).owned_by == "pantoum"
    expected = server.text(PROMPT, max_tokens=30, seed=2, temperature=0.9)
    fields: dict[str, Any] = {"model": name, "seed": 2, "max_tokens": 30, "temperature": 0.9}
    assert client.completions.create(prompt=PROMPT, **fields).choices[0].text == expected
    stream = client.completions.create(prompt=PROMPT, stream=True, **fields)
    assert "".join(chunk.choices[0].text for chunk in stream) == expected
    chat = client.chat.completions.create(
        messages=[{"role": "user", "content": "Hi"}], model=name, max_tokens=5
    )
    assert chat.choices[0].finish_reason == "length"
    vector = client.embeddings.create(model=name, input="The cat").data[0].embedding
    assert vector == pytest.approx(
        server.post("/v1/embeddings", input="The cat").json()["data"][0]["embedding"]
    )
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="other", prompt="")
    client.close()


@pytest.mark.parametrize("fields", [{}, {"max_tokens": 3, "seed": 1}])
def test_tokens_of_an_echoed_prompt_begin_where_they_stand_in_it(
    server: Any, serve: Callable[..., Any], words: Path, fields: dict[str, Any]
) -> None:
    fields = {"max_tokens": 0, "echo": True, "logprobs": 0, **fields}
    found = server.post("/v1/completions", prompt="The\r\ncat", **fields).json()["choices"][0]
    assert found["text"].startswith("The\r\ncat")
    assert found["logprobs"]["text_offset"][:8] == [0, 1, 2, 4, 5, 6, 7, 8][: len(found["text"]) - 1]
    assert found["logprobs"]["tokens"][3] == "\n"
    of_words = serve(words)
    found = of_words.post("/v1/completions", prompt="Zutalors sat on", **fields).json()["choices"][0]
    assert found["logprobs"]["text_offset"][:3] == [0, 8, 12]
    first = of_words.post("/v1/completions", prompt="The cat ", max_tokens=0, return_state=True).json()
    state = first["choices"][0]["state"]
    found = of_words.post("/v1/completions", prompt="sat Zutalors on", state=state, **fields).json()
    assert found["choices"][0]["logprobs"]["text_offset"][:3] == [0, 3, 12]


def test_what_can_never_be_served_is_not_asked_for_again(serve: Callable[..., Any]) -> None:
    small = serve(slots=2, queue=3)
    answer = small.post("/v1/completions", prompt=["The"] * 6, max_tokens=1)
    assert answer.status_code == 400 and "takes 5 at once" in answer.json()["error"]["message"]
    assert "retry-after" not in answer.headers
    assert len(small.post("/v1/embeddings", input=["The"] * 60).json()["data"]) == 60, "in parts"


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_takes_too_long_is_an_error(
    server: Any, monkeypatch: pytest.MonkeyPatch, until: Callable[..., None], stream: bool
) -> None:
    monkeypatch.setattr(job, "LONGEST", 0.3)
    answer = server.post("/v1/completions", prompt="The", max_tokens=1_000_000, stream=stream)
    assert answer.status_code == (200 if stream else 503)
    last = answer.text.split("\n\n")[-2].removeprefix("data: ") if stream else answer.text
    assert json.loads(last)["error"]["code"] == "timeout"
    until(lambda: not server.engine.taken)


def test_a_request_that_is_not_json_is_told_so(server: Any) -> None:
    def asked(content: str, **headers: str) -> tuple[int, Any]:
        answer = server.client.post("/v1/completions", content=content, headers=headers)
        return answer.status_code, answer.json()["error"]

    status, error = asked('{"prompt": "a"}')
    assert status == 400 and "Content-Type: application/json" in error["message"]
    status, error = asked("{", **{"Content-Type": "application/json"})
    assert (status, error["param"]) == (400, None) and "not JSON" in error["message"]
    status, error = asked("[1]", **{"Content-Type": "application/json"})
    assert status == 400 and "valid dictionary" in error["message"]


def test_the_field_of_embeddings_is_called_input(server: Any) -> None:
    for given in ([], [10_000]):
        error = server.post("/v1/embeddings", input=given).json()["error"]
        assert error["param"] == "input" and error["message"].startswith("input ")


def test_a_seed_of_minus_one_is_drawn(server: Any) -> None:
    seeds = {server.post("/v1/completions", seed=-1, max_tokens=1).json()["seed"] for _ in range(3)}
    assert len(seeds) == 3 and min(seeds) >= 0
    assert server.post("/v1/completions", seed=-2).status_code == 400


def test_a_bias_of_a_foreign_token_is_refused_by_its_number(server: Any) -> None:
    refused = server.post("/v1/completions", logit_bias={"50256": -100}, max_tokens=1)
    assert refused.status_code == 400 and "50256" in refused.json()["error"]["message"]
    assert refused.json()["error"]["param"] == "logit_bias"


def test_embeddings_of_more_texts_than_fit_at_once(server: Any) -> None:
    texts = [f"text {n}" for n in range(500)]
    found = server.post("/v1/embeddings", input=texts).json()["data"]
    alone = server.post("/v1/embeddings", input=texts[321]).json()["data"][0]["embedding"]
    assert [one["index"] for one in found] == list(range(500))
    assert found[321]["embedding"] == pytest.approx(alone, abs=1e-6)
