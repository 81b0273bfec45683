"""The memory of a server whose model file is replaced again and again.

    python benchmarks/serving_reloads.py [--times 12] [--hidden 1024]

Two models are made in a moment, and take turns in one file. Between two changes the old model ends, here
after a second and not after 30. At most two models may be in memory, and at the end one.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from serving_process import Process, free_port

import pantoum

SERVE = """
import sys
import pantoum.apps.server.models as models
models.GRACE = 1.0
from pantoum.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
TEXT = "".join(f"The cat number {n} sat on the mat, and dog {n * 7 % 10} ran.\n" for n in range(200))


def made(folder: Path, name: str, hidden: int) -> Path:
    """A model file, hardly trained."""
    text = folder / f"{name}.txt"
    text.write_text(TEXT)
    run = folder / name
    pantoum.train(text, run=str(run), steps=len(name), hidden_size=hidden, num_layers=2, progress=False)
    return run / "model.safetensors"


def replaced(server: Process, place: Path, file: Path) -> float:
    """Replace the model and wait until the old one has ended; the most memory meanwhile, in MB."""
    before = server.client.get("/v1/models").json()["data"][0]["fingerprint"]
    shutil.copy(file, place.with_suffix(".new"))
    place.with_suffix(".new").replace(place)
    most, changed = 0, None
    while changed is None or time.monotonic() - changed < 4:
        if changed is None and server.client.get("/v1/models").json()["data"][0]["fingerprint"] != before:
            changed = time.monotonic()
            server.post("/v1/completions", prompt="The", max_tokens=200)
        most = max(most, server.resident())
        time.sleep(0.05)
    return most / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=1024)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = [made(Path(folder), name, options.hidden) for name in ("a", "bb")]
        place = Path(folder, "served.safetensors")
        shutil.copy(files[1], place)
        print(f"a model file has {place.stat().st_size / 1e6:.0f} MB")
        port = free_port()
        command = [sys.executable, "-c", SERVE, "serve", str(place), "--port", str(port), "--sessions"]
        server = Process([*command, str(Path(folder, "sessions.sqlite"))], port, folder)
        try:
            server.post("/v1/completions", prompt="The", max_tokens=200)
            print(f"begun     {server.resident() / 1e6:6.0f} MB")
            for number in range(options.times):
                most = replaced(server, place, files[number % 2])
                print(
                    f"change {number + 1:2d} {server.resident() / 1e6:6.0f} MB, at most {most:.0f}",
                    flush=True,
                )
        finally:
            server.end()


if __name__ == "__main__":
    main()
