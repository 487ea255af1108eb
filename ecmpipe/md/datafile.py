"""A LAMMPS data file with every class 2 section, and the report of the terms that stand in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ecmpipe.cards import whole_file
from ecmpipe.md.forcefield import ForceField
from ecmpipe.md.topology import Chain, bond_charges

Key = tuple[str, ...]

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
    """Everything about a box but its positions."""

    types: list[str]
    charges: list[float]
    molecules: list[int]
    bonded: dict[str, Terms]
    left_out: dict[str, int]
    zero_cross_terms: dict[str, list[str]]

    @property
    def atoms(self) -> int:
        return len(self.types)


def assemble(chains: Sequence[Chain], force_field: ForceField, linear_angle: float | None) -> System:
    """Number all atoms and terms. Torsions over an angle with a rest value above ``linear_angle`` [deg] are left out (None: none are)."""
    types: list[str] = []
    charges: list[float] = []
    molecules: list[int] = []
    bonded = {name: Terms() for name in ("Bond", "Angle", "Dihedral", "Improper")}
    left_out: dict[str, int] = {}
    for number, chain in enumerate(chains, start=1):
        offset = len(types)
        for name in dict.fromkeys(chain.types):
            force_field.mass(name)  # an unknown type is said before any of its terms
        types.extend(chain.types)
        charges.extend(bond_charges(chain, force_field))
        molecules.extend([number] * len(chain.types))

        def add(name: str, items: Iterable[tuple[int, ...]], oriented: bool, chain: Chain = chain, offset: int = offset) -> None:
            for item in items:
                key = tuple(chain.types[index] for index in item)
                if oriented and key[::-1] < key:
                    item, key = item[::-1], key[::-1]
                if name == "Dihedral" and linear_angle is not None and _straight(force_field, key, linear_angle):
                    left_out["-".join(key)] = left_out.get("-".join(key), 0) + 1
                    continue
                bonded[name].add([offset + index for index in item], key)

        add("Bond", chain.bonds, True)
        add("Angle", chain.angles(), True)
        add("Dihedral", chain.dihedrals(), True)
        # the order of an improper's legs decides its angle-angle numbers, so it is kept
        add("Improper", chain.impropers(), False)
    zero = {
        section: absent
        for name, sections in CROSS_TERMS.items()
        for section, (method, width) in sections.items()
        if (absent := ["-".join(key) for key in bonded[name].keys if not any(getattr(force_field, method)(key)[:width])])
    }
    return System(types, charges, molecules, bonded, left_out, zero)


def write_data(path: Path, title: str, system: System, force_field: ForceField, positions: np.ndarray, length: float) -> None:
    """Write ``path`` in LAMMPS' `full` style; ``positions`` [angstrom], shape (atoms, 3), unwrapped; ``length`` [angstrom]."""
    names = list(dict.fromkeys(system.types))
    number = {name: index for index, name in enumerate(names, start=1)}
    lines = [f"{title}", "", f"{system.atoms} atoms"]
    lines += [f"{len(terms.atoms)} {name.lower()}s" for name, terms in system.bonded.items()]
    lines += ["", f"{len(names)} atom types"]
    lines += [f"{len(terms.keys)} {name.lower()} types" for name, terms in system.bonded.items()]
    lines += ["", *(f"0.0 {length:.10f} {axis}lo {axis}hi" for axis in "xyz")]
    lines += ["", "Masses", "", *(f"{index} {force_field.mass(name):.6f} # {name}" for name, index in number.items())]
    lines += [
        "",
        "Pair Coeffs # lj/class2/coul/long",
        "",
        *_numbered(names, lambda name: force_field.van_der_waals(name), lambda name: name),
    ]
    for name, terms in system.bonded.items():
        if not terms.keys:
            continue
        main = {"Bond": force_field.bond, "Angle": force_field.angle, "Dihedral": force_field.torsion}.get(name)
        sections = {f"{name} Coeffs # class2": main or (lambda key: _improper(force_field, system, key))}
        sections |= {section: getattr(force_field, method) for section, (method, _) in CROSS_TERMS.get(name, {}).items()}
        for section, coefficients in sections.items():
            lines += ["", section, "", *_numbered(terms.keys, coefficients, "-".join)]
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


def _numbered(keys: Iterable, coefficients: Callable, label: Callable) -> list[str]:
    return [
        f"{index} " + " ".join(f"{value:.6f}" for value in coefficients(key)) + f" # {label(key)}"
        for index, key in enumerate(keys, start=1)
    ]


def _improper(force_field: ForceField, system: System, key: Key) -> tuple[float, ...]:
    """An out-of-plane term belongs to centres of three neighbours; centres of four carry angle-angle terms only."""
    terms = system.bonded["Improper"]
    kind = terms.keys[key]
    centre = terms.atoms[terms.kinds.index(kind)][1]
    planar = sum(centre in atoms for atoms in system.bonded["Bond"].atoms) == 3
    return force_field.out_of_plane(key) if planar else (0.0, 0.0)


def _straight(force_field: ForceField, key: Key, linear_angle: float) -> bool:
    return any(force_field.angle(part)[0] > linear_angle for part in (key[:3], key[1:]))
