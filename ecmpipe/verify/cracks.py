"""The crack field: strength of bars, energy of a crack, the weak band, notched plates that the literature knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ecmpipe.fem.mechanics import SPLITS, Mechanics, Support
from ecmpipe.fem.mesh import Mesh
from ecmpipe.fem.phasefield import CrackField
from ecmpipe.fem.shapes import tensor_mesh
from ecmpipe.fem.specimen import draw
from ecmpipe.fem.staggered import Alternation
from ecmpipe.laws.fracture import at1_strength, at2_strength, band_toughness_factor, cohesive_ratio
from ecmpipe.settings.base import read_yaml, validate
from ecmpipe.settings.fem import StaggerSettings
from ecmpipe.settings.specimen import SpecimenSettings
from ecmpipe.verify.anchors import Anchor, Curve, Picture, at_most, check, near

SPECIMENS = Path(__file__).resolve().parents[2] / "inputs/specimens"
LOOP = StaggerSettings.model_validate(
    {"crack_tolerance [1]": 1e-5, "force_tolerance [1]": 1e-7, "linear_tolerance [1]": 1e-6, "over_relaxation [1]": 1.5}
)
RESIDUAL = 1e-9


class Bar:
    """A bar along x of modulus 1 without lateral coupling (nu = 0), one cell wide, drawn at its right end; lengths of 1."""

    def __init__(self, model: str, columns: int, g_c: float, ell: float, strength: float = 1.0, weak: float = 1.0):
        x = np.linspace(0, 1, columns + 1)
        nodes, triangles, _ = tensor_mesh(x, np.array([0.0, x[1]]))
        self.mesh, count = Mesh(nodes, triangles), len(triangles)
        left, right = np.flatnonzero(nodes[:, 0] == 0), np.flatnonzero(nodes[:, 0] == 1)
        self.end = 2 * right
        support = Support.holding(len(nodes), np.concatenate([2 * left, self.end, np.arange(1, 2 * len(nodes), 2)]))
        ones = np.ones(count)
        self.mechanics = Mechanics(
            self.mesh, support, 0 * ones, 0.5 * ones, np.full(count, SPLITS["none"]), np.tile([1.0, 0.0], (count, 1))
        )
        middle = np.abs(nodes[triangles].mean(axis=1)[:, 0] - 0.5) < 0.51 * x[1]
        a1 = cohesive_ratio(ones, g_c, ell, np.where(middle, weak, 1.0) * strength)
        self.crack = CrackField(self.mesh, model, g_c * ones, ell, 0.0, ones > 0, a1)
        self.height = x[1]

    def pull(self, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean stress (k,) at the displacements ``ends`` (k,), and the crack field at the last."""
        count = len(self.mesh.triangles)
        u, d, history = np.zeros(2 * len(self.mesh.nodes)), np.zeros(len(self.mesh.nodes)), np.zeros(count)
        stress = []
        for end in ends:
            u = u + 0.0
            u[0::2] += (end - u[self.end[0]]) * self.mesh.nodes[:, 0]
            self.mechanics.evaluate(u, self.crack.degradation(d, RESIDUAL), np.zeros(count), 0)
            scale = float(np.linalg.norm(self.mechanics.reaction)) or 1.0
            found = Alternation(self.mechanics, self.crack, np.zeros(count), scale, 1.0, RESIDUAL).solve(u, d, history, LOOP, 5000, None)
            if found is None:
                break
            u, d, history = found.u, found.d, found.history
            stress.append(float(self.mechanics.reaction[self.end].sum()) / self.height)
        return np.array(stress), d


