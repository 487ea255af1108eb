"""Elastic constants from stresses of strained cells with relaxed ions. Voigt order xx yy zz yz xz xy, SI units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.analysis.elasticity import ElasticTensor
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from ecmpipe.cards import ElasticCard, read_card, write_card
from ecmpipe.dft.records import RunCard, StructuresCard, pick, read_runs
from ecmpipe.errors import ConvergenceError
from ecmpipe.settings.dft import ElasticStep
from ecmpipe.settings.dft_materials import VOIGT
from ecmpipe.units import EV_PER_CUBIC_ANGSTROM

INDICES = tuple(tuple("xyz".index(letter) for letter in mode) for mode in VOIGT)
SYMMETRY_PRECISION = 0.01  # A, of the undecorated parent, which is exact


def collect_elastic(step: ElasticStep, *, material: str, structures: Path, runs: list[Path], output: Path) -> dict[str, Any]:
    """Write the card: fit of all strains, mean over the symmetry of the undecorated parent, moduli; refused unless stable."""
    first, found = read_runs(runs, material)
    strained = [run for run in found.values() if run.kind == "strain"]
    bulk, parent = pick(found, step.bulk), read_card(StructuresCard, structures).parent.structure()
    raw, residual = fit_stiffness(strained, bulk)
    symmetric, name = symmetrise(raw, parent)
    eigenvalue = float(np.linalg.eigvalsh(symmetric).min())
    if eigenvalue <= 0:
        raise ConvergenceError(
            f"{runs[0].parent}: the elastic constants of '{material}' are not positive definite "
            f"(smallest eigenvalue {eigenvalue / 1e9:.2f} GPa): the cell is unstable in this engine; "
            "tighten dft.tolerances or take another engine"
        )
    moduli = hill(symmetric)
    errors = jackknife(strained, bulk, parent)
    card = ElasticCard.model_validate(
        {
            "material": material,
            "engine": first.engine,
            "Stiffness matrix [Pa]": symmetric.tolist(),
            "Bulk modulus [Pa]": moduli["hill"]["bulk"],
            "Shear modulus [Pa]": moduli["hill"]["shear"],
            "Young's modulus [Pa]": moduli["hill"]["youngs"],
            "Poisson ratio [1]": moduli["hill"]["poisson"],
            "Jackknife errors": {
                "Bulk modulus [Pa]": errors["bulk"],
                "Shear modulus [Pa]": errors["shear"],
                "Young's modulus [Pa]": errors["youngs"],
                "Poisson ratio [1]": errors["poisson"],
            },
            "Voigt bounds [Pa]": {key: moduli["voigt"][key] for key in ("bulk", "shear", "youngs")},
            "Reuss bounds [Pa]": {key: moduli["reuss"][key] for key in ("bulk", "shear", "youngs")},
            "Smallest stiffness eigenvalue [Pa]": eigenvalue,
            "Asymmetry before symmetrisation [1]": float(np.linalg.norm(raw - raw.T) / np.linalg.norm(raw)),
            "Stress residual of the strain fit [1]": residual,
            "symmetry": name,
            "Strains [1]": sorted({run.strain for run in strained}),
            "ions": "relaxed",
        }
    )
    write_card(output, card)
    return {"engine": first.engine, "strained runs": len(strained), "departure from the parent's symmetry [1]": departure(raw, symmetric)}


def fit_stiffness(strained: list[RunCard], bulk: RunCard) -> tuple[np.ndarray, float]:
    """The 6x6 matrix in Pa, column by column from the runs of one mode, and the relative residual of all stresses.

    The unstrained ``bulk`` is one point of each mode, and each mode has its own intercept: the stress that was left there.
    """
    stiffness = np.zeros((6, 6))
    misfit, total = 0.0, 0.0
    for column, mode in enumerate(VOIGT):
        chosen = [run for run in strained if run.mode == mode]
        if not chosen:
            raise ConvergenceError(f"strain mode {mode} has no runs; add dft.materials.*.strains")
        strain = np.array([0.0, *(run.strain for run in chosen)])
        stress = np.array([[run.stress[i][j] for i, j in INDICES] for run in (bulk, *chosen)]) * EV_PER_CUBIC_ANGSTROM
        design = np.column_stack([strain, np.ones_like(strain)])
        solution = np.linalg.lstsq(design, stress, rcond=None)[0]
        stiffness[:, column] = solution[0]
        misfit += float(np.sum((stress - design @ solution) ** 2))
        total += float(np.sum((stress - solution[1]) ** 2))
    return stiffness, float(np.sqrt(misfit / total))


def jackknife(strained: list[RunCard], bulk: RunCard, parent: Structure) -> dict[str, float]:
    """Errors of the Hill moduli from fits that leave out one strain each (Efron, SIAM CBMS 38 (1982)).

    With one strain of each sign this is half the difference between pulling and pressing.
    What they hold: curvature of the stress, ions that settled differently, unconverged runs. Not the error of the engine.
    """
    strains = sorted({run.strain for run in strained})
    found = []
    for left_out in strains:
        raw, _ = fit_stiffness([run for run in strained if run.strain != left_out], bulk)
        found.append(hill(symmetrise(raw, parent)[0])["hill"])
    n = len(found)
    return {key: float(np.sqrt((n - 1) * np.var([moduli[key] for moduli in found]))) for key in found[0]}


def symmetrise(stiffness: np.ndarray, parent: Structure) -> tuple[np.ndarray, str]:
    """The mean of the symmetric part over the point group of ``parent``, and the space group's name."""
    scale = float(np.abs(stiffness).max())  # pymatgen's checks of symmetry are absolute, made for GPa
    tensor = ElasticTensor.from_voigt((stiffness + stiffness.T) / 2 / scale)
    analyzer = SpacegroupAnalyzer(parent, symprec=SYMMETRY_PRECISION)
    operations = analyzer.get_point_group_operations(cartesian=True)
    mean = np.mean([tensor.transform(operation) for operation in operations], axis=0)
    voigt = np.array(ElasticTensor(mean).voigt) * scale
    return (voigt + voigt.T) / 2, analyzer.get_space_group_symbol()


