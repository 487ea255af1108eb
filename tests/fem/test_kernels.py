"""Compiled kernels against scikit-fem forms, against the laws, and against finite differences."""

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from skfem import Basis, BilinearForm, ElementTriP1, ElementVector, asm
from skfem.helpers import ddot, dot, grad, sym_grad, trace
from skfem.models.elasticity import lame_parameters

from ecmpipe.fem import kernels
from ecmpipe.fem.mechanics import SPLITS, Mechanics, support_of
from ecmpipe.fem.mesh import CATHODE
from ecmpipe.fem.shapes import graded
from ecmpipe.laws import fracture
from ecmpipe.settings.fem import TopSettings
from tests.fem.helpers import small_cell

CELL = small_cell()
LAM, MU = fracture.lame(113.0, 0.25)
COUNT = len(CELL.triangles)
CLAMPED = TopSettings.model_validate({"hold": "clamped", "pressure [Pa]": 0})
RANDOM = np.random.default_rng(3)


def mechanics(kind: str) -> Mechanics:
    kinds = np.where(CELL.band, SPLITS[kind], SPLITS["elastic"])
    return Mechanics(CELL, support_of(CELL, CLAMPED), np.full(COUNT, LAM), np.full(COUNT, MU), kinds, CELL.normals)


def test_stiffness_equals_scikit_fem():
    basis = Basis(CELL.as_skfem(), ElementVector(ElementTriP1()))
    lam, mu = lame_parameters(113.0, 0.25)

    @BilinearForm
    def form(u, v, w):
        return lam * trace(sym_grad(u)) * trace(sym_grad(v)) + 2 * mu * ddot(sym_grad(u), sym_grad(v))

    reference = asm(form, basis).tocsr()
    problem = mechanics("directional")
    u, zero = np.zeros(2 * len(CELL.nodes)), np.zeros(COUNT)
    _, data, _ = problem.evaluate(u, np.ones(COUNT), zero)
    order = basis.nodal_dofs.T.ravel()  # scikit-fem's number of our (node, direction)
    expected = reference[order][:, order][problem.kept][:, problem.kept]
    assert abs(problem.pattern.matrix(data) - expected).max() <= 1e-13 * abs(expected).max()


def test_diffusion_equals_scikit_fem():
    pattern = kernels_pattern()
    data = pattern.empty()
    kernels.diffusion(CELL.triangles, CELL.gradients, CELL.areas, np.ones(COUNT), pattern.slots.reshape(-1, 9), data)
    reference = asm(BilinearForm(lambda u, v, w: dot(grad(u), grad(v))), Basis(CELL.as_skfem(), ElementTriP1()))
    assert abs(pattern.matrix(data) - reference).max() <= 1e-13 * abs(reference).max()


def kernels_pattern():
    from ecmpipe.fem.linsolve import Pattern

    return Pattern(np.repeat(CELL.triangles, 3, axis=1).ravel(), np.tile(CELL.triangles, (1, 3)).ravel(), len(CELL.nodes))


def test_pattern_adds_up_like_coo_and_ignores_fixed_places():
    from ecmpipe.fem.linsolve import Pattern

    rows, columns = np.array([0, 1, 1, -1, 2, 0]), np.array([0, 1, 1, 0, -1, 2])
    values = np.arange(1.0, 7.0)
    pattern = Pattern(rows, columns, 3)
    data = np.bincount(pattern.slots, values, minlength=pattern.nnz + 1)
    keep = (rows >= 0) & (columns >= 0)
    expected = coo_matrix((values[keep], (rows[keep], columns[keep])), shape=(3, 3)).toarray()
    assert (pattern.matrix(data).toarray() == expected).all()


