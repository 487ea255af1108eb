"""Settings of the DFT stage, and the steps of the workflow made of them.

A run is one calculation (``li12``, ``strain_xx_0.005``, ``slab``); a batch is what one job calculates: a group of runs
(``jobs_per: group``) or a single one (``jobs_per: run``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from ecmpipe.errors import SettingsError
from ecmpipe.settings.base import Count, Model, Name, Number, Step, quantity
from ecmpipe.settings.dft_materials import Kpoints, MaterialSettings

if TYPE_CHECKING:
    from ecmpipe.settings import Settings

VERSION = 1

Group = Literal["relaxation", "strains", "surface"]
System = Literal["bulk", "surface"]


def _factory(name: str) -> str:
    module, colon, function = name.partition(":")
    if not (colon and function.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise ValueError("write it as module:factory, for example ase.calculators.emt:EMT")
    return name


class Tolerances(Model):
    """When a relaxation has converged, by kind; the stress counts where the cell relaxes."""

    bulk: Number = Field(alias="bulk [eV.angstrom-1]", gt=0, le=1)
    delithiation: Number = Field(alias="delithiation [eV.angstrom-1]", gt=0, le=1)
    strains: Number = Field(alias="strains [eV.angstrom-1]", gt=0, le=1)
    surface: Number = Field(alias="surface [eV.angstrom-1]", gt=0, le=1)
    stress: Number = Field(alias="stress [GPa]", gt=0, le=100)
    steps: Annotated[Count, Field(ge=1, le=10000)]


class Calculator(Model):
    """Any ASE calculator: ``factory`` as module:function, called with ``arguments``."""

    factory: Annotated[str, AfterValidator(_factory)]
    arguments: dict[str, Any] = Field(default_factory=dict)


class AseSettings(Model):
    """The engine ``ase``."""

    calculator: Calculator
    optimiser: Literal["BFGS", "LBFGS", "FIRE", "FIRE2"]


class VaspSettings(Model):
    """The engine ``vasp``: its command, and what custodian may do."""

    command: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    max_errors: Annotated[Count, Field(ge=0, le=50)]
    functional: str
    incar: dict[str, int | float | str | bool | list[float]] = Field(default_factory=dict)
    polling: Number = Field(alias="polling [s]", gt=0, le=3600)


class DftSettings(Model):
    """Everything a user can set in the DFT stage."""

    engine: Literal["ase", "vasp"]
    jobs_per: Literal["group", "run"]
    ase: AseSettings
    vasp: VaspSettings
    tolerances: Tolerances
    materials: Annotated[dict[Name, MaterialSettings], Field(min_length=1)]


class DftParameters(Model):
    """The printed numbers of the DFT calculations."""

    hubbard_u_mn: quantity("eV", ge=0, le=20)
    hubbard_u_co: quantity("eV", ge=0, le=20)
    hubbard_u_ni: quantity("eV", ge=0, le=20)
    cutoff_energy: quantity("eV", ge=100, le=3000)
    vacuum: quantity("angstrom", ge=5, le=100)


class StructuresStep(Step):
    """What decides a material's starting structures; no electronic setting."""

    supercell: list[int]
    sites: dict[str, dict[str, int]]
    charges: dict[str, float]
    compensating: str | None
    closest: dict[str, float]
    slab: dict[str, Any]
    vacuum: float
    of: int | None
    removed: list[int]
    reference: str | None


class VaspInput(Model):
    """The electronic settings of one system."""

    hubbard_u: dict[str, float]
    cutoff_energy: float
    moments: dict[str, float]
    potentials: dict[str, str]
    functional: str
    incar: dict[str, int | float | str | bool | list[float]]
    kpoints: Kpoints


class InputsStep(Step):
    """What decides the VASP input files of one named system."""

    electronic: VaspInput
    tolerance: float
    steps: int


class Task(Model):
    """One calculation of a batch; ``tolerance`` in eV/A, ``stress`` in GPa (None: the cell is fixed).

    ``kpoints`` takes the place of the system's own where it is given; ``rattle`` in A.
    """

    name: str
    kind: Literal["bulk", "delithiated", "reference", "strain", "slab"]
    tolerance: float
    stress: float | None = None
    mode: str | None = None
    strain: float | None = None
    kpoints: Kpoints | None = None
    rattle: float = 0.0


