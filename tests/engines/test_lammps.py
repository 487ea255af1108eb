"""The physics that decks rely on: stress, energies term by term against an independent program."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from ecmpipe.engines.lammps import force_field_file
from ecmpipe.engines.lammps_worker import open_lammps
from ecmpipe.md.deck import after_data, before_data
from ecmpipe.settings.md import DynamicsSettings
from tests.md.boxes import data_file, described, force_field, grown, methyl_capped_polyamide

DYNAMICS = DynamicsSettings.model_validate(
    {
        "time_step [s]": 1e-15,
        "cutoff [m]": 7e-10,
        "kspace_accuracy [1]": 1e-4,
        "thermostat_time [s]": 1e-13,
        "barostat_time [s]": 1e-12,
    }
)


@pytest.mark.parametrize(("polymer", "units"), [("pdms", 8), ("polyamide", 5)])
def test_stress_per_atom_s32_equals_the_pressure_tensor(polymer: str, units: int, tmp_path: Path) -> None:
    data = data_file(tmp_path / "system.data", described(polymer), 1, units, 16.0, 150)
    engine = open_lammps(["-screen", "none", "-log", "none", "-nocite"])
    commands = [*before_data(), f"read_data {data}", *after_data(DYNAMICS, []), "pair_modify tail no", "velocity all create 300 11"]
    names = [f"s{number}" for number in range(1, 7)]
    commands += ["compute s all stress/atom NULL", "compute total all reduce sum " + " ".join(f"c_s[{k}]" for k in range(1, 7))]
    commands += [f"variable {name} equal -c_total[{number}]/vol" for number, name in enumerate(names, start=1)]
    commands += ["thermo_style custom step pxx pyy pzz pxy pxz pyz " + " ".join(f"v_{name}" for name in names), "run 0"]
    try:
        for command in commands:
            engine.command(command)
        pressure = np.array([engine.get_thermo(name) for name in ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")])
        virial = np.array([engine.extract_variable(name) for name in names])
    finally:
        engine.close()
    # S.32 gives stress = -pressure; the sum over atoms is stress times volume
    assert np.abs(pressure).min() > 1
    assert np.allclose(virial, pressure, atol=0.01)


ENERGIES = ("ebond", "eangle", "edihed", "eimp", "evdwl")


def energies(path: Path) -> dict[str, float]:
    engine = open_lammps(["-screen", "none", "-log", "none", "-nocite"])
    styles = [f"{kind}_style class2" for kind in ("bond", "angle", "dihedral", "improper")]
    commands = ["units real", "atom_style full", *styles, "pair_style lj/class2/coul/cut 9.0", "special_bonds lj/coul 0 0 1"]
    commands += [f"read_data {path}", "pair_modify mix sixthpower", f"thermo_style custom step {' '.join(ENERGIES)}", "run 0"]
    try:
        for command in commands:
            engine.command(command)
        return {name: engine.get_thermo(name) for name in ENERGIES}
    finally:
        engine.close()


def write_biosym(folder: Path, chains, positions: np.ndarray, length: float) -> None:
    """The .car and .mdf pair that msi2lmp reads; every molecule is one residue."""
    car = ["!BIOSYM archive 3", "PBC=ON", "test", "!DATE", f"PBC {length:9.4f} {length:9.4f} {length:9.4f} 90.0000 90.0000 90.0000 (P1)"]
    mdf = ["!BIOSYM molecular_data 4", "", "#topology", ""]
    columns = "element atom_type charge_group isotope formal_charge charge switching_atom oop_flag chirality_flag occupancy "
    columns += "xray_temp_factor connections"
    mdf += [f"@column {number} {name}" for number, name in enumerate(columns.split(), start=1)]
    offset = 0
    for number, chain in enumerate(chains, start=1):
        labels = [f"A{index + 1}" for index in range(len(chain.types))]
        mdf += ["", f"@molecule M{number}", ""]
        for index, kind in enumerate(chain.types):
            x, y, z = positions[offset + index]
            element = force_field().elements[kind]
            car.append(f"{labels[index]:<5} {x:14.9f} {y:14.9f} {z:14.9f} XXXX {number:<6} {kind:<7} {element:<2} {0:6.3f}")
            joined = " ".join(labels[other] for other in chain.neighbours[index])
            mdf.append(f"XXXX_{number}:{labels[index]:<8} {element:<2} {kind:<7} ? 0 0 0.0000 0 0 8 1.0000 0.0000 {joined}")
        car.append("end")
        offset += len(chain.types)
    (folder / "box.car").write_text("\n".join([*car, "end", ""]), encoding="utf-8")
    (folder / "box.mdf").write_text("\n".join([*mdf, "", "#end", ""]), encoding="utf-8")


def _swap_rest_angles(text: str) -> str:
    head, rest = text.split("AngleAngle Coeffs", 1)
    table = re.match(r"[^\n]*\n\n((?:\s*\d[^\n]*\n)+)", rest)
    rows = [row.split("#")[0].split() for row in table.group(1).splitlines()]
    swapped = "\n".join(" ".join([*row[:5], row[6], row[5]]) for row in rows) + "\n"
    return head + "AngleAngle Coeffs" + rest.replace(table.group(1), swapped, 1)


def test_angle_angle_energy_is_the_closed_form(tmp_path: Path) -> None:
    """Every pair of angles that share a leg couples by PCFF's entry for that leg, about the rest angles of just these two."""
    field, length = force_field(), 24.0
    chains, system, positions = grown(methyl_capped_polyamide(), 1, 6, length)
    places = positions + np.random.default_rng(2).normal(0, 0.04, positions.shape)
    types, around = chains[0].types, chains[0].neighbours

    def bend(first: int, centre: int, last: int) -> float:
        u, v = places[first] - places[centre], places[last] - places[centre]
        angle = np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))
        return angle - np.radians(field.angle((types[first], types[centre], types[last]))[0])

    table, expected = field.tables["angle-angle"], 0.0
    for centre, legs in enumerate(around):
        for shared in legs:
            for first, last in combinations([leg for leg in legs if leg != shared], 2):
                names = [field.equivalence[types[index]]["oop"] for index in (first, centre, shared, last)]
                number = table.get(tuple(names), table.get((names[3], names[1], names[2], names[0]), (0.0,)))[0]
                expected += number * bend(first, centre, shared) * bend(shared, centre, last)
    path = data_file(tmp_path / "own.data", methyl_capped_polyamide(), 1, 6, length)
    text = path.read_text()
    planar = re.search(r"Improper Coeffs # class2\n\n((?:\d[^\n]*\n)+)", text).group(1)
    flat = "".join(f"{row.split()[0]} 0.0 0.0\n" for row in planar.splitlines())
    path.write_text(text.replace(planar, flat, 1))
    assert abs(expected) > 0.01
    assert energies(path)["eimp"] == pytest.approx(expected, rel=1e-5)


