"""lm-evaluation-harness by its own command: with its client of a server, and with our model.

    pip install 'lm_eval[api]'
    python benchmarks/judges/harness.py

A small model is trained and served. Three tasks from local files, of the kinds that the harness has, are run
with `--model local-completions`, which finds the tokenizer at the server, and with `--model pantoum`, which
needs none. Both must report what the model itself gives in this process. Prints a table; exits with 1 if a
figure differs.

Whole texts are read after a line break, which the client must be told (`custom_prefix_token_id`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TEXT = "".join(f"The cat number {n} sat on the mat, and dog {n * 7 % 10} ran.\n" for n in range(400))
PAGE = TEXT[:1500]
SENTENCES = [f"The cat number {n} sat on" for n in range(30)]
ENDINGS = [" the mat", " and ran", " number 4"]
WRITTEN = 20


def tasks(folder: Path, expected: list[str]) -> None:
    """The tasks, and what they ask."""
    asked = {
        "choices": [{"text": one, "endings": ENDINGS, "right": n % 3} for n, one in enumerate(SENTENCES)],
        "written": [{"text": one, "next": wanted} for one, wanted in zip(SENTENCES, expected, strict=True)],
        "whole": [{"page": PAGE}],
    }
    settings: dict[str, dict[str, Any]] = {
        "choices": {
            "output_type": "multiple_choice",
            "doc_to_text": "{{text}}",
            "doc_to_choice": "{{endings}}",
            "doc_to_target": "{{right}}",
            "target_delimiter": "",
            "metric_list": [{"metric": "acc"}],
        },
        "written": {
            "output_type": "generate_until",
            "doc_to_text": "{{text}}",
            "doc_to_target": "{{next}}",
            "generation_kwargs": {"until": ["\n"], "max_gen_toks": WRITTEN, "do_sample": False},
            "metric_list": [{"metric": "exact_match"}],
        },
        "whole": {
            "output_type": "loglikelihood_rolling",
            "doc_to_text": "",
            "doc_to_target": "{{page}}",
            "metric_list": [{"metric": "bits_per_byte"}],
        },
    }
    for name, documents in asked.items():
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(one) + "\n" for one in documents))
        source = {"task": name, "dataset_path": "json", "test_split": "test"}
        kwargs = {"dataset_kwargs": {"data_files": {"test": str(file)}}}
        (folder / f"{name}.yaml").write_text(json.dumps({**source, **kwargs, **settings[name]}))


def figures(results: dict[str, dict[str, Any]]) -> list[float]:
    """The figures of the three tasks."""
    names = (("choices", "acc,none"), ("written", "exact_match,none"), ("whole", "bits_per_byte,none"))
    return [float(results[task][metric]) for task, metric in names]


def by_harness(module: str, model: str, told: str, folder: Path) -> list[float]:
    """The figures that the command of the harness finds."""
    command = [sys.executable, "-m", module, "--model", model, "--model_args", told]
    command += ["--tasks", "choices,written,whole", "--include_path", str(folder)]
    subprocess.run([*command, "--output_path", str(folder / model)], check=True)
    (found,) = (folder / model).rglob("results_*.json")
    return figures(json.loads(found.read_text())["results"])


def by_model(model: Any) -> list[float]:
    """The figures of the model itself, whose scores begin after a line break."""
    bits = 1.4426950408889634

    def nats(text: str, begin: int) -> float:
        return float(sum(token.nats for token in model.score(text, by="token").items[begin:]))

    def best(text: str) -> int:
        scored = [nats(text + ending, len(text) - 1) for ending in ENDINGS]
        return scored.index(min(scored))

    right = [best(one) == n % 3 for n, one in enumerate(SENTENCES)]
    return [sum(right) / len(right), 1.0, nats(PAGE, 0) * bits / len(PAGE)]


def main() -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from serving_process import ours

    import pantoum

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.update(HF_HOME=str(folder / "hf"), HF_DATASETS_OFFLINE="1", PYTHONPATH=str(ROOT / "src"))
        (folder / "text.txt").write_text(TEXT)
        run = str(folder / "cats")
        pantoum.train(str(folder / "text.txt"), run=run, steps=200, hidden_size=32, progress=False)
        model = pantoum.load(run)
        written = [model.generate(one, length=WRITTEN, temperature=0, exact=True) for one in SENTENCES]
        expected = [one.partition("\n")[0] for one in written]
        tasks(folder, expected)
        with ours(run, name) as process:
            prefix = process.post("/tokenize", prompt="\n")["tokens"][0]
            served = f"base_url={process.url}/v1/completions,model=cats,max_length=2048"
            served += f",custom_prefix_token_id={prefix}"
            rows = {"local-completions": by_harness("lm_eval", "local-completions", served, folder)}
        rows["pantoum"] = by_harness("pantoum.apps.plugins.lm_eval_model", "pantoum", f"model={run}", folder)
        own = by_model(model)
    alike = True
    print(f"{'':28} choices: acc  written: exact  whole: bits per byte  alone")
    for name, found in rows.items():
        same = all(abs(one - other) < 1e-4 for one, other in zip(found, own, strict=True))
        alike = alike and same
        told = "as the model" if same else f"the model: {own}"
        print(f"{name:28} {found[0]:12.4f} {found[1]:15.4f} {found[2]:21.5f}  {told}")
    sys.exit(not alike)


if __name__ == "__main__":
    main()
