"""What ``recipe_search.py`` tries, in sets: each line is what differs from the base of the set."""

from __future__ import annotations

from typing import Any

from recipe_experiments.cells import cells
from recipe_experiments.shakespeare import SHAKESPEARE
from recipe_experiments.verse import VERSE
from recipe_experiments.words import WORDS
from recipe_experiments.works import WORKS

__all__ = ["EXPERIMENTS"]

EXPERIMENTS: dict[str, dict[str, dict[str, Any]]] = {
    "shakespeare": SHAKESPEARE,
    "works": WORKS,
    "verse": VERSE,
    "words": WORDS,
    "cells": {"base": {}, **cells(1.0)},
    "cells, short": {"base": {}, **cells(0.1)},
}
