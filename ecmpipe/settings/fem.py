"""Settings of the finite-element stage: the cases, the geometry of the layered cell, the crack model, the time loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from ecmpipe.errors import SettingsError
from ecmpipe.settings.base import Count, Model, Name, Number, Step, existing_file, merge, validate
from ecmpipe.settings.fem_parameters import FemParameters

if TYPE_CHECKING:
    from ecmpipe.settings import Settings

VERSION = 4
NO_FILLER = "none"
DEFAULT = "default"

Rates = Annotated[list[Annotated[Number, Field(ge=1e-3, le=1e3)]], Field(min_length=1)]


class _Geometry(Model):
    band_half_width: Number = Field(alias="band_half_width [1]", ge=1, le=20, description="over the length scale")
    elements_per_length_scale: Number = Field(alias="elements_per_length_scale [1]", ge=1, le=32)


class _Graded(_Geometry):
    largest_element: Number = Field(alias="largest_element [m]", gt=0, le=1e-3)
    growth: Number = Field(alias="growth [1]", gt=1, le=3, description="of neighbouring element heights outside the band")


class LayeredGeometry(_Graded):
    """The layered cell: cathode, electrolyte, and a filler between them or behind the lithium; the left side is a symmetry plane."""

    shape: Literal["layered"]
    cathode_thickness: Number = Field(alias="cathode_thickness [m]", gt=0, le=1e-3)
    electrolyte_thickness: Number = Field(alias="electrolyte_thickness [m]", gt=0, le=1e-3)
    width: Number = Field(alias="width [m]", gt=0, le=1e-3)
    filler_place: Literal["between", "behind"]

    @property
    def lengths(self) -> dict[str, float]:
        """By name in ``parameters.json``, in m."""
        return {name: getattr(self, name) for name in ("cathode_thickness", "electrolyte_thickness", "width")}

    @property
    def thickness(self) -> float | None:
        """Cathode area over interface length (m)."""
        return self.cathode_thickness


class ParticleGeometry(_Graded):
    """A round cathode particle in a square of electrolyte, a quarter of it; the filler is a shell on the particle."""

    shape: Literal["particle"]
    radius: Number = Field(alias="radius [m]", gt=0, le=1e-3)
    half_width: Number = Field(alias="half_width [m]", gt=0, le=1e-3)

    @property
    def lengths(self) -> dict[str, float]:
        """By name in ``parameters.json``, in m."""
        return {"particle_radius": self.radius, "matrix_half_width": self.half_width}

    @property
    def thickness(self) -> float | None:
        """Cathode area over interface length (m)."""
        return self.radius / 2


class FileGeometry(_Geometry):
    """A mesh with named physical groups, e.g. of gmsh; ``scale`` turns its lengths into metres."""

    shape: Literal["file"]
    file: Annotated[str, AfterValidator(existing_file)]
    scale: Number = Field(alias="scale [m]", gt=0, le=1)

    @property
    def lengths(self) -> dict[str, float]:
        """None are known before the file is read."""
        return {}

    @property
    def thickness(self) -> float | None:
        """Unknown before the file is read."""
        return None


Geometry = Annotated[LayeredGeometry | ParticleGeometry | FileGeometry, Field(discriminator="shape")]


class FractureSettings(Model):
    """The crack model. ``directional`` and ``elastic`` are the defaults for the reasons that README.md gives under Limits."""

    model: Literal["AT2", "AT1", "PF-CZM"]
    band_split: Literal["directional", "miehe"]
    band_modulus: Literal["series", "own"] = Field(description="of the band: both neighbours in series, or each its own")
    bulk: Literal["elastic", "miehe"]
    gate: Literal["smooth", "d_only", "paper"]
    gate_start: Number = Field(alias="gate_start [1]", ge=0, lt=1, description="crack field where blocking begins")
    gate_end: Number = Field(alias="gate_end [1]", gt=0, le=1, description="crack field where blocking is complete")
    onset: Number = Field(alias="onset [1]", gt=0, lt=1, description="crack field on the interface that counts as the onset")

    @model_validator(mode="after")
    def _strength_is_of_the_interface(self) -> Self:
        if self.model == "PF-CZM" and "miehe" in (self.bulk, self.band_split):
            raise ValueError(
                "'bulk: miehe' and 'band_split: miehe' cannot go with PF-CZM, whose strength is that of a traction on the interface; "
                "set bulk: elastic and band_split: directional"
            )
        return self

    @field_validator("gate_end")
    @classmethod
    def _ordered(cls, value: float, info: Any) -> float:
        start = info.data.get("gate_start")
        if start is not None and value <= start:
            raise ValueError(f"must lie above gate_start [1] = {start:g}")
        return value


class TopSettings(Model):
    """What holds the top: nothing moves, a rigid plate under ``pressure`` (positive presses), or the pressure itself."""

    hold: Literal["clamped", "platen", "pressure"]
    pressure: Number = Field(alias="pressure [Pa]", ge=0, le=1e9)

    @model_validator(mode="after")
    def _clamped_takes_no_pressure(self) -> Self:
        if self.hold == "clamped" and self.pressure:
            raise ValueError(f"'pressure [Pa]' ({self.pressure:g}) cannot act on a clamped top; set hold: platen, or the pressure to 0")
        return self


class PhaseSettings(Model):
    """One part of the protocol: at ``rate`` (of the case where null) until its cut-off, or for ``duration``, whichever comes first."""

    do: Literal["charge", "rest", "discharge"]
    rate: Number | None = Field(alias="rate [h-1]", gt=0, le=1e3, default=None)
    duration: Number | None = Field(alias="duration [s]", gt=0, le=1e8, default=None)

    @model_validator(mode="after")
    def _rest_needs_a_duration(self) -> Self:
        if self.do == "rest" and (self.duration is None or self.rate is not None):
            raise ValueError("a rest needs 'duration [s]' and no 'rate [h-1]'")
        return self


class TimeSettings(Model):
    """Step control, in t C / 3600 so that one setting serves every C-rate; ``largest_throughput`` is of one charge or discharge."""

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


class StaggerSettings(Model):
    """When displacement and crack agree, and how they are brought to it."""

    crack_tolerance: Number = Field(alias="crack_tolerance [1]", gt=0, le=0.1)
    force_tolerance: Number = Field(alias="force_tolerance [1]", gt=0, le=1e-2)
    linear_tolerance: Number = Field(alias="linear_tolerance [1]", gt=0, le=0.1, description="of one Newton step of the displacement")
    over_relaxation: Number = Field(alias="over_relaxation [1]", ge=1, lt=2, description="of d in the staggered loop")


class SolverSettings(StaggerSettings):
    """Tolerances and caps of the staggered loop and of the two Newton solvers."""

    charge_tolerance: Number = Field(alias="charge_tolerance [1]", gt=0, le=1e-6)
    most_staggers: Count = Field(alias="most_staggers [1]", ge=1)
    most_staggers_in_jump: Count = Field(alias="most_staggers_in_jump [1]", ge=1)
    most_newton: Count = Field(alias="most_newton [1]", ge=1)
    checkpoint_every: Count = Field(alias="checkpoint_every [1]", ge=1, description="accepted steps")
    most_frames: Count = Field(alias="most_frames [1]", ge=4, le=200)


class CaseSettings(Model):
    """Everything a user sets about one kind of case."""

    geometry: Geometry
    toughness: Literal["given", "computed", "calibrated"] = Field(
        description="of the interface: the parameter, the DFT stage's work of adhesion, or what brings the bare default cell's onset at 1C "
        "to onset_throughput"
    )
    fracture: FractureSettings
    top: TopSettings
    protocol: list[PhaseSettings] = Field(min_length=1, max_length=1000)
    time: TimeSettings
    solver: SolverSettings

    @field_validator("geometry", mode="before")
    @classmethod
    def _other_shapes_are_not_read(cls, value: Any) -> Any:
        # An overlay that changes the shape cannot take the keys of the old one out.
        shapes = {get_args(model.model_fields["shape"].annotation)[0]: model for model in get_args(get_args(Geometry)[0])}
        if not isinstance(value, dict) or value.get("shape") not in list(shapes):
            return value
        keys = {shape: {field.alias or name for name, field in model.model_fields.items()} for shape, model in shapes.items()}
        foreign = set().union(*keys.values()) - keys[value["shape"]]
        return {key: item for key, item in value.items() if key not in foreign}


class FemSettings(CaseSettings):
    """The default case, its ``variants`` as overlays over it (``parameters`` over the numbers of the stage), and which ``cases`` run.

    ``cases`` by variant and filler are lists of C-rates; `DEFAULT` names the settings without an overlay.
    """

    cases: dict[Name, dict[Name, Rates] | None] = Field(alias="cases [h-1]", min_length=1)
    variants: dict[Name, dict[str, Any]]

    @field_validator("cases", mode="before")
    @classmethod
    def _drop_unset(cls, value: Any) -> Any:
        # An overlay can take a variant or a filler out with `pdms: null`; deep merges cannot remove a key.
        if not isinstance(value, dict):
            return value
        kept: dict[str, Any] = {}
        for variant, fillers in value.items():
            if not isinstance(fillers, dict):
                if fillers is not None:
                    kept[variant] = fillers
                continue
            for filler, rates in fillers.items():
                if rates == []:
                    raise ValueError(f"'{variant}.{filler}' has an empty list; give at least one C-rate above 0, or null to leave it out")
            kept[variant] = {filler: rates for filler, rates in fillers.items() if rates is not None}
        return {variant: fillers for variant, fillers in kept.items() if fillers}

    @field_validator("cases")
    @classmethod
    def _distinct(cls, value: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, list[float]]]:
        for variant, fillers in value.items():
            for filler, rates in fillers.items():
                texts = [rate_text(rate) for rate in rates]
                odd = [rate for rate, text in zip(rates, texts, strict=True) if float(text) != rate]
                if odd:
                    raise ValueError(
                        f"the C-rate {odd[0]!r} of '{variant}.{filler}' has more than six digits; it names a folder, so round it"
                    )
                if len(set(texts)) < len(texts):
                    raise ValueError(f"the C-rates of '{variant}.{filler}' hold the same rate twice: {', '.join(texts)}; write each once")
        return value

    @model_validator(mode="after")
    def _variants_are_cases(self) -> Self:
        if DEFAULT in self.variants:
            raise SettingsError(
                f"fem.variants.{DEFAULT}: this name stands for the settings without an overlay; give the variant another name"
            )
        for name in self.cases:
            if name != DEFAULT and name not in self.variants:
                known = ", ".join([DEFAULT, *self.variants])
                raise SettingsError(f"fem.cases [h-1].{name}: unknown variant; known here: {known}; add it to fem.variants")
        return self


class ParametersStep(Step):
    """Reads: the parameters of the stage and the lengths of the cell."""

    parameters: FemParameters
    geometry: Geometry


class RunStep(Step):
    """Reads: mesh, crack model, protocol, loop. Numbers of the physics come through ``parameters.json``, the C-rate as identity."""

    geometry: Geometry
    fracture: FractureSettings
    top: TopSettings
    protocol: list[PhaseSettings]
    time: TimeSettings
    solver: SolverSettings

    def files(self) -> list[str]:
        """The mesh, where it is one's own."""
        return [self.geometry.file] if isinstance(self.geometry, FileGeometry) else []


