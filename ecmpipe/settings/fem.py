"""Settings of the finite-element stage: the cases, the geometry of the layered cell, the crack model, the time loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from ecmpipe.errors import SettingsError
from ecmpipe.settings.base import Count, Model, Number, Step, quantity

if TYPE_CHECKING:
    from ecmpipe.settings import Settings

VERSION = 1
NO_FILLER = "none"

Rates = Annotated[list[Annotated[Number, Field(ge=1e-3, le=1e3)]], Field(min_length=1)]


class FemParameters(Model):
    """The numbers of ``physics`` that no upstream stage computes; elastic constants and tables come from the DFT cards."""

    temperature: quantity("K", gt=0)
    diffusivity_cathode: quantity("m2.s-1", gt=0)
    diffusivity_lithium_ion: quantity("m2.s-1", gt=0)
    diffusivity_counter_charge: quantity("m2.s-1", gt=0)
    mobile_fraction: quantity("1", gt=0, lt=1)
    recombination_rate: quantity("m3.mol-1.s-1", gt=0)
    rate_constant_cathode: quantity("mol.m-2.s-1", gt=0)
    rate_constant_anode: quantity("mol.m-2.s-1", gt=0)
    transfer_coefficient_cathode: quantity("1", gt=0, lt=1)
    transfer_coefficient_anode: quantity("1", gt=0, lt=1)
    starting_lithium_content: quantity("1", gt=0, lt=1)
    cut_off_voltage: quantity("V", gt=0, le=10)
    interface_toughness: quantity("J.m-2", gt=0)
    length_scale: quantity("m", gt=0, le=1e-4)
    viscous_time: quantity("s", ge=0)
    residual_stiffness: quantity("1", gt=0, le=1e-3)
    opening_scale: quantity("m", gt=0, le=1e-6)
    floor_diffusion: quantity("1", gt=0, le=1e-1)
    floor_contact: quantity("1", gt=0, le=1e-1)
    filler_thickness_ratio: quantity("1", gt=0, lt=1)


class GeometrySettings(Model):
    """The layered cell: cathode, optional filler, electrolyte; the left side is a symmetry plane, the right one free."""

    cathode_thickness: Number = Field(alias="cathode_thickness [m]", gt=0, le=1e-3)
    electrolyte_thickness: Number = Field(alias="electrolyte_thickness [m]", gt=0, le=1e-3)
    width: Number = Field(alias="width [m]", gt=0, le=1e-3)
    band_half_width: Number = Field(alias="band_half_width [1]", ge=1, le=20, description="over the length scale")
    elements_per_length_scale: Number = Field(alias="elements_per_length_scale [1]", ge=1, le=32)
    largest_element: Number = Field(alias="largest_element [m]", gt=0, le=1e-3)
    growth: Number = Field(alias="growth [1]", gt=1, le=3, description="of neighbouring element heights outside the band")


class FractureSettings(Model):
    """The crack model. ``directional`` and ``elastic`` are the defaults for the reasons that README.md gives under Limits."""

    model: Literal["AT2"]
    band_split: Literal["directional", "miehe"]
    band_modulus: Literal["series", "own"] = Field(description="of the band: both neighbours in series, or each its own")
    bulk: Literal["elastic", "miehe"]
    gate: Literal["smooth", "d_only", "paper"]
    gate_start: Number = Field(alias="gate_start [1]", ge=0, lt=1, description="crack field where blocking begins")
    gate_end: Number = Field(alias="gate_end [1]", gt=0, le=1, description="crack field where blocking is complete")
    onset: Number = Field(alias="onset [1]", gt=0, lt=1, description="crack field on the interface that counts as the onset")

    @field_validator("gate_end")
    @classmethod
    def _ordered(cls, value: float, info: Any) -> float:
        start = info.data.get("gate_start")
        if start is not None and value <= start:
            raise ValueError(f"must lie above gate_start [1] = {start:g}")
        return value


class TimeSettings(Model):
    """Step control, in throughput Q = t C / 3600 so that one setting serves every C-rate."""

    step: Number = Field(alias="step [1]", gt=0, le=0.2)
    smallest_step: Number = Field(alias="smallest_step [1]", gt=0, le=0.2)
    largest_throughput: Number = Field(alias="largest_throughput [1]", gt=0, le=1)
    marks: list[Annotated[Number, Field(gt=0, lt=1)]] = Field(alias="marks [1]", description="throughputs that always get a frame")
    crack_limit: Number = Field(alias="crack_limit [1]", gt=0, le=1, description="largest growth of d in one step")
    growth: Number = Field(alias="growth [1]", gt=1, le=4)
    most_steps: Count = Field(alias="most_steps [1]", ge=1)

    @field_validator("smallest_step")
    @classmethod
    def _below_step(cls, value: float, info: Any) -> float:
        step = info.data.get("step")
        if step is not None and value > step:
            raise ValueError(f"must not lie above step [1] = {step:g}")
        return value


class SolverSettings(Model):
    """Tolerances and caps of the staggered loop and of the two Newton solvers."""

    crack_tolerance: Number = Field(alias="crack_tolerance [1]", gt=0, le=0.1)
    force_tolerance: Number = Field(alias="force_tolerance [1]", gt=0, le=1e-2)
    linear_tolerance: Number = Field(alias="linear_tolerance [1]", gt=0, le=0.1, description="of one Newton step of the displacement")
    charge_tolerance: Number = Field(alias="charge_tolerance [1]", gt=0, le=1e-6)
    over_relaxation: Number = Field(alias="over_relaxation [1]", ge=1, lt=2, description="of d in the staggered loop")
    most_staggers: Count = Field(alias="most_staggers [1]", ge=1)
    most_staggers_in_jump: Count = Field(alias="most_staggers_in_jump [1]", ge=1)
    most_newton: Count = Field(alias="most_newton [1]", ge=1)
    checkpoint_every: Count = Field(alias="checkpoint_every [1]", ge=1, description="accepted steps")
    most_frames: Count = Field(alias="most_frames [1]", ge=4, le=200)


class FemSettings(Model):
    """Everything a user sets about the finite-element stage."""

    c_rates: dict[str, Rates] = Field(alias="c_rates [h-1]", min_length=1)
    geometry: GeometrySettings
    toughness: Literal["given", "computed"] = Field(description="of the interface: the parameter, or the work of adhesion of the DFT stage")
    fracture: FractureSettings
    top: Literal["clamped"]
    time: TimeSettings
    solver: SolverSettings

    @field_validator("c_rates", mode="before")
    @classmethod
    def _drop_unset(cls, value: Any) -> Any:
        # An overlay can take a filler out with `pdms: null`; deep merges cannot remove a key.
        if not isinstance(value, dict):
            return value
        empty = [key for key, rates in value.items() if rates == []]
        if empty:
            raise ValueError(f"'{empty[0]}' has an empty list; give at least one C-rate above 0, or write null to leave it out")
        return {key: rates for key, rates in value.items() if rates is not None}

    @field_validator("c_rates")
    @classmethod
    def _distinct(cls, value: dict[str, list[float]]) -> dict[str, list[float]]:
        for filler, rates in value.items():
            texts = [rate_text(rate) for rate in rates]
            odd = [rate for rate, text in zip(rates, texts, strict=True) if float(text) != rate]
            if odd:
                raise ValueError(f"the C-rate {odd[0]!r} of '{filler}' has more than six digits; it names a folder, so round it")
            if len(set(texts)) < len(texts):
                raise ValueError(f"the C-rates of '{filler}' hold the same rate twice: {', '.join(texts)}; write each once")
        return value


class ParametersStep(Step):
    """Reads: the parameters of the stage and the lengths of the cell."""

    parameters: FemParameters
    geometry: GeometrySettings


class RunStep(Step):
    """Reads: mesh, crack model, loop. Numbers of the physics come through ``parameters.json``, the C-rate as identity."""

    geometry: GeometrySettings
    fracture: FractureSettings
    top: Literal["clamped"]
    time: TimeSettings
    solver: SolverSettings


def parameters_step(settings: Settings, filler: str) -> ParametersStep:
    """The step that writes ``results/fem/{filler}/parameters.json``."""
    return ParametersStep(version=VERSION, parameters=settings.parameters.fem, geometry=settings.fem.geometry)


def run_step(settings: Settings, filler: str, c_rate: str | float) -> RunStep:
    """The step that runs one case; other C-rates of the list do not enter."""
    fem = settings.fem
    return RunStep(version=VERSION, geometry=fem.geometry, fracture=fem.fracture, top=fem.top, time=fem.time, solver=fem.solver)


def cases(settings: Settings) -> list[tuple[str, str]]:
    """All (filler, C-rate text) pairs, in the order of the settings."""
    return [(filler, rate_text(rate)) for filler, rates in settings.fem.c_rates.items() for rate in rates]


def rate_text(rate: float) -> str:
    """A C-rate as it stands in a path: 1, 0.5, 10."""
    return f"{float(rate):g}"


def check_fillers(fem: FemSettings, polymers: Any) -> None:
    """Every filler is ``none`` or a polymer that the MD stage makes; else a `SettingsError`."""
    if NO_FILLER in polymers:
        raise SettingsError(f"md.polymers.{NO_FILLER}: this name stands for the cell without filler; give the polymer another name")
    for filler in fem.c_rates:
        if filler != NO_FILLER and filler not in polymers:
            known = ", ".join([NO_FILLER, *polymers])
            raise SettingsError(f"fem.c_rates [h-1].{filler}: unknown filler; known here: {known}; add it to md.polymers or remove it")