class RunStep(Step):
    """What decides the results of one batch, the engine included."""

    engine: Literal["ase", "vasp"]
    ase: AseSettings | None
    vasp: VaspSettings | None
    electronic: VaspInput
    steps: int
    tasks: list[Task]


class DelithiationStep(Step):
    """What the delithiation curve reads besides its runs; ``repeats``: conventional cells in the basal plane."""

    of: int
    reference: str
    points: int
    smallest_slope: float
    formula_units: int
    repeats: int


class CrystalStep(Step):
    """What the crystal card reads besides its run."""

    bulk: str
    formula_units: int


class ElasticStep(Step):
    """What the elastic card reads besides its runs."""

    bulk: str


class SurfacesStep(Step):
    """What the surfaces card reads besides its runs: the bulk run and the Miller indices of each material."""

    bulk: dict[str, str]
    miller: dict[str, list[int]]


def structures_step(settings: Settings, material: str) -> StructuresStep:
    """The step of ``dft-structures``."""
    chosen = _material(settings, material)
    delithiation = chosen.delithiation
    return StructuresStep(
        version=VERSION,
        supercell=chosen.supercell,
        sites=chosen.sites,
        charges=chosen.charges,
        compensating=chosen.compensating,
        closest=chosen.closest,
        slab=chosen.slab.model_dump(mode="json", exclude={"kpoints"}),
        vacuum=settings.parameters.dft.vacuum.value,
        of=delithiation.of if delithiation else None,
        removed=delithiation.removed if delithiation else [],
        reference=delithiation.reference if delithiation else None,
    )


def inputs_step(settings: Settings, material: str, system: System) -> InputsStep:
    """The step of ``dft-inputs``: only the U of species that the material holds."""
    tolerances = settings.dft.tolerances
    return InputsStep(
        version=VERSION,
        electronic=_electronic(settings, material, system),
        tolerance=tolerances.bulk if system == "bulk" else tolerances.surface,
        steps=tolerances.steps,
    )


def run_step(settings: Settings, material: str, batch: str) -> RunStep:
    """The step of ``dft-run``: the tasks of one batch and the settings of the chosen engine alone."""
    tasks = [task for task in _tasks(settings, material) if batch in (task.name, group_of(task))]
    if not tasks:
        raise SettingsError(f"dft: material '{material}' has no batch '{batch}'; it has {list(batches(settings, material))}")
    dft = settings.dft
    return RunStep(
        version=VERSION,
        engine=dft.engine,
        ase=dft.ase if dft.engine == "ase" else None,
        vasp=dft.vasp if dft.engine == "vasp" else None,
        electronic=_electronic(settings, material, "surface" if tasks[0].kind == "slab" else "bulk"),
        steps=dft.tolerances.steps,
        tasks=tasks,
    )


def delithiation_step(settings: Settings, material: str) -> DelithiationStep:
    """The step of ``dft-delithiation``; refused for a material without that section."""
    chosen = _material(settings, material)
    delithiation = chosen.delithiation
    if delithiation is None:
        raise SettingsError(f"dft.materials.{material}: has no delithiation section, so it has no delithiation curve")
    return DelithiationStep(
        version=VERSION,
        of=delithiation.of,
        reference=delithiation.reference,
        points=delithiation.points,
        smallest_slope=delithiation.smallest_slope,
        formula_units=chosen.formula_units,
        repeats=chosen.supercell[0] * chosen.supercell[1],
    )


def crystal_step(settings: Settings, material: str) -> CrystalStep:
    """The step of ``dft-crystal``."""
    return CrystalStep(version=VERSION, bulk=bulk_name(settings, material), formula_units=_material(settings, material).formula_units)


def elastic_step(settings: Settings, material: str) -> ElasticStep:
    """The step of ``dft-elastic``."""
    return ElasticStep(version=VERSION, bulk=bulk_name(settings, material))


