"""Settings of the MD stage: amorphous boxes with PCFF, their equilibration, and uniaxial pulls."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from ecmpipe.errors import SettingsError
from ecmpipe.settings.base import Count, Model, Name, Number, Step, existing_file, quantity, separate_words

if TYPE_CHECKING:
    from ecmpipe.settings import Settings

VERSION = 3
SAMPLE = 5  # time steps between two samples of an average
WINDOW = 50  # time steps in one row of the averages of an equilibration
SLOWER = 10  # time steps in the time constant of a bath, at least
ROUNDING = 0.01  # a duration may be this part off whole windows
MOST_UNITS = 1_000_000  # repeat units in a box; growth would never end
LONGEST_RUN = 2**31 - 1  # time steps that LAMMPS takes in one run

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

    duration: Number = Field(alias="duration [s]", ge=1e-14, le=1e-8)
    largest_drift: Number = Field(alias="largest_drift [J.s-1]", gt=0)


class LammpsSettings(Model):
    """How LAMMPS is run; the input scripts are the same. ``module``: in a child process; ``program``: ``[*command, "-in", ...]``."""

    run: Literal["module", "program"]
    command: Annotated[list[Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")]], AfterValidator(separate_words)] = Field(
        min_length=1
    )

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

    @model_validator(mode="after")
    def _baths_are_slower_than_a_step(self) -> Self:
        for name in ("thermostat_time", "barostat_time"):
            if getattr(self, name) < SLOWER * self.time_step:
                raise ValueError(
                    f"'{name} [s]' ({getattr(self, name):g}) must be at least {SLOWER} times 'time_step [s]' ({self.time_step:g})"
                )
        return self


class PushOffSettings(Model):
    """A soft repulsion that ends overlaps of the grown chains before PCFF is switched on."""

    cutoff: Number = Field(alias="cutoff [m]", gt=0, le=1e-9)
    strength: Annotated[list[Annotated[Number, Field(ge=0)]], Field(min_length=2, max_length=2)] = Field(alias="strength [J.mol-1]")
    duration: Number = Field(alias="duration [s]", gt=0, le=1e-10)
    time_step: Number = Field(alias="time_step [s]", gt=0, le=2e-15)
    temperature: Temperature = Field(alias="temperature [K]")
    largest_move: Number = Field(alias="largest_move [m]", gt=0, le=1e-10)


class StageSettings(Model):
    """One stage of an equilibration. ``limited`` is constant volume with a Langevin bath and a cap on each move."""

    name: str = Field(min_length=1, max_length=40, pattern=r"^[a-z0-9_]+$")
    ensemble: Literal["minimise", "limited", "nvt", "npt"]
    duration: Number = Field(alias="duration [s]", ge=0, le=1e-6, default=0)
    temperature: Annotated[list[Temperature], Field(min_length=2, max_length=2)] | None = Field(alias="temperature [K]", default=None)
    pressure: Annotated[list[Pressure], Field(min_length=2, max_length=2)] | None = Field(alias="pressure [Pa]", default=None)
    time_step: Number | None = Field(alias="time_step [s]", gt=0, le=2e-15, default=None)
    chunks: Count = Field(ge=1, le=10_000, default=1)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        moves, pressed = self.ensemble != "minimise", self.ensemble == "npt"
        read = {"duration [s]": moves, "temperature [K]": moves, "pressure [Pa]": pressed, "time_step [s]": moves, "chunks": moves}
        given = {key for key, value in self.model_dump(by_alias=True, exclude_defaults=True).items() if value is not None}
        for key in read:
            if key in given and not read[key]:
                raise ValueError(f"a stage '{self.ensemble}' does not read '{key}'; take it out")
            if key not in given and read[key] and key not in ("time_step [s]", "chunks"):
                raise ValueError(f"a stage '{self.ensemble}' needs '{key}'")
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
        units = sum(group.count * group.units for group in self.chains)
        if units > MOST_UNITS:
            raise ValueError(f"chains: {units} repeat units in a box, more than {MOST_UNITS}; take fewer")
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

    @field_validator("polymers", mode="before")
    @classmethod
    def _drop_unset(cls, value: Any) -> Any:
        # An overlay can take a polymer out with `polyamide: null`; deep merges cannot remove a key.
        return {name: polymer for name, polymer in value.items() if polymer is not None} if isinstance(value, dict) else value


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

    def steps(self, stage: StageSettings) -> int:
        """Time steps in one chunk of ``stage``, a multiple of `WINDOW`."""
        return WINDOW * max(1, round(stage.duration / (stage.time_step or self.dynamics.time_step) / stage.chunks / WINDOW))


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

    @property
    def window(self) -> int:
        """Time steps that a point of the curve averages over, a multiple of `SAMPLE`."""
        return SAMPLE * max(1, round(self.largest_strain / self.strain_rate / self.dynamics.time_step / self.points / SAMPLE))


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
    if any(found != wanted for found in zip(last.temperature, last.pressure, strict=True)):
        raise SettingsError(
            f"md.polymers.{polymer}.equilibration: the stage '{last.name}' is at {last.temperature} K and {last.pressure} Pa, the pulls "
            f"run at {wanted[0]:g} K and {wanted[1]:g} Pa (parameters.md); both ends of the last stage must be equal to that"
        )
    step = EquilibrateStep(
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
    for stage in stages:
        seconds = stage.time_step or step.dynamics.time_step
        as_run = step.steps(stage) * seconds * stage.chunks
        if stage.duration and abs(as_run / stage.duration - 1) > ROUNDING:
            raise SettingsError(
                f"md.polymers.{polymer}.equilibration: the stage '{stage.name}' lasts {stage.duration:g} s in {stage.chunks} chunks of "
                f"whole {WINDOW} time steps of {seconds:g} s, which make {as_run:g} s; give that duration or other chunks"
            )
        _runs_whole(f"md.polymers.{polymer}.equilibration: the stage '{stage.name}'", step.steps(stage))
    return step


def _runs_whole(what: str, steps: int) -> None:
    if steps > LONGEST_RUN:
        raise SettingsError(f"{what}: {steps:.3g} time steps in one chunk are more than LAMMPS takes ({LONGEST_RUN:.2g}); raise chunks")


def tensile_step(settings: Settings, polymer: str) -> TensileStep:
    """The slice of the settings that `ecmpipe.md.tensile` reads."""
    chosen = settings.md.polymers[polymer]
    step = TensileStep(
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
    as_run = chosen.largest_strain / (step.window * step.points * step.dynamics.time_step)
    if abs(as_run / chosen.strain_rate - 1) > ROUNDING:
        raise SettingsError(
            f"md.polymers.{polymer}: {chosen.points} points of whole {SAMPLE} time steps make 'strain_rate [s-1]' {as_run:.4g} where "
            f"{chosen.strain_rate:g} is set; change points or md.dynamics.'time_step [s]'"
        )
    _runs_whole(f"md.polymers.{polymer}: the pull", step.window * (step.points // step.chunks))
    return step
