"""Chains as graphs: atoms, bonds and everything that PCFF attaches a term to."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import networkx

from ecmpipe.errors import SettingsError
from ecmpipe.md.description import PolymerDescription
from ecmpipe.md.forcefield import ForceField

MOST_NEIGHBOURS = 4


@dataclass
class Chain:
    """One molecule. ``names`` are those of the description; ``units`` say which repeat unit an atom belongs to, ends to their neighbour."""

    names: list[str]
    types: list[str]
    bonds: list[tuple[int, int]]
    units: list[int]
    neighbours: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.neighbours = [[] for _ in self.names]
        for first, second in self.bonds:
            self.neighbours[first].append(second)
            self.neighbours[second].append(first)

    @cached_property
    def rings(self) -> dict[int, frozenset[int]]:
        """Atom -> the ring system it belongs to: what hangs together without the bonds that are in no ring."""
        graph = networkx.Graph(self.bonds)
        graph.remove_edges_from(list(networkx.bridges(graph)))
        systems = (frozenset(atoms) for atoms in networkx.connected_components(graph) if len(atoms) > 1)
        return {atom: system for system in systems for atom in system}

    def ring_of(self, atom: int) -> frozenset[int] | None:
        """The ring system of ``atom``, None when it is in no ring."""
        return self.rings.get(atom)

    def angles(self) -> list[tuple[int, int, int]]:
        """All i-j-k with i < k."""
        return [(i, j, k) for j, around in enumerate(self.neighbours) for i, k in combinations(sorted(around), 2)]

    def dihedrals(self) -> list[tuple[int, int, int, int]]:
        """All i-j-k-l about every bond j-k."""
        return [
            (i, j, k, l)
            for j, k in self.bonds
            for i in self.neighbours[j]
            if i != k
            for l in self.neighbours[k]  # noqa: E741
            if l not in (j, i)
        ]

    def impropers(self) -> list[tuple[int, int, int, int]]:
        """Every three neighbours of a centre, which stands second: one for 3 neighbours, four for 4."""
        return [(i, j, k, l) for j, around in enumerate(self.neighbours) for i, k, l in combinations(sorted(around), 3)]  # noqa: E741


def build_chain(description: PolymerDescription, units: int) -> Chain:
    """Start group, ``units`` repeat units, end group."""
    names: list[str] = []
    types: list[str] = []
    bonds: list[tuple[int, int]] = []
    numbers: list[int] = []

    def add(group, retype: dict[str, str], number: int) -> dict[str, int]:
        index = {name: len(names) + count for count, name in enumerate(group.atoms)}
        names.extend(group.atoms)
        types.extend(retype.get(name, kind) for name, kind in group.atoms.items())
        bonds.extend((index[first], index[second]) for first, second in group.bonds)
        numbers.extend([number] * len(group.atoms))
        return index

    start = add(description.start, {}, 0)
    joint = start[description.start.link]
    for number in range(units):
        retype = {**(description.start.retype if number == 0 else {}), **(description.end.retype if number == units - 1 else {})}
        unit = add(description.unit, retype, number)
        bonds.append((joint, unit[description.unit.head]))
        joint = unit[description.unit.tail]
    end = add(description.end, {}, units - 1)
    bonds.append((joint, end[description.end.link]))
    chain = Chain(names, types, bonds, numbers)
    crowded = next((index for index, around in enumerate(chain.neighbours) if len(around) > MOST_NEIGHBOURS), None)
    if crowded is not None:
        raise SettingsError(
            f"{description.name}: atom '{names[crowded]}' has {len(chain.neighbours[crowded])} bonds, {MOST_NEIGHBOURS} are supported; "
            "see its bonds and the links of the ends"
        )
    return chain


def bond_charges(chain: Chain, force_field: ForceField) -> list[float]:
    """Charges by PCFF's bond increments [e]; a chain whose sum is not zero is refused."""
    charges = [
        sum(force_field.increment(kind, chain.types[other]) for other in chain.neighbours[index]) for index, kind in enumerate(chain.types)
    ]
    if abs(sum(charges)) > 1e-6:
        raise SettingsError(
            f"a chain carries {sum(charges):+.4f} e by bond increments; the force-field types of its atoms do not fit together"
        )
    return charges
