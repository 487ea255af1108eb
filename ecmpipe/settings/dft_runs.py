"""The calculations of the DFT stage: which runs there are, in which batches, and what each starts from.

A run is one calculation (``li12``, ``strain_xx_0.005``, ``slab_4``, ``lower_together``); a batch is what one job calculates: a
group of runs (``jobs_per: group``) or a single one (``jobs_per: run``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ecmpipe.errors import SettingsError
from ecmpipe.settings.base import Model, Step
from ecmpipe.settings.dft import (
    INTERFACE,
    VERSION,
    AseSettings,
    System,
    VaspInput,
    VaspSettings,
    bulk_name,
    interface_of,
    material_of,
    slab_name,
)
from ecmpipe.settings.dft_interface import Face
from ecmpipe.settings.dft_materials import Kpoints

if TYPE_CHECKING:
    from ecmpipe.settings import Settings

Group = Literal["relaxation", "strains", "surface", "lower", "upper"]
Kind = Literal[
    "arrangement", "bulk", "delithiated", "reference", "strain", "slab",  # of a material
    "registry", "together", "half", "apart",  # of an interface
]  # fmt: skip


class InputsStep(Step):
    """What decides the VASP input files of one named system."""

    bulk: str
    electronic: VaspInput
    tolerance: float
    steps: int


class Task(Model):
    """One calculation of a batch; ``tolerance`` in eV/A, ``stress`` in GPa (None: the cell is fixed), ``steps`` 0: a single point.

    ``kpoints`` takes the place of the system's own where it is given; ``rattle`` in A.
    """

    name: str
    kind: Kind
    tolerance: float
    steps: int
    stress: float | None = None
    mode: str | None = None
    strain: float | None = None
    kpoints: Kpoints | None = None
    rattle: float = 0.0
    arrangement: int | None = None
    face: Face | None = None
    registry: int | None = None
    side: Literal["cathode", "electrolyte"] | None = None
    separation: float | None = None


class RunStep(Step):
    """What decides the results of one batch, the engine included."""

    engine: Literal["ase", "vasp"]
    ase: AseSettings | None
    vasp: VaspSettings | None
    electronic: VaspInput
    tasks: list[Task]


def inputs_step(settings: Settings, material: str, system: System) -> InputsStep:
    """The step of ``dft-inputs``: only the U of species that the material holds."""
    tolerances = settings.dft.tolerances
    return InputsStep(
        version=VERSION,
        bulk=bulk_name(settings, material),
        electronic=_electronic(settings, material, system),
        tolerance=tolerances.bulk if system == "bulk" else tolerances.surface,
        steps=tolerances.steps,
    )


def run_step(settings: Settings, material: str, batch: str) -> RunStep:
    """The step of ``dft-run``: the tasks of one batch and the settings of the chosen engine alone."""
    known = _tasks(settings, material)
    tasks = [task for task in known if batch in (task.name, group_of(task))]
    if not tasks:
        raise SettingsError(f"dft: '{material}' has no batch '{batch}'; it has {list(batches(settings, material))}")
    dft = settings.dft
    return RunStep(
        version=VERSION,
        engine=dft.engine,
        ase=dft.ase if dft.engine == "ase" else None,
        vasp=dft.vasp if dft.engine == "vasp" else None,
        electronic=_electronic(settings, material, "surface" if tasks[0].kind == "slab" else "bulk"),
        tasks=tasks,
    )


def batches(settings: Settings, material: str) -> dict[str, list[str]]:
    """Batch name -> the batches of the same material (or interface) whose results it needs, in an order that can be run."""
    tasks = _tasks(settings, material)
    if settings.dft.jobs_per == "run":
        return {task.name: _needed(task, tasks) for task in tasks}
    needs: dict[str, list[str]] = {}
    for task in tasks:
        needs[group_of(task)] = ["relaxation"] if task.kind in ("strain", "slab") else []
    return needs


def _needed(task: Task, tasks: list[Task]) -> list[str]:
    """The runs that ``task`` starts from, where each is a job of its own."""
    before = {
        "bulk": ("arrangement",),
        "delithiated": ("bulk",),
        "strain": ("bulk",),
        "slab": ("bulk",),
        "together": ("registry",),
        "half": ("together",),
        "apart": ("together",),
    }.get(task.kind, ())
    return [other.name for other in tasks if other.kind in before and other.face == task.face]


def batches_of(
    settings: Settings, material: str, result: Literal["crystal", "delithiation", "elastic", "surfaces", "adhesion"]
) -> list[str]:
    """The batches of ``material`` that one collected result reads."""
    wanted = {
        "crystal": ("bulk",),
        "delithiation": ("bulk", "delithiated", "reference"),
        "elastic": ("bulk", "strain"),
        "surfaces": ("bulk", "slab"),
        "adhesion": ("registry", "together", "half", "apart"),
    }[result]
    per_run = settings.dft.jobs_per == "run"
    names = [task.name if per_run else group_of(task) for task in _tasks(settings, material) if task.kind in wanted]
    return list(dict.fromkeys(names))


def is_surface(settings: Settings, material: str, batch: str) -> bool:
    """Whether a batch calculates slabs."""
    return any(task.kind == "slab" and batch in (task.name, group_of(task)) for task in _tasks(settings, material))


def bulk_batch(settings: Settings, material: str) -> str:
    """The batch that relaxes the full cell."""
    return bulk_name(settings, material) if settings.dft.jobs_per == "run" else "relaxation"


def ordering_names(left: int, of: int, orderings: int) -> list[str]:
    """The names of the runs with ``left`` of ``of`` Li atoms: ``li6_1`` and so on, best Ewald energy first; the ends have one."""
    return [f"li{left}"] if left in (0, of) else [f"li{left}_{k}" for k in range(1, orderings + 1)]


def group_of(task: Task) -> Group:
    """The group of a task."""
    return task.face or {"strain": "strains", "slab": "surface"}.get(task.kind, "relaxation")  # type: ignore[return-value]


def _electronic(settings: Settings, material: str, system: System) -> VaspInput:
    printed = settings.parameters.dft
    known = {"Mn": printed.hubbard_u_mn.value, "Co": printed.hubbard_u_co.value, "Ni": printed.hubbard_u_ni.value}
    if material == INTERFACE:
        sides = [material_of(settings, name) for name in (interface_of(settings).cathode, interface_of(settings).electrolyte)]
        kpoints = interface_of(settings).kpoints
    else:
        sides = [material_of(settings, material)]
        kpoints = sides[0].bulk.kpoints if system == "bulk" else sides[0].slab.kpoints
    hubbard: dict[str, float] = {}
    moments: dict[str, float] = {}
    potentials: dict[str, str] = {}
    for side in sides:
        hubbard |= {element: value for element, value in known.items() if element in side.charges} | side.more_u
        moments |= side.moments
        potentials |= side.potentials
    return VaspInput(
        hubbard_u=hubbard,
        cutoff_energy=printed.cutoff_energy.value,
        moments=moments,
        potentials=potentials,
        functional=settings.dft.vasp.functional,
        incar=settings.dft.vasp.incar,
        kpoints=kpoints,
    )


def _tasks(settings: Settings, material: str) -> list[Task]:
    return _interface_tasks(settings) if material == INTERFACE else _material_tasks(settings, material)


def _material_tasks(settings: Settings, material: str) -> list[Task]:
    chosen = material_of(settings, material)
    limits = settings.dft.tolerances
    name, rattle, steps = bulk_name(settings, material), chosen.bulk.rattle, limits.steps
    tasks = [
        Task(
            name=f"arrangement_{k}",
            kind="arrangement",
            tolerance=limits.ranking,
            stress=limits.ranking_stress,
            steps=steps,
            rattle=rattle,
            arrangement=k,
        )
        for k in range(1, chosen.arrangements + 1)
        if chosen.arrangements > 1
    ]
    tasks.append(Task(name=name, kind="bulk", tolerance=limits.bulk, stress=limits.stress, steps=steps, rattle=rattle))
    tight = {"tolerance": limits.delithiation, "stress": limits.stress, "steps": steps}
    delithiation = chosen.delithiation
    if delithiation:
        for removed in delithiation.removed[1:]:
            for each in ordering_names(delithiation.of - removed, delithiation.of, delithiation.orderings):
                tasks.append(Task(name=each, kind="delithiated", **tight))
        tasks.append(Task(name=delithiation.reference, kind="reference", kpoints=delithiation.reference_kpoints, **tight))
    for mode in chosen.strains.modes:
        for strain in chosen.strains.magnitudes:
            each = f"strain_{mode}_{strain:g}"
            tasks.append(Task(name=each, kind="strain", tolerance=limits.strains, steps=steps, mode=mode, strain=strain))
    tasks += [Task(name=slab_name(layers), kind="slab", tolerance=limits.surface, steps=steps) for layers in chosen.slab.layers]
    return tasks


def _interface_tasks(settings: Settings) -> list[Task]:
    chosen, limits = interface_of(settings), settings.dft.tolerances
    moving, still = {"tolerance": limits.interface, "steps": limits.steps}, {"tolerance": limits.interface, "steps": 0}
    tasks = []
    for face in chosen.faces:
        for k in range(1, chosen.registries[0] * chosen.registries[1] + 1):
            tasks.append(Task(name=f"{face}_registry_{k}", kind="registry", face=face, registry=k, **still))
        tasks.append(Task(name=f"{face}_together", kind="together", face=face, **moving))
        for side in ("cathode", "electrolyte"):
            tasks.append(Task(name=f"{face}_{side}", kind="half", face=face, side=side, **moving))
        for distance in chosen.separations:
            tasks.append(Task(name=f"{face}_apart_{distance:g}", kind="apart", face=face, separation=distance, **still))
    return tasks
