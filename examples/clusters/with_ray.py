"""One run on several workers of Ray Train, with the model that one process gets by `--shards`.

pip install 'ray[train]' 'pantoum[torch]'
python examples/clusters/with_ray.py book.txt runs/book
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
from torch import distributed

import pantoum


def train(given: dict[str, Any]) -> None:
    """Called on every worker: Ray has told each its rank, and pantoum joins them like those of torchrun."""
    distributed.destroy_process_group()  # Ray's, which pantoum does not need
    os.environ["TORCHELASTIC_RUN_ID"] = ray.train.get_context().get_experiment_name()
    begun = Path(given["run"], "config.json").exists()
    text = () if begun else given.pop("text")
    pantoum.train(text, resume=begun, progress=False, **{k: v for k, v in given.items() if k != "text"})


if __name__ == "__main__":
    given = {
        "text": str(Path(sys.argv[1]).absolute()),
        "run": str(Path(sys.argv[2]).absolute()),
        "minutes": 5,
    }
    workers = ray.train.ScalingConfig(num_workers=2)
    ray.train.torch.TorchTrainer(train, train_loop_config=given, scaling_config=workers).fit()
