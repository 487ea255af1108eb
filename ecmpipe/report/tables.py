"""The tables of the report: the SI's value beside this run's, Tables S2 and S3, and the cracks."""

from __future__ import annotations

from typing import Any

from ecmpipe.report.polymers import density_text
from ecmpipe.units import HOUR

Row = tuple[str, str, str, str]
ZERO = 1e7  # Pa: C14 is zero but in trigonal crystals
VOIGT = (("C11", 0, 0), ("C12", 0, 1), ("C13", 0, 2), ("C14", 0, 3), ("C33", 2, 2), ("C44", 3, 3), ("C66", 5, 5))


def comparison_rows(summary: dict[str, Any]) -> list[Row]:
    """Quantity, printed in the SI, this run, engine."""
    printed, engines, dft = summary["printed in the SI"], summary["engines"], summary["dft"]
    rows: list[Row] = []
    for polymer in summary["hyperelastic"]:
        if (reference := printed.get(f"density_{polymer}")) is not None:
            here = density_text(summary["hyperelastic"][polymer])
            rows.append((f"density of {polymer}", f"{reference / 1e3:.2f} g/cm³", f"{here} g/cm³", engines["md"]))
    for rate in (1, 5, 10):
        case = summary["fem"].get(f"default/none/{rate}C")
        if case is not None:
            time = printed[f"crack_time_{rate}c"]
            rows.append(
                (
                    f"crack at {rate} C" + (" (calibrated)" if _calibrated(case) and rate == 1 else ""),
                    f"t = {time:.0f} s (Q = {time * rate / HOUR:.3f})",
                    _onset(case),
                    engines["fem"],
                )
            )
    rows += [
        (
            "state at 600 s, 1 C",
            "intact (Fig. S1)",
            "intact" if _intact(summary, printed["intact_time_1c"]) else "cracked",
            engines["fem"],
        ),
        ("E of NCM811", "Table S2, values not public", _modulus(dft["ncm811"]), engines["dft"]),
        ("E of LGPS", "Table S3, values not public", _modulus(dft["lgps"]), engines["dft"]),
        (
            "volume change of NCM811 without Li (calibrated)",
            "used, not printed",
            f"{100 * dft['ncm811']['volume change at x = 0 [1]']:.1f} %",
            engines["dft"],
        ),
        (
            "mean equilibrium potential",
            "used, not printed",
            f"{dft['ncm811']['mean equilibrium potential [V]']:.2f} V",
            engines["dft"],
        ),
    ]
    card = summary["interface"]
    for name, face in card["faces"].items() if card else ():
        sides = f"{card['cathode']}/{card['electrolyte']}"
        work = f"{face['Work of adhesion [J.m-2]']:.2f} J/m² (indicative)"
        rows.append((f"work of adhesion {sides}, {name} face", "neither printed nor used by default", work, engines["dft"]))
    return rows


def _calibrated(case: dict[str, Any]) -> bool:
    return case["details"].get("interface toughness label") == "calibrated"


def _intact(summary: dict[str, Any], time: float) -> bool:
    onset = summary["fem"].get("default/none/1C", {}).get("onset time [s]")
    return onset is None or onset > time


def _onset(case: dict[str, Any]) -> str:
    if case["onset time [s]"] is None:
        return "never"
    return f"starts at t = {case['onset time [s]']:.0f} s (Q = {case['onset throughput [1]']:.3f})"


def _maybe(value: float | None, form: str, factor: float = 1.0) -> str:
    return "never" if value is None else form.format(factor * value)


def _half(case: dict[str, Any]) -> str:
    at, eta = (case["details"].get(f"{name} at half contact {unit}") for name, unit in (("throughput", "[1]"), ("overpotential", "[V]")))
    return "never" if at is None else "all lost in one jump" if eta is None else f"{1e3 * eta:.0f} mV"


def _modulus(material: dict[str, Any]) -> str:
    error = material["jackknife errors"]["Young's modulus [Pa]"]
    return f"{material['youngs_modulus [Pa]'] / 1e9:.1f} ± {error / 1e9:.1f} GPa"


