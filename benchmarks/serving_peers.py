"""The peers of ``serving.py``: the servers that people write around PyTorch.

    python benchmarks/serving_peers.py one PORT        FastAPI, nn.GRU, one request at a time
    python benchmarks/serving_peers.py batched PORT    the same with continuous batching

Both stream a server-sent event per token (the batched one joins what came since the last event of a stream),
draw from the softmax at the temperature asked for, and answer ``POST /v1/completions`` in OpenAI's form. The
model is that of the benchmark: 3 x 512, 98 symbols, one-hot input. The batched one reads prompts and writes
texts side by side: a step is one call of ``nn.GRU`` for every stream, whatever it is at.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

V, H, L = 98, 512, 3
torch.manual_seed(0)
LAYERS, HEAD = torch.nn.GRU(V, H, L).eval(), torch.nn.Linear(H, V).eval()


def tokens_of(prompt: str) -> list[int]:
    return [ord(character) % V for character in prompt] or [0]


def event(text: str, last: bool = False, used: int = 0) -> bytes:
    value: dict[str, Any] = {
        "choices": [{"index": 0, "text": text, "finish_reason": "length" if last else None}]
    }
    if last:
        value["usage"] = {"completion_tokens": used}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def text_of(token: int) -> str:
    return chr(32 + token % 95)


@torch.inference_mode()
def step(
    tokens: torch.Tensor, state: torch.Tensor, temperature: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """One token of each stream read, one drawn."""
    inputs = torch.nn.functional.one_hot(tokens, V).float().unsqueeze(0)
    outputs, state = LAYERS(inputs, state)
    p = torch.softmax(HEAD(outputs[0]) / temperature[:, None], -1)
    return torch.multinomial(p, 1)[:, 0], state


def one_at_a_time(app: FastAPI) -> None:
    lock = asyncio.Lock()

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/completions")
    async def completions(body: dict[str, Any]) -> StreamingResponse:
        async def written() -> Any:
            async with lock:
                state, warm = torch.zeros(L, 1, H), torch.tensor([float(body.get("temperature", 1.0))])
                token = torch.zeros(1, dtype=torch.long)
                for number in tokens_of(body["prompt"]):
                    token, state = await asyncio.to_thread(step, torch.tensor([number]), state, warm)
                for k in range(body["max_tokens"]):
                    yield event(text_of(int(token)))
                    if k + 1 < body["max_tokens"]:
                        token, state = await asyncio.to_thread(step, token, state, warm)
                yield event("", True, body["max_tokens"])
                yield b"data: [DONE]\n\n"

        return StreamingResponse(written(), media_type="text/event-stream")


@dataclass(eq=False)
class Stream:
    prompt: deque[int]
    left: int
    temperature: float
    text: list[str] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False


def batched(app: FastAPI) -> None:
    joining: deque[Stream] = deque()
    threads: list[threading.Thread] = []
    there = threading.Event()

    @torch.inference_mode()
    def work(loop: asyncio.AbstractEventLoop) -> None:
        streams: list[Stream] = []
        state, tokens, warm = torch.zeros(L, 0, H), torch.zeros(0, dtype=torch.long), torch.zeros(0)
        while True:
            if not streams and not joining:
                there.wait()
            there.clear()
            new = [joining.popleft() for _ in range(len(joining))]
            if new:
                streams += new
                state = torch.cat([state, torch.zeros(L, len(new), H)], 1)
                tokens = torch.cat([tokens, torch.tensor([stream.prompt.popleft() for stream in new])])
                warm = torch.cat([warm, torch.tensor([stream.temperature for stream in new])])
            tokens, state = step(tokens, state, warm)
            drawn, came = tokens.tolist(), []
            for row, stream in enumerate(streams):
                if stream.prompt:
                    tokens[row] = stream.prompt.popleft()
                    continue
                stream.text.append(text_of(drawn[row]))
                stream.left -= 1
                stream.ended = stream.left <= 0
                came.append(stream)
            loop.call_soon_threadsafe(lambda came=came: [stream.came.set() for stream in came])
            if any(stream.ended for stream in streams):
                kept = [row for row, stream in enumerate(streams) if not stream.ended]
                streams = [streams[row] for row in kept]
                state, tokens, warm = state[:, kept], tokens[kept], warm[kept]

    @app.get("/health")
    async def health() -> dict[str, str]:
        if not threads:
            threads.append(threading.Thread(target=work, args=(asyncio.get_running_loop(),), daemon=True))
            threads[0].start()
        return {"status": "ok"}

    @app.post("/v1/completions")
    async def completions(body: dict[str, Any]) -> StreamingResponse:
        stream = Stream(
            deque(tokens_of(body["prompt"])), body["max_tokens"], float(body.get("temperature", 1.0))
        )
        joining.append(stream)
        there.set()

        async def written() -> Any:
            while not stream.ended or stream.text:
                await stream.came.wait()
                stream.came.clear()
                text, stream.text = "".join(stream.text), []
                if text:
                    yield event(text)
            yield event("", True, body["max_tokens"])
            yield b"data: [DONE]\n\n"

        return StreamingResponse(written(), media_type="text/event-stream")


def main() -> None:
    app = FastAPI()
    {"one": one_at_a_time, "batched": batched}[sys.argv[1]](app)
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")


if __name__ == "__main__":
    main()
