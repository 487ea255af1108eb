"""The description of a linear polymer: atoms with their PCFF types, bonds, ends, dihedral states. No polymer is known to the code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ecmpipe.settings.base import Model, Number, read_yaml, validate

Pair = Annotated[list[str], Field(min_length=2, max_length=2)]


class Group(Model):
    """Named atoms with their force-field types, and the bonds between them."""

    atoms: dict[str, str] = Field(min_length=1)
    bonds: list[Pair] = Field(default_factory=list)

    @model_validator(mode="after")
    def _joined(self) -> Self:
        for pair in self.bonds:
            for name in pair:
                if name not in self.atoms:
                    raise ValueError(f"the bond {pair} names '{name}', which is not among the atoms {list(self.atoms)}")
        if len({frozenset(pair) for pair in self.bonds}) != len(self.bonds) or any(first == second for first, second in self.bonds):
            raise ValueError("a bond stands twice, or joins an atom to itself")
        loose = set(self.atoms) - self._connected()
        if loose:
            raise ValueError(f"no bonds join {sorted(loose)} to '{next(iter(self.atoms))}'; the atoms must hang together")
        return self

    def _connected(self) -> set[str]:
        reached = {next(iter(self.atoms))}
        for _ in self.bonds:
            reached |= {name for pair in self.bonds if reached & set(pair) for name in pair}
        return reached


class Unit(Group):
    """The repeat unit; ``head`` bonds to the ``tail`` of the unit before."""

    head: str
    tail: str

    @model_validator(mode="after")
    def _ends(self) -> Self:
        for key in (self.head, self.tail):
            if key not in self.atoms:
                raise ValueError(f"head and tail must be atoms of the unit; '{key}' is not among {list(self.atoms)}")
        return self


class EndGroup(Group):
    """What closes a chain; ``retype`` changes types in the unit that it closes."""

    link: str
    retype: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _link(self) -> Self:
        if self.link not in self.atoms:
            raise ValueError(f"link '{self.link}' is not among the atoms {list(self.atoms)}")
        return self


class TorsionStates(Model):
    """Dihedral angles (IUPAC, trans = 180) that a chain bond is grown at, and how often."""

    bond: Pair
    angles: list[Number] = Field(alias="angles [deg]", min_length=1)
    weights: list[Annotated[Number, Field(ge=0)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.angles) != len(self.weights) or not sum(self.weights) > 0:
            raise ValueError("one weight per angle, at least one of them above zero")
        return self


class PolymerDescription(Model):
    """One file of ``inputs/polymers/``. ``tacticity`` is that of all centres with four different neighbours along the chain."""

    name: str
    source: str
    tacticity: Literal["atactic", "isotactic", "syndiotactic"] = "atactic"
    unit: Unit
    start: EndGroup
    end: EndGroup
    torsions: list[TorsionStates] = Field(default_factory=list)

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        names = {**self.start.atoms, **self.unit.atoms, **self.end.atoms}
        for states in self.torsions:
            for name in states.bond:
                if name not in names:
                    raise ValueError(f"torsions: '{name}' is no atom of this polymer; its atoms are {list(names)}")
        for group in (self.start, self.end):
            for name in group.retype:
                if name not in self.unit.atoms:
                    raise ValueError(f"retype: '{name}' is no atom of the unit; its atoms are {list(self.unit.atoms)}")
        return self


def read_description(path: Path) -> PolymerDescription:
    """Read and validate a description; a mistake is a `SettingsError` that names file and key."""
    return validate(PolymerDescription, read_yaml(path, "polymer description"), where=str(path))
