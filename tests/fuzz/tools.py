"""How inputs are damaged, and what every damaged input must meet: exit code and whole lines, in time, and nothing started."""

from __future__ import annotations

import contextlib
import copy
import datetime
import io
import os
import random
import re
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import yaml
from hypothesis import strategies as st

from ecmpipe.cli import main

SECONDS = 20  # for one input
Path_ = tuple[str | int, ...]


class TooSlow(BaseException):
    """An input kept the program busy for too long; no ``except Exception`` may swallow it."""


class Bare(str):
    """A number that stands in the YAML file as it is written here."""


yaml.SafeDumper.add_representer(Bare, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", str(value)))

# Each takes the old value and gives the new one; `Gone` takes the key out, `Renamed` gives it another name.
Gone = object()
Renamed = object()


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda old: value


def _numeric(change: Callable[[float], float]) -> Callable[[Any], Any]:
    def changed(old: Any) -> Any:
        if isinstance(old, bool) or not isinstance(old, int | float):
            return change(1)
        try:
            return change(old)
        except OverflowError:
            return old

    return changed


WORDS = (
    *(
        "",
        " ",
        "\t",
        "\n",
        "a\nb",
        "\x1b[31mred",
        "\x00",
        "\ud800",
        "\u202eabc",
        "µ",
        "电池",
        "😀",
        "NaN",
        "null",
        "yes",
        "1e400",
        "0x10",
        "--help",
    ),
    *(
        "$(touch pwned)",
        "`touch pwned`",
        "; touch pwned",
        "| cat",
        "&& id",
        "> x",
        "'; id; '",
        '"',
        "a b",
        "{wildcards.material}",
        "{x}",
        "%s",
    ),
    *("../../etc/passwd", "/etc/passwd", "results/../../x", ".", "..", "-rf", "~", "C:\\x", "a/b", "inputs", "/dev/zero", "/dev/null"),
    *("2.5e-6 m", "300 K", "1,5", "1_000", "x" * 100_000, "ncm811", "Li", "ecmpipe.engines.chgnet:calculator", "os:system"),
)
VALUES = (
    *(None, True, False, 0, -1, 1, 2, 3, 7, 10, 49, 2**31, 2**63, 2**64, 10**30, 10**400, 0.0, -0.0, 0.5, 1e-300, 5e-324, 1e300, -1e300),
    *(float("nan"), float("inf"), -float("inf"), Bare("1.0e+400"), Bare("-1.0e+400"), 1e-9, 1e-3, 1e3, 1e9),
    *(
        [],
        {},
        [[]],
        [{}],
        {"": None},
        {"x": 1},
        {1: 2},
        {None: 1},
        [None],
        ["x"],
        [1, 2, 3],
        [1] * 500,
        [0.1, "a", None],
        {"a": {"b": {"c": []}}},
    ),
    *(datetime.date(2026, 1, 1), b"\xff\xfe", {"a", "b"}, {"$(id)": 1}, {"../x": {}}, {"x" * 300: 1}),
)
CHANGES: tuple[Any, ...] = (
    Gone,
    Renamed,
    *map(_always, (*VALUES, *WORDS)),
    *map(
        _numeric,
        (lambda n: -n, lambda n: n * 1000, lambda n: n / 1000, lambda n: n + 1, lambda n: n * 2, lambda n: n // 2, lambda n: n * 1e30),
    ),
    lambda old: [old],
    lambda old: {"value": old},
    lambda old: {"x": old},
    lambda old: [old, old],
    lambda old: str(old)[:200],
    lambda old: f"{old} m",
    lambda old: list(old) if isinstance(old, dict | str) else old,
    lambda old: dict.fromkeys(map(str, old)) if isinstance(old, list) else old,
    lambda old: {key: old[key] for key in list(old)[1:]} if isinstance(old, dict) else old,
    lambda old: old[::-1] if isinstance(old, list | str) else old,
    lambda old: old | {"unknown": 1} if isinstance(old, dict) else old,
    lambda old: old | {"$(id)": 1, "../x": 2} if isinstance(old, dict) else old,
)


def places(data: Any, at: Path_ = ()) -> list[Path_]:
    """Every key and every entry of a list in ``data``, as paths."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    found = [at] if at else []
    for key, value in inner:
        found += places(value, (*at, key))
    return found


def edits(data: Any) -> st.SearchStrategy[list[tuple[Path_, int]]]:
    """One to three changes of ``data``: where, and which of `CHANGES`."""
    found = places(data)

    def draw(seed: int) -> list[tuple[Path_, int]]:
        # Hypothesis' own draws repeat each other: they are made to be shrunk, not to cover
        rng = random.Random(seed)
        return [(rng.choice(found), rng.randrange(len(CHANGES))) for _ in range(rng.randint(1, 3))]

    return st.integers(0, 2**64 - 1).map(draw)


def damaged(data: Any, chosen: list[tuple[Path_, int]]) -> Any:
    """A copy of ``data`` with the changes made; those whose place an earlier one took away are left out."""
    data = copy.deepcopy(data)
    for path, number in chosen:
        change = CHANGES[number]
        holder, (*way, last) = data, path
        with contextlib.suppress(KeyError, IndexError, TypeError):
            for key in way:
                holder = holder[key]
            old = holder[last]
            if change is Gone:
                del holder[last]
            elif change is Renamed and isinstance(holder, dict):
                holder[f"{last}x"] = holder.pop(last)
            elif change is not Renamed:
                holder[last] = change(old)
    return data


def overlay(base: Any, over: Any) -> Any:
    """What an overlay must say to make ``over`` of ``base``; a key that is gone is null."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return {
        key: overlay(base.get(key), over.get(key))
        for key in [*base, *(new for new in over if new not in base)]
        if key not in base or key not in over or not _same(base[key], over[key])
    }


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def as_yaml(data: Any) -> str:
    """YAML without aliases, which the lists of this module would make."""
    dumper = yaml.SafeDumper
    return yaml.dump(copy.deepcopy(data), Dumper=type("Plain", (dumper,), {"ignore_aliases": lambda self, item: True}))


def damaged_bytes(text: bytes) -> st.SearchStrategy[bytes]:
    """``text`` cut short, or with some bytes replaced, put in or taken out."""
    signs = b"\x00 \xff \xc3 \t \n \r : - [ { &a *a !!int !!map !!bool ' \" # % @ 9 1e400 nan | > <<:".split(b" ")
    pieces = st.sampled_from([b"", *signs, b"- ", b"&a ", b"!!int ", b"!!bool ", b"<<: "])
    change = st.tuples(st.integers(0, max(0, len(text) - 1)), st.integers(0, 8), pieces)

    def apply(changes: list[tuple[int, int, bytes]]) -> bytes:
        new = text
        for at, width, piece in changes:
            new = new[:at] + piece + new[at + width :]
        return new

    return st.one_of(
        st.lists(change, min_size=1, max_size=4).map(apply),
        st.integers(0, len(text)).map(lambda length: text[:length]),
        st.binary(max_size=60),
    )


@contextlib.contextmanager
def in_time(seconds: float = SECONDS) -> Iterator[None]:
    """Raise `TooSlow` in the block after so many seconds."""

    def ring(number: int, frame: Any) -> None:
        raise TooSlow(f"more than {seconds} s at {traceback.format_stack(frame)[-1]}")

    old = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def call(arguments: list[str]) -> tuple[int, list[str]]:
    """The exit code of a command and the lines of its standard error. Anything that escapes `main` escapes here."""
    out, err = io.StringIO(), io.StringIO()
    with in_time(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("default")  # the command line prints them
        warnings.simplefilter("ignore", DeprecationWarning)
        code = main(arguments)
    return code, err.getvalue().split("\n")[:-1] + [f"{warning.filename}:{warning.lineno}: {warning.message}" for warning in heard]


def refused(code: int, lines: list[str], names: re.Pattern[str], codes: tuple[int, ...] = (2,)) -> None:
    """One of ``codes``, and each line an error that begins with what ``names`` matches: a key or a file."""
    assert code in codes, f"exit code {code}: {lines}"
    assert lines, f"exit code {code} without a word"
    for line in lines:
        assert line.startswith("error: "), f"no error line: {line[:200]!r}"
        assert names.match(line.removeprefix("error: ")), f"names neither key nor file: {line[:300]!r}"
        assert len(line) < 2000, f"{len(line)} characters: {line[:300]!r}"
        assert line.isprintable(), f"unprintable: {line[:300]!r}"
        assert "Traceback" not in line


def fuzz(strategy: st.SearchStrategy[Any], check: Callable[[Any], None], examples: int) -> None:
    """``check`` so many inputs, the same ones every time, ``FUZZ_MORE=10`` ten times as many; all failures are told, not just the first."""
    failures: dict[str, str] = {}
    seen: set[str] = set()

    @hypothesis.settings(
        max_examples=examples * int(os.environ.get("FUZZ_MORE", "1")),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def one(item: Any) -> None:
        seen.add(repr(item))
        try:
            check(item)
        except (Exception, SystemExit, TooSlow) as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} at {where.filename}:{where.lineno} {str(error)[:40]}"
            failures.setdefault(kind, f"{str(error)[:400]}\n    of {item!r}"[:800])

    one()
    told = [f"{len(failures)} kinds of failure in {len(seen)} inputs:", *(f"{kind}\n    {text}" for kind, text in failures.items())]
    assert not failures, "\n".join(told)
    assert len(seen) >= 0.95 * examples, f"only {len(seen)} different inputs"
