"""Pulls with known coefficients, and the files that the stage reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from ecmpipe.cards import CellCard, write_card
from ecmpipe.laws.mooney_rivlin import TWO_PARAMETERS, principal_basis
from ecmpipe.settings.hyperelastic import FitStep, HyperelasticSettings

TRUE = np.array([1.5e8, 4e7, 3e9])  # assumed: of the size that MD of 600 atoms gives at 1e10 /s
GENERALISED = {"C10": 1.5e8, "C01": 4e7, "C11": 9e8, "C20": -3e8, "kappa1": 3e9, "kappa2": 6e11}


def free_lateral_stretch(axial: np.ndarray, coefficients: Mapping[str, float]) -> np.ndarray:
    """The lateral stretch (n,) that frees the lateral faces of a bar drawn to ``axial`` (n,) (S.37, or any stable form of S.33).

    It lies between the stretch at constant volume and the axial one, whatever the moduli.
    """
    names, values = list(coefficients), np.array(list(coefficients.values()))

    def stress(lateral: float, drawn: float) -> float:
        return float(principal_basis(np.array([drawn, lateral, lateral]), names)[1] @ values)

    return np.array([brentq(stress, drawn**-0.5, drawn, args=(drawn,), xtol=1e-13) for drawn in axial])


def settings(**changes: Any) -> HyperelasticSettings:
    """Those of the default run under ``changes``."""
    values = {
        "coefficients": list(TWO_PARAMETERS),
        "window [s]": 1e-16,  # every point of the samples stands for more
        "bins": 20,
        "bootstrap": 200,
        "seed": 1,
        "smallest_C10 [Pa]": 1e6,
        "smallest_C01 [Pa]": 0,
        "smallest_poisson_ratio [1]": 0,
        "largest_correlation [1]": 0.9999,
        "largest_relative_error [1]": 0.5,
    }
    return HyperelasticSettings.model_validate(values | changes)


def step(**changes: Any) -> FitStep:
    """A fit."""
    return FitStep(version=1, fit=settings(**changes))


def pulled(
    end: float, points: int, runs: int, coefficients: Sequence[float] = tuple(TRUE), volume_noise: float = 0.0, seed: int = 0
) -> np.ndarray:
    """Stretches (runs, points, 3) with free lateral faces, plus a barostat's volume noise [1]."""
    axial = np.linspace(1, end, points)
    lateral = free_lateral_stretch(axial, dict(zip(TWO_PARAMETERS, coefficients, strict=True)))
    stretches = np.repeat(np.stack([axial, lateral, lateral], axis=1)[None], runs, axis=0)
    noise = np.random.default_rng(seed).normal(0, volume_noise, (runs, points, 1))
    stretches[:, :, 1:] *= 1 + noise / 2
    return stretches


def stressed(stretches: np.ndarray, coefficients: np.ndarray = TRUE, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Stresses [Pa] of S.37 at ``stretches``, plus white ``noise`` [Pa]; ``coefficients`` (3,) or (runs, 3)."""
    exact = np.einsum("rpac,rc->rpa", principal_basis(stretches), np.broadcast_to(coefficients, (len(stretches), 3)))
    return exact + np.random.default_rng(seed).normal(0, noise, exact.shape)


def run_files(folder: Path, stretches: np.ndarray, stresses: np.ndarray) -> list[Path]:
    """One file per run as the MD stage writes them, pulled along x, y, z in turn at 1e10 /s."""
    paths = []
    window = np.ptp(stretches[0, :, 0]) / (stretches.shape[1] - 1) / 1e10
    for run, (lengths, normal) in enumerate(zip(stretches, stresses, strict=True)):
        turned = [(column - run) % 3 for column in range(3)]
        table = {"Time [s]": window * np.arange(1, len(lengths) + 1)}
        table |= {f"Stretch {name} [1]": lengths[:, turned[index]] for index, name in enumerate("xyz")}
        table |= {f"Stress {name}{name} [Pa]": normal[:, turned[index]] for index, name in enumerate("xyz")}
        table["Temperature [K]"] = np.full(len(lengths), 300.0)
        paths.append(folder / f"0_{'xyz'[run % 3]}_{run // 3}.csv")
        pd.DataFrame(table).to_csv(paths[-1], index=False)
    return paths


def cell_file(folder: Path, box: int = 0, **changes: Any) -> Path:
    """The card of one equilibrated box of PDMS under ``changes``."""
    values = {
        "polymer": "pdms",
        "engine": "LAMMPS",
        "Atoms [1]": 606,
        "Chains [1]": 3,
        "Density [kg.m-3]": 940,
        "Density standard error [kg.m-3]": 7,
        "Box lengths [m]": [2e-9] * 3,
        "Net charge [e]": 0,
        "seed": box,
        "torsion_mode": "linear_safe",
        "equilibrated": True,
        "Bulk modulus from volume fluctuation [Pa]": 1.2e9,
        "conserves_energy": True,
    }
    path = folder / f"box_{box}.json"
    write_card(path, CellCard.model_validate(values | changes))
    return path