def variant_settings(settings: Settings, variant: str) -> tuple[CaseSettings, FemParameters]:
    """The settings and the numbers of ``variant``; an overlay that makes no valid case is a `SettingsError`."""
    base = settings.fem.model_dump(exclude={"cases", "variants"})
    numbers = settings.parameters.fem
    if variant == DEFAULT:
        return validate(CaseSettings, base), numbers
    over = dict(settings.fem.variants[variant])
    where = f"fem.variants.{variant}"
    parameters = over.pop("parameters", None)
    if parameters is not None:
        merged = merge(numbers.model_dump(), parameters) if isinstance(parameters, dict) else parameters
        numbers = validate(FemParameters, merged, where=f"{where}.parameters")
    return validate(CaseSettings, merge(base, over), where=where), numbers


class CalibrateStep(Step):
    """Reads: what the bare default cell reads."""

    reading: ParametersStep
    run: RunStep

    def files(self) -> list[str]:
        """What the run reads."""
        return self.run.files()


def calibrate_step(settings: Settings) -> CalibrateStep:
    """The step that writes ``results/fem/toughness.json``; it charges, whatever the protocol."""
    run = run_step(settings, DEFAULT).model_copy(update={"protocol": [PhaseSettings(do="charge")]})
    return CalibrateStep(version=VERSION, reading=parameters_step(settings, DEFAULT), run=run)


