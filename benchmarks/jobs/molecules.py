"""Molecules: a model of MOSES's training set, and every metric of MOSES beside those of its CharRNN.

    python benchmarks/jobs/molecules.py FOLDER [--minutes 60] [--options "--seed 1"] [--count 30000]

FOLDER gets ``train.txt`` (1,584,663 SMILES, a line each), the run, and ``molecules.txt``; what is there is
not made again, so a command that was stopped goes on, and a run that was trained otherwise can be judged.
Nothing here looks at the test sets but the metrics at the end. The molecules are drawn from the probabilities
of the model as they are (``--temperature 1 --min-p none``), or as ``--draw`` says.

The published figures are means and standard deviations of three CharRNNs (3 x 768 LSTM, 80 epochs on a GPU),
from the README and the folder ``data/samples/char_rnn`` of github.com/molecularsets/moses.

MOSES is as old as its data: it needs an environment of its own, where RDKit has no ``rdkit.six`` any more
(the package ``six`` stands in for it here). The weights of ChemNet, which the distance FCD needs, are in
``fcd_torch``.

    python -m venv moses
    moses/bin/pip install '.[bpe]' 'rdkit<2024' torch tqdm matplotlib six 'numpy<2' 'pandas<2' 'scipy<1.12'
    moses/bin/pip install --no-deps fcd_torch==1.0.7 molsets==0.3.1
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import resource
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).parents[1]))
import measured

CHAR_RNN = {
    "valid": (0.9748, 0.0264),
    "unique@1000": (1.0, 0.0),
    "unique@10000": (0.9994, 0.0003),
    "FCD/Test": (0.0732, 0.0247),
    "FCD/TestSF": (0.5204, 0.0379),
    "SNN/Test": (0.6015, 0.0206),
    "SNN/TestSF": (0.5649, 0.0142),
    "Frag/Test": (0.9998, 0.0002),
    "Frag/TestSF": (0.9983, 0.0003),
    "Scaf/Test": (0.9242, 0.0058),
    "Scaf/TestSF": (0.1101, 0.0081),
    "IntDiv": (0.8562, 0.0005),
    "IntDiv2": (0.8503, 0.0005),
    "Filters": (0.9943, 0.0034),
    "Novelty": (0.8419, 0.0509),
    "logP": (0.0578, 0.0195),
    "SA": (0.0170, 0.0049),
    "QED": (0.0022, 0.0007),
    "weight": (2.5231, 0.2594),
}
MARKS = {"valid": 0.96, "unique@10000": 0.998, "FCD/Test": 0.15}
"""At least; of a distance (FCD) at most."""


def training_set(folder: Path) -> Path:
    """MOSES's training set as lines."""
    text = folder / "train.txt"
    if not text.exists():
        found = importlib.util.find_spec("moses")
        if found is None or found.origin is None:
            raise SystemExit("molsets is not installed: see the docstring")
        packed = Path(found.origin).parent / "dataset" / "data" / "train.csv.gz"
        with gzip.open(packed, "rt", encoding="ascii") as lines:
            column = next(lines).strip().split(",").index("SMILES")
            smiles = [line.rstrip("\n").split(",")[column] for line in lines]
        text.write_text("".join(one + "\n" for one in smiles), encoding="ascii")
    return text


def pantoum(*words: str, out: Path | None = None) -> dict[str, float]:
    """Run a command, and say what it took."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "pantoum", *words]
    if out is None:
        subprocess.run(command, check=True)
    else:
        part = out.with_suffix(".part")
        with part.open("wb") as file:
            subprocess.run(command, check=True, stdout=file)
        part.rename(out)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_megabytes": after.ru_maxrss / 1024,
    }


def metrics(molecules: list[str]) -> dict[str, float]:
    """Every metric of MOSES."""
    import six

    sys.modules["rdkit.six"], sys.modules["rdkit.six.moves"] = six, six.moves
    import moses
    from moses.metrics import metrics as those

    class Once(those.FCDMetric):  # type: ignore[misc]
        """ChemNet reads the molecules once for both test sets."""

        known: ClassVar[dict[int, Any]] = {}

        def precalc(self, smiles: list[str]) -> Any:
            if id(smiles) not in self.known:
                self.known[id(smiles)] = super().precalc(smiles)
            return self.known[id(smiles)]

    those.FCDMetric = Once
    found: dict[str, float] = moses.get_all_metrics(molecules)
    return found


def table(found: dict[str, float]) -> str:
    """A row for each metric."""
    rows = ["| metric | pantoum | CharRNN | mark |", "| -- | -- | -- | -- |"]
    for name, (mean, spread) in CHAR_RNN.items():
        mark = ""
        if name in MARKS:
            met = found[name] <= MARKS[name] if name.startswith("FCD") else found[name] >= MARKS[name]
            mark = f"{MARKS[name]:g}: {'met' if met else '**missed**'}"
        rows.append(f"| {name} | {found[name]:.4f} | {mean:.4f} ± {spread:.4f} | {mark} |")
    return "\n".join(rows)


def main() -> None:
    """Train, write, judge."""
    options = measured.parser(__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--minutes", type=float, default=60.0)
    options.add_argument("--options", default="", help="more of `pantoum train`")
    options.add_argument("--count", type=int, default=30_000)
    options.add_argument("--draw", default="--temperature 1 --min-p none", help="more of `pantoum generate`")
    asked = options.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    text, run, molecules = (
        training_set(asked.folder),
        asked.folder / "run",
        asked.folder / "molecules.txt",
    )
    report: dict[str, Any] = {**measured.machine(), "command": sys.argv[1:]}
    if not (run / "model.safetensors").exists():
        words = ["train", str(text), "--documents", "lines", "--run", str(run)]
        report["training"] = pantoum(*words, "--minutes", str(asked.minutes), *shlex.split(asked.options))
    if not molecules.exists():
        words = ["generate", str(run), "--count", str(asked.count), "--seed", "0", *shlex.split(asked.draw)]
        report["writing"] = pantoum(*words, out=molecules)
    lines = molecules.read_text("utf-8").splitlines()
    report["molecules"] = len(lines), hashlib.sha256(molecules.read_bytes()).hexdigest()[:16]
    began = time.process_time()
    found = metrics(lines)
    report["judging_processor_seconds"] = time.process_time() - began
    print(json.dumps({**report, "metrics": found}))
    print(table(found))


if __name__ == "__main__":
    main()
