"""Experiments on tiny Shakespeare."""

from __future__ import annotations

from typing import Any

__all__ = ["SHAKESPEARE"]

SHAKESPEARE: dict[str, dict[str, Any]] = {
    "base": {"rounds": 4, "weight_decay": 0.01},
    "320 units, rate 0.006, decay 0.4": {"hidden": 320, "embedding": 112, "rate": 0.006, "decay": 0.4},
    "320 units, rate 0.009, decay 0.4": {"hidden": 320, "embedding": 112, "rate": 0.009, "decay": 0.4},
    "320 units, B 32, rate 0.006, decay 0.4": {
        "hidden": 320,
        "embedding": 112,
        "batch": 32,
        "rate": 0.006,
        "decay": 0.4,
    },
    "320 units, rate 0.006": {"hidden": 320, "embedding": 112, "rate": 0.006},
    "384 units, rate 0.006, decay 0.4": {"hidden": 384, "embedding": 128, "rate": 0.006, "decay": 0.4},
    "320 units, rate 0.006, decay 0.4, average 0.1": {
        "hidden": 320,
        "embedding": 112,
        "rate": 0.006,
        "decay": 0.4,
        "average": 0.1,
    },
    "320 units": {"hidden": 320, "embedding": 112},
    "rate 0.006": {"rate": 0.006},
    "160e12 operations, rate 0.006, dropout between=0.3,outputs=0.3, share 0.25": {
        "operations": 160e12,
        "rate": 0.006,
        "dropout": "between=0.3,outputs=0.3",
        "share": 0.25,
    },
    "192 units": {"hidden": 192, "embedding": 64},
    "160e12 operations, 320 units, rate 0.006, dropout between=0.5,outputs=0.5, share 0.25": {
        "operations": 160e12,
        "hidden": 320,
        "embedding": 112,
        "rate": 0.006,
        "dropout": "between=0.5,outputs=0.5",
        "share": 0.25,
    },
    "160e12 operations, rate 0.006, dropout between=0.5,outputs=0.5, share 0.25": {
        "operations": 160e12,
        "rate": 0.006,
        "dropout": "between=0.5,outputs=0.5",
        "share": 0.25,
    },
    "160e12 operations, 448 units, rate 0.007, dropout between=0.4,outputs=0.4": {
        "operations": 160e12,
        "hidden": 448,
        "embedding": 144,
        "rate": 0.007,
        "dropout": "between=0.4,outputs=0.4",
    },
    "160e12 operations, 384 units, rate 0.007, dropout between=0.25,outputs=0.25": {
        "operations": 160e12,
        "hidden": 384,
        "embedding": 128,
        "rate": 0.007,
        "dropout": "between=0.25,outputs=0.25",
    },
    "160e12 operations, B 16, rate 0.004, share 0.25": {
        "operations": 160e12,
        "batch": 16,
        "rate": 0.004,
        "share": 0.25,
    },
    "160e12 operations, B 16, rate 0.004, dropout variational:0.2, share 0.25": {
        "operations": 160e12,
        "batch": 16,
        "rate": 0.004,
        "dropout": "variational:0.2",
        "share": 0.25,
    },
    "160e12 operations, B 16, rate 0.004, dropout variational:0.1, share 0.25": {
        "operations": 160e12,
        "batch": 16,
        "rate": 0.004,
        "dropout": "variational:0.1",
        "share": 0.25,
    },
    "160e12 operations, B 16, rate 0.004, dropout 0.1, share 0.25": {
        "operations": 160e12,
        "batch": 16,
        "rate": 0.004,
        "dropout": "0.1",
        "share": 0.25,
    },
    "dropout variational:0.05": {"dropout": "variational:0.05"},
    "dropout variational:inputs=0,between=0.08,outputs=0.08": {
        "dropout": "variational:inputs=0,between=0.08,outputs=0.08"
    },
    "47e12 operations, 352 units, rate 0.0072": {
        "operations": 47e12,
        "hidden": 352,
        "embedding": 112,
        "rate": 0.0072,
    },
    "47e12 operations, 352 units, rate 0.0072, dropout variational:0.06": {
        "operations": 47e12,
        "hidden": 352,
        "embedding": 112,
        "rate": 0.0072,
        "dropout": "variational:0.06",
    },
    "23.5e12 operations, 288 units": {"operations": 23.5e12, "hidden": 288},
    "23.5e12 operations, 288 units, dropout variational:0.07": {
        "operations": 23.5e12,
        "hidden": 288,
        "dropout": "variational:0.07",
    },
    "2 side by side, 28e12 operations": {"members": 2, "operations": 28e12},
    "2 side by side, 192 units": {"members": 2, "hidden": 192, "embedding": 64},
    "14e12, 320 units, n-grams 3+4+5 of 16384, rate 0.0076, wd 0.01, 4 rounds": {
        "hidden": 320,
        "embedding": 112,
        "rate": 0.0076,
        "ngrams": (3, 4, 5),
        "ngram_rows": 16384,
    },
    "14e12, 256 units, n-grams 3+4+5 of 16384, rate 0.008, wd 0.01, 4 rounds": {
        "ngrams": (3, 4, 5),
        "ngram_rows": 16384,
    },
    "14e12, 256 units, rate 0.008, wd 0.1, 4 rounds": {"weight_decay": 0.1},
    "14e12, 256 units, n-grams 3+4+5 of 16384, rate 0.008, wd 0.3, 4 rounds": {
        "weight_decay": 0.3,
        "ngrams": (3, 4, 5),
        "ngram_rows": 16384,
    },
    "14e12, 256 units, n-grams 3+4+5 of 16384, rate 0.008, wd 0.1, 3 rounds": {
        "weight_decay": 0.1,
        "rounds": 3,
        "ngrams": (3, 4, 5),
        "ngram_rows": 16384,
    },
    "47e12, 256 units, 2 side by side, n-grams 3+4+5 of 16384, rate 0.008, wd 0.1, 3 rounds": {
        "ngrams": (3, 4, 5),
        "ngram_rows": 16384,
        "operations": 47e12,
        "weight_decay": 0.1,
        "rounds": 3,
        "members": 2,
    },
    "47e12, 256 units, 2 side by side, rate 0.008, wd 0.1, 3 rounds": {
        "operations": 47e12,
        "weight_decay": 0.1,
        "rounds": 3,
        "members": 2,
    },
    "14e12, 224 units, n-grams 3+4+5 of 16384, rate 0.008, wd 0.1, 3 rounds": {
        "hidden": 224,
        "embedding": 80,
        "ngrams": (3, 4, 5),
        "ngram_rows": 16384,
        "rounds": 3,
        "weight_decay": 0.1,
    },
    "14e12, 192 units, n-grams 3+4+5 of 16384, rate 0.008, wd 0.1, 3 rounds": {
        "hidden": 192,
        "embedding": 64,
        "ngrams": (3, 4, 5),
        "ngram_rows": 16384,
        "rounds": 3,
        "weight_decay": 0.1,
    },
}