def hill(stiffness: np.ndarray) -> dict[str, dict[str, float]]:
    """Voigt, Reuss and Hill moduli of a 6x6 matrix, in its unit (Hill, Proc. Phys. Soc. A 65, 349 (1952))."""
    c, s = stiffness, np.linalg.inv(stiffness)
    normal, cross, shear = (np.trace(c[:3, :3]), c[0, 1] + c[0, 2] + c[1, 2], np.trace(c[3:, 3:]))
    voigt = {"bulk": (normal + 2 * cross) / 9, "shear": (normal - cross + 3 * shear) / 15}
    normal, cross, shear = (np.trace(s[:3, :3]), s[0, 1] + s[0, 2] + s[1, 2], np.trace(s[3:, 3:]))
    reuss = {"bulk": 1 / (normal + 2 * cross), "shear": 15 / (4 * normal - 4 * cross + 3 * shear)}
    mean = {key: (voigt[key] + reuss[key]) / 2 for key in voigt}
    found = {"voigt": voigt, "reuss": reuss, "hill": mean}
    for moduli in found.values():
        k, g = moduli["bulk"], moduli["shear"]
        moduli |= {"youngs": 9 * k * g / (3 * k + g), "poisson": (3 * k - 2 * g) / (6 * k + 2 * g)}
    return {name: {key: float(value) for key, value in moduli.items()} for name, moduli in found.items()}


def departure(raw: np.ndarray, symmetric: np.ndarray) -> float:
    """How far the decorated cell's own constants are from the parent's symmetry, relative."""
    return float(np.linalg.norm((raw + raw.T) / 2 - symmetric) / np.linalg.norm(symmetric))
