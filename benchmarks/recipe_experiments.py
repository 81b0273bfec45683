"""What ``recipe_search.py`` tries, in three sets: each line is what differs from the set's base."""

from __future__ import annotations

from typing import Any

__all__ = ["EXPERIMENTS"]

EXPERIMENTS: dict[str, dict[str, dict[str, Any]]] = {
    "shakespeare": {
        "base": {"rounds": 4, "weight_decay": 0.01},
        "320 units, rate 0.006, decay 0.4": {"hidden": 320, "embedding": 112, "rate": 0.006, "decay": 0.4},
        "320 units, rate 0.009, decay 0.4": {"hidden": 320, "embedding": 112, "rate": 0.009, "decay": 0.4},
        "320 units, rate 0.006, decay 0.4, layer norm":
            {"hidden": 320, "embedding": 112, "rate": 0.006, "decay": 0.4, "norm": "layer"},
        "320 units, B 32, rate 0.006, decay 0.4":
            {"hidden": 320, "embedding": 112, "batch": 32, "rate": 0.006, "decay": 0.4},
        "320 units, rate 0.006": {"hidden": 320, "embedding": 112, "rate": 0.006},
        "384 units, rate 0.006, decay 0.4": {"hidden": 384, "embedding": 128, "rate": 0.006, "decay": 0.4},
        "320 units, rate 0.006, decay 0.4, average 0.1":
            {"hidden": 320, "embedding": 112, "rate": 0.006, "decay": 0.4, "average": 0.1},
        "320 units": {"hidden": 320, "embedding": 112},
        "rate 0.006": {"rate": 0.006},
        "160e12 operations, rate 0.006, dropout between=0.3,outputs=0.3, share 0.25":
            {"operations": 160e12, "rate": 0.006, "dropout": "between=0.3,outputs=0.3", "share": 0.25},
        "192 units": {"hidden": 192, "embedding": 64},
        "160e12 operations, 320 units, rate 0.006, dropout between=0.5,outputs=0.5, share 0.25":
            {"operations": 160e12, "hidden": 320, "embedding": 112, "rate": 0.006,
             "dropout": "between=0.5,outputs=0.5", "share": 0.25},
        "160e12 operations, rate 0.006, dropout between=0.5,outputs=0.5, share 0.25":
            {"operations": 160e12, "rate": 0.006, "dropout": "between=0.5,outputs=0.5", "share": 0.25},
        "160e12 operations, 448 units, rate 0.007, dropout between=0.4,outputs=0.4":
            {"operations": 160e12, "hidden": 448, "embedding": 144, "rate": 0.007,
             "dropout": "between=0.4,outputs=0.4"},
        "160e12 operations, 384 units, rate 0.007, dropout between=0.25,outputs=0.25":
            {"operations": 160e12, "hidden": 384, "embedding": 128, "rate": 0.007,
             "dropout": "between=0.25,outputs=0.25"},
        "160e12 operations, B 16, rate 0.004, share 0.25":
            {"operations": 160e12, "batch": 16, "rate": 0.004, "share": 0.25},
        "160e12 operations, B 16, rate 0.004, dropout variational:0.2, share 0.25":
            {"operations": 160e12, "batch": 16, "rate": 0.004, "dropout": "variational:0.2", "share": 0.25},
        "160e12 operations, B 16, rate 0.004, dropout variational:0.1, share 0.25":
            {"operations": 160e12, "batch": 16, "rate": 0.004, "dropout": "variational:0.1", "share": 0.25},
        "160e12 operations, B 16, rate 0.004, dropout 0.1, share 0.25":
            {"operations": 160e12, "batch": 16, "rate": 0.004, "dropout": "0.1", "share": 0.25},
        "dropout variational:0.05": {"dropout": "variational:0.05"},
        "dropout variational:inputs=0,between=0.08,outputs=0.08":
            {"dropout": "variational:inputs=0,between=0.08,outputs=0.08"},
        "47e12 operations, 352 units, rate 0.0072":
            {"operations": 47e12, "hidden": 352, "embedding": 112, "rate": 0.0072},
        "47e12 operations, 352 units, rate 0.0072, dropout variational:0.06":
            {"operations": 47e12, "hidden": 352, "embedding": 112, "rate": 0.0072,
             "dropout": "variational:0.06"},
        "23.5e12 operations, 288 units": {"operations": 23.5e12, "hidden": 288},
        "23.5e12 operations, 288 units, dropout variational:0.07":
            {"operations": 23.5e12, "hidden": 288, "dropout": "variational:0.07"},
        "2 side by side, 28e12 operations": {"members": 2, "operations": 28e12},
        "2 side by side, 192 units": {"members": 2, "hidden": 192, "embedding": 64},
        "14e12, 320 units, n-grams 3+4+5 of 16384, rate 0.0076, wd 0.01, 4 rounds":
            {"hidden": 320, "embedding": 112, "rate": 0.0076, "ngrams": (3, 4, 5), "ngram_rows": 16384},
        "14e12, 256 units, n-grams 3+4+5 of 16384, rate 0.008, wd 0.01, 4 rounds":
            {"ngrams": (3, 4, 5), "ngram_rows": 16384},
        "14e12, 256 units, rate 0.008, wd 0.1, 4 rounds":
            {"weight_decay": 0.1},
        "14e12, 256 units, n-grams 3+4+5 of 16384, rate 0.008, wd 0.3, 4 rounds":
            {"weight_decay": 0.3, "ngrams": (3, 4, 5), "ngram_rows": 16384},
        "14e12, 256 units, n-grams 3+4+5 of 16384, rate 0.008, wd 0.1, 3 rounds":
            {"weight_decay": 0.1, "rounds": 3, "ngrams": (3, 4, 5), "ngram_rows": 16384},
        "47e12, 256 units, 2 side by side, n-grams 3+4+5 of 16384, rate 0.008, wd 0.1, 3 rounds":
            {"ngrams": (3, 4, 5), "ngram_rows": 16384, "operations": 47e12, "weight_decay": 0.1,
             "rounds": 3, "members": 2},
        "47e12, 256 units, 2 side by side, rate 0.008, wd 0.1, 3 rounds":
            {"operations": 47e12, "weight_decay": 0.1, "rounds": 3, "members": 2},
        "14e12, 224 units, n-grams 3+4+5 of 16384, rate 0.008, wd 0.1, 3 rounds":
            {"hidden": 224, "embedding": 80, "ngrams": (3, 4, 5), "ngram_rows": 16384, "rounds": 3,
             "weight_decay": 0.1},
        "14e12, 192 units, n-grams 3+4+5 of 16384, rate 0.008, wd 0.1, 3 rounds":
            {"hidden": 192, "embedding": 64, "ngrams": (3, 4, 5), "ngram_rows": 16384, "rounds": 3,
             "weight_decay": 0.1},
    },
    "works": {
        "base": {"operations": 47e12, "hidden": 384, "embedding": 128, "rate": 0.006, "rounds": 4,
                 "weight_decay": 0.01},
        "512 units, decay 0.4": {"hidden": 512, "embedding": 176, "decay": 0.4},
        "512 units": {"hidden": 512, "embedding": 176},
        "14e12, 256 units, rate 0.008, wd 0.01, 4 rounds":
            {"operations": 14e12, "hidden": 256, "embedding": 96, "rate": 0.008},
        "14e12, 256 units, n-grams 2+3+4+5 of 16384, rate 0.008, wd 0.01, 4 rounds":
            {"ngrams": (2, 3, 4, 5), "ngram_rows": 16384, "operations": 14e12, "hidden": 256,
             "embedding": 96, "rate": 0.008},
        "14e12, 256 units, n-grams 3+4+5 of 32768, rate 0.008, wd 0.01, 4 rounds":
            {"ngrams": (3, 4, 5), "ngram_rows": 32768, "operations": 14e12, "hidden": 256, "embedding": 96,
             "rate": 0.008},
        "14e12, 256 units, n-grams 2+3+4+5+6 of 65536, rate 0.008, wd 0.01, 4 rounds":
            {"ngrams": (2, 3, 4, 5, 6), "ngram_rows": 65536, "operations": 14e12, "hidden": 256,
             "embedding": 96, "rate": 0.008},
        "160e12, 304 units, share 0.4, rate 0.0078, wd 0.01, 4 rounds":
            {"operations": 160e12, "share": 0.4, "hidden": 304, "embedding": 96, "rate": 0.0078},
        "160e12, 304 units, share 0.4, n-grams 3+4+5 of 32768, rate 0.0078, wd 0.01, 4 rounds":
            {"ngrams": (3, 4, 5), "ngram_rows": 32768, "operations": 160e12, "share": 0.4, "hidden": 304,
             "embedding": 96, "rate": 0.0078},
        "14e12, 256 units, n-grams 4+6 of 32768, rate 0.008, wd 0.01, 4 rounds":
            {"ngrams": (4, 6), "ngram_rows": 32768, "operations": 14e12, "hidden": 256, "embedding": 96,
             "rate": 0.008},
        "14e12, 256 units, n-grams 3+4+5+6 of 16384, rate 0.008, wd 0.01, 4 rounds":
            {"ngrams": (3, 4, 5, 6), "ngram_rows": 16384, "operations": 14e12, "hidden": 256,
             "embedding": 96, "rate": 0.008},
        "14e12, 256 units, n-grams 3+4+5 of 16384, rate 0.008, wd 0.01, 4 rounds":
            {"ngrams": (3, 4, 5), "ngram_rows": 16384, "operations": 14e12, "hidden": 256, "embedding": 96,
             "rate": 0.008},
        "160e12, 208 units, share 0.2, rate 0.008, wd 0.01, 4 rounds":
            {"operations": 160e12, "share": 0.2, "hidden": 208, "embedding": 80, "rate": 0.008},
        "160e12, 208 units, share 0.2, n-grams 3+4+5 of 16384, rate 0.008, wd 0.01, 4 rounds":
            {"ngrams": (3, 4, 5), "ngram_rows": 16384, "operations": 160e12, "share": 0.2, "hidden": 208,
             "embedding": 80, "rate": 0.008},
        "47e12, 384 units, n-grams 3+4+5 of 32768, rate 0.0069, wd 0.01, 4 rounds":
            {"rate": 0.0069, "ngrams": (3, 4, 5), "ngram_rows": 32768},
        "47e12, 320 units, n-grams 3+4+5 of 32768, rate 0.0076, wd 0.01, 4 rounds":
            {"hidden": 320, "embedding": 112, "rate": 0.0076, "ngrams": (3, 4, 5), "ngram_rows": 32768},
        "14e12, 256 units, n-grams 3+4+5 of 32768, B 32 T 128, rate 0.008, wd 0.01, 4 rounds":
            {"steps": 128, "batch": 32, "rate": 0.008, "operations": 14e12, "hidden": 256, "embedding": 96,
             "ngrams": (3, 4, 5), "ngram_rows": 32768},
        "14e12, 256 units, n-grams 3+4+5 of 32768, rate 0.01, wd 0.01, 4 rounds":
            {"rate": 0.01, "operations": 14e12, "hidden": 256, "embedding": 96, "ngrams": (3, 4, 5),
             "ngram_rows": 32768},
        "14e12, 256 units, n-grams 3+4+5 of 32768, rate 0.008, wd 0.1, 4 rounds":
            {"rate": 0.008, "weight_decay": 0.1, "operations": 14e12, "hidden": 256, "embedding": 96,
             "ngrams": (3, 4, 5), "ngram_rows": 32768},
        "14e12, 256 units, n-grams 3+4+5 of 32768, rate 0.008, wd 0.01, 3 rounds":
            {"rate": 0.008, "rounds": 3, "operations": 14e12, "hidden": 256, "embedding": 96, "ngrams": (3,
             4, 5), "ngram_rows": 32768},
        "14e12, 224 units, n-grams 3+4+5 of 32768, rate 0.008, wd 0.01, 4 rounds":
            {"operations": 14e12, "hidden": 224, "embedding": 80, "rate": 0.008, "ngrams": (3, 4, 5),
             "ngram_rows": 32768},
        "14e12, 288 units, n-grams 3+4+5 of 32768, rate 0.008, wd 0.01, 4 rounds":
            {"operations": 14e12, "hidden": 288, "embedding": 96, "rate": 0.008, "ngrams": (3, 4, 5),
             "ngram_rows": 32768},
        "14e12, 256 units, n-grams 3+4+5 of 32768, rate 0.008, wd 0.3, 4 rounds":
            {"weight_decay": 0.3, "operations": 14e12, "hidden": 256, "embedding": 96, "ngrams": (3, 4, 5),
             "ngram_rows": 32768, "rate": 0.008},
        "14e12, 256 units, n-grams 3+4+5 of 32768, rate 0.008, wd 0.1, 3 rounds":
            {"weight_decay": 0.1, "rounds": 3, "operations": 14e12, "hidden": 256, "embedding": 96,
             "ngrams": (3, 4, 5), "ngram_rows": 32768, "rate": 0.008},
        "14e12, 256 units, n-grams 3+4+5 of 32768, rate 0.008, wd 0.1, 2 rounds":
            {"weight_decay": 0.1, "rounds": 2, "operations": 14e12, "hidden": 256, "embedding": 96,
             "ngrams": (3, 4, 5), "ngram_rows": 32768, "rate": 0.008},
        "14e12, 256 units, n-grams 3+4+5 of 32768, rate 0.008, wd 0.3, 3 rounds":
            {"weight_decay": 0.3, "rounds": 3, "operations": 14e12, "hidden": 256, "embedding": 96,
             "ngrams": (3, 4, 5), "ngram_rows": 32768, "rate": 0.008},
        "47e12, 320 units, n-grams 3+4+5 of 32768, rate 0.0076, wd 0.1, 3 rounds":
            {"weight_decay": 0.1, "hidden": 320, "embedding": 112, "rate": 0.0076, "ngrams": (3, 4, 5),
             "ngram_rows": 32768, "rounds": 3},
        "47e12, 320 units, n-grams 3+4+5 of 32768, rate 0.0076, wd 0.04, 3 rounds":
            {"weight_decay": 0.04, "hidden": 320, "embedding": 112, "rate": 0.0076, "ngrams": (3, 4, 5),
             "ngram_rows": 32768, "rounds": 3},
        "14e12, 224 units, n-grams 3+4+5 of 32768, rate 0.008, wd 0.1, 3 rounds":
            {"weight_decay": 0.1, "rounds": 3, "hidden": 224, "embedding": 80, "rate": 0.008,
             "operations": 14e12, "ngrams": (3, 4, 5), "ngram_rows": 32768},
        "47e12, 384 units, n-grams 3+4+5 of 32768, rate 0.0069, wd 0.1, 3 rounds":
            {"rate": 0.0069, "weight_decay": 0.1, "ngrams": (3, 4, 5), "ngram_rows": 32768, "rounds": 3},
        "47e12, 320 units, n-grams 3+4+5 of 32768, rate 0.0076, wd 0.2, 3 rounds":
            {"hidden": 320, "embedding": 112, "rate": 0.0076, "weight_decay": 0.2, "ngrams": (3, 4, 5),
             "ngram_rows": 32768, "rounds": 3},
        "47e12, 272 units, n-grams 3+4+5 of 32768, rate 0.008, wd 0.1, 3 rounds":
            {"hidden": 272, "embedding": 96, "rate": 0.008, "weight_decay": 0.1, "ngrams": (3, 4, 5),
             "ngram_rows": 32768, "rounds": 3},
    },
    "verse": {
        "base": {"operations": 1.2e12, "hidden": 128, "embedding": 48, "batch": 8, "rate": 0.004,
                 "dropout": "variational:0.3", "rounds": 4, "weight_decay": 0.01},
        "6e12 operations, 256 units, B 32, rate 0.006, dropout between=0.5,outputs=0.5":
            {"operations": 6e12, "hidden": 256, "embedding": 96, "batch": 32, "rate": 0.006,
             "dropout": "between=0.5,outputs=0.5"},
        "0.35e12 operations, B 16, T 32, dropout between=0.5,outputs=0.5":
            {"operations": 0.35e12, "batch": 16, "steps": 32, "dropout": "between=0.5,outputs=0.5"},
        "1e12 operations, B 16, T 32, dropout between=0.5,outputs=0.5":
            {"operations": 1e12, "batch": 16, "steps": 32, "dropout": "between=0.5,outputs=0.5"},
        "0.35e12 operations, adamw, B 16, T 32, dropout between=0.5,outputs=0.5":
            {"operations": 0.35e12, "optimizer": "adamw", "batch": 16, "steps": 32,
             "dropout": "between=0.5,outputs=0.5"},
        "0.35e12 operations, B 16, T 32, dropout inputs=0.2,between=0.5,outputs=0.5":
            {"operations": 0.35e12, "batch": 16, "steps": 32,
             "dropout": "inputs=0.2,between=0.5,outputs=0.5"},
        "0.7e12 operations, 256 units, B 16, T 32, dropout between=0.5,outputs=0.5":
            {"operations": 0.7e12, "hidden": 256, "batch": 16, "steps": 32,
             "dropout": "between=0.5,outputs=0.5"},
        "0.17e12 operations, B 16, T 32, dropout between=0.5,outputs=0.5":
            {"operations": 0.17e12, "batch": 16, "steps": 32, "dropout": "between=0.5,outputs=0.5"},
        "B 16, T 32, dropout inputs=0.2,between=0.5,outputs=0.5":
            {"batch": 16, "steps": 32, "dropout": "inputs=0.2,between=0.5,outputs=0.5"},
        "adamw, B 16, T 32, dropout inputs=0.1,between=0.5,outputs=0.5":
            {"optimizer": "adamw", "batch": 16, "steps": 32,
             "dropout": "inputs=0.1,between=0.5,outputs=0.5"},
        "B 16, T 32, dropout inputs=0.1,between=0.5,outputs=0.5":
            {"batch": 16, "steps": 32, "dropout": "inputs=0.1,between=0.5,outputs=0.5"},
        "adamw, B 16, T 32, dropout inputs=0.2,between=0.5,outputs=0.5":
            {"optimizer": "adamw", "batch": 16, "steps": 32,
             "dropout": "inputs=0.2,between=0.5,outputs=0.5"},
        "B 16, T 32, dropout between=0.6,outputs=0.6":
            {"batch": 16, "steps": 32, "dropout": "between=0.6,outputs=0.6"},
        "3e12 operations, 256 units, B 16, T 32, dropout inputs=0.3,between=0.6,outputs=0.6":
            {"operations": 3e12, "hidden": 256, "batch": 16, "steps": 32,
             "dropout": "inputs=0.3,between=0.6,outputs=0.6"},
        "3e12 operations, 256 units, B 16, T 32, dropout inputs=0.2,between=0.6,outputs=0.6":
            {"operations": 3e12, "hidden": 256, "batch": 16, "steps": 32,
             "dropout": "inputs=0.2,between=0.6,outputs=0.6"},
        "3.6e12 operations, B 16, T 32, dropout inputs=0.1,between=0.5,outputs=0.5":
            {"operations": 3.6e12, "batch": 16, "steps": 32,
             "dropout": "inputs=0.1,between=0.5,outputs=0.5"},
        "2.5e12 operations, 256 units, 1 layer, B 16, T 32, dropout inputs=0.1,outputs=0.6":
            {"operations": 2.5e12, "hidden": 256, "layers": 1, "batch": 16, "steps": 32,
             "dropout": "inputs=0.1,outputs=0.6"},
        "B 16, T 32, rate 0.008, dropout inputs=0.1,between=0.5,outputs=0.5":
            {"batch": 16, "steps": 32, "rate": 0.008, "dropout": "inputs=0.1,between=0.5,outputs=0.5"},
        "B 16, T 32, weight decay 0.3, dropout inputs=0.1,between=0.5,outputs=0.5":
            {"batch": 16, "steps": 32, "weight_decay": 0.3, "dropout": "inputs=0.1,between=0.5,outputs=0.5"},
        "B 16, T 32, dropout inputs=0.1,between=0.3,outputs=0.3":
            {"batch": 16, "steps": 32, "dropout": "inputs=0.1,between=0.3,outputs=0.3"},
        "dropout inputs=0.2,between=0.3,outputs=0.3": {"dropout": "inputs=0.2,between=0.3,outputs=0.3"},
        "7e12 operations, 256 units, B 16, T 32, dropout inputs=0.3,between=0.6,outputs=0.6":
            {"operations": 7e12, "hidden": 256, "batch": 16, "steps": 32,
             "dropout": "inputs=0.3,between=0.6,outputs=0.6"},
        "dropout inputs=0.2,between=0.5,outputs=0.5": {"dropout": "inputs=0.2,between=0.5,outputs=0.5"},
        "2.4e12 operations, 192 units, dropout inputs=0.3,between=0.3,outputs=0.3":
            {"operations": 2.4e12, "hidden": 192, "embedding": 64,
             "dropout": "inputs=0.3,between=0.3,outputs=0.3"},
        "2.4e12 operations, 192 units, dropout inputs=0.3,between=0.4,outputs=0.4":
            {"operations": 2.4e12, "hidden": 192, "embedding": 64,
             "dropout": "inputs=0.3,between=0.4,outputs=0.4"},
        "dropout variational:0.4": {"dropout": "variational:0.4"},
        "7e12 operations, 256 units, B 16, T 32, dropout inputs=0.1,between=0.5,outputs=0.5":
            {"operations": 7e12, "hidden": 256, "batch": 16, "steps": 32,
             "dropout": "inputs=0.1,between=0.5,outputs=0.5"},
        "2.4e12 operations, 192 units, dropout variational:0.4":
            {"operations": 2.4e12, "hidden": 192, "embedding": 64, "dropout": "variational:0.4"},
        "2.4e12 operations, dropout variational:0.5": {"operations": 2.4e12, "dropout": "variational:0.5"},
        "6.5e12 operations, 256 units": {"operations": 6.5e12, "hidden": 256, "embedding": 80},
        "9e12 operations, 256 units, dropout variational:0.4":
            {"operations": 9e12, "hidden": 256, "embedding": 80, "dropout": "variational:0.4"},
        "2.4e12 operations": {"operations": 2.4e12},
        "0.9e12 operations, dropout variational:0.25": {"operations": 0.9e12, "dropout": "variational:0.25"},
        "96 units, dropout variational:0.2": {"hidden": 96, "dropout": "variational:0.2"},
        "rate 0.002": {"rate": 0.002},
        "adamw": {"optimizer": "adamw"},
        "2 side by side, dropout variational:0.25":
            {"members": 2, "operations": 2.4e12, "dropout": "variational:0.25"},
        "3 side by side, dropout variational:0.25":
            {"members": 3, "operations": 3.6e12, "dropout": "variational:0.25"},
        "4 side by side, dropout variational:0.25":
            {"members": 4, "operations": 4.8e12, "dropout": "variational:0.25"},
        "5 side by side, dropout variational:0.25":
            {"members": 5, "operations": 6e12, "dropout": "variational:0.25"},
    },
}