def typed_twice(folder: Path, description, count: int, units: int, length: float) -> tuple[Path, Path]:
    """The same displaced box as a data file of ours and one of msi2lmp, an independent program that reads pcff.frc itself.

    msi2lmp writes the rest angles 2 and 3 of AngleAngle in another order than LAMMPS reads them, which is undone here; the closed form
    above shows which order is right.
    """
    program = next((path for path in force_field_file("pcff.frc").parents[3].glob("msi2lmp")), None)
    if program is None:
        pytest.skip("this LAMMPS has no msi2lmp")
    chains, _, positions = grown(description, count, units, length)
    own = data_file(folder / "own.data", description, count, units, length)
    moved = positions + np.random.default_rng(2).normal(0, 0.04, positions.shape)
    write_biosym(folder, chains, moved, length)
    command = [str(program), "box", "-class", "II", "-frc", str(force_field_file("pcff.frc")), "-nocenter", "-i", "-p", "1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert (folder / "box.data").is_file(), done.stdout[-2000:] + done.stderr[-500:]
    (folder / "swapped.data").write_text(_swap_rest_angles((folder / "box.data").read_text()))
    return own, folder / "swapped.data"


def agree(own: Path, theirs: Path) -> list[str]:
    """The energies that do not agree to 1e-5."""
    ours, others = energies(own), energies(theirs)
    assert abs(ours["edihed"]) > 1 and abs(ours["ebond"]) > 10
    return [name for name in ENERGIES if ours[name] != pytest.approx(others[name], rel=1e-5, abs=1e-4)]


BOXES = {"pdms": (2, 10, 24.0), "peo": (2, 15, 22.0), "pvdf": (2, 15, 22.0), "polypropylene": (2, 12, 24.0), "polyethylene": (2, 15, 24.0)}


@pytest.mark.parametrize("polymer", [*BOXES, "methyl-capped polyamide"])
def test_energies_agree_with_msi2lmp(polymer: str, tmp_path: Path) -> None:
    description = described(polymer) if polymer in BOXES else methyl_capped_polyamide()
    assert agree(*typed_twice(tmp_path, description, *BOXES.get(polymer, (2, 10, 24.0)))) == []


def rows_of(text: str, section: str) -> tuple[int, list[str]]:
    """Where the rows of a section of a data file begin, and the rows."""
    title = re.search(rf"^{section}[^\n]*\n\n", text, re.MULTILINE)
    return title.end(), re.match(r"(?:[^\n]+\n)+", text[title.end() :]).group(0).splitlines()


def zeroed(path: Path, labelled: str, section: str, chosen: Callable[[list[str]], bool]) -> Path:
    """A copy of a data file in which types of ``section``, chosen by their labels in ``labelled``, count nothing."""
    text = path.read_text()
    kinds = {row.split()[0] for row in rows_of(text, labelled)[1] if chosen(row.partition("#")[2].strip().split("-"))}
    start, rows = rows_of(text, section)
    changed = [
        " ".join([row.split()[0], *["0.0"] * (len(row.split("#")[0].split()) - 1)]) if row.split()[0] in kinds else row for row in rows
    ]
    copy = path.with_name(f"{section.split()[0]}_{path.name}")
    copy.write_text(text[:start] + "\n".join(changed) + text[start + len("\n".join(rows)) :])
    return copy


@pytest.mark.parametrize(
    ("polymer", "size"), [("polyamide", (1, 16, 24.0)), ("nylon66", (1, 8, 24.0)), ("pmma", (2, 8, 24.0)), ("pet", (2, 5, 26.0))]
)
def test_the_two_known_exceptions_of_msi2lmp(polymer: str, size: tuple, tmp_path: Path) -> None:
    """What is left of the differences: two terms, by name.

    It takes PCFF's torsion for any ends, `* c_1 o_2 *`, before the listed ones of their equivalents (ester: o_1 c_1 o_2 c; acid:
    c c_1 o_2 ho2), and it leaves out the angle-angle terms of an sp3 amine N.
    """
    own, theirs = typed_twice(tmp_path, described(polymer), *size)
    amine = polymer in ("polyamide", "nylon66")
    assert agree(own, theirs) == (["edihed", "eimp"] if amine else ["edihed"])
    for section, chosen in (
        (("Dihedral Coeffs", "Dihedral Coeffs"), lambda names: {*names[1:3]} == {"c_1", "o_2"}),
        (("Improper Coeffs", "AngleAngle Coeffs"), lambda names: names[1:2] == ["na"]),
    ):
        own, theirs = (zeroed(path, *section, chosen) for path in (own, theirs))
    assert agree(own, theirs) == []
