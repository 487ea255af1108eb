"""Starting structures: ordered bulk cells, delithiated cells and the reference metal, from one crystal file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pymatgen.core import Element, Lattice, Structure

from ecmpipe.cards import write_card
from ecmpipe.dft.ordering import EMPTY, Ordering, order
from ecmpipe.dft.records import Arrangement, StructuresCard, cell_of
from ecmpipe.errors import SettingsError
from ecmpipe.settings.base import Model, Number, read_yaml, validate
from ecmpipe.settings.dft import OrderingRules, StructuresStep
from ecmpipe.settings.dft_runs import ordering_names

NEAREST = 0.5  # A; partly filled sites may be near, equal ones stand twice
Place = Annotated[list[Annotated[Number, Field(ge=-2, le=2)]], Field(min_length=3, max_length=3)]  # fractional


def _element(symbol: str) -> str:
    if not Element.is_valid_symbol(symbol):
        raise ValueError("no element has this symbol; write one, without charge")
    return symbol


class CrystalLattice(Model):
    """Lengths and angles of the conventional cell."""

    lengths: Annotated[list[Annotated[Number, Field(gt=1, lt=100)]], Field(min_length=3, max_length=3)] = Field(alias="lengths [angstrom]")
    angles: Annotated[list[Annotated[Number, Field(gt=10, lt=170)]], Field(min_length=3, max_length=3)] = Field(alias="angles [deg]")


class CrystalSite(Model):
    """One site of the asymmetric unit."""

    label: str
    species: Annotated[str, AfterValidator(_element)]
    position: Place


class Crystal(Model):
    """A crystal file of inputs/structures."""

    formula: str
    source: str
    space_group: str
    lattice: CrystalLattice
    sites: list[CrystalSite]
    references: dict[str, Crystal] = Field(default_factory=dict)


def read_crystal(path: Path) -> Crystal:
    """Read and validate a crystal file; one line per problem."""
    return validate(Crystal, read_yaml(path, "crystal file"), where=str(path))


def build_crystal(crystal: Crystal) -> Structure:
    """The conventional cell, with the site labels as site property ``label``."""
    lattice = Lattice.from_parameters(*crystal.lattice.lengths, *crystal.lattice.angles)
    species = [site.species for site in crystal.sites]
    places = [site.position for site in crystal.sites]
    labels = {"label": [site.label for site in crystal.sites]}
    try:
        structure = Structure.from_spacegroup(crystal.space_group, lattice, species, places, site_properties=labels)
    except ValueError as error:
        raise SettingsError(f"crystal of {crystal.formula}: {error}; check space group, cell and species") from None
    if not structure.is_valid(NEAREST):
        raise SettingsError(
            f"crystal of {crystal.formula}: two sites lie within {NEAREST} A of each other; check positions and space group"
        )
    return structure


def build_structures(step: StructuresStep, *, material: str, crystal: Path, output: Path) -> dict[str, Any]:
    """Write the material's ordered bulk cells: of each distinct arrangement, with the Li orderings of each composition."""
    card = make_structures(step, material, crystal)
    write_card(output, card)
    return {"formula": card.formula, "arrangements": len(card.arrangements)}


