"""Sparse patterns that are built once, and direct solution with a factor that is kept as long as it serves."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from ecmpipe.errors import ConvergenceError


class Pattern:
    """The fixed CSC pattern of element matrices; entries with a row or column of -1 fall into a spare slot.

    Parameters
    ----------
    rows, columns : (k,) int arrays, the position of every element entry; ``size`` the order of the matrix.
    ``slots`` (k,) tells kernels where to add each entry in ``data`` (nnz + 1,), the last place being the spare.
    """

    def __init__(self, rows: np.ndarray, columns: np.ndarray, size: int):
        keep = (rows >= 0) & (columns >= 0)
        keys = columns[keep].astype(np.int64) * size + rows[keep]
        unique, inverse = np.unique(keys, return_inverse=True)
        self.size = size
        self.nnz = len(unique)
        self.indices = (unique % size).astype(np.int32)
        self.indptr = np.searchsorted(unique // size, np.arange(size + 1)).astype(np.int32)
        self.slots = np.full(len(rows), self.nnz, dtype=np.int64)
        self.slots[keep] = inverse

    def places(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Where the entries (row, column), which must be in the pattern, lie in ``data``."""
        keys = np.repeat(np.arange(self.size, dtype=np.int64), np.diff(self.indptr)) * self.size + self.indices
        return np.searchsorted(keys, columns.astype(np.int64) * self.size + rows)

    def empty(self) -> np.ndarray:
        """A zeroed value array with the spare place at its end."""
        return np.zeros(self.nnz + 1)

    def matrix(self, data: np.ndarray) -> sparse.csc_matrix:
        """The matrix of ``data``; shares memory with it."""
        return sparse.csc_matrix((data[: self.nnz], self.indices, self.indptr), shape=(self.size, self.size))


def factorise(matrix: sparse.csc_matrix):
    """SuperLU for matrices of symmetric pattern: half the time of the default ordering, and no pivoting fill."""
    try:
        return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError as error:
        raise ConvergenceError(f"linear solver: the matrix of order {matrix.shape[0]} is singular ({error})") from None


class StaleFactor:
    """Conjugate gradients preconditioned by an old factor of the same matrix; factorises anew when that is slow."""

    def __init__(self, most_iterations: int = 12):
        self.most_iterations = most_iterations
        self.factor = None
        self.factorisations = 0
        self.iterations = 0

    def solve(self, matrix: sparse.csc_matrix, right: np.ndarray, tolerance: float) -> np.ndarray:
        """Solve to the relative residual ``tolerance``."""
        if self.factor is not None:
            found = self._iterate(matrix, right, tolerance)
            if found is not None:
                return found
        self.factor = factorise(matrix)
        self.factorisations += 1
        return self.factor.solve(right)

    def _iterate(self, matrix: sparse.csc_matrix, right: np.ndarray, tolerance: float) -> np.ndarray | None:
        solution = np.zeros_like(right)
        residual = right.copy()
        goal = tolerance * np.linalg.norm(right)
        direction = preconditioned = self.factor.solve(residual)
        product = residual @ preconditioned
        for _ in range(self.most_iterations):
            self.iterations += 1
            image = matrix @ direction
            curvature = direction @ image
            if not curvature > 0 or not product > 0:
                return None
            step = product / curvature
            solution += step * direction
            residual -= step * image
            if np.linalg.norm(residual) <= goal:
                return solution
            preconditioned = self.factor.solve(residual)
            before, product = product, residual @ preconditioned
            direction = preconditioned + (product / before) * direction
        return None
