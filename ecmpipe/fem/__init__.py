"""Finite-element stage: electrochemistry, mechanics and phase-field fracture, staggered (S.1-S.31)."""