@pytest.mark.parametrize("kind", ["directional", "miehe"])
def test_split_energy_equals_the_law_with_eps_zz(kind):
    # S.22-S.25 with eps_zz = -eps_chem: a kernel without the zz part fails here.
    problem = mechanics(kind)
    u = RANDOM.normal(scale=1e-3, size=2 * len(CELL.nodes))
    chem = RANDOM.normal(scale=5e-3, size=COUNT)
    psi = problem.evaluate(u, np.full(COUNT, 0.3), chem)[2]
    gradient = np.einsum("tai,taj->tij", u.reshape(-1, 2)[CELL.triangles], CELL.gradients)
    strain = np.zeros((COUNT, 3, 3))
    strain[:, :2, :2] = 0.5 * (gradient + gradient.transpose(0, 2, 1))
    strain -= chem[:, None, None] * np.eye(3)
    if kind == "miehe":
        expected = fracture.spectral_energies(strain, LAM, MU)[0]
    else:
        expected = fracture.directional_energies(strain, LAM, MU, np.array([0.0, 1.0, 0.0]), np.array([-1.0, 0.0, 0.0]))[0]
    assert np.allclose(psi[CELL.band], expected[CELL.band], rtol=1e-10)
    assert (psi[~CELL.band] == 0).all()  # an elastic bulk drives no crack


@pytest.mark.parametrize("kind", ["directional", "miehe"])
def test_force_is_the_gradient_and_tangent_the_hessian_of_the_energy(kind):
    problem = mechanics(kind)
    u = RANDOM.normal(scale=1e-3, size=2 * len(CELL.nodes))
    chem, g = RANDOM.normal(scale=5e-3, size=COUNT), RANDOM.uniform(0.01, 1, COUNT)
    force, data, _ = problem.evaluate(u, g, chem)
    direction = np.zeros_like(u)
    direction[problem.kept] = RANDOM.normal(size=len(problem.kept))
    h = 1e-7
    slope = (problem.energy(u + h * direction, g, chem) - problem.energy(u - h * direction, g, chem)) / (2 * h)
    assert slope == pytest.approx(force @ direction[problem.kept], rel=1e-6)
    h = 1e-9
    change = (problem.evaluate(u + h * direction, g, chem)[0] - problem.evaluate(u - h * direction, g, chem)[0]) / (2 * h)
    image = problem.pattern.matrix(data) @ direction[problem.kept]
    # a few triangles may pass through the switch of the split within h
    assert np.linalg.norm(change - image) <= 1e-5 * np.linalg.norm(image)


def test_patch_test():
    # S.30 without load: a linear displacement is an exact equilibrium for all inner nodes, whatever the mesh.
    problem = mechanics("directional")
    u = np.empty((len(CELL.nodes), 2))
    u[:, 0] = 1e-3 * CELL.nodes[:, 0] + 2e-4 * CELL.nodes[:, 1]
    u[:, 1] = -3e-4 * CELL.nodes[:, 0] + 5e-4 * CELL.nodes[:, 1]
    force = problem.evaluate(u.ravel(), np.ones(COUNT), np.zeros(COUNT))[0]
    edge = np.isin(CELL.nodes[:, 0], CELL.nodes[[0, -1], 0]) | np.isin(CELL.nodes[:, 1], CELL.nodes[[0, -1], 1])
    inner = ~np.repeat(edge, 2)[problem.kept]
    assert np.abs(force[inner]).max() <= 1e-14 * LAM


def test_mesh_tiles_the_cell_and_keeps_right_angles():
    assert CELL.areas.sum() == pytest.approx(2.0)
    assert (CELL.areas > 0).all()
    assert CELL.areas[CELL.layer == CATHODE].sum() == pytest.approx(1.0)
    assert np.allclose(CELL.nodes[CELL.interface, 1], 1.0)
    assert np.allclose(np.ptp(CELL.nodes[CELL.triangles[CELL.band]][:, :, 1], axis=1).max(), 0.1)
    dots = np.einsum("tai,tbi->tab", CELL.gradients, CELL.gradients)
    assert dots[:, [0, 0, 1], [1, 2, 2]].max() <= 1e-12 * dots.max()  # no obtuse angle: d stays in [0, 1]


def test_graded_reaches_its_end_with_growing_steps():
    steps = np.diff(graded(2.2, 0.025, 1.35, 0.4))
    assert steps.sum() == pytest.approx(2.2)
    assert steps[0] < 0.05 and steps.max() <= 0.4 and (np.diff(steps) >= -1e-12).all()
