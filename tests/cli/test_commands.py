"""Each command does what it says: answers on stdout, words on stderr, exit codes."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pantoum
from pantoum.cli import demo
from pantoum.cli.output import runnable

Run = Callable[..., Any]
SMALL = ("--steps", "4", "--hidden-size", "8", "--num-layers", "1")
EVALUATION = {
    "protocol",
    "tokens",
    "unknown_tokens",
    "characters",
    "bytes",
    "nats_per_token",
    "nats_per_character",
    "bits_per_byte",
    "perplexity",
    "accuracy",
    "xz_bits_per_byte",
    "bz2_bits_per_byte",
}


def test_train_answers_with_the_folder_and_ends_with_what_to_try_next(
    run: Run, text: Path, tmp_path: Path
) -> None:
    done = run("train", text, "--run", tmp_path / "r", *SMALL)
    assert (done.code, done.out) == (0, f"{tmp_path / 'r'}\n")
    assert done.lines[-1] == f"pantoum generate {tmp_path / 'r'}"
    assert f"to write with it in a browser: pantoum serve {tmp_path / 'r'}" in done.lines
    config = json.loads((tmp_path / "r" / "config.json").read_text())
    assert config["command"][:2] == ["pantoum", "train"]


def test_train_json_has_the_promised_keys(run: Run, text: Path, tmp_path: Path) -> None:
    done = run("train", text, "--run", tmp_path / "r", *SMALL, "--json", "--quiet")
    found = json.loads(done.out)
    assert done.err == ""
    assert {"run", "model", "steps", "tokens", "seconds", "parameters", "validation"} <= set(found)
    assert set(found["validation"]) >= EVALUATION and found["validation"]["protocol"] == "segments:64"
    assert Path(found["model"]).is_file()


def test_a_run_that_was_stopped_says_how_to_go_on(run: Run, text: Path, tmp_path: Path) -> None:
    first = run("train", text, "--run", tmp_path / "r", *SMALL, "--stop-after", 2)
    assert "stopped as asked by --stop-after at step 2; the run is saved" in first.err
    assert first.lines[-2] == "continue with:" and "validation loss:" not in first.err
    assert first.code == 0 and first.lines[-1] == f"pantoum train --run {tmp_path / 'r'} --resume"
    second = run("train", "--run", tmp_path / "r", "--resume", "--json")
    assert json.loads(second.out)["steps"] == 4
    third = run("train", "--run", tmp_path / "r", "--resume")
    assert third.code == 0 and any("the run is finished at step 4" in line for line in third.lines)


def test_a_finished_run_says_so(run: Run, trained: Path) -> None:
    done = run("train", "--run", trained, "--resume")
    assert (done.code, done.out) == (0, f"{trained}\n")
    assert "finished" in done.lines[0] and done.lines[-1] == f"pantoum generate {trained}"


def test_choices_can_be_left_to_pantoum_by_name(run: Run, text: Path) -> None:
    done = run("train", text, "--plan", "--json", "--steps", 5, "--hidden-size", "auto", "--clip", "none")
    assert done.code == 0 and json.loads(done.out)["chosen"]["clip"] is None


def test_info_as_json(run: Run, trained: Path) -> None:
    found = json.loads(run("info", trained, "--json").out)
    assert found["kind"] == "run" and found["model"]["kind"] == "model" and found["path"] == str(trained)


def test_a_run_without_a_held_out_text_claims_nothing(run: Run, text: Path, tmp_path: Path) -> None:
    done = run("train", text, "--run", tmp_path / "r", *SMALL, "--valid-fraction", 0, "--json")
    assert json.loads(done.out)["validation"] is None
    assert run("info", tmp_path / "r").code == 0


def test_a_plan_says_what_and_why_and_leaves_nothing(
    run: Run, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("train", text, "--plan", "--steps", 100, "--cell", "lstm")
    assert (
        done.code == 0
        and ["model.cell", "lstm"] in [line.split() for line in done.out.splitlines()]
        and "because" in done.out
        and "model.norm" not in done.out  # in files alone, where it was a setting once
    )
    found = json.loads(run("train", text, "--plan", "--steps", 100, "--json").out)
    assert found["budget"] == "100 steps" and found["reasons"] and found["chosen"]["model"]["cell"]
    assert found["expected"]["nats_per_token"] > 0.0
    assert list(tmp_path.iterdir()) == []


def test_evaluate_prints_a_table_or_json(run: Run, trained: Path, text: Path) -> None:
    done = run("evaluate", trained, text)
    assert (done.code, done.err) == (0, "") and "nats per character" in done.out and "carried" in done.out
    found = json.loads(run("evaluate", trained, text, "--json", "--protocol", "windows:64").out)
    assert set(found) >= EVALUATION and found["protocol"] == "windows:64"
    size = len(text.read_bytes())
    assert found["tokens"] == found["bytes"] == size - 1
    python = pantoum.load(trained).evaluate(text, protocol="windows:64")
    assert python.to_dict() == found


def test_evaluate_reads_stdin_and_says_what_does_not_compare(
    run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO("The Жat sat on the mat.\n".encode() * 3), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    done = run("evaluate", trained, "-")
    assert done.code == 0 and "cannot be compared" in done.out


def test_prepare_makes_a_folder_for_many_runs(run: Run, text: Path, tmp_path: Path) -> None:
    done = run("prepare", text, "--out", tmp_path / "p", "--tokens", "words")
    assert (done.code, done.out) == (0, f"{tmp_path / 'p'}\n")
    assert done.lines[-1] == f"pantoum train --data {tmp_path / 'p'}"
    found = json.loads(run("prepare", text, "--out", tmp_path / "p", "--tokens", "words", "--json").out)
    assert found["kind"] == "words" and found["folder"] == str(tmp_path / "p")
    trained = run("train", "--data", tmp_path / "p", "--run", tmp_path / "r", *SMALL)
    assert trained.code == 0 and pantoum.load(tmp_path / "r").tokenizer.kind == "words"


def test_doctor_measures_and_advises(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pantoum.about.machine.examine.__defaults__", (0.01, None))
    done = run("doctor")
    assert done.code == 0 and "GFLOP/s" in done.out and "tokens/s" in done.out
    assert "measuring training steps: 2 x 256 GRU" in done.err
    quiet = run("doctor", "--json", "--quiet")
    found = json.loads(quiet.out)
    assert quiet.err == "" and found["product_gflops"]["float32"] > 0
    assert found["pantoum"] == pantoum.__version__


def test_demo_trains_on_the_library_and_shows_what_it_made(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "LARGEST_FILE", 5_000)
    done = run("demo", "--minutes", "0.05")
    assert done.code == 0, done
    assert "Nats per character over time" in done.out and "After '# XXX '" in done.out
    written = done.out.partition("After 'def read_':")[2].splitlines()
    assert all(demo.WORD.search(line) for line in written if line.strip() and not line.startswith("After"))
    assert any(line.startswith("validation loss: ") for line in done.lines)
    # A busy machine leaves no time for all of the held-out text, and a fast one learns so little by heart.
    may_be = "the time was over", "learned the text by heart"
    notes = [line for line in done.err.splitlines() if "note:" in line]
    assert [note for note in notes if not any(words in note for words in may_be)] == []
    assert str(Path(os.__file__).parent) not in done.out + done.err
    assert done.lines[-1] == "pantoum generate runs/demo --prompt 'def read_' --min-p none"
    assert run(*shlex.split(done.lines[-1])[1:], "--length", "9").out.startswith("def read_")
    again = run("demo", "--minutes", "0.03", "--json", "--quiet")
    assert json.loads(again.out)["run"] == "runs/demo-2" and again.err == ""


def test_the_commands_to_try_next_run_as_printed(trained: Path, tmp_path: Path) -> None:
    script = tmp_path / "bin" / "pantoum"  # as in an environment that is not on PATH
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom pantoum.__main__ import entry\nentry()\n")
    script.chmod(0o755)
    hidden = {**os.environ, "PATH": "/usr/bin:/bin"}
    for program, named in (["bin/pantoum"], "bin/pantoum"), ([sys.executable, "-m", "pantoum"], "-m pantoum"):
        told = subprocess.run(
            [*program, "train", "--run", trained, "--resume"],
            cwd=tmp_path, env=hidden, capture_output=True, text=True, timeout=120, check=True,
        ).stderr.splitlines()  # fmt: skip
        assert f"{named} generate" in told[-1]
        done = subprocess.run(
            f"{told[-1]} --length 9", shell=True, cwd=tmp_path, env=hidden, capture_output=True, timeout=120
        )
        assert done.returncode == 0 and done.stdout
    assert runnable("pantoum info x") == "pantoum info x"  # in another program it is only a name


@pytest.mark.parametrize(("activated", "named"), [("", "{}/pantoum generate r"), ("1", "pantoum generate r")])
def test_a_path_of_this_process_alone_is_not_relied_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, activated: str, named: str
) -> None:
    """``uvx`` and ``pipx run`` put their environment on PATH for this process only."""
    program = tmp_path / "pantoum"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    if activated:
        monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "base_prefix", "/elsewhere")
    monkeypatch.setattr(sys, "argv", [str(program)])
    assert runnable("pantoum generate r") == named.format(tmp_path)


@pytest.mark.parametrize("installed", [True, False])
def test_the_server_is_named_where_it_can_run(
    run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    monkeypatch.setattr("pantoum.cli.train.find_spec", lambda name: installed or None)
    assert ("pantoum serve" in run("train", "--run", trained, "--resume").err) == installed


def test_the_demos_text_is_the_small_modules_of_the_library(tmp_path: Path) -> None:
    for name, content in {
        "b.py": "x = 1\n",
        "a.py": "y = 2\n",
        "big.py": "#" * 16_001,
        "z.txt": "no",
        "n.py": "# \u00e9\n",
        "json/c.py": "z = 3\n",
        "e.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert [Path(p).name for p in demo.library_source(tmp_path)] == ["a.py", "b.py"]
    with pytest.raises(pantoum.PantoumError, match="no Python source"):
        demo.library_source(tmp_path / "none")


def test_a_demo_that_is_worse_than_a_compressor_says_why() -> None:
    figures = {"bits_per_byte": 2.4, "xz_bits_per_byte": 2.5, "bz2_bits_per_byte": 2.3}
    done = SimpleNamespace(history=[SimpleNamespace(epoch=1.25)], evaluation=SimpleNamespace(**figures))
    assert "read the text 1.2 times" in demo._why_not_better(done)
    done.evaluation.bz2_bits_per_byte = 2.41
    assert demo._why_not_better(done) == ""


def test_n_grams_go_with_the_model_wherever_it_goes(run: Run, text: Path, tmp_path: Path) -> None:
    own = tmp_path / "r"
    asked = ("--ngrams", "2,3", "--ngram-rows", 128)
    assert run("train", text, "--run", own, *SMALL, *asked, "--quiet").code == 0
    chosen = json.loads((own / "config.json").read_text())["chosen"]["model"]
    assert (chosen["ngrams"], chosen["ngram_rows"]) == ([2, 3], 128)
    assert "of 2, 3 tokens, 128 rows each" in run("info", own).out
    wrote = run("generate", own, "--length", 20, "--seed", 1).out
    assert wrote == run("generate", own, "--length", 20, "--seed", 1).out
    plain = json.loads(run("evaluate", own, text, "--json").out)
    kept = tmp_path / "adapted.safetensors"
    adapted = json.loads(run("evaluate", own, text, "--adapt", "--model-out", kept, "--json").out)
    assert adapted["nats_per_token"] < plain["nats_per_token"]
    scored = json.loads(run("score", own, text, "--json").out)
    assert scored["nats_per_token"] == pytest.approx(plain["nats_per_token"], rel=1e-3)
    assert run("export", own, "--to", "int8", "--out", tmp_path / "n", "--text", text).code == 0
    for model in (kept, tmp_path / "n"):
        assert run("generate", model, "--length", 20, "--seed", 1).code == 0
    done = run("export", own, "--to", "torch", "--out", tmp_path / "t")
    assert done.code == 0 and "pantoum.apps.torch.load(" in done.out


def test_n_grams_from_python(text: Path, tmp_path: Path) -> None:
    asked = {"steps": 2, "hidden_size": 8, "num_layers": 1, "ngram_rows": 64, "progress": False}
    one = pantoum.train(text, run=str(tmp_path / "a"), ngrams=(2, 3), **asked)
    two = pantoum.train(text, run=str(tmp_path / "b"), ngrams="2,3", **asked)
    assert one.model.num_parameters == two.model.num_parameters
    files = [tmp_path / name / "model.safetensors" for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_unk_of_a_pretokenised_text_is_a_word_of_it(run: Run, tmp_path: Path) -> None:
    for name, text in (("train", "the <unk> sat on a mat"), ("valid", "a <unk> sat on the zut")):
        (tmp_path / name).write_text(f" {text} \n" * 50)
    options = ("--tokens", "words:whitespace", *SMALL, "--run", tmp_path / "r", "--json")
    trained = run("train", tmp_path / "train", "--valid", tmp_path / "valid", *options)
    assert json.loads(trained.out)["validation"]["unknown_tokens"] == 50
    assert (
        json.loads(run("evaluate", tmp_path / "r", tmp_path / "valid", "--json").out)["unknown_tokens"] == 50
    )
    found = json.loads(run("evaluate", tmp_path / "r", tmp_path / "train", "--json").out)
    assert (found["unknown_tokens"], found["note"]) == (0, None)


def test_pairs_are_judged_in_place_of_a_text(run: Run, trained: Path, text: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "p.jsonl"
    pairs.write_text('{"sentence_good": "The cat sat", "sentence_bad": "zqx zqx", "linguistics_term": "t"}\n')
    found = json.loads(run("evaluate", trained, "--pairs", pairs, "--json").out)
    assert found["pairs"] == 1 and found["phenomena"] == {"t": {"pairs": 1, "accuracy": found["accuracy"]}}
    assert "all pairs" in run("evaluate", trained, "--pairs", pairs).out
    for more in ([text], ["--adapt"]):
        done = run("evaluate", trained, "--pairs", pairs, *more)
        assert done.code == 1 and "give --pairs alone" in done.err
