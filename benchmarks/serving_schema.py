"""OpenAI's own description of its interface, held against a server: schemathesis draws requests from it.

    python benchmarks/serving_schema.py openapi.yaml [--examples 200] [--seed 0]

``openapi.yaml`` is that of github.com/openai/openai-openapi. Of its paths those are taken that we serve.
Every drawn request is sent twice: as it was drawn, with the name of our model; and with nothing but the
fields that we know, short and in few texts, so that most are answered. Checked: no answer is a 5xx; what is
answered with 200 matches the schema of the answer, each event of a stream that of an event; an error is an
error of OpenAI's form. What was refused is counted by the field that the error names. The exit code is 1
where a check failed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from measured import machine
from serving_process import ours

import pantoum

Json = dict[str, Any]
STREAMED = {
    "/completions": "CreateCompletionResponse",
    "/chat/completions": "CreateChatCompletionStreamResponse",
    "/responses": "ResponseStreamEvent",
}
"""The schema of the events of a stream."""
KNOWN = {
    "CreateCompletionResponse $.choices[].finish_reason": "null until a text ends, as in OpenAI's streams",
    "CreateCompletionResponse $.choices[].logprobs": "logprobs: 0 has no alternatives, and the field is null",
    "CreateEmbeddingResponse $.data[].embedding": "words where base64 was asked for, as OpenAI's clients do",
}
"""Differences that stay, and why."""
PATHS = (*STREAMED, "/embeddings", "/models", "/models/{model}")
REFUSED = (
    *("best_of", "suffix", "logit_bias", "response_format", "conversation", "previous_response_id"),
    *("background", "text", "dimensions"),
)
"""Fields that we know and refuse, or take only with values of our own."""
LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
TEXT = "".join(f"The cat number {n} sat on the mat, and dog {n * 7 % 10} ran.\n" for n in range(40))


def plain(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as one of JSON: what is nullable may be null."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: plain(value) for name, value in schema.items() if name != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") is True else made


def known(body: Json, fields: Json) -> Json:
    """A drawn body with nothing but what we serve, short and in few texts."""
    given = (name for name in body if name in fields and name not in REFUSED and body[name] is not None)
    made = {name: body[name] for name in given}
    for name in LENGTHS:
        if isinstance(made.get(name), int):
            made[name] = max(1, min(20, made[name]))
    if "n" in fields:
        made["n"] = max(1, min(3, body.get("n") or 1))
    if "messages" in body:
        kept = [
            one for one in body["messages"] if isinstance(one, dict) and isinstance(one.get("content"), str)
        ]
        made["messages"] = [{"role": "user", "content": one["content"]} for one in kept] or [
            {"role": "user", "content": "The cat"}
        ]
    if "input" in fields and not (isinstance(body.get("input"), str) and body["input"]):
        made["input"] = "The cat"
    if "prompt" in body and not isinstance(body["prompt"], str):
        made["prompt"] = ["The cat", "The dog"]
    return made


class Judge:
    """What was sent to one server, and what was wrong with its answers."""

    def __init__(self, url: str, described: Json, components: Json) -> None:
        self.client = httpx.Client(base_url=url, timeout=60)
        self.model = self.client.get("/v1/models").json()["data"][0]["id"]
        self.described = described
        self.components = plain(components)
        self.statuses: dict[str, Counter[str]] = {}
        self.refused: dict[str, Counter[str]] = {}
        self.faults: Counter[str] = Counter()
        self.known: Counter[str] = Counter()

    def fields(self, path: str) -> Json:
        """The fields of a request that we know."""
        operation = self.described["paths"][f"/v1{path}"]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        found: Json = self.described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
        return found

    def send(self, case: Any) -> None:
        """One drawn request, in both forms."""
        path = case.path
        if case.method != "POST":
            self._sent(case, "as drawn", None)
            return
        if not isinstance(case.body, dict):
            return
        body = {**case.body, "model": self.model}
        limited = {name: min(20, body[name]) for name in LENGTHS if isinstance(body.get(name), int)}
        self._sent(case, "as drawn", {**body, **limited})
        self._sent(case, "known fields", known(body, self.fields(path)))

    def _sent(self, case: Any, form: str, body: Json | None) -> None:
        path = case.path.replace("{model}", self.model)
        told = f"{case.method} {case.path}, {form}"
        answer = self.client.request(case.method, f"/v1{path}", json=body)
        self.statuses.setdefault(told, Counter())[str(answer.status_code)] += 1
        if answer.status_code >= 500:
            self.faults[f"{told}: {answer.status_code} {answer.text[:200]}"] += 1
        elif answer.status_code != 200:
            self._matches(answer.json(), "ErrorResponse", told)
            error = answer.json()["error"]
            why = f"{answer.status_code} {error['param']}"
            why += f": {error['message'][:90]}" if form == "known fields" else ""
            self.refused.setdefault(told, Counter())[why] += 1
        elif answer.headers["content-type"].startswith("text/event-stream"):
            for line in answer.text.splitlines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    self._matches(json.loads(line[6:]), STREAMED[case.path], told)
        else:
            said = case.operation.definition.raw["responses"]["200"]["content"]["application/json"]["schema"]
            self._matches(answer.json(), said["$ref"].rpartition("/")[2], told)

    def _matches(self, value: Any, name: str, told: str) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": self.components}
        for error in jsonschema.Draft202012Validator(schema).iter_errors(value):
            place = f"{name} {re.sub(r'[0-9]+', '', error.json_path)}"
            why = next((why for known, why in KNOWN.items() if place.startswith(known)), None)
            if why is None:
                self.faults[f"{told}, {place}: {error.message[:200]}"] += 1
            else:
                self.known[f"{place}: {why}"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--examples", type=int, default=200, help="requests per path")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    raw = yaml.load(options.file.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    raw["paths"] = {path: raw["paths"][path] for path in PATHS if path in raw["paths"]}
    missing = [path for path in PATHS if path not in raw["paths"]]
    schema = schemathesis.openapi.from_dict(raw)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text.txt")
        text.write_text(TEXT)
        pantoum.train(
            text, run=str(Path(folder, "run")), steps=5, hidden_size=24, num_layers=1, progress=False
        )
        with ours(str(Path(folder, "run")), folder) as process:
            described = process.client.get("/openapi.json").json()
            judge = Judge(process.url, described, raw["components"])
            operations: Any = schema.get_all_operations()
            for operation in (found.ok() for found in operations):
                ours_too = described["paths"].get(f"/v1{operation.path.replace('{model}', '{name}')}", {})
                if operation.method.lower() not in ours_too or operation.method.upper() == "DELETE":
                    continue

                @seed(options.seed)
                @settings(
                    max_examples=options.examples,
                    phases=[Phase.generate],
                    database=None,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=operation.as_strategy())
                def send(case: Any) -> None:
                    judge.send(case)

                send()
                print(f"{operation.method.upper()} {operation.path}", file=sys.stderr, flush=True)
    found = {
        "machine": machine(),
        "description": [raw["openapi"], raw["info"]["version"], f"without {missing}" if missing else ""],
        "statuses": {told: dict(counted) for told, counted in judge.statuses.items()},
        "refused": {told: dict(counted.most_common(12)) for told, counted in judge.refused.items()},
        "known": dict(judge.known),
        "faults": dict(judge.faults.most_common(40)),
    }
    print(json.dumps(found, indent=1, default=str))
    sys.exit(1 if judge.faults else 0)


if __name__ == "__main__":
    main()
