"""Table 2, its words, and Fig. S8, from cards whose numbers are made up here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ecmpipe.cards import HyperelasticCard, write_json
from ecmpipe.report.figures import plot_stress_stretch
from ecmpipe.report.page import write_page
from ecmpipe.report.polymers import COLUMNS, hyperelastic_rows, polymer_notes, si_order
from ecmpipe.report.summary import summarise_polymer
from ecmpipe.settings.report import SummaryStep
from tests.report.test_report import summary as whole_summary

VALUES = {"C10 [Pa]": 1.5e8, "C01 [Pa]": 0, "kappa [Pa]": 3.012e9, "Shear modulus [Pa]": 3e8, "Young's modulus [Pa]": 8.71e8}
ERRORS = {"C10 [Pa]": 4.11e8, "C01 [Pa]": 4.7e8, "kappa [Pa]": 1.4e7, "Shear modulus [Pa]": 3.1e5, "Young's modulus [Pa]": 0}


def card(polymer: str = "pdms", **changes: Any) -> HyperelasticCard:
    values = {
        "polymer": polymer,
        "engine": "LAMMPS",
        **VALUES,
        "Poisson ratio [1]": 0.45,
        "Standard errors": ERRORS,
        "Standard errors from": dict.fromkeys(VALUES, "covariance") | {"kappa [Pa]": "bootstrap", "Shear modulus [Pa]": "bootstrap"},
        "Covariance of C10, C01, kappa [Pa2]": np.eye(3).tolist(),
        "Correlation of C10 and C01 [1]": -0.9999,
        "Bootstrap": {
            "units": "pulls",
            "Resamples [1]": 200,
            "Distinct resamples [1]": 10,
            "seed": 1,
            "Standard errors": ERRORS,
            "Percentiles 2.5, 16, 84, 97.5": {},
        },
        "identifiable": False,
        "at_bound": ["C01"],
        "stability": {"baker_ericksen": True, "drucker": True},
        "Fit of the averaged curve": VALUES,
        "Fit of the averaged curve, at its bounds": ["C01"],
        "Window of the fit [s]": 2.5e-13,
        "Fits by window [ps]": {"0.25": VALUES, "1.5": VALUES | {"kappa [Pa]": 1e9}},
        "Stretch range [1]": [1.0004, 1.1496],
        "Strain rate [s-1]": 1e10,
        "Tensile runs [1]": 3,
        "Root-mean-square misfit [Pa]": 8e7,
        "Boxes [1]": 2,
        "Atoms [1]": 606,
        "Density [kg.m-3]": 936.2,
        "Density standard error [kg.m-3]": 4.2,
        "Bulk modulus from volume fluctuation [Pa]": 1.21e9,
        "Bulk modulus from volume fluctuation, standard error [Pa]": 4.4e8,
        "torsion_mode": "linear_safe",
        "equilibrated": True,
        "conserves_energy": True,
    }
    return HyperelasticCard.model_validate(values | changes)


def summary(*cards: HyperelasticCard) -> dict[str, Any]:
    return {"hyperelastic": {each.polymer: summarise_polymer(each) for each in cards}}


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_table_2_has_every_modulus_with_its_error_and_its_rate() -> None:
    (row,) = hyperelastic_rows(summary(card()))
    found = dict(zip(COLUMNS, map(plain, row), strict=True))
    assert found == {
        "polymer": "pdms",
        "C10 [MPa]": "150 ± 411 at 1e10 /s",
        "C01 [MPa]": "0 ± 470 at 1e10 /s",
        "κ [MPa]": "3012 ± 14 at 1e10 /s",
        "μ [MPa]": "300.00 ± 0.31 at 1e10 /s",
        "E [MPa]": "871 ± 0 at 1e10 /s",
        "K_T [MPa]": "1210 ± 440",
        "ρ [g/cm³]": "0.936 ± 0.004",
        "atoms": "606",
        "boxes": "2",
        "pulls": "3",
    }


def test_table_2_says_what_is_not_known() -> None:
    unknown = card(
        **{"Bulk modulus from volume fluctuation [Pa]": None, "Density standard error [kg.m-3]": None, "Strain rate [s-1]": 2.5e8}
    )
    row = dict(zip(COLUMNS, map(plain, hyperelastic_rows(summary(unknown))[0]), strict=True))
    assert (row["K_T [MPa]"], row["ρ [g/cm³]"]) == ("–", "0.936")
    assert row["κ [MPa]"].endswith(" at 2.5e8 /s")


def test_words_of_a_poor_fit() -> None:
    ((name, notes),) = polymer_notes(summary(card()))
    assert name == "pdms"
    assert notes[:5] == [
        "C10 and C01 cannot be told apart: read μ and κ",
        "C01 stands on its bound",
        "stable over 1.00-1.15: yes (Baker-Ericksen, Drucker)",
        "equilibrated",
        "torsions: linear_safe; energy conserved: yes",
    ]
    assert notes[5] == (
        "± of κ, μ from the scatter between pulls, the others of the fit's covariance; 3 pulls have only 10 distinct resamples"
    )
    assert notes[6] == "fit of the averaged curve, as in the SI: C10 150, C01 0, κ 3012, μ 300, E 871 MPa (C01 on the bound, no result)"
    assert plain(notes[7]) == (
        "stress and stretch are means over 0.25 ps; by window: κ 3012 and μ 300 MPa over 0.25 ps, κ 1000 and μ 300 MPa over 1.5 ps; "
        "what differs between windows is in no ±"
    )
    assert len(notes) == 8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"identifiable": True}, "C10 and C01 can be told apart"),
        ({"equilibrated": False}, "not equilibrated"),
        ({"equilibrated": None}, "equilibration not tested"),
        ({"conserves_energy": False}, "torsions: linear_safe; energy conserved: no"),
        ({"conserves_energy": None, "torsion_mode": "literal"}, "torsions: literal; energy conserved: not tested"),
        ({"stability": {"baker_ericksen": True, "drucker": False}}, "stable over 1.00-1.15: no (Drucker)"),
        ({"stability": {"baker_ericksen": False, "drucker": False}}, "stable over 1.00-1.15: no (Baker-Ericksen, Drucker)"),
        ({"Bootstrap": None}, "± of the fit's covariance: one pull has no scatter between pulls"),
    ],
)
def test_words_follow_the_flags(changes: dict, words: str) -> None:
    assert words in polymer_notes(summary(card(**changes)))[0][1]


def test_a_generalised_fit_is_told_beside() -> None:
    beside = {
        "Coefficients [Pa]": {"C10": 1e8, "C20": -2e8, "kappa1": 3e9},
        "Covariance of the coefficients [Pa2]": np.diag([1e14, 4e14, 9e14]).tolist(),
        "at_bound": [],
        "Root-mean-square misfit [Pa]": 7e7,
        "stability": {"baker_ericksen": True, "drucker": False},
    }
    last = plain(polymer_notes(summary(card(**{"Generalised fit (S.33)": beside})))[0][1][-1])
    assert last == "S.33 beside it: C10 100 ± 10, C20 -200 ± 20, kappa1 3000 ± 30 MPa; misfit 70.00 for 80.00 MPa; stable: no (Drucker)"


def test_the_page_shows_the_table_and_the_words(tmp_path: Path) -> None:
    write_json(tmp_path / "summary.json", whole_summary(None) | summary(card("polyamide"), card("pdms")))
    figures = [tmp_path / f"{name}.png" for name in ("overview", "overpotential", "variants", "stress_stretch", "delithiation")]
    for path in figures:
        path.write_bytes(b"picture")
    write_page(
        SummaryStep.model_construct(), summary=tmp_path / "summary.json", figures=figures, parameters=[], output=tmp_path / "index.html"
    )
    page = plain((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert all(f"<th>{column}</th>" in page for column in COLUMNS)
    assert page.count("<td>3012 ± 14 at 1e10 /s</td>") == 2
    assert "<b>polyamide</b>: C10 and C01 cannot be told apart: read μ and κ; C01 stands on its bound; stable over" in page


def test_polyamide_comes_first_then_pdms_then_others() -> None:
    cards = [card(name) for name in ("epoxy", "pdms", "another", "polyamide")]
    assert [each.polymer for each in sorted(cards, key=si_order)] == ["polyamide", "pdms", "another", "epoxy"]


@pytest.mark.parametrize("runs", [1, 3])
def test_fig_s8_has_points_lines_and_a_band_where_runs_differ(runs: int) -> None:
    axial = np.linspace(1.001, 1.15, 20)
    curve = {"Stretch axial [1]": axial}
    for name, slope in (("axial", 1e9), ("lateral", 1e7)):
        curve |= {f"Stress {name} [Pa]": slope * (axial - 1), f"Fit {name} [Pa]": slope * (axial - 1) + 1e6}
        if runs > 1:
            curve[f"Standard error {name} [Pa]"] = np.full(20, 5e6)
    pairs = [(card(name, **{"Tensile runs [1]": runs}), pd.DataFrame(curve)) for name in ("polyamide", "pdms")]
    figure = plot_stress_stretch(pairs)
    for ax, (letter, name) in zip(figure.axes, (("a", "polyamide"), ("b", "pdms")), strict=True):
        pulls = "1 pull" if runs == 1 else "3 pulls"
        assert plain(ax.get_title()) == f"({letter}) {name}: 1e10 /s, {pulls}, 606 atoms"
        assert [line.get_label() for line in ax.lines] == ["MD, axial", "Mooney-Rivlin, axial", "MD, lateral", "Mooney-Rivlin, lateral"]
        assert np.allclose(ax.lines[1].get_ydata(), 1e3 * (axial - 1) + 1)  # MPa
        assert len(ax.collections) == (2 if runs > 1 else 0)
    plt.close(figure)
