"""Requests drawn from a schema, ours or OpenAI's: no 5xx, and every answer is as the schema says.

    PYTHONPATH=src python benchmarks/faults/openapi_clients.py [--openai openapi.yaml] [--examples 200]

Without ``--openai`` the schema is that of the server, and status, content type and body of every answer must
be in it. OpenAI's ``openapi.yaml`` is at https://github.com/openai/openai-openapi; of it the routes that we
have are kept, the model is ours, texts are short, and an answer 200 must have OpenAI's form. Needs
schemathesis. Draws by ``--seed``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

OURS = {
    "/chat/completions": ("post",),
    "/completions": ("post",),
    "/embeddings": ("post",),
    "/models": ("get",),
    "/models/{model}": ("get",),
    "/responses": ("post",),
}
"""Those of OpenAI's routes that the server may have."""
UNABLE = ("tools", "functions", "suffix", "response_format", "best_of", "audio", "modalities", "prediction")
"""Fields that are refused by name; drawn for half of the requests only, so that others are answered."""


def openai_schema(path: str) -> dict[str, Any]:
    """OpenAI's schema with our routes alone."""
    schema: dict[str, Any] = yaml.safe_load(Path(path).read_text())
    kept = {path: schema["paths"][path] for path in OURS if path in schema["paths"]}
    schema["paths"] = {
        path: {method: one for method, one in operations.items() if method in OURS[path]}
        for path, operations in kept.items()
    }
    return schema


def ours(case: Any, model: str, plain: bool) -> None:
    """A case of OpenAI's schema that this server can answer soon."""
    if "model" in (case.path_parameters or {}):
        case.path_parameters["model"] = model
    body = case.body
    if not isinstance(body, dict):
        return
    body["model"] = model
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        if isinstance(body.get(name), int):
            body[name] = min(20, body[name])
    if isinstance(body.get("n"), int):
        body["n"] = min(2, body["n"])
    if plain:
        for name in UNABLE:
            body.pop(name, None)


def played(schema: Any, url: str, model: str, options: argparse.Namespace) -> dict[str, Any]:
    """All operations of a schema; what was answered, and what was wrong."""
    checks = [not_a_server_error, response_schema_conformance, content_type_conformance]
    if options.openai is None:
        checks.append(status_code_conformance)
    statuses: dict[str, Counter[str]] = {}
    faults: dict[str, str] = {}
    for operation in (found.ok() for found in schema.get_all_operations()):
        label = f"{operation.method.upper()} {operation.path}"
        seen = statuses[label] = Counter()

        @seed(options.seed)
        @settings(
            max_examples=options.examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def send(case: Any, label: str = label, seen: Counter[str] = seen) -> None:
            if options.openai is not None:
                ours(case, model, plain=sum(seen.values()) % 2 == 0)
            response = case.call(base_url=url)
            seen[str(response.status_code)] += 1
            if response.status_code == 200 and response.headers["content-type"][0].startswith("text/event"):
                return  # the schema has no form for events
            if options.openai is not None and response.status_code >= 400:
                held = [not_a_server_error]
            else:
                held = checks
            try:
                case.validate_response(response, checks=held)
            except BaseException as error:
                key = f"{label}: {response.status_code}"
                faults.setdefault(key, f"{error}"[:2000])

        send()
    return {"statuses": {label: dict(seen) for label, seen in statuses.items()}, "faults": faults}


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import serving_process
    from startup import write_model

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--openai", help="the file openapi.yaml")
    parser.add_argument("--examples", type=int, default=200, help="requests to each route")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "model.safetensors")
        write_model(place)
        with serving_process.ours(str(place), folder) as process:
            if options.openai is None:
                schema = schemathesis.openapi.from_dict(process.client.get("/openapi.json").json())
                found = played(schema, process.url, "model", options)
            else:
                schema = schemathesis.openapi.from_dict(openai_schema(options.openai))
                found = played(schema, process.url + "/v1", "model", options)
    if options.json:
        print(json.dumps(found))
        return
    for label, seen in found["statuses"].items():
        print(f"{label:40} {json.dumps(seen)}")
    for label, fault in found["faults"].items():
        print(f"FAULT {label}\n{fault}\n")
    print(f"{sum(sum(seen.values()) for seen in found['statuses'].values())} requests")
    print("holds" if not found["faults"] else "MISSED")


if __name__ == "__main__":
    main()
