"""The grammar of molecules lets molecules through, and not what is nearly one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pantoum.config import AskedForm

pytest.importorskip("llguidance")
from pantoum.apps.forms.form_reader import FormReader

GRAMMAR = (Path(__file__).parents[2] / "examples" / "smiles.lark").read_text("utf-8")

MOLECULES = """CC(=O)Nc1ccc(O)cc1
CC(=O)Oc1ccccc1C(=O)O
CC(C)Cc1ccc(C(C)C(=O)O)cc1
Cn1c(=O)c2c(ncn2C)n(C)c1=O
CN1CCCC1c1cccnc1
c1ccc2[nH]ccc2c1
c1ccc2c(c1)CCN2
n1ccccc1
O=c1cc[nH]cc1
c1ccc(-c2ccccc2)cc1
c1ccc2c(c1)-c1ccccc1C2
Cn1nccc1C(F)(F)F
c1cnc2ccccc2c1
c1ccn2cccc2c1
N#Cc1ccsc1Cl
C1CC2CCC1C2
ClCCBr
O=C(O)c1cc(=O)c2ccccc2o1
CCn1cnc2c(N)ncnc21""".splitlines()
OTHERS = {
    "a ring that is open": "CC(=O)Nc1ccc(O)cc",
    "a number without its ring": "CN1CCCC1c1cccnc12",
    "a parenthesis that is open": "CC(=O)Nc1ccc(Occ1",
    "a parenthesis too much": "CC=O)C",
    "an empty branch": "CC()C",
    "a halogen between two atoms": "CFC",
    "a bond at the end": "CC=",
    "five aromatic carbons": "c1cccc1",
    "an odd number in two rings": "c1cc[nH]c2c1cc2",
    "an atom of nothing": "CXC",
    "no atom": "",
}


@pytest.fixture(scope="module")
def reader() -> FormReader:
    return FormReader(AskedForm("grammar", GRAMMAR))


@pytest.mark.parametrize("molecule", MOLECULES)
def test_molecules_pass(reader: FormReader, molecule: str) -> None:
    assert reader.matches(molecule)


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_what_is_nearly_one_does_not(reader: FormReader, text: str) -> None:
    assert not reader.matches(text)
