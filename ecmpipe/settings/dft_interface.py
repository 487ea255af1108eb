"""Settings of the explicit interface of two materials: which cells are matched, where they are set down, how far they are drawn apart."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ecmpipe.settings.base import Model, Name, Number
from ecmpipe.settings.dft_materials import Bond, Kpoints, Pair, Repeat

Face = Literal["lower", "upper"]


class InterfaceLayers(Model):
    """Layers of each slab."""

    cathode: Repeat
    electrolyte: Repeat


class InterfaceSettings(Model):
    """A coherent interface of the two materials' slabs; the electrolyte takes all the strain.

    ``faces`` of the electrolyte slab that touch the cathode; ``registries``: a grid of in-plane shifts over the cathode's
    surface cell, the best of which is relaxed; ``contact``: the nearest distance across before relaxation.
    """

    cathode: Name
    electrolyte: Name
    layers: InterfaceLayers
    faces: Annotated[list[Face], Field(min_length=1, max_length=2)]
    largest_area: Number = Field(alias="largest area [angstrom2]", gt=10, le=1000)
    largest_strain: Number = Field(alias="largest strain [1]", gt=0, le=0.2)
    registries: Annotated[list[Annotated[Repeat, Field(le=10)]], Field(min_length=2, max_length=2)]
    contact: Number = Field(alias="contact [angstrom]", ge=1, le=5)
    separations: Annotated[list[Annotated[Number, Field(gt=0, le=50)]], Field(min_length=4)] = Field(alias="separations [angstrom]")
    vacuum: Number = Field(alias="vacuum [angstrom]", ge=10, le=100)
    forbidden: dict[Pair, Bond] = Field(alias="forbidden bonds [angstrom]", default_factory=dict)
    kpoints: Kpoints

    @model_validator(mode="after")
    def _consistent(self) -> InterfaceSettings:
        names = [f"{each:g}" for each in self.separations]
        if sorted(self.separations) != self.separations or len(set(names)) < len(names):
            raise ValueError(f"separations [angstrom] must rise without repeats, {self.separations} given")
        if self.separations[-1] > self.vacuum / 2 - 4:  # half of the vacuum lies on that side, and the dipole correction's plane in it
            raise ValueError(f"vacuum [angstrom] must be twice the largest separation and 8 more, {self.vacuum:g} given")
        if len(set(self.faces)) != len(self.faces):
            raise ValueError(f"faces names one twice: {self.faces}")
        if self.cathode == self.electrolyte:
            raise ValueError(f"cathode and electrolyte are both '{self.cathode}'")
        return self
