"""The examples of the server run against it, and show what they say."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pantoum

EXAMPLES = Path(__file__).parents[2] / "examples"
TEXT = "The cat number 3 sat on the mat, and dog 1 ran.\nThe cat number 4 sat."


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
def test_curl(server: Any) -> None:
    done = subprocess.run(
        ["bash", str(EXAMPLES / "server_curl.sh"), server.url], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "data: [DONE]" in done.stdout and '"deleted":true' in done.stdout


def test_the_openai_client(server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openai")
    example("server_openai").main([server.url])
    assert "24 numbers" in capsys.readouterr().out


def test_a_client_that_keeps_its_own_state(server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    example("server_own_state").main([server.url])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("begun:          'The ") and lines[1] != lines[2]
    assert lines[-1] == "two steps as one: True, states too: True"


def test_the_harness_gets_the_log_likelihoods_of_evaluate(
    server: Any, model: pantoum.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = example("server_lm_eval")
    served = module.Served(server.url)
    (tmp_path / "text.txt").write_text(TEXT)
    figure = model.evaluate(tmp_path / "text.txt")
    total = served.rolling(TEXT)
    assert -total / figure.tokens == pytest.approx(figure.nats_per_token, rel=1e-5)
    monkeypatch.setattr(module, "PIECE", 7)  # the state carries it over the pieces
    assert served.rolling(TEXT) == pytest.approx(total, rel=1e-6)
    nats, _ = served.log_likelihood(TEXT[:20], TEXT[20:])
    assert nats == pytest.approx(total - served.rolling(TEXT[:20]), rel=1e-5)
    written = server.text("The", max_tokens=9, temperature=0)
    assert served.log_likelihood("The", written)[1] and not served.log_likelihood("The", "7" + written)[1]


def test_the_harness_sends_a_key(serve: Callable[..., Any]) -> None:
    server = serve(api_keys="one", slots=2)
    assert example("server_lm_eval").Served(server.url, key="one").rolling("The cat") < 0


@pytest.mark.slow
def test_a_task_of_the_harness_runs_to_its_end(
    server: Any, model: pantoum.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    (tmp_path / "text.jsonl").write_text(json.dumps({"page": TEXT}) + "\n")
    (tmp_path / "text.txt").write_text(TEXT)
    task = {
        "task": "a_text",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "text.jsonl")}},
        "test_split": "test",
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{page}}",
        "metric_list": [{"metric": "bits_per_byte"}],
    }
    (tmp_path / "a_text.yaml").write_text(json.dumps(task))
    example("server_lm_eval").main(
        ["--url", server.url, "--tasks", "a_text", "--include_path", str(tmp_path)]
    )
    out = capsys.readouterr().out
    results = json.loads(out[out.index("{\n") :])["a_text"]
    figure = model.evaluate(tmp_path / "text.txt")
    # The harness divides by all bytes, evaluate by those of the targets: the first one is none.
    expected = figure.bits_per_byte * figure.bytes / len(TEXT.encode())
    assert float(results["bits_per_byte,none"]) == pytest.approx(expected, rel=1e-5)
