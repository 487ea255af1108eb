"""First-principles stage: crystals, slabs, delithiation, elastic constants, surface energies."""
