"""The files that the mock writes, in the forms that VASP 6 gives them and that pymatgen and custodian read."""

import xml.sax.saxutils as xml

import numpy as np

KILOBAR = 1602.1766208  # eV/A3 in kB


class Logs:
    """CONTCAR, OSZICAR and OUTCAR, whole after every ionic step as VASP's are."""

    def __init__(self, symbols, ibrion):
        self.symbols, self.count, self.last = symbols, 0, 0.0
        self._add("OSZICAR", "")
        self._add("OUTCAR", " vasp.mock\n running on    1 total cores\n number of bands    NBANDS=      8\n")
        self._add("OUTCAR", f" total plane-waves  NPLWV =   1000\n   IBRION = {ibrion:>6}    ionic relax\n")

    def step(self, step, electronic, seconds):
        lattice, places, energy, forces, _ = step
        self.count += 1
        rows = "       N       E                     dE             d eps       ncg     rms          rms(c)\n"
        text = ""
        for n in range(1, electronic + 1):
            change = energy if n == 1 else 1e-7
            rows += f"DAV:{n:4d}   {energy:.12E}   {change:.5E}   {change:.5E}   100   0.1E-03    0.1E-03\n"
            text += f"----- Iteration {self.count:6d}({n:4d})  -----\n  entropy T*S    EENTRO =        -0.00000000\n"
        line = f"{self.count:4d} F= {energy:.8E} E0= {energy:.8E}  d E ={energy - self.last:.6E}"
        self._add("OSZICAR", f"{rows}{line}  mag=     0.0000\n")
        drift = " ".join(f"{v:.6f}" for v in forces.sum(axis=0))
        text += f" aborting loop because EDIFF is reached\n  free  energy   TOTEN  = {energy:.8f} eV\n    total drift: {drift}\n"
        self._add("OUTCAR", f"{text}     LOOP+:  cpu time {seconds:10.4f}: real time {seconds:10.4f}\n")
        self.last = energy
        species = list(dict.fromkeys(self.symbols))
        rows = ["mock", "1.0", *[" ".join(f"{v:.12f}" for v in row) for row in lattice], " ".join(species)]
        rows += [" ".join(str(self.symbols.count(s)) for s in species), "Direct", *[" ".join(f"{v:.12f}" for v in row) for row in places]]
        with open("CONTCAR", "w") as stream:
            stream.write("\n".join(rows) + "\n")
        print(line, flush=True)

    def soft_stop(self):
        self._add("OUTCAR", " soft stop encountered!  aborting job ...\n")

    def end(self):
        self._add("OUTCAR", " General timing and accounting informations for this job:\n Voluntary context switches: 0\n")

    @staticmethod
    def _add(name, text):
        with open(name, "a") as stream:
            stream.write(text)


def varray(name, rows):
    return f'<varray name="{name}">' + "".join("<v>" + " ".join(f"{v:.10f}" for v in row) + "</v>" for row in rows) + "</varray>"


def structure(lattice, places, name=""):
    volume = abs(np.linalg.det(lattice))
    label = f' name="{name}"' if name else ""
    basis = varray("basis", lattice) + f'<i name="volume">{volume:.8f}</i>' + varray("rec_basis", np.linalg.inv(lattice).T)
    return f"<structure{label}><crystal>{basis}</crystal>{varray('positions', places)}</structure>\n"


def kind(value):
    words = value.split()
    if all(word.upper() in (".TRUE.", ".FALSE.", "T", "F", "TRUE", "FALSE") for word in words) and words:
        return ' type="logical"', " ".join("T" if word.upper().strip(".").startswith("T") else "F" for word in words)
    try:
        [int(word) for word in words]
        return ' type="int"', value
    except ValueError:
        return "", value


def write_vasprun(tags, symbols, kpoints, steps, electronic, whole=True):
    """The XML of the given ionic steps, every one with as many electronic steps; not whole: cut as by a kill."""

    def entries(items):
        out = ""
        for key, value in items.items():
            form, text = kind(value)
            if len(text.split()) > 1 and key != "SYSTEM":
                values = [float(w.split("*")[-1]) for w in text.split() for _ in range(int(w.split("*")[0]) if "*" in w else 1)]
                out += f'<v name="{key}">' + " ".join(f"{v:.8f}" for v in values) + "</v>\n"
            else:
                form = form or (
                    ' type="string"' if not text.replace(".", "").replace("-", "").replace("E", "").replace("e", "").isdigit() else ""
                )
                out += f'<i name="{key}"{form}>{xml.escape(text)}</i>\n'
        return out

    species = list(dict.fromkeys(symbols))
    parameters = {"ISPIN": "2", "NELM": "60", "NSW": "0", "IBRION": "-1", "LHFCALC": ".FALSE."} | tags
    out = ['<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n<generator><i name="program" type="string">vasp</i>']
    out.append('<i name="version" type="string">mock</i><i name="subversion" type="string">ecmpipe test</i></generator>\n')
    out.append(f"<incar>{entries(tags)}</incar>\n")
    grid = " ".join(str(n) for n in kpoints[1])
    out.append(f'<kpoints><generation param="{kpoints[0]}"><v type="int" name="divisions">{grid}</v></generation>')
    out.append(varray("kpointlist", [[0, 0, 0]]) + varray("weights", [[1]]) + "</kpoints>\n")
    out.append(f"<parameters>{entries(parameters)}</parameters>\n<atominfo><atoms>{len(symbols)}</atoms><types>{len(species)}</types>")
    out.append(
        '<array name="atoms"><set>' + "".join(f"<rc><c>{s}</c><c>{species.index(s) + 1}</c></rc>" for s in symbols) + "</set></array>"
    )
    rows = "".join(f"<rc><c>{symbols.count(s)}</c><c>{s}</c><c>1.0</c><c>1.0</c><c>PAW_PBE {s} mock</c></rc>" for s in species)
    out.append(f'<array name="atomtypes"><set>{rows}</set></array></atominfo>\n' + structure(*steps[0][:2], "initialpos"))
    for lattice, places, energy, forces, stress in steps:
        terms = "".join(f'<i name="{name}">{energy:.8f}</i>' for name in ("e_fr_energy", "e_wo_entrp", "e_0_energy"))
        out.append("<calculation>" + electronic * f"<scstep><energy>{terms}</energy></scstep>" + structure(lattice, places))
        out.append(varray("forces", forces) + varray("stress", -stress * KILOBAR) + f"<energy>{terms}</energy></calculation>\n")
    out.append(structure(*steps[-1][:2], "finalpos") + "</modeling>\n")
    text = "".join(out)
    with open("vasprun.xml", "w") as stream:
        stream.write(text if whole else text[: len(text) * 2 // 3])
