"""Constants and conversions to SI, from ``scipy.constants``; the only place where engine units are named."""

from scipy import constants

FARADAY = constants.physical_constants["Faraday constant"][0]  # C/mol
GAS_CONSTANT = constants.R  # J/(mol K)
AVOGADRO = constants.N_A  # 1/mol

ANGSTROM = constants.angstrom  # m
CUBIC_ANGSTROM = constants.angstrom**3  # m3
EV = constants.eV  # J
EV_PER_SQUARE_ANGSTROM = constants.eV / constants.angstrom**2  # J/m2
EV_PER_CUBIC_ANGSTROM = constants.eV / constants.angstrom**3  # Pa
ATMOSPHERE = constants.atm  # Pa
GRAM_PER_CUBIC_CENTIMETRE = 1e3  # kg/m3
FEMTOSECOND = constants.femto  # s
KCAL_PER_MOL = constants.calorie * 1e3 / constants.N_A  # J per particle
HOUR = constants.hour  # s
