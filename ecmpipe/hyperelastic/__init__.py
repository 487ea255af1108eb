"""Hyperelastic stage: Mooney-Rivlin coefficients with their errors and stability from tensile curves (S.33-S.37)."""