@check("bars")
def bars() -> list[Anchor]:
    """Peak stress of a bar that breaks uniformly (AT2, AT1) and of one that opens a cohesive crack (PF-CZM), with what that cost."""
    g_c, ell = 1e-4, 0.05
    at2, at1 = at2_strength(1.0, g_c, ell), at1_strength(1.0, g_c, ell)
    strains = np.linspace(0, 2 * np.sqrt(g_c / (3 * ell)), 401)[1:]
    first, _ = Bar("AT2", 2, g_c, ell).pull(strains)
    breaks = np.linspace(0, 1.02 * at1, 401)[1:]
    second, _ = Bar("AT1", 2, g_c, ell).pull(breaks)
    strength = 0.01
    toughness = 1.5 * strength**2  # w_c = 3 f_t/E: the bar of length 1 does not snap back
    ends = np.concatenate([np.linspace(0, 0.98 * strength, 20)[1:], np.linspace(0.98 * strength, 3.4 * strength, 180)])
    cohesive = Bar("PF-CZM", 160, toughness, 0.05, strength, weak=0.995)
    third, d = cohesive.pull(ends)
    ends = ends[: len(third)]
    work = float(np.trapezoid(np.concatenate([[0.0], third]), np.concatenate([[0.0], ends])))
    exact = np.where(ends < strength, ends, np.maximum(strength - (ends - strength) * strength / (2 * toughness / strength - strength), 0))
    pictures = [
        Picture("strain", "stress", [Curve("AT2", strains[: len(first)], first), Curve("AT1", breaks[: len(second)], second)]),
        Picture("displacement", "stress", [Curve("PF-CZM", ends, third, True), Curve("linear softening", ends, exact)]),
    ]
    return [
        near("peak of an AT2 bar", "(9/16) sqrt(E G_c/(3 l))", first.max(), at2, 5e-3, "Pa", pictures),
        near("peak of an AT1 bar", "sqrt(3 E G_c/(8 l))", second.max(), at1, 5e-3, "Pa"),
        near("peak of a PF-CZM bar", "f_t", third.max(), strength, 2e-2, "Pa"),
        near("work to break the PF-CZM bar", "G_c", work, toughness, 3e-2, "J/m2"),
        at_most("stress left when it is broken", "over f_t", abs(third[-1]) / strength, 1e-2),
        *[near(f"peak of a PF-CZM plate, nu = 0.3, split {split}", "f_t", _plate(split), 1.0, 1e-2, "f_t") for split in ("none", "miehe")],
    ]


def _plate(split: str) -> float:
    """Peak stress over f_t of a square of two triangles, free at its sides, as the files in `inputs/specimens` describe one."""
    modulus, strength, side = 1e9, 1e6, 1e-3
    end = 2 * strength / modulus * side
    described = {
        "title": "plate", "source": "closed form", "model": "PF-CZM", "split": split, "length_scale [m]": side,
        "residual_stiffness [1]": RESIDUAL, "most_staggers [1]": 5000, "stop_below [1]": 0.9, **LOOP.model_dump(by_alias=True),
        "geometry": {"shape": "grid", "x [m]": [[0, side, side]], "y [m]": [[0, side, side]]},
        "material": {"youngs_modulus [Pa]": modulus, "poisson_ratio [1]": 0.3, "toughness [J.m-2]": 10 * strength**2 * side / modulus,
                     "strength [Pa]": strength},
        "holds": [{"box [m]": [0, 0, side, 0], "directions": ["y"]}, {"box [m]": [0, 0, 0, 0], "directions": ["x"]}],
        "load": {"box [m]": [0, side, side, side], "direction": "y", "path [m]": [[end, end / 400]]},
    }  # fmt: skip
    return float(draw(validate(SpecimenSettings, described))[1]["Force [N.m-1]"].max()) / (strength * side)


def _profile(model: str, ell: float, per_length: int, g_c: np.ndarray | None = None) -> tuple[CrackField, np.ndarray]:
    """A crack across a bar of length 1, d = 1 on the nodes of its middle."""
    columns = 2 * round(0.5 * per_length / ell)
    x = np.linspace(0, 1, columns + 1)
    nodes, triangles, _ = tensor_mesh(x, np.array([0.0, x[1]]))
    mesh, count = Mesh(nodes, triangles), len(triangles)
    toughness = np.ones(count) if g_c is None else np.interp(np.abs(nodes[triangles].mean(axis=1)[:, 0] - 0.5), *g_c)
    crack = CrackField(mesh, model, toughness, ell, 0.0, np.zeros(count, dtype=bool), 10.0)
    crack.tolerance, crack.enough = 1e-8, 1e-8
    before = (np.abs(nodes[:, 0] - 0.5) < 1e-9).astype(float)
    return crack, crack.solve(np.zeros(count), before, before, 1.0)


@check("crack energy")
def crack_energy() -> list[Anchor]:
    """int G_c gamma of one crack at h = l/8, and of one in a weak band within tough neighbours."""
    anchors = []
    for model in ("AT2", "AT1", "PF-CZM"):
        crack, d = _profile(model, 0.05, 8)
        height = crack.mesh.nodes[:, 1].max()
        anchors.append(near(f"energy of a {model} crack at h = l/8", "G_c", crack.surface_energy(d) / height, 1.0, 3e-2, "G_c"))
    for half_width in (1.2, 2.4):
        ell, ratio = 0.05, 16.0
        edge = half_width * ell
        crack, d = _profile("AT2", ell, 40, (np.array([0, edge - 1e-6, edge + 1e-6, 1]), np.array([1.0, 1.0, ratio, ratio])))
        height = crack.mesh.nodes[:, 1].max()
        exact = band_toughness_factor(half_width, 1.0, ratio)
        anchors.append(
            near(
                f"band of b/l = {half_width:g} in bulk 16 times as tough",
                "(1 + q)/(1 - q)",
                crack.surface_energy(d) / height,
                exact,
                1e-2,
                "G_i",
            )
        )
    return anchors


