"""``results/report/summary.json``: the headline numbers of a run under keys with units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ecmpipe.cards import AdhesionCard, CrystalCard, ElasticCard, HyperelasticCard, SurfacesCard, read_card, read_curve, write_json
from ecmpipe.report.polymers import si_order
from ecmpipe.report.results import read_case
from ecmpipe.settings.report import SummaryStep
from ecmpipe.units import EV


def write_summary(
    step: SummaryStep,
    *,
    crystals: list[Path],
    elastics: list[Path],
    surfaces: Path,
    delithiation: Path,
    fits: list[Path],
    cases: list[Path],
    adhesion: list[Path],
    output: Path,
) -> dict:
    """Collect the cards of every stage; nothing is computed here but ratios for reading.

    ``cases`` are the files of all cases that are read; ``adhesion``: one card, or none.
    """
    slabs = read_card(SurfacesCard, surfaces)
    materials = {card.material: _material(card, slabs) for card in (read_card(CrystalCard, path) for path in crystals)}
    engines = {"dft": slabs.engine}
    for card in (read_card(ElasticCard, path) for path in elastics):
        materials[card.material] |= _elastic(card)
    materials["ncm811"] |= _delithiation(delithiation)
    polymers = {card.polymer: card for card in sorted((read_card(HyperelasticCard, path) for path in fits), key=si_order)}
    engines["md"] = next(iter(polymers.values())).engine if polymers else "none"
    runs = [read_case(folder) for folder in dict.fromkeys(path.parent for path in cases)]
    engines["fem"] = str(runs[0].summary.details.get("engine", "ecmpipe.fem"))
    summary = {
        "engines": engines,
        "dft": materials,
        "interface": _interface(read_card(AdhesionCard, adhesion[0])) if adhesion else None,
        "hyperelastic": {name: summarise_polymer(card) for name, card in polymers.items()},
        "fem": {case.name: case.summary.model_dump(mode="json") for case in runs},
        "printed in the SI": {name: value["value"] for name, value in step.printed.model_dump(mode="json").items()},
    }
    write_json(output, summary)
    return {"engine": "none"}


def _material(card: CrystalCard, slabs: SurfacesCard) -> dict[str, Any]:
    found: dict[str, Any] = {
        "formula": card.formula,
        "cell volume [m3]": card.volume,
        "volume per formula unit [m3]": card.volume / card.formula_units,
        "cell lengths [m]": card.lengths,
        "cell angles [deg]": card.angles,
        "density [kg.m-3]": card.density,
    }
    for slab in slabs.surfaces.values():
        if slab.material == card.material:
            found["surface"] = "({})".format("".join(str(index) for index in slab.miller))
            found["surface energy [J.m-2]"] = slab.surface_energy
            found["surface energy, change from the next thinner slab [J.m-2]"] = slab.change
    return found


def _elastic(card: ElasticCard) -> dict[str, Any]:
    return {
        "youngs_modulus [Pa]": card.youngs_modulus,
        "bulk_modulus [Pa]": card.bulk_modulus,
        "shear_modulus [Pa]": card.shear_modulus,
        "poisson_ratio [1]": card.poisson_ratio,
        "jackknife errors": card.jackknife_errors,
        "stiffness matrix [Pa]": card.stiffness,
        "smallest stiffness eigenvalue [Pa]": card.smallest_eigenvalue,
    }


def _interface(card: AdhesionCard) -> dict[str, Any]:
    keep = card.model_dump(mode="json")
    names = ("engine", "quality", "cathode", "electrolyte", "cathode_formula", "electrolyte_formula")
    found = {name: keep[name] for name in (*names, "Area [m2]", "Principal strains of the electrolyte [1]", "Atoms [1]")}
    return found | {
        "faces": {face: {k: v for k, v in each.items() if not k.startswith("Separation")} for face, each in keep["faces"].items()}
    }


def _delithiation(path: Path) -> dict[str, Any]:
    table = read_curve(path, ["Li content x [1]", "Volume [m3]", "Energy [J]", "Equilibrium potential [V]"]).sort_values("Li content x [1]")
    voltage = table["Equilibrium potential [V]"].to_numpy()
    volume = table["Volume [m3]"].to_numpy()
    x = table["Li content x [1]"].to_numpy()
    return {
        "energy at x = 1 [eV]": float(table["Energy [J]"].iloc[-1] / EV),
        "mean equilibrium potential [V]": mean_over(x, voltage),
        "equilibrium potential range [V]": [float(voltage[-1]), float(voltage[0])],
        "volume change at x = 0 [1]": float(volume[0] / volume[-1] - 1),
    }


def mean_over(x: np.ndarray, values: np.ndarray) -> float:
    """The mean of tabulated ``values`` (n,) over ascending ``x`` (n,), by the trapezoidal rule."""
    return float(np.trapezoid(values, x) / (x[-1] - x[0]))


def summarise_polymer(card: HyperelasticCard) -> dict[str, Any]:
    """What the report says of a polymer, under the keys of its card."""
    found = card.model_dump(mode="json", exclude={"polymer", "density", "density_error", "details"})
    return found | {"density [kg.m-3]": card.density, "density standard error [kg.m-3]": card.density_error}
