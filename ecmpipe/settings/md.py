"""Settings of the MD stage: amorphous boxes with PCFF, their equilibration, and uniaxial pulls."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from ecmpipe.errors import SettingsError
from ecmpipe.settings.base import Count, Model, Name, Number, Step, existing_file, quantity

if TYPE_CHECKING:
    from ecmpipe.settings import Settings

VERSION = 2

Axis = Literal["x", "y", "z"]
TorsionMode = Literal["literal", "linear_safe"]
Temperature = Annotated[Number, Field(gt=0, le=2000)]
Pressure = Annotated[Number, Field(ge=-1e9, le=1e11)]


def _distinct(values: list) -> list:
    if len(set(values)) != len(values):
        raise ValueError("an entry stands twice; name each one once")
    return values


class MdParameters(Model):
    """Physical numbers of the MD stage."""

    temperature: quantity("K", gt=0, le=2000)
    pressure: quantity("Pa", ge=0, le=1e9)


class ChainSettings(Model):
    """``count`` chains of ``units`` repeat units each."""

    count: Count = Field(ge=1, le=10_000)
    units: Count = Field(ge=1, le=10_000)


class GrowthSettings(Model):
    """How chains are grown: candidate torsions per bond, of which the first with ``room`` is taken, else the roomiest.

    A place nearer than ``closest`` is never taken, but of atoms a few bonds along the same chain: the chain retreats, at most ``retreats``
    times before it starts anew elsewhere.
    """

    tries: Count = Field(ge=1, le=1000)
    room: Number = Field(alias="room [m]", gt=0, le=1e-9)
    closest: Number = Field(alias="closest [m]", gt=0, le=5e-10)
    retreats: Count = Field(ge=0, le=1_000_000)
    restarts: Count = Field(ge=1, le=1000)


class MinimiseSettings(Model):
    """Where an energy minimisation stops."""

    energy_tolerance: Number = Field(alias="energy_tolerance [1]", gt=0, le=1e-2)
    iterations: Count = Field(ge=1, le=1_000_000)


class EquilibriumSettings(Model):
    """When the last stage counts as equilibrated, and how often it is repeated until it does.

    ``discard`` of it is left out; in the rest the densities of the two ``halves`` may differ, and a straight line through the density
    rise or fall, by no more than these parts of the mean.
    """

    discard: Number = Field(alias="discard [1]", ge=0, le=0.9)
    halves: Number = Field(alias="halves [1]", gt=0, le=0.1)
    drift: Number = Field(alias="drift [1]", gt=0, le=0.1)
    extensions: Count = Field(ge=0, le=1000)


class ConservationSettings(Model):
    """A run at constant energy after the equilibration: how long, and what drift of an atom's energy is too much."""

    duration: Number = Field(alias="duration [s]", gt=0, le=1e-8)
    largest_drift: Number = Field(alias="largest_drift [J.s-1]", gt=0)


class LammpsSettings(Model):
    """How LAMMPS is run; the input scripts are the same. ``module``: in a child process; ``program``: ``[*command, "-in", ...]``."""

    run: Literal["module", "program"]
    command: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)

    @property
    def program(self) -> list[str] | None:
        """The command of the program, None for the module."""
        return self.command if self.run == "program" else None


class DynamicsSettings(Model):
    """What every run of every polymer shares."""

    time_step: Number = Field(alias="time_step [s]", gt=0, le=2e-15)
    cutoff: Number = Field(alias="cutoff [m]", ge=4e-10, le=3e-9)
    kspace_accuracy: Number = Field(alias="kspace_accuracy [1]", gt=0, le=1e-2)
    thermostat_time: Number = Field(alias="thermostat_time [s]", gt=0, le=1e-11)
    barostat_time: Number = Field(alias="barostat_time [s]", gt=0, le=1e-10)


