"""``python -m ecmpipe verify-results``: does every result, and everything it was made from, still have the hash that its record says?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ecmpipe.errors import CardError
from ecmpipe.provenance import SUFFIX, Hashes, plain, read_record, record_name, root_of

NOT_RESULTS = ("benchmarks", "logs")  # Snakemake's, directly below the folder of the results
REMEDY = (
    "what changed, is gone, lacks its record or read another file: .venv/bin/snakemake --profile ... --forcerun FILE... makes it again,\n"
    "and what follows from it (profiles/local, or slurm, and your --configfile); what no rule makes now: delete it"
)


def verify_results(*, results: Path = Path("results")) -> int:
    """Hash every result and everything it was made from again, and name what no longer fits its record; exit code 1 then."""
    results = Path(os.path.abspath(results))
    files = sorted(_files(results))
    recorded = dict.fromkeys(path.with_name(path.name.removesuffix(SUFFIX)) for path in files if path.name.endswith(SUFFIX))
    if not recorded:
        raise CardError(f"{results}: holds no results with records; type make run first, or give their folder with --results")
    others = [path for path in files if not (path.name.endswith(SUFFIX) or path in recorded or _is_work(path.relative_to(results)))]
    hashes = Hashes()
    lines = [f"{record_name(path)}: {what}" for path in recorded for what in _problems(path, hashes)]
    lines += [f"{record_name(path)}: no record beside it" for path in others]
    if lines:
        print(*map(plain, lines), f"{len(lines)} problems in {len(recorded) + len(others)} results\n{REMEDY}", sep="\n")
        return 1
    read = sum(path not in recorded for path in hashes)
    print(f"{len(recorded)} results and {read} input files of the project are as recorded")
    return 0


def _files(results: Path) -> Iterator[Path]:
    """Every file below ``results`` but Snakemake's and hidden ones, which are locks and unfinished files."""
    for folder, folders, names in os.walk(results, followlinks=True):  # a stage may lie on another disk
        if Path(folder) == results:
            folders[:] = [name for name in folders if name not in NOT_RESULTS]
        yield from (Path(folder) / name for name in names if not name.startswith("."))


def _is_work(path: Path) -> bool:
    """Whether it lies in a folder that an engine works in, ``work`` or ``*.work``: a file there needs no record."""
    return any(part == "work" or part.endswith(".work") for part in path.parts[:-1])


def _problems(path: Path, hashes: Hashes) -> Iterator[str]:
    """What does not fit the record of the result ``path``."""
    try:
        record = read_record(path)
        root = root_of(path, record)
    except CardError as error:
        yield f"its record is no use, {error}"
        return
    found = hashes[path]
    if found is None:
        yield "missing, its record is there"
    elif found != record.sha256:
        yield f"changed after {record.command} wrote it"
    now = {name: hashes[root / name] for name in record.inputs}
    changed = [name for name, digest in now.items() if digest not in (None, record.inputs[name])]
    missing = [name for name, digest in now.items() if digest is None]
    if changed:
        yield f"{record.command} read another {', another '.join(changed)}"
    if missing:
        yield f"{record.command} read {', '.join(missing)}: missing now"
