"""What custodian and the engine make of VASP's failures, and what becomes of a run that is stopped, killed or started anew."""

import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from pymatgen.io.vasp import Incar

from ecmpipe.engines.custodian_job import START_TIME
from ecmpipe.engines.vasp import VaspEngine, prepare_folder
from ecmpipe.errors import EngineError
from tests.mock.oxide import make_request, oxide, settings, use_mock

SAME_ENERGY = 2e-4  # eV: two ends of one relaxation, within the tolerance of the forces


@pytest.fixture(scope="module", autouse=True)
def with_mock(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        use_mock(patch, tmp_path_factory.mktemp("potentials"))
        yield


@pytest.fixture(scope="module")
def request_():
    return make_request(oxide(), tolerance=0.01)


@pytest.fixture(scope="module")
def plain(request_, tmp_path_factory):
    """The run that nothing disturbs."""
    found = VaspEngine(settings(), walltime=600).relax(request_, tmp_path_factory.mktemp("plain"))
    assert found.corrections == [] and found.residual_force < 0.01
    return found


def incar(text):
    return {key.upper(): value for key, value in Incar.from_str(text).items()}


def changes(request, folder):
    """The tags that the last INCAR has and the requested one has not, or has otherwise; custodian may write Algo for ALGO."""
    before, after = incar(request.files["INCAR"]), incar((folder / "INCAR").read_text())
    assert before.keys() <= after.keys()
    return {key: value for key, value in after.items() if before.get(key) != value}


@pytest.mark.parametrize(
    ("fault", "correction", "tags"),
    [
        ("zbrent", "VaspErrorHandler: zbrent", {"EDIFF": 1e-7, "NELMIN": 8}),
        ("brmix", "VaspErrorHandler: brmix", {"ISTART": 1}),
        ("scf", "UnconvergedErrorHandler: Unconverged", {"ALGO": "Normal"}),
        ("nsw", "UnconvergedErrorHandler: Unconverged", {"IBRION": 1}),
    ],
)
def test_custodian_corrects_the_fault_once_and_it_is_listed(fault, correction, tags, request_, plain, monkeypatch, tmp_path):
    monkeypatch.setenv("ECMPIPE_MOCK_FAULT", fault)
    found = VaspEngine(settings()).relax(request_, tmp_path)
    assert found.corrections == [correction] and changes(request_, tmp_path) == tags
    assert found.residual_force < 0.01 and found.energy == pytest.approx(plain.energy, abs=SAME_ENERGY)
    assert found.initial_energy == pytest.approx(plain.initial_energy, abs=1e-6)  # also where it went on from CONTCAR
    moved_on = (tmp_path / "POSCAR").read_text() != request_.files["POSCAR"]
    assert moved_on == (fault in ("zbrent", "nsw"))
    spoilt = {"zbrent": plain.steps // 2, "brmix": 0, "scf": plain.steps + 1, "nsw": 4}[fault]
    assert found.steps > spoilt and (fault in ("zbrent", "nsw") or found.steps == plain.steps + spoilt)


@pytest.mark.parametrize("fault", ["walltime", "kill"])
def test_an_ended_run_is_continued_from_its_contcar(fault, request_, plain, monkeypatch, tmp_path):
    monkeypatch.setenv("ECMPIPE_MOCK_FAULT", fault)
    (tmp_path / "STOPCAR").write_text("LSTOP = .TRUE.")  # of an earlier life: it must not stop this one
    message, limit = {
        "walltime": ("run 'oxide' stopped before its walltime after [1-9][0-9]* ionic steps; .* from CONTCAR$", 1.2),
        "kill": ("run 'oxide' failed: ValidationError: .*VasprunXMLValidator", None),
    }[fault]
    with pytest.raises(EngineError, match=message):
        VaspEngine(settings(), walltime=limit).relax(request_, tmp_path)
    assert START_TIME not in os.environ and not (tmp_path / "STOPCAR").exists()
    left = (tmp_path / "CONTCAR").read_text()
    done = (tmp_path / "OSZICAR").read_text().count("E0=")
    assert 0 < done < plain.steps
    found = VaspEngine(settings(), walltime=600).relax(request_, tmp_path)
    assert (tmp_path / "POSCAR").read_text() == left == (tmp_path / "attempt_1/CONTCAR").read_text()
    assert not (tmp_path / "attempt_1/POTCAR").exists() and changes(request_, tmp_path) == {}
    ended = ["WalltimeHandler: Walltime reached"] if fault == "walltime" else []
    assert found.corrections == [*ended, "resumed from CONTCAR of attempt 1"]
    assert found.residual_force < 0.01 and found.energy == pytest.approx(plain.energy, abs=SAME_ENERGY)
    assert found.initial_energy == pytest.approx(plain.initial_energy, abs=1e-6)
    assert found.steps == done + (tmp_path / "OSZICAR").read_text().count("E0=") - 1


def test_broken_contcar_second_resume_interrupted_move_and_other_inputs(request_, plain, monkeypatch, tmp_path):
    """The attempts of one folder: what cannot be trusted is not continued, nothing is lost, and other inputs start afresh."""
    monkeypatch.setenv("ECMPIPE_MOCK_FAULT", "kill")
    engine = VaspEngine(settings())
    for _ in range(2):
        with pytest.raises(EngineError, match="ValidationError"):
            engine.relax(request_, tmp_path)
        (tmp_path / ".mock_fault").unlink()
    second_start = (tmp_path / "POSCAR").read_text()
    assert second_start == (tmp_path / "attempt_1/CONTCAR").read_text()
    whole = (tmp_path / "CONTCAR").read_text()
    rows = whole.splitlines()
    for broken in (whole[: len(whole) // 2], whole.replace("Mn", "Ni"), "\n".join([*rows[:8], "nan 0 0", *rows[9:]]) + "\n", ""):
        copy = tmp_path.with_name("copy")
        shutil.copytree(tmp_path, copy)
        (copy / "CONTCAR").write_text(broken)
        (copy / "attempt_2.partial").mkdir()
        (copy / "OUTCAR").rename(copy / "attempt_2.partial/OUTCAR")  # the last call was killed while it moved the files
        prepare_folder(request_, copy)
        assert (copy / "POSCAR").read_text() == second_start and (copy / "attempt_2/OUTCAR").is_file()
        assert not (copy / "attempt_2.partial").exists()
        prepare_folder(request_, copy)  # and this one before VASP was started
        assert (copy / "POSCAR").read_text() == second_start and not (copy / "attempt_3").exists()
        shutil.rmtree(copy)
    monkeypatch.delenv("ECMPIPE_MOCK_FAULT")
    found = engine.relax(request_, tmp_path)
    assert found.corrections == ["resumed from CONTCAR of attempt 1", "resumed from CONTCAR of attempt 2"]
    assert found.initial_energy == pytest.approx(plain.initial_energy, abs=1e-6)
    assert found.energy == pytest.approx(plain.energy, abs=SAME_ENERGY)
    prepare_folder(make_request(oxide(), tolerance=0.02), tmp_path)
    kept = {"INCAR", "KPOINTS", "POSCAR", "POTCAR", "POTCAR.spec", "inputs.sha256", ".mock_fault"}
    assert {path.name for path in tmp_path.iterdir()} <= kept and (tmp_path / "POSCAR").read_text() == request_.files["POSCAR"]


def test_a_walltime_that_is_over_starts_nothing(request_, tmp_path):
    engine = VaspEngine(settings(), walltime=0.2)
    time.sleep(0.2)
    with pytest.raises(EngineError, match="'oxide' was not started"):
        engine.relax(request_, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_walltime_counts_from_the_start_of_the_process_in_any_time_zone(request_, plain, monkeypatch, tmp_path):
    """An old start in the environment, or a clock that is hours from UTC, must not stop a run that has time."""
    monkeypatch.setenv(START_TIME, "Mon Jan 05 10:00:00 UTC 2026")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        found = VaspEngine(settings(), walltime=600).relax(request_, tmp_path)
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert found.corrections == [] and found.energy == pytest.approx(plain.energy, abs=1e-9)


def alive(number):
    """Whether a process runs; one that has ended and that nobody has asked for yet does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_no_vasp_outlives_its_process(number, request_, tmp_path):
    """SIGTERM ends a launcher's children too; SIGKILL leaves that to the launcher, which is told."""
    command = tmp_path / "vasp"
    children = "sleep 60 & echo $! >> pids\nwait" if number == signal.SIGTERM else "exec sleep 60"
    command.write_text(f"#!/bin/sh\necho $$ >> pids\necho running\n{children}\n")
    command.chmod(0o755)
    folder = tmp_path / "run"
    folder.mkdir()
    engine = VaspEngine(settings(str(command)))
    process = multiprocessing.get_context("fork").Process(target=engine.relax, args=(request_, folder))
    process.start()
    try:
        pids, wanted = folder / "pids", 2 if number == signal.SIGTERM else 1
        assert wait_for(lambda: pids.is_file() and len(pids.read_text().split()) == wanted, 20)
        numbers = [int(text) for text in pids.read_text().split()]
        assert all(alive(child) for child in numbers)
        os.kill(process.pid, number)
        process.join(10)
        assert process.exitcode == (143 if number == signal.SIGTERM else -signal.SIGKILL)
        assert wait_for(lambda: not any(alive(child) for child in numbers), 5)
    finally:
        process.kill()
    assert (folder / "INCAR").read_text() == request_.files["INCAR"] and (folder / "POSCAR").read_text() == request_.files["POSCAR"]
    assert (folder / "custodian.json").is_file() == (number == signal.SIGTERM)
    found = VaspEngine(settings()).relax(request_, folder)  # another command is no other calculation
    assert found.corrections == ["resumed from POSCAR of attempt 1"]


def test_sigterm_is_handled_as_before_once_the_run_is_over(request_, tmp_path):
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        VaspEngine(settings()).relax(make_request(oxide(), stress=None, steps=0), tmp_path)
        os.kill(os.getpid(), signal.SIGTERM)
        assert wait_for(lambda: seen == [signal.SIGTERM], 2)
    finally:
        signal.signal(signal.SIGTERM, before)
