"""lm-evaluation-harness against a pantoum server (pip install 'lm_eval>=0.4.8').

In another terminal: pantoum serve runs/book

    python examples/server_lm_eval.py --tasks my_task --include_path folder/of/tasks [--url URL] [--model
    NAME]

A server with keys: put one into the variable OPENAI_API_KEY.

The `local-completions` of the harness works, too, but reads windows and wants a token before the first one of
a text. This adapter asks for the log-probability of each token of context and continuation (`echo`,
`logprobs`) and takes the tokens that begin within the continuation. The log-likelihood of a whole text is
that of `pantoum evaluate --protocol carried`: the first token has nothing before it and is not scored, and
the state is carried from piece to piece, so a text may have any length.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.request
from collections.abc import Sequence
from typing import Any

PIECE = 20_000
"""Characters of a long text per request."""


class Served:
    """A model of a server, asked for log-likelihoods."""

    def __init__(self, url: str, model: str | None = None, key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._model, self._key = model, key

    def ask(self, **fields: Any) -> Any:
        """The first choice of a completion."""
        if self._model is not None:
            fields["model"] = self._model
        body = json.dumps(fields).encode()
        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(f"{self._url}/v1/completions", body, headers)
        with urllib.request.urlopen(request) as response:
            return json.load(response)["choices"][0]

    def log_likelihood(self, context: str, continuation: str) -> tuple[float, bool]:
        """Nats (below 0) of a continuation, and whether it is what the model would write itself."""
        found = self.ask(prompt=context + continuation, max_tokens=0, echo=True, logprobs=1)["logprobs"]
        total, greedy = 0.0, True
        for token, nats, top, offset in zip(
            found["tokens"], found["token_logprobs"], found["top_logprobs"], found["text_offset"], strict=True
        ):
            if offset >= len(context) and nats is not None:
                total += nats
                greedy = greedy and token in top
        return total, greedy

    def rolling(self, text: str) -> float:
        """Nats (below 0) of a whole text after its first token."""
        total, state = 0.0, None
        for start in range(0, len(text), PIECE):
            more = {} if state is None else {"state": state}
            choice = self.ask(
                prompt=text[start : start + PIECE],
                max_tokens=0,
                echo=True,
                logprobs=0,
                return_state=True,
                **more,
            )
            total += sum(nats for nats in choice["logprobs"]["token_logprobs"] if nats is not None)
            state = choice["state"]
        return total

    def write(self, context: str, stop: Sequence[str], tokens: int, **sampling: Any) -> str:
        """A continuation up to a stop."""
        answer = self.ask(prompt=context, stop=list(stop)[:16], max_tokens=tokens, seed=0, **sampling)
        return str(answer["text"])


def adapter(served: Served) -> Any:
    """The model in the harness's form."""
    from lm_eval.api.model import LM

    class Adapter(LM):
        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            return [served.log_likelihood(*request.args) for request in requests]

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
            return [served.rolling(request.args[0]) for request in requests]

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            texts = []
            for request in requests:
                context, settings = request.args
                stop = settings.get("until") or []
                stop = [stop] if isinstance(stop, str) else stop
                temperature = settings.get("temperature", 0.0) if settings.get("do_sample") else 0.0
                tokens = settings.get("max_gen_toks", 256)
                texts.append(served.write(context, stop, tokens, temperature=temperature))
            return texts

    return Adapter()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--model")
    parser.add_argument("--tasks", required=True, help="names, with commas between")
    parser.add_argument("--include_path", help="a folder of task files")
    parser.add_argument("--limit", type=int)
    options = parser.parse_args(arguments)
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    found = simple_evaluate(
        model=adapter(Served(options.url, options.model, os.environ.get("OPENAI_API_KEY"))),
        tasks=options.tasks.split(","),
        task_manager=TaskManager(include_path=options.include_path),
        limit=options.limit,
        bootstrap_iters=0,
    )
    print(json.dumps(found["results"], indent=2, default=str))


if __name__ == "__main__":
    main(sys.argv[1:])
