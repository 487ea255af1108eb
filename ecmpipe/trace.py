"""``python -m ecmpipe trace``: from a result back through everything it was made from, to the input files of the project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ecmpipe.errors import CardError
from ecmpipe.provenance import SUFFIX, Hashes, Record, plain, provenance_path, read_record, root_of

SHORT = 12  # digits of a hash that tell files of one project apart
EXAMPLE = "results/report/summary.json"


def trace(file: Path, *, settings: bool = False) -> int:
    """Print how ``file`` was made, and below it the same of each file that was read for it, with ``--settings`` the steps' settings too.

    A line has the path, the hash that its reader saw, command, engine, time, seconds and host; [brackets] say what no longer fits.
    """
    file = Path(str(file).removesuffix(SUFFIX))
    if file.is_dir() or not (file.is_file() or provenance_path(file).is_file()):
        raise CardError(f"{file}: no such file; give one that a step wrote, such as {EXAMPLE}")
    if not provenance_path(file).is_file():
        raise CardError(f"{file}: no record beside it; give a file that a step wrote, such as {EXAMPLE}")
    record = read_record(file)
    chain = _Chain(root_of(file, record), Path(record.result).parts[0], settings)
    for line in (*chain.lines(record.result, record.sha256), *chain.ending()):
        print(plain(line))
    return 0


class _Chain:
    """What was printed so far. ``top`` is the folder of the results: a file elsewhere needs no record."""

    def __init__(self, root: Path, top: str, settings: bool) -> None:
        self.root, self.top, self.settings = root, top, settings
        self.hashes = Hashes()
        self.shown: set[str] = set()
        self.steps: dict[str, str] = {}  # what steps read, from where and when -> the first result of theirs
        self.versions: dict[str, list[str]] = {}
        self.flagged: set[str] = set()

    def lines(self, name: str, wanted: str, depth: int = 0) -> Iterator[str]:
        """The lines of ``name``, whose reader saw the hash ``wanted``, and of all it was made from."""
        record, flag = self._record(name)
        flag = flag or state(self.hashes[self.root / name], wanted, record.sha256 if record else None)
        if flag:
            self.flagged.add(name)
        head, tail = f"{'  ' * depth}{name}  {wanted[:SHORT]}  ", f"  [{flag}]" if flag else ""
        if name in self.shown:
            yield f"{head}see above{tail}"
            return
        self.shown.add(name)
        if record is None:
            yield f"{head}{'result' if self._is_result(name) else 'input of the project'}{tail}"
            return
        first = self.steps.setdefault(_step_of(record), name)
        if first != name:
            yield f"{head}made together with {first}, see above{tail}"
            return
        yield f"{head}{describe(record)}{tail}"
        self._remember(record)
        if self.settings and record.step:
            yield f"{'  ' * depth}  settings: {json.dumps(record.step, ensure_ascii=False, sort_keys=True)}"
        for read, digest in record.inputs.items():
            yield from self.lines(read, digest, depth + 1)

    def ending(self) -> Iterator[str]:
        """How many files the chain has, and which versions made them."""
        fit = f"{len(self.flagged)} no longer as recorded" if self.flagged else "all as recorded"
        yield f"{len(self.shown)} files, {fit}"
        yield "versions: " + ", ".join(f"{name} {' and '.join(found)}" for name, found in self.versions.items())
        yield f"whole hashes, settings and engine's facts: FILE{SUFFIX} beside each file"

    def _record(self, name: str) -> tuple[Record | None, str]:
        """The record of a result, or why there is none."""
        path = self.root / name
        if not provenance_path(path).is_file():
            missing = self.hashes[path] is None
            return None, "missing" if missing else "no record" if self._is_result(name) else ""
        try:
            record = read_record(path)
            root_of(path, record)
        except CardError:
            return None, "damaged record"
        return record, ""

    def _is_result(self, name: str) -> bool:
        return Path(name).parts[:1] == (self.top,)

    def _remember(self, record: Record) -> None:
        for name, version in {"ecmpipe": record.ecmpipe, "python": record.python, **record.packages}.items():
            known = self.versions.setdefault(name, [])
            if version not in known:
                known.append(version)


def state(found: str | None, read: str, made: str | None) -> str:
    """What is wrong with a file whose hash is ``found``: ``read`` its reader saw, ``made`` its own step wrote."""
    if found is None:
        return "missing"
    if found != read:
        return "changed: made again since it was read" if found == made else "changed"
    return "changed after it was made, before it was read" if made not in (None, found) else ""


def describe(record: Record) -> str:
    """Command, engine with its version, when, how long, where, and the folder that the engine worked in."""
    engine = str(record.engine.get("engine", "none"))
    parts = [record.command]
    if engine != "none":
        parts.append(f"{engine}, ecmpipe {record.ecmpipe}" if engine.startswith("ecmpipe") else engine)
    parts.append(f"{record.began.replace('T', ' ')}, {record.wall:g} s on {record.host}")
    return "; ".join([*parts, f"in {record.work}"] if record.work else parts)


def _step_of(record: Record) -> str:
    """One text for all results of one call of a step."""
    return json.dumps([record.command, record.began, record.step, record.inputs, record.engine, record.wall], sort_keys=True)
