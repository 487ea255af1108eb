"""Starting structures: ordered bulk cells, delithiated cells, reference metal and slab, from one crystal file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from pymatgen.core import Composition, Lattice, Structure

from ecmpipe.cards import write_card
from ecmpipe.dft import slabs
from ecmpipe.dft.ordering import EMPTY, order
from ecmpipe.dft.records import SlabCard, StructuresCard, cell_of
from ecmpipe.errors import SettingsError
from ecmpipe.settings.base import Model, Number, read_yaml, validate
from ecmpipe.settings.dft import StructuresStep
from ecmpipe.settings.dft_materials import SlabSettings

Triple = Annotated[list[Number], Field(min_length=3, max_length=3)]


class CrystalLattice(Model):
    """Lengths and angles of the conventional cell."""

    lengths: Annotated[list[Annotated[Number, Field(gt=1, lt=100)]], Field(min_length=3, max_length=3)] = Field(alias="lengths [angstrom]")
    angles: Annotated[list[Annotated[Number, Field(gt=10, lt=170)]], Field(min_length=3, max_length=3)] = Field(alias="angles [deg]")


class CrystalSite(Model):
    """One site of the asymmetric unit."""

    label: str
    species: str
    position: Triple


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
        return Structure.from_spacegroup(crystal.space_group, lattice, species, places, site_properties=labels)
    except ValueError as error:
        raise SettingsError(f"crystal of {crystal.formula}: {error}; check space group, cell and species") from None


def build_structures(step: StructuresStep, *, material: str, crystal: Path, output: Path) -> dict[str, Any]:
    """Write the material's starting structures: the arrangement of least Ewald energy for every composition, and the slab."""
    card = make_structures(step, material, crystal)
    write_card(output, card)
    return {"formula": card.formula, "slab atoms": len(card.slab.species)}


def make_structures(step: StructuresStep, material: str, crystal: Path) -> StructuresCard:
    """The card that `build_structures` writes; a mistake in settings or crystal file is a `SettingsError`."""
    read = read_crystal(crystal)
    parent = build_crystal(read)
    sites = build_supercell(parent, step.supercell)
    bulk, report = _ordered(sites, step, step.sites)
    orderings = {"bulk": report}
    removed: dict[str, list[int]] = {}
    for count in step.removed:
        name = f"li{(step.of or 0) - count}"
        removed[name], orderings[name] = remove_lithium(bulk, count, step)
    if step.reference is not None and step.reference not in read.references:
        raise SettingsError(f"{crystal}: references lacks '{step.reference}', which dft.materials.{material}.delithiation names")
    references = {step.reference: cell_of(build_crystal(read.references[step.reference]))} if step.reference else {}
    slab, orderings["slab"] = build_slab(parent, bulk, step)
    return StructuresCard(
        material=material,
        formula=bulk.composition.formula,
        source=read.source,
        parent=cell_of(sites),
        bulk=cell_of(bulk),
        removed=removed,
        references=references,
        slab=slab,
        orderings=orderings,
    )


def build_supercell(parent: Structure, repeats: list[int]) -> Structure:
    """The parent repeated; the site property ``label`` is kept."""
    return parent.copy().make_supercell(repeats, to_unit_cell=True)


def remove_lithium(bulk: Structure, count: int, step: StructuresStep) -> tuple[list[int], dict]:
    """The Li sites to empty: least Ewald energy with the charge of the ``compensating`` species following."""
    lithium = [k for k, site in enumerate(bulk) if site.specie.symbol == "Li"]
    if len(lithium) != step.of:
        raise SettingsError(f"delithiation.of: the cell holds {len(lithium)} Li, {step.of} given")
    if count in (0, len(lithium)):
        return lithium[:count], {"arrangements": 1}
    labels = ["Li" if k in lithium else site.specie.symbol for k, site in enumerate(bulk)]
    left = len(lithium) - count
    counts = Counter(site.specie.symbol for site in bulk) - Counter({"Li": count})
    charges = neutral_charges(counts, step.charges, step.compensating)
    species, report = order(bulk, labels, {"Li": {"Li": left}}, charges, {})
    report["distinct"] = len(report.get("distinct", []))
    return [k for k in lithium if species[k] == EMPTY], report


def neutral_charges(counts: Counter, charges: dict[str, float], compensating: str | None) -> dict[str, float]:
    """Formal charges that sum to zero: the ``compensating`` species takes up what is left."""
    foreign = set(counts) - set(charges)
    if foreign:
        raise SettingsError(f"charges: lacks {sorted(foreign)}")
    total = sum(charges[species] * count for species, count in counts.items())
    if abs(total) < 1e-9:
        return dict(charges)
    if compensating is None or not counts[compensating]:
        raise SettingsError(f"charges: {dict(counts)} has the charge {total:g}; correct charges or sites, or name a compensating species")
    return {**charges, compensating: charges[compensating] - total / counts[compensating]}


