"""The server through the unchanged `openai` client (pip install openai).

In another terminal: pantoum serve runs/book

    python examples/server_openai.py [URL]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from openai import OpenAI


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The server through the unchanged openai client.")
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8000", metavar="URL")
    url = parser.parse_args(arguments).url
    # The key is one of --api-key-file; a server without that option accepts any key.
    client = OpenAI(base_url=f"{url}/v1", api_key="none")
    model = client.models.list().data[0].id

    print(f"# {model}: one text, streamed")
    stream = client.completions.create(
        model=model, prompt="The", max_tokens=80, temperature=0.8, seed=1, stream=True
    )
    for chunk in stream:
        print(chunk.choices[0].text, end="", flush=True)

    print("\n# three texts of one prompt; fields of pantoum go into extra_body")
    answer = client.completions.create(
        model=model, prompt="The", max_tokens=30, n=3, seed=2, extra_body={"min_p": 0.1}
    )
    for choice in answer.choices:
        print(f"{choice.index}: {choice.text!r}")

    print("# a chat: the model continues a transcript")
    chat = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Who is there?"}], max_tokens=40, seed=3
    )
    print(repr(chat.choices[0].message.content))

    print("# the same in OpenAI's newer interface, streamed")
    with client.responses.stream(model=model, input="Who is there?", max_output_tokens=40) as events:
        print(repr("".join(one.delta for one in events if one.type == "response.output_text.delta")))

    print("# the last layer's output after a text")
    vector = client.embeddings.create(model=model, input="The end").data[0].embedding
    print(f"{len(vector)} numbers, the first {vector[0]:.3f}")


if __name__ == "__main__":
    main()
