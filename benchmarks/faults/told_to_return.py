"""Whether ``Retry-After`` is true: after how long those who were told to come again are let in.

    PYTHONPATH=src python benchmarks/faults/told_to_return.py [--clients 96] [--tokens 600] [--seconds 0 15]

So many clients, each with one text of a 3 x 512 int8 GRU to be written, come evenly within the seconds given
to a server of 8 slots and 8 places. Whoever gets a 429 comes again when it was told to, until it is served.
Then the same with a queue for all of them, which is how long it takes where nobody is sent away. Printed as
JSON: what the first 429 said, after how long the request was taken, the one divided by the other, how many
were taken at their first return, and the seconds until all were served.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from raw_client import Json, Server, writes
from serving_faults import percentile

SLOTS = 8


async def burst(server: Server, clients: int, tokens: int, seconds: float) -> Json:
    """All of them; what they were told, and what was true."""
    told, taken, returns = list[float](), list[float](), list[int]()

    async def client(number: int) -> None:
        await asyncio.sleep(number / clients * seconds)
        body, first, came = writes(tokens, seed=number, stream=True), 0.0, time.perf_counter()
        for count in range(1000):
            begun = time.perf_counter()
            reply = await server.ask("POST", "/v1/completions", body)
            if reply.status == 200:
                if count:
                    told.append(first)
                    taken.append(begun - came)
                    returns.append(count)
                return
            wait = int(reply.headers["retry-after"])
            first = first or wait
            await asyncio.sleep(wait)
        raise AssertionError("a client was never served")

    begun = time.perf_counter()
    await asyncio.gather(*map(client, range(clients)))
    shares = (0.1, 0.5, 0.9, 1.0)
    ratios = [one / said for one, said in zip(taken, told, strict=True)]
    return {
        "refused": len(told),
        "told_s": [percentile(told, share) for share in shares],
        "taken_after_s": [round(percentile(taken, share), 2) for share in shares],
        "taken_over_told": [round(percentile(ratios, share), 2) for share in shares],
        "at_first_return": returns.count(1) / max(1, len(returns)),
        "all_served_s": round(time.perf_counter() - begun, 2),
    }


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from serving_process import ours
    from startup import write_model

    from pantoum.inference.exporting import export

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=96)
    parser.add_argument("--tokens", type=int, default=600)
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.0, 15.0])
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        plain, model = Path(folder, "float32.safetensors"), Path(folder, "int8.safetensors")
        write_model(plain)
        export(plain, "int8", model)
        for seconds in options.seconds:
            for name, places in (("queue of 8", 8), ("queue for all", options.clients)):
                with ours(str(model), folder, "--slots", str(SLOTS), "--queue", str(places)) as process:
                    server = Server(process.url, process.process.pid)
                    asyncio.run(burst(server, 2 * SLOTS, options.tokens, 0.0))  # it knows what a text takes
                    key = f"{options.clients} within {seconds:g} s, {name}"
                    found[key] = asyncio.run(burst(server, options.clients, options.tokens, seconds))
                    print(f"{key}: {found[key]}", file=sys.stderr, flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
