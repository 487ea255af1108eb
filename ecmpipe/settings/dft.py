"""Settings of the DFT stage, and the steps of the workflow made of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from ecmpipe.errors import SettingsError
from ecmpipe.settings.base import Count, Model, Name, Number, Step, quantity, separate_words
from ecmpipe.settings.dft_interface import Face, InterfaceLayers, InterfaceSettings
from ecmpipe.settings.dft_materials import Kpoints, MaterialSettings

if TYPE_CHECKING:
    from ecmpipe.settings import Settings

VERSION = 2

OWNED_TAGS = {
    "ENCUT": "parameters.dft.cutoff_energy",
    "MAGMOM": "initial moments [bohr_magneton]",
    "EDIFFG": "dft.tolerances",
    "NSW": "dft.tolerances.steps",
    "PSTRESS": "no pressure",
    **dict.fromkeys(("IBRION", "ISIF", "ISPIN", "LDIPOL", "IDIPOL", "DIPOL"), "the kind of run"),
}
System = Literal["bulk", "surface"]
INTERFACE = "interface"  # stands where a material's name stands


def _factory(name: str) -> str:
    module, colon, function = name.partition(":")
    if not (colon and function.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise ValueError("write it as module:factory, for example ase.calculators.emt:EMT")
    return name


def _as_json(value: dict[str, Any]) -> dict[str, Any]:
    """Steps and records carry the arguments as JSON."""
    try:
        kept = json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError):
        kept = False
    if not kept:
        raise ValueError("no JSON can hold it; write finite numbers, words, lists, and sections with words as keys")
    return value


class Tolerances(Model):
    """When a relaxation has converged, by kind; the stress counts where the cell relaxes. ``ranking``: only which is lowest is asked."""

    ranking: Number = Field(alias="ranking [eV.angstrom-1]", gt=0, le=1)
    bulk: Number = Field(alias="bulk [eV.angstrom-1]", gt=0, le=1)
    delithiation: Number = Field(alias="delithiation [eV.angstrom-1]", gt=0, le=1)
    strains: Number = Field(alias="strains [eV.angstrom-1]", gt=0, le=1)
    surface: Number = Field(alias="surface [eV.angstrom-1]", gt=0, le=1)
    interface: Number = Field(alias="interface [eV.angstrom-1]", gt=0, le=1)
    stress: Number = Field(alias="stress [GPa]", gt=0, le=100)
    ranking_stress: Number = Field(alias="ranking stress [GPa]", gt=0, le=100)
    steps: Annotated[Count, Field(ge=1, le=10000)]


class Calculator(Model):
    """Any ASE calculator: ``factory`` as module:function, called with ``arguments``."""

    factory: Annotated[str, AfterValidator(_factory)]
    arguments: Annotated[dict[str, Any], AfterValidator(_as_json)] = Field(default_factory=dict)


class AseSettings(Model):
    """The engine ``ase``."""

    calculator: Calculator
    optimiser: Literal["BFGS", "LBFGS", "FIRE", "FIRE2"]


class VaspSettings(Model):
    """The engine ``vasp``: its command, and what custodian may do."""

    command: Annotated[
        list[Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")]], Field(min_length=1), AfterValidator(separate_words)
    ]
    max_errors: Annotated[Count, Field(ge=0, le=50)]
    functional: str
    incar: dict[str, int | float | str | bool | list[float]] = Field(default_factory=dict)
    polling: Number = Field(alias="polling [s]", gt=0, le=3600)

    @field_validator("incar")
    @classmethod
    def _free_tags(cls, value: dict[str, Any]) -> dict[str, Any]:
        for tag, given in value.items():
            if tag.upper() in OWNED_TAGS or tag.upper().startswith("LDAU"):
                raise ValueError(
                    f"{tag} = {given} is written by ecmpipe itself ({OWNED_TAGS.get(tag.upper(), 'Hubbard U')}); set that instead"
                )
            if not tag.isidentifier() or set("\n;=") & set(str(given)):
                raise ValueError(f"{tag!r} = {given!r} is no tag with one value")
        return value


class DftSettings(Model):
    """Everything a user can set in the DFT stage."""

    engine: Literal["ase", "vasp"]
    jobs_per: Literal["group", "run"]
    ase: AseSettings
    vasp: VaspSettings
    tolerances: Tolerances
    materials: Annotated[dict[Name, MaterialSettings], Field(min_length=1)]
    interface: InterfaceSettings | None

    @model_validator(mode="after")
    def _names(self) -> DftSettings:
        if "interface" in self.materials:
            raise ValueError("materials: 'interface' is the name of a folder of results; take another name")
        for side in ("cathode", "electrolyte") if self.interface else ():
            if getattr(self.interface, side) not in self.materials:
                raise ValueError(f"interface.{side}: no material '{getattr(self.interface, side)}'; known: {sorted(self.materials)}")
        return self


class DftParameters(Model):
    """The printed numbers of the DFT calculations."""

    hubbard_u_mn: quantity("eV", ge=0, le=20)
    hubbard_u_co: quantity("eV", ge=0, le=20)
    hubbard_u_ni: quantity("eV", ge=0, le=20)
    cutoff_energy: quantity("eV", ge=100, le=3000)


class OrderingRules(Model):
    """What stands on which site, and with which formal charges; labels that ``sites`` does not name keep their species."""

    sites: dict[str, dict[str, int]]
    charges: dict[str, float]
    compensating: str | None
    closest: dict[str, float]


class StructuresStep(Step):
    """What decides a material's ordered bulk cells; no electronic setting, and no slab."""

    supercell: list[int]
    rules: OrderingRules
    arrangements: int
    orderings: int
    of: int | None
    removed: list[int]
    reference: str | None


