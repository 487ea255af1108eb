"""Slabs of a material: which cell is cut, at which termination, and what stands on the sites of the cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import spglib
from pymatgen.core import Lattice, Structure
from scipy.linalg import sqrtm

from ecmpipe.cards import read_card, write_card
from ecmpipe.dft import slabs
from ecmpipe.dft.records import Cell, Slab, SlabsCard, StructuresCard, cell_of, pick, read_runs
from ecmpipe.dft.structures import build_crystal, build_supercell, neutral_charges, ordered, read_crystal
from ecmpipe.errors import SettingsError
from ecmpipe.settings.dft import Cut, OrderingRules, SlabsStep, slab_name

LARGEST_SLAB = 1_000  # sites; cutting them takes seconds


@dataclass(frozen=True)
class CutCell:
    """The cell that is cut: relaxed, with the Miller indices of the plane in its own axes and the label of each site."""

    cell: Cell
    labels: list[str]
    miller: np.ndarray
    decorate: dict[str, dict[str, int]]
    per_label: dict[str, int]


def build_slabs(step: SlabsStep, *, material: str, crystal: Path, structures: Path, runs: list[Path], output: Path) -> dict[str, Any]:
    """Write the slabs of the relaxed bulk: no atom is left at its unrelaxed place."""
    card = read_card(StructuresCard, structures)
    _, found = read_runs(runs, material)
    bulk = pick(found, step.cut.bulk)
    made = make_slabs(step, material, crystal, card, bulk.arrangement or 1, bulk.cell)
    write_card(output, made)
    return {"slabs": {name: len(slab.cell.species) for name, slab in made.slabs.items()}}


def make_slabs(
    step: SlabsStep, material: str, crystal: Path, card: StructuresCard, arrangement: int = 1, relaxed: Cell | None = None
) -> SlabsCard:
    """The card that `build_slabs` writes; without a ``relaxed`` cell of the ideal bulk, to see whether the settings hold."""
    cut = cut_cell(step.cut, crystal, card.arrangements[arrangement - 1].bulk, relaxed)
    found: dict[str, Slab] = {}
    for layers in step.layers:
        found[slab_name(layers)] = _slab(step, cut, layers)
    return SlabsCard(material=material, miller=step.cut.miller, slabs=found)


def cut_cell(cut: Cut, crystal: Path, bulk: Cell, relaxed: Cell | None) -> CutCell:
    """The cell to cut: the undecorated primitive parent, or the ordered bulk, each with the lattice and places of ``relaxed``."""
    parent = build_crystal(read_crystal(crystal))
    sites = build_supercell(parent, cut.supercell)
    whole = bulk.structure()
    base = _primitive(parent) if cut.cut == "parent" else whole
    miller = np.round(base.lattice.matrix @ np.linalg.inv(parent.lattice.matrix) @ np.array(cut.miller)).astype(int)
    labels = base.site_properties["label"] if cut.cut == "parent" else [site.specie.symbol for site in base]
    return CutCell(
        cell=_relaxed_cut(base, whole, relaxed or bulk),
        labels=labels,
        miller=miller,
        decorate=cut.rules.sites if cut.cut == "parent" else {},
        per_label=dict(Counter(sites.site_properties["label"])),
    )


def terminations(
    cut: CutCell, rules: OrderingRules, intact: dict[str, float], layers: int, in_plane: Sequence[Sequence[int]], vacuum: float
) -> tuple[list[tuple[Structure, list[str], float, bool]], int]:
    """The slabs that break no ``intact`` bond, least dipole first, then the widest gap: structure, labels, dipole, and how many were cut.

    A termination's dipole is of the cut before decoration; the flag says whether its two faces are alike.
    """
    structure = cut.cell.structure()
    whole = {pair: set(counts) for pair, counts in slabs.coordination(structure, intact).items()}
    charges = _charges_by_label(cut, rules)
    ranked = []
    found = slabs.cut_slabs(structure, cut.miller, layers, in_plane)
    for number, item in enumerate(found):
        species = [cut.cell.species[site] for site, _ in item["sites"]]
        slab = slabs.place_slab(cut.cell, item["in_plane"], item["sites"], species, vacuum)
        if {pair: set(counts) for pair, counts in slabs.coordination(slab, intact).items()} == whole:
            labels = [cut.labels[site] for site, _ in item["sites"]]
            dipole = slabs.dipole_per_area(slab, [charges[label] for label in labels])
            ranked.append((round(abs(dipole), 4), -round(item["gap"], 3), number, (slab, labels, dipole, slabs.faces_alike(slab))))
    if not ranked:
        raise SettingsError(f"slab: all {len(found)} terminations break a bond of {intact}; take other Miller indices")
    return [entry[3] for entry in sorted(ranked, key=lambda entry: entry[:3])], len(found)


def scaled_sites(cut: CutCell, labels: Sequence[str], *, exact: bool) -> dict[str, dict[str, int]]:
    """The bulk's filling of its sites, for the sites of a slab; rounded to whole atoms unless it must be ``exact``."""
    found: dict[str, dict[str, int]] = {}
    for label, counts in cut.decorate.items():
        share = labels.count(label) / cut.per_label[label]
        wanted = {species: number * share for species, number in counts.items()}
        whole = {species: int(number + 1e-9) for species, number in wanted.items()}
        missing = round(sum(wanted.values())) - sum(whole.values())
        if exact and missing:
            raise SettingsError(
                f"slab: {labels.count(label)} sites '{label}' cannot hold {counts} of the bulk's {cut.per_label[label]}; "
                "change layers or in_plane"
            )
        for species in sorted(wanted, key=lambda name: (whole[name] - wanted[name], name))[:missing]:
            whole[species] += 1
        found[label] = whole
    return found


