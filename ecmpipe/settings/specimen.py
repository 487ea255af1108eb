"""Settings of a fracture specimen: a plate of one material, drawn until it breaks. One file, `inputs/specimens/`, describes one."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ecmpipe.settings.base import Count, Model, Number, existing_file
from ecmpipe.settings.fem import StaggerSettings

Box = Annotated[list[Number], Field(min_length=4, max_length=4)]
MOST_STEPS = 100_000  # of a load
Stretch = Annotated[list[Number], Field(min_length=3, max_length=3)]


class TensorGeometry(Model):
    """A grid of right-angled triangles: stretches ``[from, to, size]`` along both axes, boxes ``[x, y, x, y]`` cut out of it, and slits,
    lines of the grid whose sides part; where a slit ends within the plate is its tip."""

    shape: Literal["grid"]
    x: list[Stretch] = Field(alias="x [m]", min_length=1)
    y: list[Stretch] = Field(alias="y [m]", min_length=1)
    removed: list[Box] = Field(alias="removed [m]", default=[])
    slits: list[Box] = Field(alias="slits [m]", default=[])

    @model_validator(mode="after")
    def _stretches_follow_each_other(self) -> Self:
        for name, stretches in (("x [m]", self.x), ("y [m]", self.y)):
            for (start, end, size), following in zip(stretches, [*stretches[1:], None], strict=True):
                if not (end > start and 0 < size <= end - start):
                    raise ValueError(f"'{name}': [{start:g}, {end:g}, {size:g}] is no stretch; give from < to and a size that fits into it")
                if following is not None and following[0] != end:
                    raise ValueError(f"'{name}': a stretch ends at {end:g} and the next begins at {following[0]:g}; leave no gap")
        for slit in self.slits:
            if (slit[0] == slit[2]) == (slit[1] == slit[3]):
                raise ValueError(f"'slits [m]': {slit} must run along x or along y")
        return self


class SpecimenFile(Model):
    """A triangle mesh that meshio reads; ``scale`` turns its lengths into metres."""

    shape: Literal["file"]
    file: Annotated[str, AfterValidator(existing_file)]
    scale: Number = Field(alias="scale [m]", gt=0, le=1)


class SpecimenMaterial(Model):
    """One isotropic material; PF-CZM alone reads the strength."""

    youngs_modulus: Number = Field(alias="youngs_modulus [Pa]", gt=0)
    poisson_ratio: Number = Field(alias="poisson_ratio [1]", gt=-1, lt=0.5)
    toughness: Number = Field(alias="toughness [J.m-2]", gt=0)
    strength: Number = Field(alias="strength [Pa]", gt=0, default=1e9)


class Hold(Model):
    """Nodes within a box do not move along the ``directions``."""

    box: Box = Field(alias="box [m]")
    directions: list[Literal["x", "y"]] = Field(min_length=1)


class Load(Model):
    """Nodes within a box move along ``direction``, ``[to, step]`` after ``[to, step]``; negative ones the other way."""

    box: Box = Field(alias="box [m]")
    direction: Literal["x", "y"]
    path: list[Annotated[list[Number], Field(min_length=2, max_length=2)]] = Field(alias="path [m]", min_length=1)

    @model_validator(mode="after")
    def _steps_lead_on(self) -> Self:
        at = 0.0
        for to, step in self.path:
            if step == 0 or (to - at) / step <= 0:
                raise ValueError(f"'path [m]': steps of {step:g} do not lead from {at:g} to {to:g}")
            if (to - at) / step > MOST_STEPS:
                raise ValueError(
                    f"'path [m]': {(to - at) / step:.3g} steps from {at:g} to {to:g}, {MOST_STEPS} are too many; lengthen them"
                )
            at = to
        return self


class SpecimenSettings(StaggerSettings):
    """A specimen and its test; ``stop_below`` ends it when the force has fallen to that part of its peak."""

    title: str = Field(min_length=1, max_length=200)
    source: str = Field(min_length=1)
    geometry: TensorGeometry | SpecimenFile = Field(discriminator="shape")
    material: SpecimenMaterial
    model: Literal["AT2", "AT1", "PF-CZM"]
    split: Literal["none", "miehe"]
    length_scale: Number = Field(alias="length_scale [m]", gt=0)
    residual_stiffness: Number = Field(alias="residual_stiffness [1]", gt=0, le=1e-3)
    holds: list[Hold] = Field(min_length=1)
    load: Load
    most_staggers: Count = Field(alias="most_staggers [1]", ge=1)
    stop_below: Number = Field(alias="stop_below [1]", ge=0, lt=1)
