"""A LAMMPS data file with every class 2 section, and the report of the terms that stand in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ecmpipe.cards import whole_file
from ecmpipe.errors import SettingsError
from ecmpipe.md.forcefield import ForceField, MissingTerm
from ecmpipe.md.topology import Chain, bond_charges, check_valences

Key = tuple[str, ...]

PAIRS = "Pair Coeffs # lj/class2/coul/long"

# cross terms that PCFF may leave out: section of the data file -> (method of the force field, how many leading numbers are the term itself)
CROSS_TERMS: dict[str, dict[str, tuple[str, int]]] = {
    "Angle": {"BondBond Coeffs": ("bond_bond", 1), "BondAngle Coeffs": ("bond_angle", 2)},
    "Dihedral": {
        "MiddleBondTorsion Coeffs": ("middle_bond_torsion", 3),
        "EndBondTorsion Coeffs": ("end_bond_torsion", 6),
        "AngleTorsion Coeffs": ("angle_torsion", 6),
        "AngleAngleTorsion Coeffs": ("angle_angle_torsion", 1),
        "BondBond13 Coeffs": ("bond_bond_13", 1),
    },
    "Improper": {"AngleAngle Coeffs": ("angle_angle", 3)},
}


@dataclass
class Terms:
    """One kind of bonded term: atoms per term, type number per term, the keys of the types."""

    atoms: list[tuple[int, ...]] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    keys: dict[Key, int] = field(default_factory=dict)

    def add(self, atoms: Sequence[int], types: Sequence[str]) -> None:
        key = tuple(types)
        self.kinds.append(self.keys.setdefault(key, len(self.keys) + 1))
        self.atoms.append(tuple(atoms))


@dataclass
class System:
    """Everything about a box but its positions. ``coefficients``: section of the data file -> type -> its numbers, in LAMMPS' order."""

    types: list[str]
    masses: dict[str, float] = field(default_factory=dict)
    charges: list[float] = field(default_factory=list)
    molecules: list[int] = field(default_factory=list)
    bonded: dict[str, Terms] = field(default_factory=lambda: {name: Terms() for name in ("Bond", "Angle", "Dihedral", "Improper")})
    coefficients: dict[str, dict[str, tuple[float, ...]]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def atoms(self) -> int:
        return len(self.types)

    @property
    def zero_cross_terms(self) -> dict[str, list[str]]:
        """By section, the types whose cross term PCFF leaves at zero."""
        widths = {section: width for kinds in CROSS_TERMS.values() for section, (_, width) in kinds.items()}
        zero = {
            section: [name for name, values in self.coefficients.get(section, {}).items() if not any(values[:width])]
            for section, width in widths.items()
        }
        return {section: names for section, names in zero.items() if names}


class _Looked:
    """Looks terms up and remembers which are missing, so that one error can name them all."""

    def __init__(self, force_field: ForceField) -> None:
        self.force_field = force_field
        self.missing: dict[str, None] = {}

    def __call__(self, function: Callable, *arguments: object) -> Any:
        try:
            return function(*arguments)
        except MissingTerm as error:
            self.missing[str(error)] = None
            return ()

    def refuse(self) -> None:
        """Raise a `SettingsError` of one line per missing term, if any is."""
        if self.missing:
            remedy = f"choose other PCFF types in the polymer description; {self.force_field.source} lists them"
            raise SettingsError("\n".join([*self.missing, remedy]))


def assemble(chains: Sequence[Chain], force_field: ForceField, linear_angle: float | None) -> System:
    """Number all atoms and terms and look their coefficients up.

    Torsions over an angle with a rest value above ``linear_angle`` [deg] are left out (None: none are). Types and terms that PCFF lacks
    are a `SettingsError` that names every one of them.
    """
    look = _Looked(force_field)
    system = System([name for chain in chains for name in chain.types])
    names = dict.fromkeys(system.types)
    system.masses |= {name: look(force_field.mass, name) for name in names}
    look.refuse()  # an unknown type is said before its bonds are counted, these before any term
    for chain in chains:
        check_valences(chain, force_field)
    system.coefficients[PAIRS] = {name: look(force_field.van_der_waals, name) for name in names}
    planar: set[Key] = set()
    for number, chain in enumerate(chains, start=1):
        offset = len(system.charges)
        system.charges.extend(look(bond_charges, chain, force_field) or [0.0] * len(chain.types))
        system.molecules.extend([number] * len(chain.types))
        for name, items in (
            ("Bond", chain.bonds),
            ("Angle", chain.angles()),
            ("Dihedral", chain.dihedrals()),
            ("Improper", chain.impropers()),
        ):
            for item in items:
                key = tuple(chain.types[index] for index in item)
                if name == "Improper":  # the order of its legs decides its angle-angle numbers, so it is kept
                    if len(chain.neighbours[item[1]]) == 3:
                        planar.add(key)
                elif key[::-1] < key:
                    item, key = item[::-1], key[::-1]
                if name == "Dihedral" and linear_angle is not None and look(_straight, force_field, key, linear_angle):
                    system.left_out["-".join(key)] = system.left_out.get("-".join(key), 0) + 1
                    continue
                system.bonded[name].add([offset + index for index in item], key)
    # a centre of four neighbours has no out-of-plane term, only angle-angle terms
    mains = {
        "Bond": force_field.bond,
        "Angle": force_field.angle,
        "Dihedral": force_field.torsion,
        "Improper": lambda key: force_field.out_of_plane(key) if key in planar else (0.0, 0.0),
    }
    for name, main in mains.items():
        crossed = {section: getattr(force_field, method) for section, (method, _) in CROSS_TERMS.get(name, {}).items()}
        for section, function in {f"{name} Coeffs # class2": main, **crossed}.items():
            if system.bonded[name].keys:
                system.coefficients[section] = {"-".join(key): look(function, key) for key in system.bonded[name].keys}
    look.refuse()
    return system


def write_data(path: Path, title: str, system: System, positions: np.ndarray, length: float) -> None:
    """Write ``path`` in LAMMPS' `full` style; ``positions`` [angstrom], shape (atoms, 3), unwrapped; ``length`` [angstrom]."""
    number = {name: index for index, name in enumerate(system.masses, start=1)}
    lines = [f"{title}", "", f"{system.atoms} atoms"]
    lines += [f"{len(terms.atoms)} {name.lower()}s" for name, terms in system.bonded.items()]
    lines += ["", f"{len(number)} atom types"]
    lines += [f"{len(terms.keys)} {name.lower()} types" for name, terms in system.bonded.items()]
    lines += ["", *(f"0.0 {length:.10f} {axis}lo {axis}hi" for axis in "xyz")]
    lines += ["", "Masses", "", *(f"{index} {system.masses[name]:.6f} # {name}" for name, index in number.items())]
    for section, rows in system.coefficients.items():
        numbered = (
            f"{index} " + " ".join(f"{value:.6f}" for value in row) + f" # {name}" for index, (name, row) in enumerate(rows.items(), 1)
        )
        lines += ["", section, "", *numbered]
    wrapped, images = np.mod(positions, length), np.floor_divide(positions, length).astype(int)
    lines += ["", "Atoms # full", ""]
    for index, (place, image) in enumerate(zip(wrapped, images, strict=True)):
        lines.append(
            f"{index + 1} {system.molecules[index]} {number[system.types[index]]} {system.charges[index]:.6f} "
            f"{place[0]:.8f} {place[1]:.8f} {place[2]:.8f} {image[0]} {image[1]} {image[2]}"
        )
    for name, terms in system.bonded.items():
        if terms.atoms:
            lines += ["", f"{name}s", ""]
            lines += [
                f"{count} {kind} " + " ".join(str(index + 1) for index in atoms)
                for count, (kind, atoms) in enumerate(zip(terms.kinds, terms.atoms, strict=True), start=1)
            ]
    with whole_file(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _straight(force_field: ForceField, key: Key, linear_angle: float) -> bool:
    return any(force_field.angle(part)[0] > linear_angle for part in (key[:3], key[1:]))