class PushOffSettings(Model):
    """A soft repulsion that ends overlaps of the grown chains before PCFF is switched on."""

    cutoff: Number = Field(alias="cutoff [m]", gt=0, le=1e-9)
    strength: Annotated[list[Number], Field(min_length=2, max_length=2)] = Field(alias="strength [J.mol-1]")
    duration: Number = Field(alias="duration [s]", gt=0, le=1e-10)
    time_step: Number = Field(alias="time_step [s]", gt=0, le=2e-15)
    temperature: Temperature = Field(alias="temperature [K]")
    largest_move: Number = Field(alias="largest_move [m]", gt=0, le=1e-10)


class StageSettings(Model):
    """One stage of an equilibration. ``limited`` is constant volume with a Langevin bath and a cap on each move."""

    name: str = Field(min_length=1, pattern=r"^[a-z0-9_]+$")
    ensemble: Literal["minimise", "limited", "nvt", "npt"]
    duration: Number = Field(alias="duration [s]", ge=0, le=1e-6, default=0)
    temperature: Annotated[list[Temperature], Field(min_length=2, max_length=2)] | None = Field(alias="temperature [K]", default=None)
    pressure: Annotated[list[Pressure], Field(min_length=2, max_length=2)] | None = Field(alias="pressure [Pa]", default=None)
    time_step: Number | None = Field(alias="time_step [s]", gt=0, le=2e-15, default=None)
    chunks: Count = Field(ge=1, le=10_000, default=1)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needs_heat = self.ensemble != "minimise"
        needs_press = self.ensemble == "npt"
        for key, value, needed in (
            ("duration [s]", self.duration or None, needs_heat),
            ("temperature [K]", self.temperature, needs_heat),
            ("pressure [Pa]", self.pressure, needs_press),
        ):
            if needed and value is None:
                raise ValueError(f"a stage '{self.ensemble}' needs '{key}'")
            if not needed and value is not None:
                raise ValueError(f"a stage '{self.ensemble}' does not read '{key}'; take it out")
        return self


class PolymerSettings(Model):
    """One polymer: what it is, how large its box is, how it is relaxed and pulled."""

    description: Annotated[str, AfterValidator(existing_file)]
    chains: list[ChainSettings] = Field(min_length=1)
    torsions: TorsionMode
    growth_density: Number = Field(alias="growth_density [kg.m-3]", ge=50, le=2000)
    equilibration: list[StageSettings] = Field(min_length=1)
    strain_rate: Number = Field(alias="strain_rate [s-1]", gt=0, le=1e12)
    largest_strain: Number = Field(alias="largest_strain [1]", gt=0, le=2)
    decorrelation: Number = Field(alias="decorrelation [s]", ge=0, le=1e-8)
    chunks: Count = Field(ge=1, le=10_000)
    points: Count = Field(ge=4, le=100_000)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.points % self.chunks:
            raise ValueError(f"points ({self.points}) must be a multiple of chunks ({self.chunks})")
        _distinct([stage.name for stage in self.equilibration])
        if self.equilibration[-1].ensemble != "npt":
            raise ValueError("the last stage of the equilibration must be 'npt': it gives the density")
        return self


class MdSettings(Model):
    """Amorphous polymers. A polymer is pulled ``boxes`` (grown independently) x ``axes`` x ``replicas`` (new velocities) times."""

    seed: Count = Field(ge=1, le=2**31 - 1)
    axes: Annotated[list[Axis], Field(min_length=1), AfterValidator(_distinct)]
    boxes: Count = Field(ge=1, le=1000)
    replicas: Count = Field(ge=1, le=1000)
    lammps: LammpsSettings
    linear_angle: Number = Field(alias="linear_angle [deg]", gt=120, le=180)
    growth: GrowthSettings
    minimise: MinimiseSettings
    dynamics: DynamicsSettings
    push_off: PushOffSettings
    equilibrium: EquilibriumSettings
    conservation: ConservationSettings
    polymers: dict[Name, PolymerSettings] = Field(min_length=1)