class Cut(Model):
    """Of what a slab is cut, along which plane, and which bonds must stay whole."""

    material: str
    supercell: list[int]
    rules: OrderingRules
    miller: list[int]
    cut: Literal["parent", "ordered"]
    intact: dict[str, float]
    bulk: str


class SlabsStep(Step):
    """What decides the slabs cut from the relaxed bulk."""

    cut: Cut
    in_plane: list[list[int]]
    layers: list[int]
    vacuum: float


class InterfaceStep(Step):
    """What decides the explicit interface of two relaxed bulks."""

    cathode: Cut
    electrolyte: Cut
    layers: InterfaceLayers
    faces: list[Face]
    largest_area: float
    largest_strain: float
    registries: list[int]
    contact: float
    vacuum: float


class VaspInput(Model):
    """The electronic settings of one system."""

    hubbard_u: dict[str, float]
    cutoff_energy: float
    moments: dict[str, float]
    potentials: dict[str, str]
    functional: str
    incar: dict[str, int | float | str | bool | list[float]]
    kpoints: Kpoints


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
    """What the surfaces card reads besides its runs: the bulk run, the slab runs and the Miller indices of each material."""

    bulk: dict[str, str]
    slabs: dict[str, list[str]]
    miller: dict[str, list[int]]


class AdhesionStep(Step):
    """What the adhesion card reads besides its runs: bonds that must not form and those that must stay, with their lengths in A."""

    faces: list[Face]
    forbidden: dict[str, float]
    intact: dict[str, float]


def structures_step(settings: Settings, material: str) -> StructuresStep:
    """The step of ``dft-structures``."""
    chosen = material_of(settings, material)
    delithiation = chosen.delithiation
    return StructuresStep(
        version=VERSION,
        supercell=chosen.supercell,
        rules=_rules(chosen),
        arrangements=chosen.arrangements,
        orderings=delithiation.orderings if delithiation else 1,
        of=delithiation.of if delithiation else None,
        removed=delithiation.removed if delithiation else [],
        reference=delithiation.reference if delithiation else None,
    )


def slabs_step(settings: Settings, material: str) -> SlabsStep:
    """The step of ``dft-slabs``."""
    slab = material_of(settings, material).slab
    return SlabsStep(version=VERSION, cut=_cut(settings, material), in_plane=slab.in_plane, layers=slab.layers, vacuum=slab.vacuum)


def interface_step(settings: Settings) -> InterfaceStep:
    """The step of ``dft-interface``."""
    chosen = interface_of(settings)
    return InterfaceStep(
        version=VERSION,
        cathode=_cut(settings, chosen.cathode),
        electrolyte=_cut(settings, chosen.electrolyte),
        layers=chosen.layers,
        faces=chosen.faces,
        largest_area=chosen.largest_area,
        largest_strain=chosen.largest_strain,
        registries=chosen.registries,
        contact=chosen.contact,
        vacuum=chosen.vacuum,
    )


def delithiation_step(settings: Settings, material: str) -> DelithiationStep:
    """The step of ``dft-delithiation``; refused for a material without that section."""
    chosen = material_of(settings, material)
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
    return CrystalStep(version=VERSION, bulk=bulk_name(settings, material), formula_units=material_of(settings, material).formula_units)


def elastic_step(settings: Settings, material: str) -> ElasticStep:
    """The step of ``dft-elastic``."""
    return ElasticStep(version=VERSION, bulk=bulk_name(settings, material))


def surfaces_step(settings: Settings) -> SurfacesStep:
    """The step of ``dft-surfaces``: all materials."""
    materials = settings.dft.materials
    return SurfacesStep(
        version=VERSION,
        bulk={name: bulk_name(settings, name) for name in sorted(materials)},
        slabs={name: [slab_name(layers) for layers in materials[name].slab.layers] for name in sorted(materials)},
        miller={name: materials[name].slab.miller for name in sorted(materials)},
    )


def adhesion_step(settings: Settings) -> AdhesionStep:
    """The step of ``dft-adhesion``."""
    chosen = interface_of(settings)
    sides = [material_of(settings, name).slab.intact for name in (chosen.cathode, chosen.electrolyte)]
    return AdhesionStep(version=VERSION, faces=chosen.faces, forbidden=chosen.forbidden, intact=sides[0] | sides[1])


def bulk_name(settings: Settings, material: str) -> str:
    """The name of the run that relaxes the full cell: ``li12``, or ``bulk`` without delithiation."""
    delithiation = material_of(settings, material).delithiation
    return f"li{delithiation.of}" if delithiation else "bulk"


def slab_name(layers: int) -> str:
    """The name of a slab's run."""
    return f"slab_{layers}"


def material_of(settings: Settings, material: str) -> MaterialSettings:
    try:
        return settings.dft.materials[material]
    except KeyError:
        raise SettingsError(f"dft.materials: no material '{material}'; known: {sorted(settings.dft.materials)}") from None


def interface_of(settings: Settings) -> InterfaceSettings:
    if settings.dft.interface is None:
        raise SettingsError("dft.interface: is null, so there is no interface; give its settings")
    return settings.dft.interface


def _rules(chosen: MaterialSettings) -> OrderingRules:
    return OrderingRules(sites=chosen.sites, charges=chosen.charges, compensating=chosen.compensating, closest=chosen.closest)


def _cut(settings: Settings, material: str) -> Cut:
    chosen = material_of(settings, material)
    slab = chosen.slab
    return Cut(
        material=material,
        supercell=chosen.supercell,
        rules=_rules(chosen),
        miller=slab.miller,
        cut=slab.cut,
        intact=slab.intact,
        bulk=bulk_name(settings, material),
    )
