"""The finite-strain filler against the law (S.33-S.37), closed forms and a quadratic reference; it must not lock."""

import numpy as np
import pytest
from scipy.sparse.linalg import spsolve
from skfem import Basis, BilinearForm, ElementTriP1, ElementTriP2, ElementVector, MeshTri, asm
from skfem.helpers import ddot, sym_grad, trace

from ecmpipe.fem.filler import CONVEX
from ecmpipe.laws import mooney_rivlin
from tests.fem.helpers import EXACT, Rubber, block

C10, C01, KAPPA = 0.30, 0.24, 4.2


def homogeneous(cell, f):
    return ((f[:2, :2] - np.eye(2)) @ cell.nodes.T).T.ravel()


@pytest.mark.parametrize("seed", range(4))
def test_homogeneous_deformation_gives_the_energy_and_stress_of_the_law(seed):
    # S.36: the force on the block is P N of P = F S; plane strain F33 = 1.
    random = np.random.default_rng(seed)
    f = np.eye(3)
    f[:2, :2] += random.uniform(-0.3, 0.3, (2, 2))
    cell = block(3, 2, 1.5, 1.0)
    force, _, psi = Rubber(cell, C10, C01, KAPPA)(homogeneous(cell, f))
    law = mooney_rivlin.two_parameters(C10, C01, KAPPA)
    jac = np.linalg.det(f)
    expected = float(mooney_rivlin.energy(f, law)) if jac > 1 else 0.0  # what is pressed together drives no crack
    assert psi == pytest.approx(expected, rel=1e-10)
    first = f @ mooney_rivlin.second_piola_kirchhoff(f.T @ f, law)
    top = np.isclose(cell.nodes[:, 1], 1.0)
    assert np.allclose(force.reshape(-1, 2)[top].sum(axis=0), 1.5 * first[:2, 1], atol=1e-10)
    inner = (cell.nodes > 1e-9).all(axis=1) & (cell.nodes < np.array([1.5, 1.0]) - 1e-9).all(axis=1)
    assert np.abs(force.reshape(-1, 2)[inner]).max() < 1e-12  # patch test


def test_tangent_is_the_symmetric_derivative_of_the_force():
    cell = block(3, 3, 1.0, 1.0)
    problem = Rubber(cell, C10, C01, KAPPA)
    problem.g = np.random.default_rng(0).uniform(0.2, 1, len(cell.triangles))
    random = np.random.default_rng(1)
    u, direction, h = random.normal(scale=0.03, size=2 * len(cell.nodes)), random.normal(size=2 * len(cell.nodes)), 1e-7
    matrix = problem(u)[1]
    change = (problem(u + h * direction)[0] - problem(u - h * direction)[0]) / (2 * h)
    assert np.linalg.norm(change - matrix @ direction) <= 1e-7 * np.linalg.norm(change)
    assert abs(matrix - matrix.T).max() <= 1e-12 * abs(matrix).max()


def solve_block(problem, fixed, values, guess=None):
    """Newton to prescribed displacements, from rest or from a guess."""
    size = 2 * len(problem.mesh.nodes)
    free = np.setdiff1d(np.arange(size), fixed)
    u = np.zeros(size) if guess is None else guess.copy()
    u[fixed] = values
    for _ in range(12):
        force, matrix, _ = problem(u)
        u[free] -= spsolve(matrix[free][:, free], force[free])
    assert np.linalg.norm(problem(u)[0][free]) < 1e-6 * np.abs(problem(u)[0]).max()
    return u, problem(u)[0]


def rollers(cell, stretch):
    nodes = np.arange(len(cell.nodes))
    left, bottom = nodes[np.isclose(cell.nodes[:, 0], 0)], nodes[np.isclose(cell.nodes[:, 1], 0)]
    top = nodes[np.isclose(cell.nodes[:, 1], 1)]
    fixed = np.concatenate([2 * left, 2 * bottom + 1, 2 * top + 1])
    values = np.concatenate([np.zeros(len(left) + len(bottom)), np.full(len(top), stretch - 1)])
    return fixed, values, top


@pytest.mark.parametrize("stretch", [0.8, 1.3])
def test_plane_strain_tension_meets_the_incompressible_closed_form(stretch):
    # S.37 with kappa/mu = 5000 and lambda3 = 1: s_yy - s_xx = 2 (C10 + C01) (l2 - 1/l2); nominal = true / l.
    cell = block(4, 4, 1.0, 1.0)
    fixed, values, top = rollers(cell, stretch)
    guess = homogeneous(cell, np.diag([1 / stretch + 0.02, stretch, 1.0]))
    _, force = solve_block(Rubber(cell, C10, C01, 5000 * 2 * (C10 + C01)), fixed, values, guess)
    nominal = force.reshape(-1, 2)[top, 1].sum()
    assert nominal == pytest.approx(2 * (C10 + C01) * (stretch**2 - stretch**-2) / stretch, rel=1e-3)


