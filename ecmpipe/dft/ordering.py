"""Which atom stands on which site: every arrangement is enumerated, its Ewald energy is exact for the formal charges."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Ordering:
    """Species of every site (``-``: empty), Ewald energy in eV, and how many equivalent arrangements there are (None: not counted)."""

    species: list[str]
    ewald: float
    multiplicity: int | None


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
        raise SettingsError(f"sites: more than {LARGEST_LIST} arrangements of {dict(wanted)}: take a smaller supercell")
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
    count: int = 1,
) -> tuple[list[Ordering], dict]:
    """The ``count`` distinct arrangements of least Ewald energy, lowest first, and a report of the search.

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
    flat = cost.ravel()

    def filled(index: int) -> list[str]:
        chosen = list(species)
        for label, place in zip(groups, np.unravel_index(index, cost.shape), strict=True):
            for k, name in zip(groups[label], choices[label][place], strict=True):
                chosen[k] = name
        return chosen

    report: dict = {"arrangements": size}
    if len(groups) == 1 and 1 < size <= DISTINCT_LIMIT:
        label = next(iter(groups))
        found = distinct(structure, labels, groups[label], choices[label], flat)
        report["distinct"] = len(found)
    else:
        found = _levels(flat, count)
    found = [(index, many) for index, many in found if flat[index] < REFUSED / 2]
    if not found:
        raise SettingsError(f"closest pairs: every arrangement holds a pair nearer than {dict(closest)}; lower the limit or the filling")
    if len(found) < count:
        raise SettingsError(f"sites: {count} arrangements of {dict(sites)} asked for, only {len(found)} differ; ask for fewer")
    orderings = [Ordering(filled(index), round(float(flat[index]), 6), many) for index, many in found[:count]]
    return orderings, report | {"ewald energy [eV]": orderings[0].ewald}


def order_by_swaps(
    structure: Structure, labels: Sequence[str], sites: Mapping[str, Mapping[str, int]], charges: Mapping[str, float]
) -> list[str]:
    """Species of every site after descent: the minor species are set down one by one, then swapped while that lowers the Ewald energy.

    For cells with too many arrangements to look at all of them; a local minimum, always the same one.
    """
    coupling = ewald_matrix(structure)
    species = [site.specie.symbol for site in structure]
    for label, counts in sites.items():
        members = [k for k, name in enumerate(labels) if name == label]
        wanted = dict(counts) | {EMPTY: len(members) - sum(counts.values())}
        majority = max(wanted, key=lambda name: wanted[name])
        for k in members:
            species[k] = majority
        value = {name: charges.get(name, 0.0) for name in wanted}
        for name in sorted(set(wanted) - {majority}, key=lambda name: -abs(value[name] - value[majority])):
            for _ in range(wanted[name]):
                field = coupling @ np.array([charges.get(each, 0.0) for each in species])
                step = value[name] - value[majority]
                free = [k for k in members if species[k] == majority]
                costs = [2 * step * field[k] + step**2 * coupling[k, k] for k in free]
                species[free[int(np.argmin(np.round(costs, 6)))]] = name
    _swap_down(species, labels, list(sites), charges, coupling)
    return species


def _swap_down(species: list[str], labels: Sequence[str], kinds: list[str], charges: Mapping[str, float], coupling: np.ndarray) -> None:
    """Swap pairs of unlike atoms on sites of one label, best pair first, until none lowers the energy by more than TIE."""
    while True:
        values = np.array([charges.get(each, 0.0) for each in species])
        field, own = coupling @ values, np.diag(coupling)
        step = values[None, :] - values[:, None]
        gain = 2 * step * (field[:, None] - field[None, :]) + step**2 * (own[:, None] + own[None, :] - 2 * coupling)
        alike = np.array([[a == b and a in kinds for b in labels] for a in labels])
        gain = np.where(alike, gain, 0.0)
        i, j = np.unravel_index(int(np.argmin(np.round(gain, 6))), gain.shape)
        if gain[i, j] > -TIE:
            return
        species[i], species[j] = species[j], species[i]


def _levels(cost: np.ndarray, count: int) -> list[tuple[int, None]]:
    """The first arrangement of each of the ``count`` lowest energies; equal energies count as equivalent."""
    found: list[tuple[int, None]] = []
    floor = -np.inf
    while len(found) < count and (above := cost > floor + TIE).any():
        floor = cost[above].min()
        found.append((int(np.argmax(above & (cost <= floor + TIE))), None))
    return found


def distinct(
    structure: Structure, labels: Sequence[str], members: Sequence[int], choice: Sequence[tuple[str, ...]], cost: np.ndarray
) -> list[tuple[int, int]]:
    """Index and multiplicity of the symmetry-distinct arrangements, lowest Ewald energy first."""
    maps = permutations(structure, labels)[:, members]
    column = {site: k for k, site in enumerate(members)}
    moves = np.array([[column[site] for site in row] for row in maps])
    codes = {name: code for code, name in enumerate(sorted({name for row in choice for name in row}))}
    coded = np.array([[codes[name] for name in row] for row in choice])
    weights = len(codes) ** np.arange(coded.shape[1], dtype=object)
    names = np.array([min((row[moves] @ weights).tolist()) for row in coded], dtype=object)
    groups = [np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())]
    return [(int(rows[0]), int(rows.size)) for rows in sorted(groups, key=lambda rows: (round(float(cost[rows[0]]), 6), rows[0]))]


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
