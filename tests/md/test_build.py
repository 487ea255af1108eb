"""The builder: PCFF's rules, exact counts, neutral chains, sound geometry, refusals that name what is missing."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from ecmpipe.cards import CellCard, read_card
from ecmpipe.errors import SettingsError
from ecmpipe.md.build import build_cell, build_chains
from ecmpipe.md.datafile import assemble
from ecmpipe.md.description import PolymerDescription, read_description
from ecmpipe.md.forcefield import read_force_field
from ecmpipe.md.topology import bond_charges
from ecmpipe.settings.md import BuildStep, ChainSettings
from tests.md.boxes import GROWTH, ROOT, described, force_field, grown


def test_paper_boxes_have_the_atoms_of_the_si() -> None:
    paper = yaml.safe_load((ROOT / "inputs" / "paper.yaml").read_text(encoding="utf-8"))["md"]["polymers"]
    for polymer, atoms in (("polyamide", 19_011), ("pdms", 10_040)):
        chains = build_chains(described(polymer), [ChainSettings.model_validate(group) for group in paper[polymer]["chains"]])
        assert sum(len(chain.types) for chain in chains) == atoms


@pytest.mark.parametrize("polymer", ["polyamide", "pdms"])
def test_chains_are_neutral_with_known_increments(polymer: str) -> None:
    chain = build_chains(described(polymer), [ChainSettings(count=1, units=5)])[0]
    charges = bond_charges(chain, force_field())
    assert abs(sum(charges)) < 1e-9
    middle = len(chain.types) // 2
    inner = {chain.types[index]: round(charges[index], 3) for index in range(middle - 10, middle + 10)}
    expected = {"polyamide": {"n_2": -0.699, "hn2": 0.378, "o_1": -0.531}, "pdms": {"sio": 0.64, "osi": -0.44, "c3": -0.259, "hc": 0.053}}
    assert {kind: inner[kind] for kind in expected[polymer]} == expected[polymer]


def test_term_counts_of_a_linear_chain() -> None:
    chain = build_chains(described("pdms"), [ChainSettings(count=1, units=6)])[0]
    degree = [len(around) for around in chain.neighbours]
    assert len(chain.bonds) == len(chain.types) - 1
    assert len(chain.angles()) == sum(d * (d - 1) // 2 for d in degree)
    assert len(chain.dihedrals()) == sum((degree[a] - 1) * (degree[b] - 1) for a, b in chain.bonds)
    assert len(chain.impropers()) == sum({3: 1, 4: 4}.get(d, 0) for d in degree)


def test_force_field_rules(tmp_path: Path) -> None:
    field = force_field()
    assert field.bond(("c2", "hc")) == field.bond(("hc", "c3"))  # equivalences, either direction
    forward, backward = field.bond_angle(("hc", "c3", "sio")), field.bond_angle(("sio", "c3", "hc"))
    assert forward[:2] == backward[1::-1] and forward[0] != forward[1]  # halves swap with the key
    left, right = field.end_bond_torsion(("c2", "c2", "c_1", "n_2")), field.end_bond_torsion(("n_2", "c_1", "c2", "c2"))
    assert left[:3] == right[3:6] and left[6:] == right[:5:-1]
    i, j, k, l = "hc", "c2", "c2", "c_1"  # noqa: E741
    first, turned = field.angle_angle((i, j, k, l)), field.angle_angle((l, j, k, i))
    assert first[0] == turned[0] and first[1] == turned[2] and first[2] == turned[1]
    # the highest version of a repeated entry wins, wherever it stands
    text = Path(field.source).read_text(encoding="latin-1")
    row = next(line for line in text.splitlines() if line.split()[2:4] == ["c", "c"] and line.startswith(" 2.1"))
    changed = text.replace(row, row + "\n 9.9  1   c     c       1.7777    299.6700   -501.7700    679.8100\n" + row)
    (tmp_path / "pcff.frc").write_text(changed, encoding="latin-1")
    assert read_force_field(tmp_path / "pcff.frc").bond(("c", "c"))[0] == 1.7777


def test_minimum_of_the_torsion_is_trans() -> None:
    values = force_field().torsion(("c2", "c2", "c2", "c2"))
    angles = np.radians(np.arange(0, 360, 5))
    energy = sum(values[2 * n - 2] * (1 - np.cos(n * angles - np.radians(values[2 * n - 1]))) for n in (1, 2, 3))
    assert angles[np.argmin(energy)] == pytest.approx(np.pi)


def test_linear_safe_leaves_out_only_torsions_over_straight_angles() -> None:
    chains = build_chains(described("pdms"), [ChainSettings(count=1, units=6)])
    literal, safe = (assemble(chains, force_field(), angle) for angle in (None, 150))
    assert literal.left_out == {} and set(safe.left_out) == {"c3-sio-osi-sio", "osi-sio-osi-sio", "h-sio-osi-sio"}
    assert len(literal.bonded["Dihedral"].atoms) - len(safe.bonded["Dihedral"].atoms) == sum(safe.left_out.values())
    assert assemble(build_chains(described("polyamide"), [ChainSettings(count=1, units=3)]), force_field(), 150).left_out == {}


@pytest.mark.parametrize(("polymer", "length"), [("polyamide", 22.0), ("pdms", 23.0)])
def test_growth_keeps_bond_lengths_and_angles(polymer: str, length: float) -> None:
    chains, system, places = grown(described(polymer), 2, 10, length)
    for (a, b), kind in zip(system.bonded["Bond"].atoms, system.bonded["Bond"].kinds, strict=True):
        key = next(key for key, number in system.bonded["Bond"].keys.items() if number == kind)
        assert np.linalg.norm(places[a] - places[b]) == pytest.approx(force_field().bond(key)[0])
    bends = []
    for a, b, c in chains[0].angles():
        first, second = places[a] - places[b], places[c] - places[b]
        angle = np.degrees(np.arccos(first @ second / np.linalg.norm(first) / np.linalg.norm(second)))
        bends.append(angle - force_field().angle(tuple(chains[0].types[index] for index in (a, b, c)))[0])
    # the set of rest angles about one centre is not quite a solid body, so some close a little off
    assert np.abs(bends).max() < 15 and np.median(np.abs(bends)) < 2
    gaps = places[:, None] - places[None]
    gaps -= length * np.round(gaps / length)
    distance = np.linalg.norm(gaps, axis=2)[np.triu_indices(len(places), 1)]
    # the push-off ends what is still too close; nothing may lie on top of anything, and most contacts must be far apart
    assert distance.min() > 0.3 and (distance < 0.9).sum() < 0.05 * len(places)
    same = grown(described(polymer), 2, 10, length)[2]
    assert np.array_equal(places, same)
    assert not np.allclose(places, grown(described(polymer), 2, 10, length, seed=2)[2])


def test_amides_are_grown_trans() -> None:
    chains, _, places = grown(described("polyamide"), 1, 10, 40.0)
    names = chains[0].names
    found = []
    for a, b, c, d in chains[0].dihedrals():
        if {names[b], names[c]} == {"C6", "N"} and {names[a], names[d]} == {"C5", "C1"}:
            u, v, w = places[b] - places[a], places[c] - places[b], places[d] - places[c]
            n1, n2 = np.cross(u, v), np.cross(v, w)
            found.append(abs(np.degrees(np.arctan2(np.linalg.norm(v) * u @ n2, n1 @ n2))))
    assert len(found) == 9 and min(found) > 130


def build_step(polymer_torsions: str, chains: list[dict]) -> BuildStep:
    return BuildStep(
        version=1,
        seed=5,
        chains=chains,
        torsions=polymer_torsions,
        linear_angle=150,
        growth=GROWTH,
        growth_density=600,
    )


def test_pymatgen_reads_the_data_file(tmp_path: Path) -> None:
    out, cell = tmp_path / "system.data", tmp_path / "cell.json"
    step = build_step("literal", [{"count": 2, "units": 4}, {"count": 1, "units": 3}])
    description = ROOT / "inputs" / "polymers" / "polyamide.yaml"
    build_cell(step, polymer="polyamide", description=description, box=0, output=out, output_cell=cell)
    card = read_card(CellCard, cell)
    assert (card.atoms, card.chains, card.density) == (19 * 11 + 9, 3, 600)
    assert card.details["cross terms that PCFF leaves at zero"]["AngleAngle Coeffs"]
    from pymatgen.io.lammps.data import LammpsData

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = LammpsData.from_file(str(out), atom_style="full")
    assert len(data.atoms) == card.atoms and abs(data.atoms["q"].sum()) < 1e-6
    sections = {"BondBond Coeffs", "BondAngle Coeffs", "MiddleBondTorsion Coeffs", "EndBondTorsion Coeffs", "AngleTorsion Coeffs"}
    sections |= {"AngleAngleTorsion Coeffs", "BondBond13 Coeffs", "AngleAngle Coeffs"}
    assert sections <= set(data.force_field)
    assert Counter(data.atoms["molecule-ID"]) == {1: 79, 2: 79, 3: 60}
    mass = (data.masses["mass"].loc[data.atoms["type"]]).sum()
    assert mass * 1.66053906660e-27 / np.prod(card.lengths) == pytest.approx(600, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"C6": "c_0", "O": "o_1"}, r"PCFF has no term 'bond_increments' for|PCFF has no term"),
        ({"N": "n", "H": "hn"}, r"PCFF has no term '.*' for .*c"),
        ({"N": "qq"}, r"qq"),
    ],
)
def test_missing_terms_are_named(tmp_path: Path, change: dict[str, str], message: str) -> None:
    data = yaml.safe_load((ROOT / "inputs" / "polymers" / "polyamide.yaml").read_text(encoding="utf-8"))
    data["unit"]["atoms"] |= change
    data["start"]["retype"] = {}
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    step = build_step("literal", [{"count": 1, "units": 3}])
    with pytest.raises(SettingsError, match=message):
        build_cell(step, polymer="wrong", description=path, box=0, output=tmp_path / "a.data", output_cell=tmp_path / "a.json")
    assert not (tmp_path / "a.data").exists()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data["unit"]["bonds"].append(["C1", "H11"]), "stands twice"),
        (lambda data: data["unit"]["bonds"].pop(), "hang together"),
        (lambda data: data["unit"]["bonds"][0].append("N"), "at most 2"),
        (lambda data: data["unit"].update(head="X"), "head and tail"),
        (lambda data: data["end"].update(link="X"), "link"),
        (lambda data: data["torsions"][0].update(weights=[1, 1]), "one weight per angle"),
        (lambda data: data.update(extra=1), "extra"),
    ],
)
def test_broken_descriptions_are_refused(edit, message: str) -> None:
    data = yaml.safe_load((ROOT / "inputs" / "polymers" / "polyamide.yaml").read_text(encoding="utf-8"))
    edit(data)
    with pytest.raises(ValidationError, match=message):
        PolymerDescription.model_validate(data)


def test_a_missing_description_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="polymer description"):
        read_description(tmp_path / "none.yaml")
