"""Sequences of log events with labels, as two public repositories hold them; and the runs made from them.

``ait-aecid/anomaly-detection-log-datasets`` has Hadoop and OpenStack as lines ``id,event event ...`` in three
files. ``verazuo/a-labelled-version-of-the-ADFA-LD-dataset`` has ADFA-LD (system calls of processes on a Linux
host, Creech and Hu 2013) as one file per sequence, in an archive. Nothing is downloaded here.

A run trains on 1 % of the normal sequences (Hadoop, which has few: 10 %). ``random``: drawn by the number
of the run, and everything else is its test, as ``sample.py`` of that repository draws them.
``chronological``: run k trains on the k-th 1 %, and its test is what comes later.
"""

from __future__ import annotations

import io
import math
import random
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DATA", "Data", "Sequence", "Split", "read", "splits"]

Sequence = tuple[str, ...]
DATA = {
    "adfa": "ADFA-LD.zip of verazuo/a-labelled-version-of-the-ADFA-LD-dataset",
    "hadoop": "hadoop_loghub of ait-aecid/anomaly-detection-log-datasets",
    "openstack": "openstack_parisakalaki (or openstack_loghub) of the same repository",
}


SHARES = {"hadoop": 0.1}
SHARE = 0.01
DEVELOPMENT = ("1", "2")
"""ADFA-LD has ten folders of each attack. With these the figure of a sequence was chosen."""


@dataclass(frozen=True)
class Data:
    """All sequences of a data set; the normal ones in the order of time, as far as it is known."""

    name: str
    normal: tuple[Sequence, ...]
    abnormal: tuple[Sequence, ...]
    unseen: tuple[bool, ...]
    """Which of the abnormal ones were not used for any choice."""


@dataclass(frozen=True)
class Split:
    """What a run trains on, and the normal part of its test."""

    train: tuple[Sequence, ...]
    normal: tuple[Sequence, ...]


def read(name: str, path: Path) -> Data:
    """One of ``DATA``: the archive of ADFA-LD (or its folder), or the folder of another."""
    if name == "adfa":
        files = dict(_files(path))
        normal = [text for place, text in sorted(files.items()) if _part(place) != "Attack"]
        attacks = [place for place in sorted(files) if _part(place) == "Attack"]
        unseen = [place.split("/")[-2].rpartition("_")[2] not in DEVELOPMENT for place in attacks]
        abnormal = [files[place] for place in attacks]
        return Data(name, tuple(map(_events, normal)), tuple(map(_events, abnormal)), tuple(unseen))
    stem = path.name.partition("_")[0]
    lines = {
        part: dict(
            line.split(",", 1) for line in (path / f"{stem}_{part}").read_text("utf-8").splitlines() if line
        )
        for part in ("train", "test_normal", "test_abnormal")
    }
    # Hadoop's names begin with a time and count up; those of OpenStack say nothing, and the order of the
    # files stands.
    normal = {**lines["train"], **lines["test_normal"]}
    order = sorted(normal) if name == "hadoop" else list(normal)
    return Data(
        name,
        tuple(_events(normal[key]) for key in order),
        tuple(map(_events, lines["test_abnormal"].values())),
        (True,) * len(lines["test_abnormal"]),
    )


def splits(data: Data, runs: int, order: str) -> Iterator[Split]:
    """What each run trains on, and its normal test. ``order``: ``random`` or ``chronological``."""
    total = len(data.normal)
    count = math.ceil(SHARES.get(data.name, SHARE) * total)
    for run in range(runs):
        if order == "random":
            train = set(random.Random(run).sample(range(total), count))
            test = set(range(total)) - train
        else:
            begin = run * count % (total // 2)
            train, test = set(range(begin, begin + count)), set(range(begin + count, total))
        yield Split(*(tuple(s for at, s in enumerate(data.normal) if at in part) for part in (train, test)))


def _events(text: str) -> Sequence:
    return tuple(text.split())


def _part(place: str) -> str:
    return next(part.split("_")[0] for part in place.split("/") if part.endswith("_Data_Master"))


def _files(path: Path) -> Iterator[tuple[str, str]]:
    """The sequences of ADFA-LD, by their place: Training before Validation, each in the order of its
    numbers."""
    if path.is_dir():
        for file in path.rglob("*_Data_Master/**/*.txt"):
            yield file.relative_to(path).as_posix(), file.read_text("ascii")
        return
    with zipfile.ZipFile(path) as archive:
        for place in archive.namelist():
            if "_Data_Master/" in place and place.endswith(".txt"):
                yield place, io.TextIOWrapper(archive.open(place), "ascii").read()