def elastic_tables(summary: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Tables S2 and S3: constants and moduli in GPa, Poisson's ratio; the moduli with their jackknife errors."""
    tables = []
    for name, material in summary["dft"].items():
        stiffness, errors = material["stiffness matrix [Pa]"], material["jackknife errors"]
        rows = [(label, f"{stiffness[i][j] / 1e9:.1f}") for label, i, j in VOIGT if label != "C14" or abs(stiffness[i][j]) > ZERO]
        rows += [(letter, f"{material[key] / 1e9:.1f} ± {errors[error] / 1e9:.1f}") for letter, key, error in _MODULI]
        rows.append(("ν", f"{material['poisson_ratio [1]']:.3f} ± {errors['Poisson ratio [1]']:.3f}"))
        tables.append((name, rows))
    return tables


def surface_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Face and surface energy in J/m2, with its change from the next thinner slab where there is one."""
    rows = []
    for name, material in summary["dft"].items():
        if "surface" in material:
            change = material["surface energy, change from the next thinner slab [J.m-2]"]
            more = "" if change is None else f" ({change:+.3f} from the next thinner slab)"
            rows.append((f"{name} {material['surface']}", f"{material['surface energy [J.m-2]']:.3f}{more}"))
    return rows


def adhesion_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """What the explicit interface gave and what it is: every number of it is indicative."""
    card = summary["interface"]
    if card is None:
        return []
    area, strains = card["Area [m2]"] * 1e20, card["Principal strains of the electrolyte [1]"]
    rows = [
        ("cell", f"{area:.0f} Å², {card['Atoms [1]']} atoms: {card['cathode_formula']} | {card['electrolyte_formula']}"),
        (f"strain of {card['electrolyte']}", f"{100 * strains[0]:+.1f} %, {100 * strains[1]:+.1f} %"),
    ]
    for name, face in card["faces"].items():
        bonds = {pair: count for pair, count in (face["Forbidden bonds"] | face["Centres that lost or won a bond"]).items() if count}
        rows += [
            (
                f"{name} face: work of adhesion",
                f"{face['Work of adhesion [J.m-2]']:.2f} J/m²; one registry relaxed, picked of {face['registries']} unrelaxed",
            ),
            (
                f"{name} face: rigid separation",
                f"{face['Rigid work of separation [J.m-2]']:.2f} ± {face['Rigid work of separation, standard error [J.m-2]']:.2f} J/m², "
                f"{face['Rigid strength [Pa]'] / 1e9:.1f} ± {face['Rigid strength, standard error [Pa]'] / 1e9:.1f} GPa "
                f"(steepest between two points: {face['Steepest slope between two points [Pa]'] / 1e9:.1f}); "
                "no real interface reaches it",
            ),
            (f"{name} face: reaction", "none" if not bonds else ", ".join(f"{pair}: {count}" for pair, count in bonds.items())),
        ]
    return rows


_MODULI = (
    ("K", "bulk_modulus [Pa]", "Bulk modulus [Pa]"),
    ("G", "shear_modulus [Pa]", "Shear modulus [Pa]"),
    ("E", "youngs_modulus [Pa]", "Young's modulus [Pa]"),
)


VARIANT_COLUMNS = ("variant", "model", "split in the band", "bulk", "gate", "τ at 1C", "top", "shape", "G_i")


def variant_rows(summary: dict[str, Any]) -> list[list[str]]:
    """What each variant is, from its first case; where it differs from the first variant, marked with a star."""
    rows: list[list[str]] = []
    for name, case in summary["fem"].items():
        variant, details = name.split("/")[0], case["details"]
        if any(row[0] == variant for row in rows):
            continue
        pressed = f", {details['pressure of the top [Pa]'] / 1e6:g} MPa" if details["pressure of the top [Pa]"] else ""
        place = f", filler {details['filler']}" if details["filler"] == "behind" else ""
        cells = [
            details["model"],
            details["split in the band"],
            details["bulk"],
            details["gate"],
            f"{details['viscous time [s]'] * details['C-rate [h-1]']:g} s",
            details["top"] + pressed,
            details["shape"] + place,
            f"{details['interface toughness [J.m-2]']:.3g} J/m² ({details['interface toughness label']})",
        ]
        first = rows[0][1:] if rows else cells
        rows.append([variant, *(cell if cell == usual else f"{cell} *" for cell, usual in zip(cells, first, strict=True))])
    return rows


FRACTURE_COLUMNS = (
    "case",
    "crack begins (d ≥ 0.95; cohesive: gap ≥ w_c)",
    "half the contact lost",
    "η before",
    "η at half contact",
    "contact at end",
    "ended by",
    "Li imbalance",
)


def fracture_rows(summary: dict[str, Any]) -> list[list[str]]:
    """One row per finite-element case."""
    rows = []
    for name, case in summary["fem"].items():
        rows.append(
            [
                name.removeprefix("default/").replace("none/", "no filler, ").replace("/", ", "),
                _onset(case),
                _maybe(case["details"].get("throughput at half contact [1]"), "Q = {:.3f}"),
                _maybe(case["details"].get("overpotential at full contact [V]"), "{:.0f} mV", 1e3),
                _half(case),
                f"{case['contact fraction at end [1]']:.2f}",
                f"{case['end_reason']} (Q = {case['throughput at end [1]']:.3f})",
                f"{case['largest Li imbalance [1]']:.0e}",
            ]
        )
    return rows
