"""Mutation testing of the code that keeps people's work: `make mutants`, by hand, not in CI.

`mutmut` changes one sign of the source at a time (a `<` becomes a `<=`, a number one more, an argument
`None`) and runs tests; a change that no test notices survived. Each module is mutated in a copy of its own
under `build/mutants/`, with the tests of that module alone: the whole suite for each of thousands of mutants
would take days. A second call goes on where the first one stopped; `--fresh` begins anew, and `--again` runs
the survivors again, after tests were added. Survivors take most of the time, since every test of a function
runs before it is known to have survived. So the tests of a mutant run in the order of their duration, the
first failure ends them, and hypothesis does not look for a smaller example of it.

A mutant of what writes files may replace any file that its user may write to, so root is refused.

    python benchmarks/mutants.py formats|training|inference [--only MODULE] [--sample N] [--again] [--list]

It ends with one line for each survivor, the counts, and the share that was killed; `--show MUTANT` prints
the diff of one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent

FORMATS = ("bounded", "metrics_file", "model_file", "plain_json", "run_lock", "state_file", "token_file")
RUNS = tuple(f"tests/faults/test_resume{name}.py" for name in ("", "_texts", "_budgets", "_guards"))
PACKAGES: dict[str, dict[str, tuple[str, ...]]] = {
    "formats": {
        **{name: (f"tests/formats/test_{name}.py",) for name in FORMATS},
        "durable": ("tests/formats/test_durable.py",),
        "system_calls": ("tests/formats/test_durable.py",),
        "checkpoint": ("tests/formats/test_checkpoint.py",),
        "container": ("tests/formats/test_model_file.py", "tests/formats/test_token_file.py"),
        "tensor_layout": ("tests/formats/test_tensor_layout.py", "tests/formats/test_model_file.py"),
    },
    "training": {
        "update_guard": ("tests/training/test_update_guard.py",),
        "rhythm": ("tests/training/test_rhythm.py",),
        "trainer": ("tests/training/test_recovery.py", "tests/training/test_trainer.py"),
        "saving": ("tests/training/test_saving.py",),
        "keep_best": ("tests/training/test_keep_best.py", "tests/training/test_fitted_counts.py"),
        "run_state": ("tests/training/test_run_state.py",),
        "resume": RUNS,
    },
    "inference": {
        "alert": ("tests/inference/test_alert.py",),
        "state": ("tests/inference/test_state.py", "tests/test_copies.py"),
        "stream_batch": ("tests/inference/test_stream_batch.py",),
    },
}
"""The modules that are mutated, each with the tests that must notice."""

ORDER = '''"""Written by benchmarks/mutants.py."""

import json
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "mutants",
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),  # a busy machine kills no mutant
)
settings.load_profile("mutants")


def pytest_collection_modifyitems(items):
    stats = Path("mutmut-stats.json")
    if stats.exists():
        took = json.loads(stats.read_text())["duration_by_test"]
        items.sort(key=lambda item: took.get(item.nodeid, 0.0))
'''
"""A `conftest.py` beside the tests: the quickest first."""
WORDS = {
    0: "survived", 5: "no test", 33: "no test", 34: "skipped", None: "not run",
    **dict.fromkeys((-24, 24, 36, 152, 255), "timeout"),
}  # fmt: skip
"""What an exit code means; any other is that of tests that failed, or that the mutant ended."""


def module_file(package: str, name: str) -> str:
    """The path of a module of a package, wherever in the package it lies."""
    (found,) = (HERE / "src" / "pantoum" / package).rglob(f"{name}.py")
    return found.relative_to(HERE).as_posix()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", choices=PACKAGES)
    parser.add_argument("--only", default="*", help="this module alone, or some: durable,run_lock")
    parser.add_argument(
        "--sample", type=int, help="of each module so many, drawn by chance, the same each time"
    )
    parser.add_argument("--children", type=int, default=1, help="mutants at a time")
    parser.add_argument("--again", action="store_true", help="run those that survived again")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--list", action="store_true", help="print the results there are; run nothing")
    parser.add_argument("--show", metavar="MUTANT", help="print one mutant's diff; run nothing")
    wanted = parser.parse_args()
    if os.geteuid() == 0 and not (wanted.list or wanted.show):
        parser.error("a mutant may write anywhere: run it as a user who owns this folder and nothing else")
    modules = PACKAGES[wanted.package]
    names = list(modules) if wanted.only == "*" else wanted.only.split(",")
    folders = {name: HERE / "build" / "mutants" / wanted.package / name for name in names}
    if wanted.show:
        folder = folders[wanted.show.split(".")[2]]
        return subprocess.run([*mutmut(), "show", wanted.show], cwd=folder, check=False).returncode
    failed: list[str] = []
    for name, folder in folders.items() if not wanted.list else ():
        if wanted.fresh:
            shutil.rmtree(folder, ignore_errors=True)
        again = [mutant for mutant, what in results(folder) if what == "survived"] if wanted.again else []
        if wanted.again and not again:
            continue
        prepare(folder, module_file(wanted.package, name), modules[name])
        # Tests that start Python must find the mutated package, too.
        environment = {
            **os.environ,
            "PYTHONPATH": str(folder / "mutants" / "src"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        command = [*mutmut(), "run", "--max-children", str(wanted.children)]
        if wanted.sample is not None and not wanted.again:
            if not list(results(folder)):  # a name that there is none of: mutants are made, and none is run
                subprocess.run([*command, "none"], cwd=folder, env=environment, check=False)
            found = sorted(results(folder))
            drawn = random.Random(0).sample(found, min(wanted.sample, len(found)))
            again = [mutant for mutant, what in drawn if what == "not run"]
            if not again:
                continue
        if subprocess.run([*command, *again], cwd=folder, env=environment, check=False).returncode:
            failed.append(name)
    report(folders)
    for name in failed:
        print(f"{name}: mutmut ended before its end; the reason is above")
    return 1 if failed else 0


def mutmut() -> list[str]:
    return [sys.executable, "-m", "mutmut"]


def prepare(folder: Path, mutated: str, tests: tuple[str, ...]) -> None:
    """Bring the copy up to date (files that did not change keep their times, and mutmut its results)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("src", "tests"):
        forget(HERE / name, folder / name)
        ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
        shutil.copytree(HERE / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    shutil.rmtree(folder / "mutants" / "tests", ignore_errors=True)
    (folder / "mutants" / "src").mkdir(parents=True, exist_ok=True)  # Python forgets a path that is not there
    (folder / "conftest.py").write_text(ORDER, encoding="utf-8")
    settings = {
        "source_paths": ["src"],
        "only_mutate": [mutated],
        "also_copy": ["conftest.py"],
        "pytest_add_cli_args_test_selection": list(tests),
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-m", "not oracle and not slow"],
        "timeout_multiplier": 3.0,
        "timeout_constant": 2.0,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    text = (HERE / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text("\n".join([text, "[tool.mutmut]", *lines, ""]), encoding="utf-8")


def forget(source: Path, target: Path) -> None:
    """Remove from the copy what is gone from the source."""
    for path in sorted(target.rglob("*.py")) if target.is_dir() else []:
        if not (source / path.relative_to(target)).exists():
            path.unlink()


def report(folders: dict[str, Path]) -> None:
    """The survivors, and for each module and in all the counts and the share that was killed."""
    whole: Counter[str] = Counter()
    for name, folder in folders.items():
        found = list(results(folder))
        for mutant, what in found:
            if what in ("survived", "no test"):
                print(f"{what:<10}{mutant}")
        counts = Counter(what for _, what in found)
        whole += counts
        print(f"{name}: {told(counts)}")
    print(f"all: {told(whole)}")


def told(counts: Counter[str]) -> str:
    """Counts in words."""
    ran = counts.total() - counts["not run"] - counts["skipped"]
    killed = counts["killed"] + counts["timeout"]
    return f"{dict(counts)} {killed} of {ran} killed ({killed / max(1, ran):.1%})"


def results(folder: Path) -> Iterator[tuple[str, str]]:
    """What became of each mutant, with its name."""
    for path in sorted((folder / "mutants" / "src").rglob("*.meta")):
        codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        yield from ((name, WORDS.get(code, "killed")) for name, code in codes.items())


if __name__ == "__main__":
    sys.exit(main())
