"""Polymers that are input files alone: rings, tacticity, terms that PCFF lacks, and short runs of two that nobody tuned for."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml

from ecmpipe.cards import CellCard, read_card
from ecmpipe.errors import SettingsError
from ecmpipe.md.build import build_cell, build_chains, check_polymer, closest_pair
from ecmpipe.md.description import PolymerDescription
from ecmpipe.md.equilibrate import equilibrate
from ecmpipe.settings import read_settings
from ecmpipe.settings.md import BuildStep, ChainSettings, equilibrate_step
from tests.md.boxes import GROWTH, ROOT, described, grown

FILES = sorted((ROOT / "inputs" / "polymers").glob("*.yaml"))
POLYSTYRENE = {
    "name": "polystyrene",
    "source": "to be refused",
    "unit": {
        "head": "CA",
        "tail": "CB",
        "atoms": {"CA": "c2", "HA1": "hc", "HA2": "hc", "CB": "c1", "HB": "hc"}
        | {f"P{n}": "cp" for n in range(1, 7)}
        | {f"H{n}": "hc" for n in range(2, 7)},
        "bonds": [["CA", "HA1"], ["CA", "HA2"], ["CA", "CB"], ["CB", "HB"], ["CB", "P1"]]
        + [[f"P{n}", f"P{n % 6 + 1}"] for n in range(1, 7)]
        + [[f"P{n}", f"H{n}"] for n in range(2, 7)],
    },
    "start": {"link": "HS", "atoms": {"HS": "hc"}, "retype": {"CA": "c3"}},
    "end": {"link": "HE", "atoms": {"HE": "hc"}, "retype": {"CB": "c2"}},
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_polymer_builds_without_overlaps(path: Path) -> None:
    description = described(path.stem)
    chains, system, places = grown(description, 2, 6, 30.0)
    assert abs(sum(system.charges)) < 1e-6
    assert closest_pair(chains, places, 30.0) >= GROWTH.closest * 1e10
    assert np.array_equal(places, grown(description, 2, 6, 30.0)[2])
    check_polymer(path, [ChainSettings(count=1, units=6)])


# how many types of each section PCFF leaves at zero: of its siloxane all that a torsion couples, of amides what is not listed for n_2
ZERO_CROSS_TERMS = {
    "pdms": {
        "MiddleBondTorsion": 8,
        "EndBondTorsion": 8,
        "AngleTorsion": 8,
        "AngleAngleTorsion": 8,
        "BondBond13": 8,
        "AngleAngle": 6,
    },
    "polyamide": {
        "BondBond": 1,
        "BondAngle": 2,
        "MiddleBondTorsion": 8,
        "EndBondTorsion": 16,
        "AngleTorsion": 16,
        "AngleAngleTorsion": 16,
        "BondBond13": 27,
        "AngleAngle": 5,
    },
}


@pytest.mark.parametrize("polymer", ["pdms", "polyamide"])
def test_the_zero_cross_terms_of_the_si_polymers_are_those_of_pcff(polymer: str) -> None:
    zero = grown(described(polymer), 1, 4, 40.0)[1].zero_cross_terms
    assert {section.split()[0]: len(terms) for section, terms in zero.items()} == ZERO_CROSS_TERMS[polymer]
    assert zero.get("BondAngle Coeffs") == (["c_1-n_2-hn2", "c2-n_2-c_1"] if polymer == "polyamide" else None)


def test_an_aromatic_ring_is_flat_and_has_pcff_lengths() -> None:
    chains, _, places = grown(described("pet"), 2, 4, 30.0)
    size = len(chains[0].types)
    for cycle in chains[0].cycles:
        ring = places[:size][cycle]
        _, singular, _ = np.linalg.svd(ring - ring.mean(axis=0))
        assert singular[2] < 0.02
        assert np.allclose(np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1), 1.417, atol=0.02)  # r0 of cp-cp in pcff.frc


def test_no_bond_passes_through_a_ring() -> None:
    length = 21.0
    chains, _, places = grown(described("pet"), 4, 6, length)
    offsets = np.cumsum([0, *(len(chain.types) for chain in chains)])
    bonds = np.array([(a + start, b + start) for chain, start in zip(chains, offsets, strict=False) for a, b in chain.bonds])
    threaded = 0
    for chain, start in zip(chains, offsets, strict=False):
        for cycle in chain.cycles:
            ring = places[start + np.array(cycle)]
            centre = ring.mean(axis=0)
            normal = np.linalg.svd(ring - centre)[2][2]
            ends = places[bonds] - centre
            ends -= length * np.round(ends.mean(axis=1, keepdims=True) / length)
            heights = ends @ normal
            crossing = heights[:, 0] * heights[:, 1] < 0
            share = (heights[:, 0] / (heights[:, 0] - heights[:, 1]))[crossing]
            points = ends[crossing, 0] + share[:, None] * (ends[crossing, 1] - ends[crossing, 0])
            threaded += int((np.linalg.norm(points, axis=1) < 1.2).sum())
    assert threaded == 0


def hands(tacticity: str) -> list[float]:
    """The handedness of every CH of polypropylene, seen along the chain."""
    description = described("polypropylene").model_copy(update={"tacticity": tacticity})
    chains, _, places = grown(description, 1, 20, 60.0)
    chain, found = chains[0], []
    for centre, name in enumerate(chain.names):
        around = {chain.names[other]: other for other in chain.neighbours[centre]}
        if name == "CB" and "CM" in around and "HE" not in around:
            before = next(other for other in chain.neighbours[centre] if chain.names[other] == "CA" and other < centre)
            after = next(other for other in chain.neighbours[centre] if chain.names[other] == "CA" and other > centre)
            found.append(float(np.sign(np.linalg.det(places[[before, after, around["CM"]]] - places[centre]))))
    return found


def test_tacticity_is_what_it_is_called() -> None:
    assert len(set(hands("isotactic"))) == 1
    turns = hands("syndiotactic")
    assert len(turns) == 19 and all(one == -two for one, two in zip(turns, turns[1:], strict=False))
    assert 3 < sum(hand > 0 for hand in hands("atactic")) < 16


def test_a_polymer_that_pcff_cannot_serve_is_refused_with_every_term(tmp_path: Path) -> None:
    path = tmp_path / "polystyrene.yaml"
    path.write_text(yaml.safe_dump(POLYSTYRENE), encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        check_polymer(path, [ChainSettings(count=1, units=5)])
    assert "PCFF has no term 'torsion_3' for c1 - c2 - c1 - cp" in str(caught.value)
    assert str(caught.value).count("\n") >= 1 and "choose other PCFF types" in str(caught.value)


def test_all_missing_terms_of_an_amide_are_named_at_once(tmp_path: Path) -> None:
    data = yaml.safe_load((ROOT / "inputs" / "polymers" / "polyamide.yaml").read_text(encoding="utf-8"))
    data["unit"]["atoms"] |= {"N": "n", "H": "hn"}
    data["start"]["retype"] = {}
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        check_polymer(path, [ChainSettings(count=1, units=5)])
    for words in ("'quartic_angle' for c2 - c_1 - n", "'torsion_3' for hc - c2 - c_1 - n", "'wilson_out_of_plane' for the centre c_1"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data["unit"]["bonds"].append(["C1", "C3"]), "bonds"),  # a full carbon gets a fifth bond
        (lambda data: data["unit"]["atoms"].update({"H11": "c2"}), "bonds"),
        (lambda data: data.update(tacticity="atatic"), "tacticity"),
        (lambda data: data["torsions"].append({"bond": ["C1", "C4"], "angles [deg]": [180], "weights": [1]}), "none of this polymer"),
        (lambda data: data["unit"]["atoms"].update({"X": "c2"}), "hang together"),
        (lambda data: data.update(name="two\nlines"), "one line"),
    ],
)
def test_mistakes_are_one_error(tmp_path: Path, edit, message: str) -> None:
    data = yaml.safe_load((ROOT / "inputs" / "polymers" / "polyamide.yaml").read_text(encoding="utf-8"))
    edit(data)
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        check_polymer(path, [ChainSettings(count=1, units=5)])


def test_words_stay_words(tmp_path: Path) -> None:
    data = described("polyethylene").model_dump()
    text = yaml.safe_dump(data).replace("C1", "NO").replace("C2", "1")
    path = tmp_path / "odd.yaml"
    path.write_text(text.replace("'NO'", "NO").replace("'1'", "1"), encoding="utf-8")
    check_polymer(path, [ChainSettings(count=1, units=4)])


@pytest.mark.parametrize(("polymer", "units"), [("nylon66", 3), ("pet", 4)])
def test_polymers_nobody_tuned_for_relax_from_an_input_file_alone(polymer: str, units: int, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        names = ("parameters", "default", "test")
        settings = read_settings([ROOT / "inputs" / f"{name}.yaml" for name in names])
    build = BuildStep(
        version=1,
        seed=3,
        chains=[ChainSettings(count=2, units=units)],
        torsions="literal",
        linear_angle=150,
        growth=GROWTH,
        growth_density=500,
    )
    data, cell, out = tmp_path / "a.data", tmp_path / "a.json", tmp_path / "b.json"
    path = ROOT / "inputs" / "polymers" / f"{polymer}.yaml"
    build_cell(build, polymer=polymer, description=path, box=0, output=data, output_cell=cell)
    options = {"polymer": polymer, "data": data, "cell": cell, "box": 0, "output": tmp_path / "b.data", "output_cell": out}
    equilibrate(equilibrate_step(settings, "polyamide"), **options, work=tmp_path / "work")
    built, relaxed = read_card(CellCard, cell), read_card(CellCard, out)
    assert relaxed.density > 1.3 * built.density and relaxed.temperature == pytest.approx(300, abs=40)
    from pymatgen.io.lammps.data import LammpsData

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(LammpsData.from_file(str(data), atom_style="full").atoms) == built.atoms


def test_descriptions_of_the_inputs_folder_say_where_they_come_from() -> None:
    for path in FILES:
        assert isinstance(described(path.stem), PolymerDescription) and len(described(path.stem).source) > 20
        assert build_chains(described(path.stem), [ChainSettings(count=1, units=2)])
