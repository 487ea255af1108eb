"""An explicit coherent interface of two materials: the electrolyte's slab strained onto the cathode's, at a grid of registries."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.analysis.interfaces.zsl import ZSLGenerator
from pymatgen.core import Lattice, Structure

from ecmpipe.cards import read_card, write_card
from ecmpipe.dft import slabs
from ecmpipe.dft.cuts import CutCell, cut_cell, scaled_sites, terminations
from ecmpipe.dft.ordering import order_by_swaps
from ecmpipe.dft.records import Contact, InterfaceCard, StructuresCard, cell_of, pick, read_runs
from ecmpipe.dft.structures import fill, neutral_charges
from ecmpipe.errors import ConvergenceError
from ecmpipe.settings.dft import Cut, InterfaceStep

ROOM = 3.0  # A of vacuum while a slab is still alone; the interface has its own


def build_interface(
    step: InterfaceStep,
    *,
    cathode_crystal: Path,
    electrolyte_crystal: Path,
    cathode_structures: Path,
    electrolyte_structures: Path,
    cathode_runs: list[Path],
    electrolyte_runs: list[Path],
    output: Path,
) -> dict[str, Any]:
    """Write the matched interface: lattice match of least strain, both halves, and every registry at its contact distance."""
    below = _relaxed(step.cathode, cathode_crystal, cathode_structures, cathode_runs)
    above = _relaxed(step.electrolyte, electrolyte_crystal, electrolyte_structures, electrolyte_runs)
    vectors = [slabs.plane_vectors(np.array(cut.cell.lattice), cut.miller)[:2] @ np.array(cut.cell.lattice) for cut in (below, above)]
    found = []
    for planes in match_planes(vectors[0], vectors[1], step.largest_area, step.largest_strain):
        cells = [_flat_cell(cut, plane) for cut, plane in zip((below, above), planes, strict=True)]
        strains = principal_strains(cells[1], cells[0])
        found.append((round(float(np.abs(strains).max()), 5), round(abs(np.linalg.det(cells[0])), 2), len(found), strains, planes))
    fitting = [each for each in found if each[0] <= step.largest_strain]
    if not fitting:
        raise ConvergenceError(
            f"dft.interface: no match of {step.cathode.material} and {step.electrolyte.material} within {step.largest_area:g} A2 "
            f"and a strain of {step.largest_strain:g}; raise 'largest area [angstrom2]' or 'largest strain [1]'"
        )
    *_, strains, (lower_plane, upper_plane) = min(fitting, key=lambda each: each[:3])
    base = _decorated(step.cathode, below, _slab(step.cathode, below, step.layers.cathode, lower_plane))
    film = _decorated(step.electrolyte, above, _slab(step.electrolyte, above, step.layers.electrolyte, upper_plane))
    unit = np.linalg.inv(as_cut(below, lower_plane))  # the surface cell's vectors in those of the base
    grid = [np.array([i / step.registries[0], j / step.registries[1]]) for i, j in itertools.product(*map(range, step.registries))]
    faces = {face: _contact(base, film, face, [point @ unit for point in grid], step.contact, step.vacuum) for face in step.faces}
    card = InterfaceCard.model_validate(
        {
            "cathode": step.cathode.material,
            "electrolyte": step.electrolyte.material,
            "Area [angstrom2]": float(abs(np.linalg.det(base.lattice.matrix[:2, :2]))),
            "Principal strains of the electrolyte [1]": [float(value) for value in strains],
            "cathode_cells": int(abs(round(np.linalg.det(lower_plane)))),
            "electrolyte_cells": int(abs(round(np.linalg.det(upper_plane)))),
            "cathode_formula": base.composition.formula,
            "electrolyte_formula": film.composition.formula,
            "faces": faces,
        }
    )
    write_card(output, card)
    return {"atoms": len(base) + len(film), "strains": np.round(strains, 4).tolist()}


def match_planes(base: np.ndarray, film: np.ndarray, area: float, strain: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of integer combinations of the in-plane vectors (2, 3) of base and film that nearly coincide.

    Zur and McGill, J. Appl. Phys. 55, 378 (1984); the tolerances let every pair within ``strain`` pass.
    """
    search = ZSLGenerator(max_area=area, max_area_ratio_tol=2.5 * strain, max_length_tol=strain, max_angle_tol=strain)
    found = []
    for match in search(film, base):
        pair = [
            np.round(np.linalg.lstsq(vectors.T, np.array(chosen).T, rcond=None)[0].T).astype(int)
            for vectors, chosen in ((base, match.substrate_sl_vectors), (film, match.film_sl_vectors))
        ]
        found.append((pair[0], pair[1]))
    return found


