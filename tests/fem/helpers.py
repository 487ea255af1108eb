"""Small discrete problems for the tests of the stage."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import yaml

from ecmpipe.cards import FemParametersCard, read_card
from ecmpipe.fem.filler import EXACT, mooney_rivlin_patches, patch_dofs
from ecmpipe.fem.linsolve import Pattern
from ecmpipe.fem.mechanics import Support
from ecmpipe.fem.mesh import Cell, Mesh
from ecmpipe.fem.model import Model
from ecmpipe.fem.parameters import collect_parameters
from ecmpipe.fem.run import read_tables
from ecmpipe.fem.shapes import layered_cell, tensor_mesh
from ecmpipe.settings.base import merge, validate
from ecmpipe.settings.fem import DEFAULT, FemParameters, FemSettings, LayeredGeometry, parameters_step, run_step
from tests.fem.fixtures import write_cards

ROOT = Path(__file__).resolve().parents[2]
COARSE = {"geometry": {"width [m]": 0.6e-6, "elements_per_length_scale [1]": 2, "growth [1]": 2.0}}
CARDS = ("cathode_crystal", "cathode_elastic", "electrolyte_crystal", "electrolyte_elastic", "surfaces")


def settings(*overlays: dict, numbers: dict | None = None) -> SimpleNamespace:
    """The default settings of the stage under ``overlays``, in the shape that the step functions read; ``numbers`` are values by name."""
    default = yaml.safe_load((ROOT / "inputs/default.yaml").read_text(encoding="utf-8"))["fem"]
    parameters = yaml.safe_load((ROOT / "inputs/parameters.yaml").read_text(encoding="utf-8"))["parameters"]["fem"]
    parameters["interface_toughness"]["value"] = 0.5  # the shipped one belongs to the shipped V(x), not to the curve of the fixtures
    for overlay in overlays:
        default = merge(default, overlay)
    for name, value in (numbers or {}).items():
        parameters[name]["value"] = value
    return SimpleNamespace(fem=validate(FemSettings, default), parameters=SimpleNamespace(fem=validate(FemParameters, parameters)))


def model(folder: Path, *overlays: dict, filler: str = "none", rate: float = 1.0, variant: str = DEFAULT, numbers: dict | None = None):
    """A coarse case, assembled as `run_case` does it, from the cards of the fixtures in ``folder``."""
    chosen, cards = settings(COARSE, *overlays, numbers=numbers), write_cards(folder)
    output, rubber = folder / f"{filler}.json", [] if filler == "none" else [cards[filler]]
    fixed = {name: cards[name] for name in CARDS} | {"hyperelastic": rubber, "adhesion": [], "toughness": []}
    collect_parameters(parameters_step(chosen, variant), filler=filler, **fixed, output=output)
    values = {name: number.value for name, number in read_card(FemParametersCard, output).numbers.items()}
    return Model(values, run_step(chosen, variant), rate, *read_tables(cards["delithiation"]))


def layers(
    *,
    cathode: float,
    electrolyte: float,
    width: float,
    band: float,
    size: float,
    growth: float,
    largest: float,
    filler: float = 0.0,
    place: str = "between",
) -> Cell:
    """A layered cell whose band and element size are given as lengths; no limits of the settings apply, so units of 1 will do."""
    geometry = LayeredGeometry.model_construct(
        shape="layered",
        cathode_thickness=cathode,
        electrolyte_thickness=electrolyte,
        width=width,
        growth=growth,
        largest_element=largest,
        filler_place=place,
    )
    return layered_cell(geometry, band, size, filler)


def small_cell(filler: float = 0.0, width: float = 1.0, place: str = "between") -> Cell:
    """A few hundred triangles in units of 1."""
    sizes = {"band": 0.3, "size": 0.1, "growth": 1.5, "largest": 0.3}
    return layers(cathode=1.0, filler=filler, electrolyte=1.0, width=width, place=place, **sizes)


def block(columns: int, rows: int, width: float, height: float) -> Mesh:
    """A block without layers; triangles 2q and 2q + 1 are one rectangle."""
    nodes, triangles, _ = tensor_mesh(np.linspace(0, width, columns + 1), np.linspace(0, height, rows + 1))
    return Mesh(nodes, triangles)


def on_rollers(mesh: Mesh, top: bool = True) -> Support:
    """Held in x on the left, in y at the bottom and, for ``top``, at the top: the support of a clamped cell."""
    x, y = mesh.nodes.T
    rows = (y == y.min()) | (y == y.max()) if top else y == y.min()
    return Support.holding(len(mesh.nodes), np.concatenate([2 * np.flatnonzero(x == x.min()), 2 * np.flatnonzero(rows) + 1]))


def upright(mesh: Mesh) -> np.ndarray:
    """Normals (t, 2) along y."""
    return np.tile([0.0, 1.0], (len(mesh.triangles), 1))


class Rubber:
    """Force and tangent of a block on all its displacements."""

    def __init__(self, mesh: Mesh, c10: float, c01: float, kappa: float):
        self.mesh, self.law = mesh, (c10, c01, kappa)
        dofs = patch_dofs(mesh.triangles)
        self.pattern = Pattern(np.repeat(dofs, 12, axis=1).ravel(), np.tile(dofs, (1, 12)).ravel(), 2 * len(mesh.nodes))
        self.g = np.ones(len(mesh.triangles))

    def __call__(self, u: np.ndarray, tangent: int = EXACT):
        force, data, psi = np.zeros(len(u)), self.pattern.empty(), np.empty(len(self.mesh.triangles))
        mesh = self.mesh
        mooney_rivlin_patches(
            mesh.triangles, mesh.gradients, mesh.areas, *self.law, self.g, u, self.pattern.slots.reshape(-1, 144), data, force, psi, tangent
        )
        return force, self.pattern.matrix(data), psi
