"""Polymers that nobody ships: fused, spiro and linked rings, units of one atom, double bonds, bulky side groups; and the watch on rings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import yaml

from ecmpipe.errors import SettingsError
from ecmpipe.md.build import check_polymer, closest_pair
from ecmpipe.md.datafile import assemble
from ecmpipe.md.description import PolymerDescription, read_description
from ecmpipe.md.rings import dihedral
from ecmpipe.md.ringwatch import RingWatch, cuts
from ecmpipe.md.shape import RestShape
from ecmpipe.md.topology import build_chain
from ecmpipe.settings.md import ChainSettings
from tests.md.boxes import GROWTH, described, force_field, grown

HYDROGEN = {"start": {"link": "HS", "atoms": {"HS": "hc"}}, "end": {"link": "HE", "atoms": {"HE": "hc"}}}


def polymer(skeleton: dict[str, str], bonds: str, head: str, tail: str, ends: dict = HYDROGEN, **more) -> PolymerDescription:
    """A description from its skeleton ("A-B B-C"); hydrogens fill carbons up, one less at head and tail."""
    atoms, pairs = dict(skeleton), [pair.split("-") for pair in bonds.split()]
    for name, kind in skeleton.items():
        taken = sum(name in pair for pair in pairs) + (name == head) + (name == tail)
        missing = force_field().connections[kind] - taken if kind[0] == "c" and kind != "c_1" else 0
        for number in range(missing):
            atoms[f"H{number}{name}"] = "hc"
            pairs.append([name, f"H{number}{name}"])
    unit = {"head": head, "tail": tail, "atoms": atoms, "bonds": pairs}
    return PolymerDescription.model_validate({"name": "odd", "source": "made for a test", "unit": unit, **ends, **more})


def ring(prefix: str, size: int, kind: str) -> tuple[dict[str, str], str]:
    names = [f"{prefix}{number}" for number in range(1, size + 1)]
    return dict.fromkeys(names, kind), " ".join(f"{one}-{two}" for one, two in zip(names, [*names[1:], names[0]], strict=True))


BENZENE, AROUND = ring("P", 6, "cp")
NAPHTHALENE, DECAGON = ring("N", 10, "cp")
PHENYL_END = {"link": "P1", "atoms": BENZENE | {f"H{n}": "hc" for n in range(2, 7)}}
PHENYL_END["bonds"] = [pair.split("-") for pair in f"{AROUND} P2-H2 P3-H3 P4-H4 P5-H5 P6-H6".split()]
ESTER = {"O": "o_2", "CO": "c_1", "OO": "o_1"}

ODD = {
    "fused rings": polymer(NAPHTHALENE, f"{DECAGON} N5-N10", "N2", "N7"),
    "rings linked by a bond, ends of one ring": polymer(BENZENE, AROUND, "P1", "P4", {"start": PHENYL_END, "end": PHENYL_END}),
    "spiro": polymer(
        {"S": "c", "A": "c2", "B": "c1", "C": "c2", "a": "c2", "b": "c1", "c": "c2", "M": "c2"},
        "S-A A-B B-C C-S S-a a-b b-c c-S b-M",
        "B",
        "M",
    ),
    "side ring": polymer({"CA": "c2", "CB": "c1"} | ESTER | BENZENE, f"CA-CB CB-O O-CO CO-OO CO-P1 {AROUND}", "CA", "CB"),
    "double bond": polymer(
        {"C1": "c2", "C2": "c=", "C3": "c=", "C4": "c2"},
        "C1-C2 C2-C3 C3-C4",
        "C1",
        "C4",
        torsions=[{"bond": ["C2", "C3"], "angles [deg]": [0], "weights": [1]}],
    ),
    "head is tail": polymer({"C": "c2"}, "", "C", "C"),
    "large atoms": polymer({"CA": "c", "CB": "c", "F1": "f", "F2": "f", "F3": "f", "F4": "f"}, "CA-CB CA-F1 CA-F2 CB-F3 CB-F4", "CA", "CB"),
}


SULFUR = polymer({"S": "s"}, "", "S", "S", {key: {"link": "H", "atoms": {"H": "hs"}} for key in ("start", "end")})


@pytest.mark.parametrize("units", [1, 6])
@pytest.mark.parametrize("name", ODD)
def test_odd_polymers_are_grown(name: str, units: int) -> None:
    length = 32.0
    chains, system, places = grown(ODD[name], 2, units, length)
    assert abs(sum(system.charges)) < 1e-6 and np.isfinite(places).all()
    assert closest_pair(chains, places, length) >= GROWTH.closest * 1e10
    assert RingWatch(chains, length).count(places) == 0
    chain, shape = chains[0], RestShape(chains[0], force_field(), {})
    for first, second in chain.bonds:
        assert np.linalg.norm(places[first] - places[second]) == pytest.approx(shape.bond(first, second), abs=0.02)
    for centre, around in enumerate(chain.neighbours):
        if shape.flat(centre):  # no neighbour stands out of the plane
            legs = places[around] - places[centre]
            assert abs(np.linalg.det(legs)) < 0.05


def test_a_double_bond_keeps_its_side() -> None:
    chains, _, places = grown(ODD["double bond"], 1, 8, 60.0)
    names = ("C1", "C2", "C3", "C4")
    found = [dihedral(places[list(four)]) for four in chains[0].dihedrals() if tuple(chains[0].names[atom] for atom in four) == names]
    assert len(found) == 8 and np.degrees(np.abs(found)).max() < 45


def test_order_tells_a_bond_in_a_unit_from_the_one_between_units() -> None:
    states = {("C1", "C2"): 180, ("C2", "C1"): 60}
    data = described("polyethylene").model_dump()
    data["torsions"] = [{"bond": list(bond), "angles [deg]": [angle], "weights": [1]} for bond, angle in states.items()]
    chains, _, places = grown(PolymerDescription.model_validate(data), 1, 12, 80.0)
    chain = chains[0]
    carbons = [atom for atom, kind in enumerate(chain.types) if kind.startswith("c")]
    for four in zip(carbons, carbons[1:], carbons[2:], carbons[3:], strict=False):
        off = np.degrees(dihedral(places[list(four)])) - states[chain.names[four[1]], chain.names[four[2]]]
        assert abs((off + 180) % 360 - 180) < 45


def test_a_bond_through_a_ring_is_seen() -> None:
    corners = np.array([[np.cos(angle), np.sin(angle), 0.0] for angle in np.radians(range(0, 360, 60))]) * 1.4
    segments = np.random.default_rng(1).normal(0, 1.5, (5000, 2, 3))
    share = segments[:, 0, 2] / (segments[:, 0, 2] - segments[:, 1, 2])
    spots = segments[:, 0] + share[:, None] * (segments[:, 1] - segments[:, 0])
    # inside a hexagon: not beyond any of its three pairs of sides
    sides = np.array([[np.cos(angle), np.sin(angle)] for angle in np.radians([30, 90, 150])])
    expected = (share > 0) & (share < 1) & (np.abs(spots[:, :2] @ sides.T) < 1.4 * np.cos(np.pi / 6)).all(axis=1)
    assert expected.sum() > 500 and np.array_equal(cuts(corners, segments), expected)


def test_a_threaded_box_is_counted_and_refused_by_growth() -> None:
    length = 40.0
    chains, _, places = grown(described("pet"), 2, 2, length)
    watch, size = RingWatch(chains, length), len(chains[0].types)
    assert watch.count(places) == 0
    # push the second chain so that its C1-C2 bond stands through a ring of the first, in the next image of the box
    bond = next(pair for pair in chains[1].bonds if {chains[1].names[atom] for atom in pair} == {"C1", "C2"})
    first, second = (size + atom for atom in bond)
    hexagon = places[chains[0].cycles[0]]
    normal = np.linalg.svd(hexagon - hexagon.mean(axis=0))[2][2]
    one, two = places[first] - places[second], normal * np.linalg.norm(places[first] - places[second])
    turn = np.cross(one, two)
    turn *= np.arccos(one @ two / (one @ one)) / np.linalg.norm(turn)
    from scipy.spatial.transform import Rotation

    middle = (places[first] + places[second]) / 2
    places[size:] = Rotation.from_rotvec(turn).apply(places[size:] - middle) + hexagon.mean(axis=0) + [0, length, 0]
    assert watch.count(places) >= 1 and watch.threaded(places, [first, second]) and watch.threaded(places, chains[0].cycles[0])


def test_both_halves_of_a_shared_leg_are_read() -> None:
    """The two entries of angle-angle for a C-N bond, of either centre, are not one entry read backwards."""
    table = force_field().tables["angle-angle"]
    assert table["c", "c", "na", "c"] == (5.9412,) and table["c", "na", "c", "c"] == (0.4261,)


def dumped(path: Path, data: dict, changes: Iterable[tuple[str, str]] = ()) -> Path:
    text = yaml.safe_dump(data, sort_keys=False)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("polymer_name", "changes", "message"),
    [
        ("peo", [("    C1: c2\n", "    C1: c2\n    C1: c1\n")], "the key 'C1' stands twice"),
        ("peo", [("oc\n", "oc oc\n")], "single words"),
        ("peo", [("    H11: hc\n", ""), ("  - - C1\n    - H11\n", "")], "'C1' of type c2 has 3 of 4 bonds"),
        ("pet", [("source:", "torsions: [{bond: [P1, P2], 'angles [deg]': [0], weights: [1]}]\nsource:")], "part of a ring"),
        ("peo", [("source:", "torsions: [{bond: [C1, H11], 'angles [deg]': [0], weights: [1]}]\nsource:")], "nothing turns about it"),
        ("nylon66", [("  - C1\n  - C2\n  angles", "  - C3\n  - C2\n  angles")], "stands twice"),
    ],
)
def test_mistakes_in_a_file_are_one_error(polymer_name: str, changes: list, message: str, tmp_path: Path) -> None:
    data = described(polymer_name).model_dump()
    if not data["torsions"]:
        del data["torsions"]
    path = dumped(tmp_path / "wrong.yaml", data, changes)
    with pytest.raises(SettingsError, match=message) as caught:
        check_polymer(path, [ChainSettings(count=1, units=5)])
    assert str(path) in str(caught.value)


def test_a_chain_of_one_unit_has_one_type_for_each_atom(tmp_path: Path) -> None:
    data = described("polyethylene").model_dump()
    data["end"]["retype"] = {"C1": "c2"}
    told = read_description(dumped(tmp_path / "torn.yaml", data))
    assert build_chain(told, 2)
    with pytest.raises(SettingsError, match="a chain of one unit"):
        build_chain(told, 1)


def test_a_unit_may_be_one_atom() -> None:
    assert np.isfinite(grown(SULFUR, 2, 2, 20.0)[2]).all()
    with pytest.raises(SettingsError, match="'quartic_angle' for s - s - s"):
        assemble([build_chain(SULFUR, 3)], force_field(), None)


def test_a_chain_ends_somewhere() -> None:
    triangle = {"link": "A", "atoms": dict.fromkeys("ABC", "s"), "bonds": [[*"AB"], [*"BC"], [*"CA"]]}
    with pytest.raises(SettingsError, match="single bond"):
        build_chain(polymer({"S": "s"}, "", "S", "S", {"start": triangle, "end": triangle}), 2)
