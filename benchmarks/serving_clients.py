"""The clients that people use, unchanged, against a server: what runs, and what does not.

    pip install openai langchain-openai llm
    python benchmarks/serving_clients.py http://127.0.0.1:8000 [--key KEY]

Each line is a use of a client, `ok`, or what went wrong. A client that is not installed is skipped by name.
Exceptions: LangChain's embeddings need `check_embedding_ctx_length=False`, because they would otherwise cut
texts into tokens of OpenAI's own models; tools, images and structured outputs are errors that say so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Use = tuple[str, Callable[[], Any]]


def of_openai(url: str, key: str, model: str) -> Iterator[Use]:
    """openai-python: whole and streamed, all four interfaces."""
    from openai import BadRequestError, OpenAI

    client = OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
    user: Any = [{"role": "user", "content": "Who is there?"}]

    def refused() -> bool:
        tools: Any = [{"type": "function", "name": "f", "parameters": {}, "strict": True}]
        try:
            client.responses.create(model=model, input="The", tools=tools)
        except BadRequestError as error:
            return "tools" in str(error)
        return False

    def streamed() -> Any:
        with client.responses.stream(model=model, input="The", max_output_tokens=20) as stream:
            kinds = [event.type for event in stream]
            # A text that ends by its length is incomplete; get_final_response knows no such end.
            return kinds[-1] == "response.incomplete" and kinds.count("response.output_text.delta")

    yield "openai: models", lambda: client.models.list().data
    yield (
        "openai: completions",
        lambda: client.completions.create(model=model, prompt="The", max_tokens=20).choices[0].text,
    )
    yield (
        "openai: completions, streamed",
        lambda: [
            one.choices[0].text
            for one in client.completions.create(model=model, prompt="The", max_tokens=20, stream=True)
        ],
    )
    yield (
        "openai: chat",
        lambda: (
            client.chat.completions.create(model=model, messages=user, max_tokens=20)
            .choices[0]
            .message.content
        ),
    )
    yield (
        "openai: chat, streamed",
        lambda: [
            one.choices[0].delta.content
            for one in client.chat.completions.create(model=model, messages=user, max_tokens=20, stream=True)
        ],
    )
    yield (
        "openai: responses",
        lambda: client.responses.create(model=model, input="The", max_output_tokens=20).output_text,
    )
    yield "openai: responses, streamed", streamed
    yield "openai: a tool is refused by name", refused
    yield (
        "openai: embeddings of 500 texts",
        lambda: len(client.embeddings.create(model=model, input=["The end"] * 500).data) == 500,
    )


def of_langchain(url: str, key: str, model: str) -> Iterator[Use]:
    """LangChain: chats, responses, completions, embeddings."""
    from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

    shared: Any = {"base_url": f"{url}/v1", "api_key": key, "model": model}
    yield "langchain: chat", lambda: ChatOpenAI(**shared, max_tokens=20).invoke("The").content
    yield (
        "langchain: chat, streamed",
        lambda: "".join(str(one.content) for one in ChatOpenAI(**shared, max_tokens=20).stream("The")),
    )
    yield (
        "langchain: responses",
        lambda: ChatOpenAI(**shared, use_responses_api=True, max_tokens=20).invoke("The").text,
    )
    yield (
        "langchain: responses, streamed",
        lambda: [
            one.text for one in ChatOpenAI(**shared, use_responses_api=True, max_tokens=20).stream("The")
        ],
    )
    yield "langchain: completions", lambda: OpenAI(**shared, max_tokens=20).invoke("The")
    yield (
        "langchain: embeddings",
        lambda: OpenAIEmbeddings(**shared, check_embedding_ctx_length=False).embed_documents(["a", "b"]),
    )


def of_llm(url: str, key: str, model: str) -> Iterator[Use]:
    """The command `llm`, which finds its models in a file."""
    import llm  # noqa: F401

    def asked(*options: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            entry = {"model_id": "ours", "model_name": model, "api_base": f"{url}/v1", "api_key_name": "ours"}
            (Path(folder) / "extra-openai-models.yaml").write_text(json.dumps([entry]))
            (Path(folder) / "keys.json").write_text(json.dumps({"ours": key}))
            command = [
                sys.executable,
                "-m",
                "llm",
                "-m",
                "ours",
                "The cat",
                "-o",
                "max_tokens",
                "20",
                *options,
            ]
            environment = {**os.environ, "LLM_USER_PATH": folder}
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
            if done.returncode:
                raise RuntimeError(done.stderr.strip().splitlines()[-1])
            return done.stdout.strip()

    yield "llm: streamed", asked
    yield "llm: whole", lambda: asked("--no-stream")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--key", default="none")
    parser.add_argument("--model", help="one of the server's; the first if none is given")
    options = parser.parse_args()
    url = options.url.rstrip("/")
    model = options.model or first_model(url, options.key)
    failed = 0
    for uses in (of_openai, of_langchain, of_llm):
        try:
            for name, use in uses(url, options.key, model):
                try:
                    told = "ok" if use() else "an empty answer"
                except Exception as error:  # whatever a client raises is what is to be told
                    told = f"{type(error).__name__}: {error}"
                failed += told != "ok"
                print(f"{name:40} {told}", flush=True)
        except ImportError as error:
            print(f"{uses.__name__.removeprefix('of_'):40} skipped: {error.name} is not installed")
    sys.exit(failed > 0)


def first_model(url: str, key: str) -> str:
    """The first model that a server names."""
    import urllib.request

    request = urllib.request.Request(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["data"][0]["id"])


if __name__ == "__main__":
    main()