def as_cut(cut: CutCell, in_plane: np.ndarray) -> np.ndarray:
    """The integer combinations that `slabs.cut_slabs` takes of ``in_plane``: it may turn b round."""
    lattice = np.array(cut.cell.lattice)
    shortest = np.array(slabs.plane_vectors(lattice, cut.miller)[:2], dtype=float)
    chosen = np.array(slabs.in_plane_vectors(lattice, cut.miller, in_plane.tolist()), dtype=float)
    return np.round(np.linalg.lstsq(shortest.T, chosen.T, rcond=None)[0].T)


def _flat_cell(cut: CutCell, in_plane: np.ndarray) -> np.ndarray:
    lattice = np.array(cut.cell.lattice)
    a, b = slabs.in_plane_vectors(lattice, cut.miller, in_plane.tolist())
    return slabs.flat_cell(a @ lattice, b @ lattice)


def principal_strains(film: np.ndarray, base: np.ndarray) -> np.ndarray:
    """The two principal strains that bring the in-plane cell ``film`` (rows, 2 x 2) onto ``base``, the smaller first."""
    return np.sort(np.linalg.svd(np.linalg.solve(film, base), compute_uv=False)) - 1.0


def _relaxed(cut: Cut, crystal: Path, structures: Path, runs: list[Path]) -> CutCell:
    _, found = read_runs(runs, cut.material)
    bulk = pick(found, cut.bulk)
    card = read_card(StructuresCard, structures)
    return cut_cell(cut, crystal, card.arrangements[(bulk.arrangement or 1) - 1].bulk, bulk.cell)


def _slab(cut: Cut, cell: CutCell, layers: int, in_plane: np.ndarray) -> Structure:
    ranked, _ = terminations(cell, cut.rules, cut.intact, layers, in_plane.tolist(), ROOM)
    slab, labels, *_ = ranked[0]
    return slab.copy(site_properties={"label": labels})


def _decorated(cut: Cut, cell: CutCell, slab: Structure) -> Structure:
    """The slab with its sites filled as near to the bulk's composition as whole atoms allow."""
    if not cell.decorate:
        return slab
    labels = slab.site_properties["label"]
    sites = scaled_sites(cell, labels, exact=False)
    counts = Counter(site.specie.symbol for site, label in zip(slab, labels, strict=True) if label not in sites)
    for wanted in sites.values():
        counts.update(wanted)
    charges = neutral_charges(counts, cut.rules.charges, cut.rules.compensating)
    return fill(slab, order_by_swaps(slab, labels, sites, charges))


def _contact(base: Structure, film: Structure, face: str, shifts: list[np.ndarray], contact: float, vacuum: float) -> Contact:
    """Both halves in the base's in-plane cell; ``lower``: the film's lower face lies on the base, ``upper``: the base lies on it."""
    halves = [_heights(half) for half in (base, film)]
    height = sum(np.ptp(z) for z in halves) + contact + vacuum
    lattice = base.lattice.matrix.copy()
    lattice[2] = [0.0, 0.0, height]
    places = []
    for half, z in zip((base, film), halves, strict=True):
        place = half.frac_coords.copy()
        place[:, 2] = (z - z.min()) / height
        places.append(place)
    moves = []
    for shift in shifts:
        moved = places[1] + [*shift, 0.0]
        gap = _gap(places[0], moved, lattice, contact) if face == "lower" else -_gap(moved, places[0], lattice, contact)
        moves.append(np.array([*shift, gap / height]))
    bottom = vacuum / 2 / height - min(0.0, min(move[2] for move in moves))
    film_places = places[1] + moves[0]
    together = np.vstack([places[0], film_places]) + [0.0, 0.0, bottom]
    species = [site.specie.symbol for half in (base, film) for site in half]
    cell = Structure(Lattice(lattice), species, together)
    relative = [np.round(move - moves[0], 10).tolist() for move in moves]
    return Contact(cell=cell_of(cell), cathode_atoms=len(base), shifts=relative)


def _heights(half: Structure) -> np.ndarray:
    return half.frac_coords[:, 2] * half.lattice.c


def _gap(below: np.ndarray, above: np.ndarray, lattice: np.ndarray, contact: float) -> float:
    """How far ``above`` must rise, from its own bottom at the bottom of ``below``, to be ``contact`` away from its nearest atom, in A."""
    apart = above[:, None, :2] - below[None, :, :2]
    apart -= np.round(apart)
    found = -np.inf
    for image in itertools.product((-1, 0, 1), repeat=2):  # the nearest image of a skew cell need not be the rounded one
        flat = (apart + image) @ lattice[:2, :2]
        room = contact**2 - np.einsum("ijk,ijk->ij", flat, flat)
        rise = below[None, :, 2] * lattice[2, 2] + np.sqrt(np.maximum(room, 0.0)) - above[:, None, 2] * lattice[2, 2]
        found = max(found, float(rise[room > 0].max(initial=-np.inf)))
    return found