def surfaces_step(settings: Settings) -> SurfacesStep:
    """The step of ``dft-surfaces``: all materials."""
    materials = settings.dft.materials
    return SurfacesStep(
        version=VERSION,
        bulk={name: bulk_name(settings, name) for name in sorted(materials)},
        miller={name: materials[name].slab.miller for name in sorted(materials)},
    )


def batches(settings: Settings, material: str) -> dict[str, list[str]]:
    """Batch name -> the batches of the same material whose results it needs, in an order that can be run."""
    needs: dict[str, list[str]] = {}
    bulk = bulk_name(settings, material)
    for task in _tasks(settings, material):
        group = group_of(task)
        if settings.dft.jobs_per == "group":
            needs[group] = [] if group == "relaxation" else ["relaxation"]
        else:
            needs[task.name] = [] if group == "relaxation" else [bulk]
    return needs


def batches_of(settings: Settings, material: str, result: Literal["crystal", "delithiation", "elastic", "surfaces"]) -> list[str]:
    """The batches of ``material`` that one collected result reads."""
    wanted = {
        "crystal": lambda task: task.kind == "bulk",
        "delithiation": lambda task: task.kind in ("bulk", "delithiated", "reference"),
        "elastic": lambda task: task.kind in ("bulk", "strain"),
        "surfaces": lambda task: task.kind in ("bulk", "slab"),
    }[result]
    per_run = settings.dft.jobs_per == "run"
    names = [task.name if per_run else group_of(task) for task in _tasks(settings, material) if wanted(task)]
    return list(dict.fromkeys(names))


def bulk_name(settings: Settings, material: str) -> str:
    """The name of the run that relaxes the full cell: ``li12``, or ``bulk`` without delithiation."""
    delithiation = _material(settings, material).delithiation
    return f"li{delithiation.of}" if delithiation else "bulk"


def group_of(task: Task) -> Group:
    """The group of a task."""
    return {"strain": "strains", "slab": "surface"}.get(task.kind, "relaxation")  # type: ignore[return-value]


def _material(settings: Settings, material: str) -> MaterialSettings:
    try:
        return settings.dft.materials[material]
    except KeyError:
        raise SettingsError(f"dft.materials: no material '{material}'; known: {sorted(settings.dft.materials)}") from None


def _electronic(settings: Settings, material: str, system: System) -> VaspInput:
    chosen = _material(settings, material)
    printed = settings.parameters.dft
    known = {"Mn": printed.hubbard_u_mn, "Co": printed.hubbard_u_co, "Ni": printed.hubbard_u_ni}
    return VaspInput(
        hubbard_u={element: parameter.value for element, parameter in known.items() if element in chosen.charges},
        cutoff_energy=printed.cutoff_energy.value,
        moments=chosen.moments,
        potentials=chosen.potentials,
        functional=settings.dft.vasp.functional,
        incar=settings.dft.vasp.incar,
        kpoints=chosen.bulk.kpoints if system == "bulk" else chosen.slab.kpoints,
    )


def _tasks(settings: Settings, material: str) -> list[Task]:
    chosen = _material(settings, material)
    limits = settings.dft.tolerances
    name, rattle = bulk_name(settings, material), chosen.bulk.rattle
    tasks = [Task(name=name, kind="bulk", tolerance=limits.bulk, stress=limits.stress, rattle=rattle)]
    if chosen.delithiation:
        left = [chosen.delithiation.of - removed for removed in chosen.delithiation.removed if removed]
        tasks += [Task(name=f"li{n}", kind="delithiated", tolerance=limits.delithiation, stress=limits.stress) for n in left]
        reference, kpoints = chosen.delithiation.reference, chosen.delithiation.reference_kpoints
        tasks.append(Task(name=reference, kind="reference", tolerance=limits.delithiation, stress=limits.stress, kpoints=kpoints))
    for mode in chosen.strains.modes:
        for strain in chosen.strains.magnitudes:
            tasks.append(Task(name=f"strain_{mode}_{strain:g}", kind="strain", tolerance=limits.strains, mode=mode, strain=strain))
    tasks.append(Task(name="slab", kind="slab", tolerance=limits.surface))
    return tasks