def make_structures(step: StructuresStep, material: str, crystal: Path) -> StructuresCard:
    """The card that `build_structures` writes; a mistake in settings or crystal file is a `SettingsError`."""
    read = read_crystal(crystal)
    sites = build_supercell(build_crystal(read), step.supercell)
    bulks, report = ordered(sites, step.rules, step.rules.sites, step.arrangements)
    # with all Li the charges given must be right; only where Li is missing the compensating species takes up the rest
    neutral_charges(Counter(site.specie.symbol for site in bulks[0][0]), step.rules.charges, None)
    orderings = {"bulk": report}
    arrangements = []
    for structure, found in bulks:
        removed: dict[str, list[int]] = {}
        for count in step.removed:
            chosen, report = remove_lithium(structure, count, step)
            names = ordering_names((step.of or 0) - count, step.of or 0, step.orderings)
            removed |= dict(zip(names, chosen, strict=True))
            orderings[f"li{(step.of or 0) - count}"] = report
        arrangements.append(
            Arrangement.model_validate(
                {"bulk": cell_of(structure), "Ewald energy [eV]": found.ewald, "multiplicity": found.multiplicity, "removed": removed}
            )
        )
    if step.reference is not None and step.reference not in read.references:
        raise SettingsError(f"{crystal}: references lacks '{step.reference}', which dft.materials.{material}.delithiation names")
    return StructuresCard(
        material=material,
        formula=bulks[0][0].composition.formula,
        source=read.source,
        parent=cell_of(sites),
        arrangements=arrangements,
        references={step.reference: cell_of(build_crystal(read.references[step.reference]))} if step.reference else {},
        orderings=orderings,
    )


def build_supercell(parent: Structure, repeats: list[int]) -> Structure:
    """The parent repeated; the site property ``label`` is kept."""
    return parent.copy().make_supercell(repeats, to_unit_cell=True)


def remove_lithium(bulk: Structure, count: int, step: StructuresStep) -> tuple[list[list[int]], dict]:
    """The Li sites to empty, in the orderings of least Ewald energy; the charge of the ``compensating`` species follows."""
    lithium = [k for k, site in enumerate(bulk) if site.specie.symbol == "Li"]
    if len(lithium) != step.of:
        raise SettingsError(f"delithiation.of: the cell holds {len(lithium)} Li, {step.of} given")
    if count in (0, len(lithium)):
        return [lithium[:count]], {"arrangements": 1}
    labels = ["Li" if k in lithium else site.specie.symbol for k, site in enumerate(bulk)]
    counts = Counter(site.specie.symbol for site in bulk) - Counter({"Li": count})
    charges = neutral_charges(counts, step.rules.charges, step.rules.compensating)
    found, report = order(bulk, labels, {"Li": {"Li": len(lithium) - count}}, charges, {}, step.orderings)
    return [[k for k in lithium if each.species[k] == EMPTY] for each in found], report


def neutral_charges(counts: Counter, charges: dict[str, float], compensating: str | None) -> dict[str, float]:
    """Formal charges that sum to zero: the ``compensating`` species takes up what is left."""
    foreign = set(counts) - set(charges)
    if foreign:
        raise SettingsError(f"charges: lacks {sorted(foreign)}")
    total = sum(charges[species] * count for species, count in counts.items())
    if abs(total) < 1e-9:
        return dict(charges)
    if compensating is None or not counts[compensating]:
        raise SettingsError(
            f"charges: {dict(counts)} has the charge {total:g}; correct charges or sites (where Li is removed: name a compensating species)"
        )
    return {**charges, compensating: charges[compensating] - total / counts[compensating]}


def ordered(
    structure: Structure, rules: OrderingRules, sites: dict[str, dict[str, int]], count: int = 1
) -> tuple[list[tuple[Structure, Ordering]], dict]:
    """The structure with its sites filled, in the ``count`` distinct arrangements of least Ewald energy, and a report of the search."""
    labels = structure.site_properties["label"]
    counts: Counter = Counter()
    for site, label in zip(structure, labels, strict=True):
        if label not in sites:
            counts[site.specie.symbol] += 1
    for wanted in sites.values():
        counts.update(wanted)
    charges = neutral_charges(counts, rules.charges, rules.compensating)
    found, report = order(structure, labels, sites, charges, rules.closest, count)
    return [(fill(structure, each.species), each) for each in found], report


def fill(structure: Structure, species: list[str]) -> Structure:
    """The sites with these species on them, the empty ones left out; the labels stay."""
    kept = [k for k, name in enumerate(species) if name != EMPTY]
    labels = {"label": [structure.site_properties["label"][k] for k in kept]}
    return Structure(structure.lattice, [species[k] for k in kept], structure.frac_coords[kept], site_properties=labels)