class _MdStep(Step):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    seed: Count

    def identity(self, *more: str) -> str:
        """The hash of what decides a run's course: not how LAMMPS is launched, nor how its averages are judged. ``more``: its inputs."""
        chosen = self.model_dump(mode="json", exclude={"lammps", "equilibrium", "conservation"})
        return hashlib.sha256("\n".join([json.dumps(chosen, sort_keys=True), *more]).encode()).hexdigest()


class BuildStep(_MdStep):
    """What growing one box reads."""

    chains: list[ChainSettings]
    torsions: TorsionMode
    linear_angle: Number = Field(alias="linear_angle [deg]", gt=0)
    growth: GrowthSettings
    growth_density: Number = Field(alias="growth_density [kg.m-3]", gt=0)


class EquilibrateStep(_MdStep):
    """What relaxing one box reads."""

    lammps: LammpsSettings
    dynamics: DynamicsSettings
    minimise: MinimiseSettings
    push_off: PushOffSettings
    equilibrium: EquilibriumSettings
    conservation: ConservationSettings
    stages: list[StageSettings] = Field(min_length=1)


class TensileStep(_MdStep):
    """What one pull reads; box, axis and replica are its identity."""

    lammps: LammpsSettings
    dynamics: DynamicsSettings
    temperature: Number = Field(alias="temperature [K]", gt=0)
    pressure: Number = Field(alias="pressure [Pa]")
    strain_rate: Number = Field(alias="strain_rate [s-1]", gt=0)
    largest_strain: Number = Field(alias="largest_strain [1]", gt=0)
    decorrelation: Number = Field(alias="decorrelation [s]", ge=0)
    chunks: Count = Field(ge=1)
    points: Count = Field(ge=1)


def build_step(settings: Settings, polymer: str) -> BuildStep:
    """The slice of the settings that `ecmpipe.md.build` reads."""
    chosen = settings.md.polymers[polymer]
    return BuildStep(
        version=VERSION,
        seed=settings.md.seed,
        chains=chosen.chains,
        torsions=chosen.torsions,
        linear_angle=settings.md.linear_angle,
        growth=settings.md.growth,
        growth_density=chosen.growth_density,
    )


def equilibrate_step(settings: Settings, polymer: str) -> EquilibrateStep:
    """The slice of the settings that `ecmpipe.md.equilibrate` reads."""
    stages = settings.md.polymers[polymer].equilibration
    parameters = settings.parameters.md
    last, wanted = stages[-1], (parameters.temperature.value, parameters.pressure.value)
    found = (last.temperature[1], last.pressure[1])
    if found != wanted:
        raise SettingsError(
            f"md.polymers.{polymer}.equilibration: the stage '{last.name}' ends at {found[0]:g} K and {found[1]:g} Pa, the pulls run at "
            f"{wanted[0]:g} K and {wanted[1]:g} Pa (parameters.md); make them equal"
        )
    return EquilibrateStep(
        version=VERSION,
        seed=settings.md.seed,
        dynamics=settings.md.dynamics,
        minimise=settings.md.minimise,
        push_off=settings.md.push_off,
        equilibrium=settings.md.equilibrium,
        conservation=settings.md.conservation,
        lammps=settings.md.lammps,
        stages=stages,
    )


def tensile_step(settings: Settings, polymer: str) -> TensileStep:
    """The slice of the settings that `ecmpipe.md.tensile` reads."""
    chosen = settings.md.polymers[polymer]
    return TensileStep(
        version=VERSION,
        seed=settings.md.seed,
        lammps=settings.md.lammps,
        dynamics=settings.md.dynamics,
        temperature=settings.parameters.md.temperature.value,
        pressure=settings.parameters.md.pressure.value,
        strain_rate=chosen.strain_rate,
        largest_strain=chosen.largest_strain,
        decorrelation=chosen.decorrelation,
        chunks=chosen.chunks,
        points=chosen.points,
    )
