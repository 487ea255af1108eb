"""Hyperelastic stage: Mooney-Rivlin coefficients from tensile curves (S.32-S.37)."""
