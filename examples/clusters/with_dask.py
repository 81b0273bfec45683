"""Many runs on the workers of a Dask cluster, one after the other on each.

pip install 'dask[distributed]'
python examples/clusters/with_dask.py tcp://scheduler:8786 poems.txt letters.txt
"""

from __future__ import annotations

import sys

from dask.distributed import Client

import pantoum


def train(text: str) -> str:
    """One run, wherever this is called; the folder of the runs is one that all workers see."""
    return str(pantoum.train(text, minutes=5, threads=1, progress=False).folder)


if __name__ == "__main__":
    with Client(sys.argv[1]) as client:
        print(pantoum.compare(client.gather(client.map(train, sys.argv[2:], pure=False))))