def parameters_step(settings: Settings, variant: str) -> ParametersStep:
    """The step that writes ``results/fem/{variant}/{filler}/parameters.json``."""
    case, numbers = variant_settings(settings, variant)
    return ParametersStep(version=VERSION, parameters=numbers, geometry=case.geometry)


def run_step(settings: Settings, variant: str) -> RunStep:
    """The step that runs the cases of one variant; fillers and C-rates do not enter."""
    case, _ = variant_settings(settings, variant)
    return RunStep(version=VERSION, **{name: getattr(case, name) for name in RunStep.model_fields if name != "version"})


def toughness_of(settings: Settings, variant: str) -> str:
    """Where the toughness of ``variant`` comes from: given, computed or calibrated."""
    return variant_settings(settings, variant)[0].toughness


def mesh_files(settings: Settings, variant: str) -> list[str]:
    """The mesh file that ``variant`` reads, if any."""
    geometry = variant_settings(settings, variant)[0].geometry
    return [geometry.file] if isinstance(geometry, FileGeometry) else []


def cases(settings: Settings) -> list[tuple[str, str, str]]:
    """All (variant, filler, C-rate text), in the order of the settings."""
    return [
        (variant, filler, rate_text(rate))
        for variant, fillers in settings.fem.cases.items()
        for filler, rates in fillers.items()
        for rate in rates
    ]


def rate_text(rate: float) -> str:
    """A C-rate as it stands in a path: 1, 0.5, 10."""
    return f"{float(rate):g}"


def check_fillers(fem: FemSettings, polymers: Any) -> None:
    """Every filler is ``none`` or a polymer that the MD stage makes; else a `SettingsError`."""
    if NO_FILLER in polymers:
        raise SettingsError(f"md.polymers.{NO_FILLER}: this name stands for the cell without filler; give the polymer another name")
    for variant, fillers in fem.cases.items():
        for filler in fillers:
            if filler != NO_FILLER and filler not in polymers:
                known = ", ".join([NO_FILLER, *polymers])
                where = f"fem.cases [h-1].{variant}.{filler}"
                raise SettingsError(f"{where}: unknown filler; known here: {known}; add it to md.polymers or remove it")