def build_slab(parent: Structure, bulk: Structure, step: StructuresStep) -> tuple[SlabCard, dict]:
    """Cut the slab: decorated after the cut of the undecorated parent if ``slab.sites`` is given, else a cut of the ordered bulk.

    Terminations that break an ``intact`` bond are refused; the least dipole is taken, then the widest gap between planes.
    """
    chosen = SlabSettings.model_validate({**step.slab, "kpoints": {"scheme": "gamma", "grid": [1, 1, 1]}})
    decorated_later = bool(chosen.sites)
    cut = _primitive(parent) if decorated_later else bulk
    miller = np.round(cut.lattice.matrix @ np.linalg.inv(parent.lattice.matrix) @ np.array(chosen.miller)).astype(int)
    cell = cell_of(cut)
    whole = {pair: set(counts) for pair, counts in slabs.coordination(cut, chosen.intact).items()}
    charges = neutral_charges(Counter(cell.species), step.charges, step.compensating)
    ranked = []
    found = slabs.cut_slabs(cut, miller, chosen.layers, chosen.in_plane)
    for number, item in enumerate(found):
        species = [cell.species[site] for site, _ in item["sites"]]
        slab = slabs.place_slab(cell, item["in_plane"], item["sites"], species, step.vacuum)
        if {pair: set(counts) for pair, counts in slabs.coordination(slab, chosen.intact).items()} == whole:
            dipole = slabs.dipole_per_area(slab, charges)
            ranked.append((round(abs(dipole), 6), -round(item["gap"], 6), number, dipole, slab, item))
    if not ranked:
        raise SettingsError(f"slab: all {len(found)} terminations break a bond of {chosen.intact}; take other Miller indices")
    _, _, _, dipole, slab, item = min(ranked, key=lambda entry: entry[:3])
    symmetric = slabs.faces_alike(slab)
    report: dict = {}
    species = [site.specie.symbol for site in slab]
    if decorated_later:
        labels = [cut.site_properties["label"][site] for site, _ in item["sites"]]
        kept = slab.copy(site_properties={"label": labels})
        slab, report = _ordered(kept, step, chosen.sites)
        report["distinct"] = len(report.get("distinct", []))
        species = [site.specie.symbol for site in slab]
        dipole = slabs.dipole_per_area(slab, neutral_charges(Counter(species), step.charges, step.compensating))
    _same_composition(slab, bulk)
    card = SlabCard.model_validate(
        {
            "miller": chosen.miller,
            "cut_cell": cell,
            "bulk_in_cut": np.round(bulk.lattice.matrix @ np.linalg.inv(cut.lattice.matrix)).astype(int).tolist(),
            "bulk_sites": _locate(bulk, cut),
            "in_plane": item["in_plane"],
            "sites": item["sites"],
            "species": species,
            "Vacuum [angstrom]": step.vacuum,
            "Dipole per area [e.angstrom-1]": round(dipole, 9),
            "polar": abs(dipole) > slabs.FLAT,
            "symmetric": symmetric,
            "terminations": len(found),
            "intact_terminations": len(ranked),
            "cell": cell_of(slab),
        }
    )
    return card, report


def _ordered(structure: Structure, step: StructuresStep, sites: dict[str, dict[str, int]]) -> tuple[Structure, dict]:
    labels = structure.site_properties["label"]
    counts: Counter = Counter()
    for site, label in zip(structure, labels, strict=True):
        if label not in sites:
            counts[site.specie.symbol] += 1
    for wanted in sites.values():
        counts.update(wanted)
    charges = neutral_charges(counts, step.charges, step.compensating)
    species, report = order(structure, labels, sites, charges, step.closest)
    kept = [k for k, name in enumerate(species) if name != EMPTY]
    places = structure.frac_coords[kept]
    properties = {"label": [labels[k] for k in kept]}
    return Structure(structure.lattice, [species[k] for k in kept], places, site_properties=properties), report


def _primitive(parent: Structure) -> Structure:
    """The primitive cell of the labelled parent, in the parent's own orientation."""
    labels = parent.site_properties["label"]
    vectors = slabs.primitive_vectors(parent.lattice.matrix, slabs.centrings(parent, labels))
    inside: dict[tuple, int] = {}
    places = parent.cart_coords @ np.linalg.inv(vectors)
    for k, place in enumerate(places):
        inside.setdefault((labels[k], *np.round(place - np.floor(place + 1e-5), 4).tolist()), k)
    kept = list(inside.values())
    species = [parent[k].specie.symbol for k in kept]
    return Structure(Lattice(vectors), species, places[kept], to_unit_cell=True, site_properties={"label": [labels[k] for k in kept]})


def _locate(bulk: Structure, cut: Structure) -> list[tuple[int, list[int]]]:
    """Site and lattice translation of the cut cell for each atom of the bulk."""
    places = bulk.cart_coords @ np.linalg.inv(cut.lattice.matrix)
    found = []
    for place in places:
        shift = place - cut.frac_coords
        site = int(np.argmin(np.linalg.norm((shift - np.round(shift)) @ cut.lattice.matrix, axis=1)))
        found.append((site, np.round(shift[site]).astype(int).tolist()))
    return found


def _same_composition(slab: Structure, bulk: Structure) -> None:
    ratio = len(slab) / len(bulk)
    if not slab.composition.almost_equals(Composition({el: n * ratio for el, n in bulk.composition.items()})):
        raise SettingsError(
            f"slab: {slab.composition.formula} is not a multiple of the bulk {bulk.composition.formula}; change layers or sites"
        )
