"""Files of every version from 0.1.0 on are read as the version that wrote them read them.

``make_files.py`` beside this file makes them, one small file of every format.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pantoum
from pantoum.errors import PantoumError
from pantoum.kernels import without_core

FOLDER = Path(__file__).parent
VERSIONS = sorted(path.name for path in FOLDER.iterdir() if (path / "expected.json").exists())
pytestmark = pytest.mark.filterwarnings("ignore:not in the model's vocabulary")


@pytest.fixture(scope="module")
def making() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_files", FOLDER / "make_files.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_this_version_has_its_files() -> None:
    assert pantoum.__version__ in VERSIONS, "make them: python tests/golden/make_files.py"


@pytest.mark.skipif(without_core() is not None, reason="the bits are those of the native core")
@pytest.mark.parametrize("version", VERSIONS)
def test_files_of_a_version_have_the_same_bits(version: str, making: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("constriction")
    expected = json.loads((FOLDER / version / "expected.json").read_text("utf-8"))
    found: dict[str, Any] = making.readings(FOLDER / version, tmp_path / "read")
    assert json.loads(json.dumps(found)) == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_the_weights_need_no_core(version: str, making: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANTOUM_ISA", "numpy")
    expected = json.loads((FOLDER / version / "expected.json").read_text("utf-8"))["exact"]
    for path in (FOLDER / version).glob("*.model.safetensors"):
        parameters = pantoum.load(path)._loaded.network.parameters
        assert making.digest(parameters) == expected[path.name][0]


def test_a_changed_byte_of_a_golden_file_is_noticed(tmp_path: Path) -> None:
    source = FOLDER / VERSIONS[0]
    for name in ("ngrams.model.safetensors", "session.state"):
        data = bytearray((source / name).read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / name).write_bytes(data)
        read = pantoum.load if name.endswith("safetensors") else pantoum.State.read
        with pytest.raises(PantoumError, match=r"SHA-256|checksum|damaged"):
            read(tmp_path / name)