def _charges_by_label(cut: CutCell, rules: OrderingRules) -> dict[str, float]:
    """The formal charge of each site before decoration: the mean of what will stand there."""
    fixed = {label: symbol for label, symbol in zip(cut.labels, cut.cell.species, strict=True) if label not in cut.decorate}
    whole = cut.per_label if cut.decorate else Counter(cut.labels)
    counts = Counter({symbol: 0 for symbol in fixed.values()})
    for label, symbol in fixed.items():
        counts[symbol] += whole[label]
    for filling in cut.decorate.values():
        counts.update(filling)
    charges = neutral_charges(counts, rules.charges, rules.compensating)
    found = {label: charges[symbol] for label, symbol in fixed.items()}
    for label, filling in cut.decorate.items():
        found[label] = sum(charges[symbol] * number for symbol, number in filling.items()) / cut.per_label[label]
    return found


def _slab(step: SlabsStep, cut: CutCell, layers: int) -> Slab:
    rules = step.cut.rules
    (a, b), (c, d) = step.in_plane
    atoms = len(cut.cell.species) * layers * abs(a * d - b * c)
    if atoms > LARGEST_SLAB:
        raise SettingsError(f"slab: {layers} layers with in_plane {step.in_plane} are {atoms} atoms, more than {LARGEST_SLAB}: take fewer")
    ranked, number = terminations(cut, rules, step.cut.intact, layers, step.in_plane, step.vacuum)
    slab, labels, dipole, symmetric = ranked[0]
    if cut.decorate:
        sites = scaled_sites(cut, labels, exact=True)
        slab = ordered(slab.copy(site_properties={"label": labels}), rules, sites)[0][0][0]
        species = [site.specie.symbol for site in slab]
        charges = neutral_charges(Counter(species), rules.charges, rules.compensating)
        dipole = slabs.dipole_per_area(slab, [charges[symbol] for symbol in species])
    return Slab.model_validate(
        {
            "cell": cell_of(slab),
            "Dipole per area [e.angstrom-1]": round(dipole, 9),
            "polar": abs(dipole) > slabs.FLAT,
            "symmetric_cut": symmetric,
            "terminations": number,
            "intact_terminations": len(ranked),
        }
    )


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


def _relaxed_cut(base: Structure, bulk: Structure, relaxed: Cell) -> Cell:
    """``base`` with the lattice of the relaxed bulk and each site at the mean place of the bulk atoms that are copies of it.

    Of an undecorated parent both are averaged over its symmetry, which the decoration of the bulk had broken: else the two
    faces of its slab would differ.
    """
    if base is bulk:
        return relaxed
    into = np.round(bulk.lattice.matrix @ np.linalg.inv(base.lattice.matrix)).astype(int)
    lattice = np.linalg.solve(into.astype(float), np.array(relaxed.lattice))
    moves: list[list[np.ndarray]] = [[] for _ in base]
    for ideal, place in zip(bulk.cart_coords, np.array(relaxed.positions) @ into, strict=True):
        shift = ideal @ np.linalg.inv(base.lattice.matrix) - base.frac_coords
        site = int(np.argmin(np.linalg.norm((shift - np.round(shift)) @ base.lattice.matrix, axis=1)))
        move = place - base.frac_coords[site] - np.round(shift[site])
        moves[site].append(move - into.T @ np.round(np.linalg.solve(into.T.astype(float), move)))
    mean = np.array([np.mean(shifts, axis=0) if shifts else np.zeros(3) for shifts in moves])
    lattice, mean = _symmetrised(base, lattice, mean - mean.mean(axis=0))
    return cell_of(Structure(Lattice(lattice), [site.specie.symbol for site in base], base.frac_coords + mean))


def _symmetrised(base: Structure, lattice: np.ndarray, moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lattice vectors and fractional displacements averaged over the space group of ``base``; its orientation is kept."""
    found = spglib.get_symmetry((base.lattice.matrix, base.frac_coords, base.atomic_numbers), symprec=1e-3)
    metric, mean = np.zeros((3, 3)), np.zeros_like(moves)
    for turn, shift in zip(found["rotations"], found["translations"], strict=True):
        metric += turn.T @ lattice @ lattice.T @ turn
        apart = (base.frac_coords @ turn.T + shift)[:, None, :] - base.frac_coords[None, :, :]
        image = np.argmin(np.linalg.norm((apart - np.round(apart)) @ base.lattice.matrix, axis=2), axis=1)
        mean[image] += moves @ turn.T
    count = len(found["rotations"])
    # the lattice of this metric nearest to the ideal one: a pure stretch of it
    stretch = sqrtm(np.linalg.solve(base.lattice.matrix, np.linalg.solve(base.lattice.matrix, metric / count).T))
    return base.lattice.matrix @ np.real(stretch), mean / count
