"""Chains as graphs: atoms, bonds and everything that PCFF attaches a term to."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import networkx

from ecmpipe.errors import SettingsError
from ecmpipe.md.description import PolymerDescription
from ecmpipe.md.forcefield import ForceField


@dataclass
class Chain:
    """One molecule. ``names`` are those of the description; ``units`` count the repeat units from 0, the start group is -1, the end
    group one more than the last unit."""

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

    @cached_property
    def cycles(self) -> list[list[int]]:
        """The smallest rings, each in the order around it."""
        graph = networkx.Graph(self.bonds)
        found = (cycle for system in dict.fromkeys(self.rings.values()) for cycle in networkx.minimum_cycle_basis(graph.subgraph(system)))
        # a smallest ring has no chord, so a walk through its own bonds goes around it
        return [list(networkx.dfs_preorder_nodes(graph.subgraph(cycle), min(cycle))) for cycle in found]

    def within(self, atom: int, bonds: int) -> set[int]:
        """``atom`` and all that are at most so many bonds away; a ring system counts as one atom."""
        found = edge = {atom, *self.rings.get(atom, ())}
        for _ in range(bonds):
            edge = {other for index in edge for other in self.neighbours[index]} - found
            edge |= {other for index in edge for other in self.rings.get(index, ())}
            found = found | edge
        return found

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

    start = add(description.start, {}, -1)
    joint = start[description.start.link]
    ends = description.start.retype, description.end.retype
    torn = [name for name, kind in ends[0].items() if ends[1].get(name, kind) != kind]
    if units == 1 and torn:
        raise SettingsError(f"a chain of one unit: start and end retype {torn} differently; make the chains longer, or the types equal")
    for number in range(units):
        retype = {**(ends[0] if number == 0 else {}), **(ends[1] if number == units - 1 else {})}
        unit = add(description.unit, retype, number)
        bonds.append((joint, unit[description.unit.head]))
        joint = unit[description.unit.tail]
    end = add(description.end, {}, units)
    bonds.append((joint, end[description.end.link]))
    chain = Chain(names, types, bonds, numbers)
    if min(map(len, chain.neighbours)) > 1:
        raise SettingsError("every atom has two bonds or more; growth needs one with a single bond, best in the start group")
    return chain


def check_valences(chain: Chain, force_field: ForceField) -> None:
    """Refuse a chain with an atom that has more or fewer bonds than PCFF says of its type."""
    odd: dict[str, None] = {}
    for name, kind, around in zip(chain.names, chain.types, chain.neighbours, strict=True):
        wanted = force_field.connections[kind]
        if len(around) != wanted:
            odd[f"atom '{name}' of type {kind} has {len(around)} of {wanted} bonds"] = None
    if odd:
        raise SettingsError("\n".join([*odd, "see the atoms and bonds about it, and the links of the ends, or choose another type"]))


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
