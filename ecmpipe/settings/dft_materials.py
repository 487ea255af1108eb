"""Settings of the crystals that the DFT stage works on: what to build and what to calculate of each."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ecmpipe.settings.base import Count, Model, Name, Number, existing_file

Pair = Annotated[str, Field(pattern=r"^[A-Z][a-z]?-[A-Z][a-z]?$", description="two species, as P-S")]

LARGEST_CELL = 30  # copies of a cell in a supercell, in a slab's plane or across it
VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")


Bond = Annotated[Number, Field(gt=0, le=5)]
Atoms = Annotated[Count, Field(ge=0, le=2000)]
Whole = Annotated[Count, Field(ge=-50, le=50)]
Repeat = Annotated[Count, Field(ge=1, le=50)]
Charge = Annotated[Number, Field(ge=-4, le=7)]


class Kpoints(Model):
    """A k-point grid and its scheme."""

    scheme: Literal["monkhorst", "gamma"]
    grid: Annotated[list[Repeat], Field(min_length=3, max_length=3)]


class BulkSettings(Model):
    """The bulk cell's k-points, which strains and delithiated cells take too; ``rattle`` moves its atoms off their symmetry."""

    kpoints: Kpoints
    rattle: Number = Field(alias="rattle [angstrom]", default=0.0, ge=0, le=0.5)


class SlabSettings(Model):
    """Slabs of one cut: ``in_plane`` combines the two shortest in-plane vectors (shortest first) into a and b.

    ``cut`` says of what: the undecorated ``parent``, whose slab is decorated afterwards (a slab of a decorated crystal has
    unlike faces), or the ``ordered`` bulk. The thickest of ``layers`` is the result, the others show its convergence.
    """

    miller: Annotated[list[Whole], Field(min_length=3, max_length=3)]
    layers: Annotated[list[Repeat], Field(min_length=1)]
    in_plane: Annotated[list[Annotated[list[Whole], Field(min_length=2, max_length=2)]], Field(min_length=2, max_length=2)]
    cut: Literal["parent", "ordered"]
    intact: dict[Pair, Bond] = Field(alias="intact bonds [angstrom]", default_factory=dict)
    vacuum: Number = Field(alias="vacuum [angstrom]", ge=5, le=100)
    kpoints: Kpoints

    @model_validator(mode="after")
    def _rising(self) -> SlabSettings:
        if sorted(set(self.layers)) != self.layers:
            raise ValueError(f"layers must rise without repeats, {self.layers} given")
        (a, b), (c, d) = self.in_plane
        if not 1 <= abs(a * d - b * c) <= LARGEST_CELL or self.layers[-1] > LARGEST_CELL:
            raise ValueError(f"in_plane {self.in_plane} and layers {self.layers} must each make 1 to {LARGEST_CELL} cells")
        return self


class DelithiationSettings(Model):
    """The compositions, as Li atoms removed from the cell of ``of`` Li atoms.

    ``orderings``: how many Li orderings of each, by rising Ewald energy, are relaxed; the engine's lowest counts.
    """

    of: Repeat
    orderings: Annotated[Count, Field(ge=1, le=20)]
    removed: Annotated[list[Annotated[Count, Field(ge=0, le=500)]], Field(min_length=2)]
    reference: Name
    reference_kpoints: Kpoints
    points: Annotated[Count, Field(ge=11, le=2001)]
    smallest_slope: Number = Field(alias="smallest slope of the potential [V]", gt=0, le=0.5)

    @model_validator(mode="after")
    def _both_ends(self) -> DelithiationSettings:
        if sorted(set(self.removed)) != self.removed or self.removed[0] != 0 or self.removed[-1] != self.of:
            raise ValueError(f"removed must rise from 0 to {self.of} without repeats, {self.removed} given")
        if self.reference[2:3].isdigit():
            raise ValueError(f"reference {self.reference} could be the name of a delithiated run; take another")
        return self


class StrainSettings(Model):
    """The strains of the elastic constants, on each of the six Voigt modes."""

    magnitudes: Annotated[list[Annotated[Number, Field(ge=-0.05, le=0.05)]], Field(min_length=2)]
    modes: Annotated[list[Literal["xx", "yy", "zz", "yz", "xz", "xy"]], Field(min_length=1)] = list(VOIGT)

    @model_validator(mode="after")
    def _both_signs(self) -> StrainSettings:
        if 0 in self.magnitudes or min(self.magnitudes) > 0 or max(self.magnitudes) < 0:
            raise ValueError(f"magnitudes must hold both signs and no zero, {self.magnitudes} given")
        for key in ("magnitudes", "modes"):
            names = [f"{each:g}" if key == "magnitudes" else each for each in getattr(self, key)]
            if len(set(names)) < len(names):
                raise ValueError(f"{key} names one twice, {getattr(self, key)} given")
        return self


class MaterialSettings(Model):
    """One crystal: what to build of it and what to calculate.

    ``arrangements``: how many distinct arrangements of ``sites``, by rising Ewald energy, the engine ranks.
    """

    crystal: Annotated[str, AfterValidator(existing_file)]
    supercell: Annotated[list[Repeat], Field(min_length=3, max_length=3)]
    sites: dict[str, dict[str, Atoms]]
    charges: dict[str, Charge]
    arrangements: Annotated[Count, Field(ge=1, le=50)]
    compensating: str | None = None
    closest: dict[Pair, Bond] = Field(alias="closest pairs [angstrom]", default_factory=dict)
    moments: dict[str, Number] = Field(alias="initial moments [bohr_magneton]", default_factory=dict)
    more_u: dict[str, Annotated[Number, Field(ge=0, le=20)]] = Field(alias="more Hubbard U [eV]", default_factory=dict)
    potentials: dict[str, str]
    formula_units: Repeat
    bulk: BulkSettings
    slab: SlabSettings
    delithiation: DelithiationSettings | None = None
    strains: StrainSettings

    @model_validator(mode="after")
    def _species(self) -> MaterialSettings:
        if math.prod(self.supercell) > LARGEST_CELL:
            raise ValueError(f"supercell {self.supercell} has more than {LARGEST_CELL} cells; take fewer")
        for key in ("moments", "potentials", "more_u"):
            foreign = set(getattr(self, key)) - set(self.charges)
            if foreign:
                raise ValueError(f"{key} names {sorted(foreign)}, the charges name {sorted(self.charges)}")
        if self.delithiation and self.formula_units != self.delithiation.of:
            raise ValueError(
                f"formula_units ({self.formula_units}) must be delithiation.of ({self.delithiation.of}), the Li sites of the cell: "
                "the cell's capacity counts one Li per formula unit"
            )
        missing = set(self.charges) - set(self.potentials)
        if missing:
            raise ValueError(f"potentials lacks {sorted(missing)}")
        return self