def _specimen(name: str):
    settings = validate(SpecimenSettings, read_yaml(SPECIMENS / f"{name}.yaml", "specimen"))
    mesh, table, d, _ = draw(settings)
    return settings, mesh, table, d


def _force_picture(table) -> Picture:
    return Picture(
        "displacement [µm]", "force [kN per mm]", [Curve("here", 1e6 * table["Displacement [m]"], 1e-6 * table["Force [N.m-1]"].abs())]
    )


@check("notched plate in tension", slow=True)
def notched_tension() -> list[Anchor]:
    """Miehe's benchmark, l = 0.015 mm, h = l/4, iterated."""
    _, _, table, _ = _specimen("notched_tension")
    peak = table["Force [N.m-1]"].idxmax()
    reference = "Miehe 2010 (10.1016/j.cma.2010.04.011), as read from its curve"
    return [
        Anchor("peak force", reference, 1e-6 * table["Force [N.m-1]"][peak], 0.70, 0.74, "kN/mm", [_force_picture(table)]),
        Anchor("displacement at the peak", reference, 1e6 * table["Displacement [m]"][peak], 5.4, 5.8, "um"),
        at_most(
            "force after it", "the plate is broken, over the peak", table["Force [N.m-1]"].iloc[-1] / table["Force [N.m-1]"][peak], 0.05
        ),
    ]


@check("notched plate in shear", slow=True)
def notched_shear() -> list[Anchor]:
    """The same plate in shear: the crack turns into the half that is drawn open."""
    _, mesh, table, d = _specimen("notched_shear")
    broken = mesh.nodes[d > 0.95]
    ahead = (np.abs(mesh.nodes[:, 1] - 0.5e-3) < 1e-9) & (mesh.nodes[:, 0] > 0.6e-3)
    lowest = float(broken[:, 1].min()) if len(broken) else 1.0
    reference = "Miehe 2010 (10.1016/j.cma.2010.04.011), as read from its curve"
    return [
        Anchor("peak force", reference, 1e-6 * table["Force [N.m-1]"].abs().max(), 0.45, 0.55, "kN/mm", [_force_picture(table)]),
        at_most("d right of the notch on its own height", "it leaves that line", float(d[ahead].max()), 0.6),
        Anchor("lowest point of the crack", "it turns down from the notch at 0.5 mm", 1e3 * lowest, 0.0, 0.46, "mm"),
    ]


@check("L-shaped panel", slow=True)
def l_panel() -> list[Anchor]:
    """The panel of Winkler; from its input file alone."""
    _, mesh, table, d = _specimen("l_panel")
    broken = mesh.nodes[d > 0.95]
    start = float(np.hypot(*(broken - 0.25).T).min()) if len(broken) else 1.0
    return [
        Anchor(
            "peak force",
            "Winkler 2001's tests gave 7-8 kN at 100 mm depth; linear softening in plane strain lies above them",
            1e-4 * table["Force [N.m-1]"].abs().max(),
            6.0,
            11.0,
            "kN at 100 mm",
            [_force_picture(table)],
        ),
        at_most("distance of the crack's start from the inner corner", "it starts there", 1e3 * start, 10.0, "mm"),
    ]


@check("three-point bend", slow=True)
def three_point_bend() -> list[Anchor]:
    """A notched beam; from its input file alone."""
    settings, mesh, table, d = _specimen("three_point_bend")
    broken = mesh.nodes[d > 0.95]
    centre = 0.5 * (mesh.nodes[:, 0].min() + mesh.nodes[:, 0].max())
    spread = float(np.abs(broken[:, 0] - centre).max()) if len(broken) else 1.0
    return [
        at_most(
            "how far the crack strays from the middle",
            "symmetry, over l",
            spread / settings.length_scale,
            4.0,
            "l",
            [_force_picture(table)],
        ),
        at_most(
            "force at the end",
            "the beam is broken, over the peak",
            table["Force [N.m-1]"].abs().iloc[-1] / table["Force [N.m-1]"].abs().max(),
            0.5,
        ),
    ]