def test_confined_compression_has_the_oedometric_modulus():
    # No lateral strain: the stiffness is kappa + 4 mu/3, what a thin bonded layer answers with.
    cell = block(4, 3, 1.0, 1.0)
    f = np.diag([1.0, 1 - 1e-6, 1.0])
    force = Rubber(cell, C10, C01, KAPPA)(homogeneous(cell, f))[0]
    top = np.isclose(cell.nodes[:, 1], 1)
    assert force.reshape(-1, 2)[top, 1].sum() / -1e-6 == pytest.approx(KAPPA + 8 / 3 * (C10 + C01), rel=1e-4)


def bonded_stiffness_linear(cell, element, lam, mu):
    """Scikit-fem stiffness of a layer between two rigid plates, pulled apart by 1."""
    basis = Basis(MeshTri(cell.nodes.T.copy(), cell.triangles.T.copy()), ElementVector(element))

    @BilinearForm
    def form(u, v, w):
        return lam * trace(sym_grad(u)) * trace(sym_grad(v)) + 2 * mu * ddot(sym_grad(u), sym_grad(v))

    matrix, height = asm(form, basis).tocsr(), cell.nodes[:, 1].max()
    bottom, top = basis.get_dofs(lambda p: np.isclose(p[1], 0)), basis.get_dofs(lambda p: np.isclose(p[1], height))
    u = np.zeros(basis.N)
    pulled = np.concatenate([top.nodal["u^2"], top.facet["u^2"]]) if isinstance(element, ElementTriP2) else top.nodal["u^2"]
    u[pulled] = 1.0
    held = np.unique(np.concatenate([bottom.all(), top.all()]))
    free = np.setdiff1d(np.arange(basis.N), held)
    u[free] = spsolve(matrix[free][:, free], -matrix[free][:, held] @ u[held])
    return (matrix @ u)[pulled].sum()


def bonded_stiffness(cell, mu, lam):
    """The same with the filler kernel at a pull of 1e-6."""
    nodes = np.arange(len(cell.nodes))
    bottom, top = nodes[np.isclose(cell.nodes[:, 1], 0)], nodes[np.isclose(cell.nodes[:, 1], 1)]
    fixed = np.concatenate([2 * bottom, 2 * bottom + 1, 2 * top, 2 * top + 1])
    values = np.concatenate([np.zeros(2 * len(bottom) + len(top)), np.full(len(top), 1e-6)])
    _, force = solve_block(Rubber(cell, 0.3 * mu, 0.2 * mu, lam + 2 * mu / 3), fixed, values)
    return force.reshape(-1, 2)[top, 1].sum() / 1e-6


def test_a_bonded_layer_does_not_lock():
    # nu = 0.499, aspect 10: with two elements through the thickness linear triangles are 3.4 times too stiff; the
    # patches have only the error of a coarse parabola, which falls with the square of the element size.
    mu, nu = 1.0, 0.499
    lam = 2 * mu * nu / (1 - 2 * nu)
    reference = bonded_stiffness_linear(block(80, 8, 10.0, 1.0), ElementTriP2(), lam, mu)
    assert bonded_stiffness_linear(block(40, 2, 10.0, 1.0), ElementTriP1(), lam, mu) > 3 * reference
    errors = [bonded_stiffness(block(40, rows, 10.0, 1.0), mu, lam) / reference - 1 for rows in (2, 4, 8)]
    assert errors[0] < 0.3
    assert errors[1] < errors[0] / 3.5
    assert abs(errors[2]) < 0.03


def test_a_broken_filler_keeps_its_resistance_to_compression():
    cell = block(2, 2, 1.0, 1.0)
    problem = Rubber(cell, C10, C01, KAPPA)
    problem.g[:] = 1e-6
    top = np.isclose(cell.nodes[:, 1], 1)
    pull, push = (problem(homogeneous(cell, np.diag([1.0, 1 + s, 1.0])))[0].reshape(-1, 2)[top, 1].sum() for s in (0.01, -0.01))
    assert abs(pull) < 1e-5 * KAPPA
    assert push == pytest.approx(-0.01 * KAPPA, rel=1e-3)


def test_the_convex_tangent_serves_where_the_exact_one_is_indefinite():
    # A drawn and broken filler: a Newton step with the exact tangent may climb.
    cell = block(2, 2, 1.0, 1.0)
    problem = Rubber(cell, C10, C01, KAPPA)
    problem.g[:] = 1e-4
    u = homogeneous(cell, np.diag([0.6, 1.5, 1.0]))
    exact, convex = (np.linalg.eigvalsh(problem(u, kind)[1].toarray()) for kind in (EXACT, CONVEX))
    assert exact[0] < -1e-3 * exact[-1]
    assert convex[0] >= -1e-12 * convex[-1]
