"""Which atom stands on which site: every arrangement is enumerated, its Ewald energy is exact for the formal charges."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import spglib
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Structure

from ecmpipe.errors import SettingsError

LARGEST_LIST = 200_000  # arrangements of one kind of site
LARGEST_SEARCH = 50_000_000  # combinations over all kinds of sites: 0.4 GB
DISTINCT_LIMIT = 2_000  # beyond it no symmetry reduction is made
TIE = 1e-5  # eV: arrangements nearer than this are the same; the first one is taken
EMPTY = "-"
REFUSED = 1e6  # eV: the cost of a pair that is too close


def ewald_matrix(structure: Structure) -> np.ndarray:
    """Pair energies of unit charges in eV, shape (sites, sites): the energy of charges q is q.M.q when they are neutral."""
    unit = Structure(structure.lattice, ["H+"] * len(structure), structure.frac_coords)
    return EwaldSummation(unit).total_energy_matrix


def arrangements(sites: int, counts: Mapping[str, int]) -> list[tuple[str, ...]]:
    """All ways to put ``counts`` of each species on ``sites`` sites; what is left stays empty."""
    left = sites - sum(counts.values())
    wanted = {species: count for species, count in [*counts.items(), (EMPTY, left)] if count}
    number = math.factorial(sites)
    for count in wanted.values():
        number //= math.factorial(count)
    if number > LARGEST_LIST:
        raise SettingsError(f"sites: {number} arrangements of {dict(wanted)}, more than {LARGEST_LIST}: take a smaller supercell")
    found: list[tuple[str, ...]] = []
    majority = max(wanted, key=lambda species: wanted[species])
    minor = [(species, count) for species, count in wanted.items() if species != majority]

    def place(row: list[str], rest: list[tuple[str, int]]) -> None:
        if not rest:
            found.append(tuple(row))
            return
        (species, count), *others = rest
        for chosen in itertools.combinations([k for k, at in enumerate(row) if at == majority], count):
            new = list(row)
            for k in chosen:
                new[k] = species
            place(new, others)

    place([majority] * sites, minor)
    return found


def order(
    structure: Structure,
    labels: Sequence[str],
    sites: Mapping[str, Mapping[str, int]],
    charges: Mapping[str, float],
    closest: Mapping[str, float],
) -> tuple[list[str], dict]:
    """Species of every site (``-``: empty) in the arrangement of least Ewald energy, and a report of the search.

    ``sites`` gives the number of atoms of each species per label; labels that it does not name keep their species.
    ``closest`` refuses arrangements with a pair ``A-B`` nearer than so many angstrom.
    """
    species = [site.specie.symbol for site in structure]
    groups = {label: [k for k, name in enumerate(labels) if name == label] for label in sites}
    for label, members in groups.items():
        if not members:
            raise SettingsError(f"sites: the crystal has no site '{label}'; it has {sorted(set(labels))}")
        if sum(sites[label].values()) > len(members):
            raise SettingsError(f"sites.{label}: {sum(sites[label].values())} atoms on {len(members)} sites; take fewer")
    choices = {label: arrangements(len(members), sites[label]) for label, members in groups.items()}
    size = math.prod(len(choice) for choice in choices.values())
    if size > LARGEST_SEARCH:
        raise SettingsError(f"sites: {size} combinations, more than {LARGEST_SEARCH}: take a smaller supercell")
    coupling = ewald_matrix(structure)
    fixed = [k for k in range(len(species)) if all(k not in members for members in groups.values())]

    def energies(matrix: np.ndarray, left: Mapping[str, float], right: Mapping[str, float]) -> np.ndarray:
        """Bilinear form of the two site values over all combinations, one axis per label."""
        total = np.zeros([len(choice) for choice in choices.values()])
        blocks = [(members, _values(choices[label], left), _values(choices[label], right)) for label, members in groups.items()]
        base_left, base_right = (np.array([value.get(species[k], 0.0) for k in fixed]) for value in (left, right))
        total += base_left @ matrix[np.ix_(fixed, fixed)] @ base_right
        for axis, (rows, a, b) in enumerate(blocks):
            own = np.einsum("ni,ij,nj->n", a, matrix[np.ix_(rows, rows)], b, optimize=True)
            own = own + a @ matrix[np.ix_(rows, fixed)] @ base_right + b @ matrix[np.ix_(fixed, rows)].T @ base_left
            total += own.reshape([-1 if k == axis else 1 for k in range(len(blocks))])
            for other, (columns, c, d) in enumerate(blocks[:axis]):
                pair = a @ matrix[np.ix_(rows, columns)] @ d.T + b @ matrix[np.ix_(columns, rows)].T @ c.T
                shape = [1] * len(blocks)
                shape[axis], shape[other] = len(a), len(c)
                total += (pair.T if other < axis else pair).reshape(shape)
        return total

    cost = energies(coupling, charges, charges)
    distances = structure.distance_matrix
    for pair, limit in closest.items():
        first, second = pair.split("-")
        near = (distances < limit) & (distances > 1e-8)
        cost += REFUSED * energies(near.astype(float), {first: 1.0}, {second: 1.0})
    best = np.unravel_index(int(np.argmax(cost.ravel() <= cost.min() + TIE)), cost.shape)
    if cost[best] > REFUSED / 2:
        raise SettingsError(f"closest pairs: every arrangement holds a pair nearer than {dict(closest)}; lower the limit or the filling")
    chosen = list(species)
    for label, index in zip(groups, best, strict=True):
        for k, name in zip(groups[label], choices[label][index], strict=True):
            chosen[k] = name
    report: dict = {"arrangements": size, "ewald energy [eV]": round(float(cost[best]), 6)}
    if len(groups) == 1 and 1 < size <= DISTINCT_LIMIT:
        label = next(iter(groups))
        report["distinct"] = distinct(structure, labels, groups[label], choices[label], cost)
    return chosen, report


def distinct(
    structure: Structure, labels: Sequence[str], members: Sequence[int], choice: Sequence[tuple[str, ...]], cost: np.ndarray
) -> list[dict]:
    """The symmetry-distinct arrangements with their multiplicity and Ewald energy, lowest first."""
    maps = permutations(structure, labels)[:, members]
    column = {site: k for k, site in enumerate(members)}
    moves = np.array([[column[site] for site in row] for row in maps])
    codes = {name: code for code, name in enumerate(sorted({name for row in choice for name in row}))}
    coded = np.array([[codes[name] for name in row] for row in choice])
    weights = len(codes) ** np.arange(coded.shape[1], dtype=object)
    names = np.array([min((row[moves] @ weights).tolist()) for row in coded], dtype=object)
    found = []
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        found.append(
            {"multiplicity": int(rows.size), "ewald energy [eV]": round(float(cost[rows[0]]), 6), "species": list(choice[rows[0]])}
        )
    return sorted(found, key=lambda item: item["ewald energy [eV]"])


def permutations(structure: Structure, labels: Sequence[str]) -> np.ndarray:
    """How the space group of the labelled sites permutes them, shape (operations, sites)."""
    numbers = [sorted(set(labels)).index(label) + 1 for label in labels]
    found = spglib.get_symmetry((structure.lattice.matrix, structure.frac_coords, numbers), symprec=1e-3)
    places = structure.frac_coords
    rows = []
    for rotation, translation in zip(found["rotations"], found["translations"], strict=True):
        moved = places @ rotation.T + translation
        shift = moved[:, None, :] - places[None, :, :]
        rows.append(np.argmin(np.linalg.norm((shift - np.round(shift)) @ structure.lattice.matrix, axis=2), axis=1))
    return np.unique(np.array(rows), axis=0)


def _values(choice: Sequence[tuple[str, ...]], value: Mapping[str, float]) -> np.ndarray:
    return np.array([[value.get(name, 0.0) for name in row] for row in choice])
