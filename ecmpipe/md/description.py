"""The description of a linear polymer: atoms with their PCFF types, bonds, ends, dihedral states. No polymer is known to the code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import networkx
from pydantic import AfterValidator, Field, model_validator

from ecmpipe.settings.base import Model, Number, PlainLoader, read_yaml, validate


def _word(value: str) -> str:
    if len(value.split()) != 1 or value != value.strip():
        raise ValueError("names and types are single words")
    return value


def _line(value: str) -> str:
    if len(value.splitlines()) != 1:
        raise ValueError("write it on one line")
    return value


Word = Annotated[str, AfterValidator(_word)]
Pair = Annotated[list[Word], Field(min_length=2, max_length=2)]


class Group(Model):
    """Named atoms with their force-field types, and the bonds between them."""

    atoms: dict[Word, Word] = Field(min_length=1)
    bonds: list[Pair] = Field(default_factory=list)

    @model_validator(mode="after")
    def _joined(self) -> Self:
        for pair in self.bonds:
            for name in pair:
                if name not in self.atoms:
                    raise ValueError(f"the bond {pair} names '{name}', which is not among the atoms {list(self.atoms)}")
        twice = [pair for number, pair in enumerate(self.bonds) if pair[0] == pair[1] or {*pair} in map(set, self.bonds[:number])]
        if twice:
            raise ValueError(f"the bond {twice[0]} stands twice, or joins an atom to itself")
        first = next(iter(self.atoms))
        graph = networkx.Graph(self.bonds)
        graph.add_nodes_from(self.atoms)
        loose = set(self.atoms) - networkx.node_connected_component(graph, first)
        if loose:
            raise ValueError(f"no bonds join {sorted(loose)} to '{first}'; the atoms must hang together")
        return self


class Unit(Group):
    """The repeat unit; ``head`` bonds to the ``tail`` of the unit before."""

    head: Word
    tail: Word

    @model_validator(mode="after")
    def _ends(self) -> Self:
        for key in (self.head, self.tail):
            if key not in self.atoms:
                raise ValueError(f"head and tail must be atoms of the unit; '{key}' is not among {list(self.atoms)}")
        return self


class EndGroup(Group):
    """What closes a chain; ``retype`` changes types in the unit that it closes."""

    link: Word
    retype: dict[Word, Word] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _link(self) -> Self:
        if self.link not in self.atoms:
            raise ValueError(f"link '{self.link}' is not among the atoms {list(self.atoms)}")
        return self


class TorsionStates(Model):
    """Dihedral angles (IUPAC, trans = 180) that a chain bond is grown at, and how often.

    The angle is that of the chain; off the chain it counts from and to the neighbours that the description names first.
    """

    bond: Pair
    angles: list[Annotated[Number, Field(ge=-360, le=360)]] = Field(alias="angles [deg]", min_length=1)
    weights: list[Annotated[Number, Field(ge=0)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.angles) != len(self.weights) or not sum(self.weights) > 0:
            raise ValueError("one weight per angle, at least one of them above zero")
        return self


class PolymerDescription(Model):
    """One file of ``inputs/polymers/``. ``tacticity`` is that of all centres with four different neighbours along the chain."""

    name: Annotated[str, AfterValidator(_line)]
    source: str = Field(min_length=1)
    tacticity: Literal["atactic", "isotactic", "syndiotactic"] = "atactic"
    unit: Unit
    start: EndGroup
    end: EndGroup
    torsions: list[TorsionStates] = Field(default_factory=list)

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for group in (self.start, self.end):
            for name in group.retype:
                if name not in self.unit.atoms:
                    raise ValueError(f"retype: '{name}' is no atom of the unit; its atoms are {list(self.unit.atoms)}")
        return self

    @model_validator(mode="after")
    def _states_can_be_grown(self) -> Self:
        graph = self._two_units()
        loose = set(networkx.bridges(graph))
        given: set[tuple[str, ...]] = set()
        for states in self.torsions:
            said = f"torsions: the bond {states.bond}"
            here = [(one, two) for one, two in graph.edges if {one[1], two[1]} == {*states.bond}]
            if not here:
                raise ValueError(f"{said} is none of this polymer; name two atoms that are bonded")
            if not any((one, two) in loose or (two, one) in loose for one, two in here):
                raise ValueError(f"{said} is part of a ring, which is put down whole; take it out")
            if all(graph.degree[one] == 1 or graph.degree[two] == 1 for one, two in here):
                raise ValueError(f"{said} ends at an atom without other neighbours, so nothing turns about it; take it out")
            # the bond between two units may have the names of one inside a unit; only their order tells the two apart
            two_bonds = {*states.bond} == {self.unit.tail, self.unit.head} and {*states.bond} in map(set, self.unit.bonds)
            if tuple(states.bond) in given or (tuple(states.bond[::-1]) in given and not two_bonds):
                raise ValueError(f"{said} stands twice")
            given.add(tuple(states.bond))
        return self

    def _two_units(self) -> networkx.Graph:
        """All bonds of a chain of two units between (group, name)."""
        graph = networkx.Graph()
        groups = {"start": self.start, "unit": self.unit, "next": self.unit, "end": self.end}
        for key, group in groups.items():
            graph.add_nodes_from((key, name) for name in group.atoms)
            graph.add_edges_from(((key, first), (key, second)) for first, second in group.bonds)
        graph.add_edge(("start", self.start.link), ("unit", self.unit.head))
        graph.add_edge(("unit", self.unit.tail), ("next", self.unit.head))
        graph.add_edge(("next", self.unit.tail), ("end", self.end.link))
        return graph


def read_description(path: Path) -> PolymerDescription:
    """Read and validate a description; a mistake is a `SettingsError` that names file and key."""
    # atoms may be called NO or 1: every word is taken as it stands
    return validate(PolymerDescription, read_yaml(path, "polymer description", PlainLoader), where=str(path))
