"""Small discrete problems for the tests of the stage."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import yaml

from ecmpipe.fem.filler import EXACT, mooney_rivlin_patches, patch_dofs
from ecmpipe.fem.linsolve import Pattern
from ecmpipe.fem.mesh import Cell, _tensor, build_cell
from ecmpipe.settings import _merge
from ecmpipe.settings.base import validate
from ecmpipe.settings.fem import FemParameters, FemSettings

ROOT = Path(__file__).resolve().parents[2]
COARSE = {"geometry": {"width [m]": 0.6e-6, "elements_per_length_scale [1]": 2, "growth [1]": 2.0}}


def settings(*overlays: dict) -> SimpleNamespace:
    """The default settings of the stage under ``overlays``, in the shape that the step functions read."""
    default = yaml.safe_load((ROOT / "inputs/default.yaml").read_text(encoding="utf-8"))["fem"]
    parameters = yaml.safe_load((ROOT / "inputs/parameters.yaml").read_text(encoding="utf-8"))["parameters"]["fem"]
    parameters["interface_toughness"]["value"] = 0.5  # the shipped one belongs to the shipped V(x), not to the curve of the fixtures
    for overlay in overlays:
        default = _merge(default, overlay)
    return SimpleNamespace(fem=validate(FemSettings, default), parameters=SimpleNamespace(fem=validate(FemParameters, parameters)))


def small_cell(filler: float = 0.0, width: float = 1.0) -> Cell:
    """A few hundred triangles in units of 1."""
    return build_cell(cathode=1.0, filler=filler, electrolyte=1.0, width=width, band=0.3, size=0.1, growth=1.5, largest=0.3)


def rubber_block(columns: int, rows: int, width: float, height: float) -> Cell:
    """A block of filler only."""
    return _tensor(np.linspace(0, width, columns + 1), np.linspace(0, height, rows + 1), 0.0, height, 1e-12)


class Rubber:
    """Force and tangent of a block on all its displacements."""

    def __init__(self, cell: Cell, c10: float, c01: float, kappa: float):
        self.cell, self.law = cell, (c10, c01, kappa)
        dofs = patch_dofs(cell.triangles)
        self.pattern = Pattern(np.repeat(dofs, 12, axis=1).ravel(), np.tile(dofs, (1, 12)).ravel(), 2 * len(cell.nodes))
        self.g = np.ones(len(cell.triangles))

    def __call__(self, u: np.ndarray, tangent: int = EXACT):
        force, data, psi = np.zeros(len(u)), self.pattern.empty(), np.empty(len(self.cell.triangles))
        cell = self.cell
        mooney_rivlin_patches(
            cell.triangles, cell.gradients, cell.areas, *self.law, self.g, u, self.pattern.slots.reshape(-1, 144), data, force, psi, tangent
        )
        return force, self.pattern.matrix(data), psi
