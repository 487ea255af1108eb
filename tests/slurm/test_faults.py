"""What the scheduler does to jobs, and what comes of it under the project's profile. The outcome stands in each test's name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.slurm.conftest import finish, jobs, start, until


def test_a_rule_that_always_fails_runs_exactly_three_times(tiny) -> None:
    folder = tiny("""
        rule all:
            output: "never.txt"
            shell: "echo run >> count.txt; exit 7"
    """)
    code, said = finish(start(folder), folder)
    assert code == 1 and "never.txt" in said
    assert (folder / "count.txt").read_text().split() == ["run"] * 3  # the profile's retries: 2


def test_a_job_that_is_killed_for_memory_gets_more_and_succeeds(tiny) -> None:
    folder = tiny("""
        rule all:
            output: "done.txt"
            resources: mem_mb=lambda wildcards, attempt: 500 * attempt
            shell:
                "echo {resources.mem_mb} >> tries.txt;"
                " python3 -c 'x = bytearray(600_000_000); import time; time.sleep(6)' && touch {output}"
    """)
    code, said = finish(start(folder), folder)
    assert code == 0, said[-2000:]
    assert (folder / "tries.txt").read_text().split()[0] == "500" and len((folder / "tries.txt").read_text().split()) in (2, 3)


def test_a_cancelled_job_is_a_failure_and_nobody_hangs(tiny) -> None:
    folder = tiny("""
        rule all:
            output: "done.txt"
            shell: "touch started; sleep 300; touch {output}"
    """)
    process = start(folder, "--retries", "0")
    until((folder / "started").exists)
    subprocess.run(["scancel", *jobs()], check=True)
    code, said = finish(process, folder, 180)
    assert code == 1 and not (folder / "done.txt").exists()


def test_a_node_that_goes_down_costs_an_attempt_and_the_job_runs_again(tiny) -> None:
    folder = tiny("""
        rule all:
            output: "done.txt"
            shell: "echo $SLURMD_NODENAME >> nodes.txt; if [ $(wc -l < nodes.txt) = 1 ]; then sleep 300; fi; touch {output}"
    """)
    process = start(folder)
    until((folder / "nodes.txt").exists)
    node = (folder / "nodes.txt").read_text().split()[0]
    subprocess.run(["scontrol", "update", f"nodename={node}", "state=down", "reason=test"], check=True)
    code, said = finish(process, folder, 300)
    assert code == 0, said[-2000:]
    assert len((folder / "nodes.txt").read_text().split()) == 2  # on either node: a living slurmd brings its own back


def test_the_controller_may_restart_under_a_running_job(tiny) -> None:
    folder = tiny("""
        rule all:
            output: "done.txt"
            shell: "touch started; sleep 25; touch {output}"
    """)
    process = start(folder)
    until((folder / "started").exists)
    pid = int(Path(_root() / "pid/slurmctld").read_text())
    os.kill(pid, signal.SIGTERM)
    until(lambda: not Path(f"/proc/{pid}").exists())
    time.sleep(40)  # the job ends meanwhile, and several polls find nobody
    subprocess.run(["/usr/sbin/slurmctld"], check=True)
    code, said = finish(process, folder, 240)
    assert code == 0, said[-2000:]


def test_a_job_that_slurm_takes_back_starts_again(tiny) -> None:
    """What preemption does to it; with the job's number kept, Snakemake waits for the second run."""
    folder = tiny("""
        rule all:
            output: "done.txt"
            shell: "echo x >> started; if [ $(wc -l < started) = 1 ]; then sleep 300; fi; touch {output}"
    """)
    process = start(folder)
    until((folder / "started").exists)
    subprocess.run(["scontrol", "requeue", *jobs()], check=True)
    code, said = finish(process, folder, 300)
    assert code == 0 and (folder / "started").read_text().split() == ["x"] * 2, said[-2000:]


def test_a_launcher_gets_all_tasks_of_its_job_on_whatever_nodes(tiny) -> None:
    """Snakemake's job is a step of one task itself; one within it would wait for its core for ever, or run alone."""
    folder = tiny(f"""
        rule all:
            output: "tasks.txt"
            resources: tasks=4, mem_mb=400
            shell: "SLURM_NTASKS={{resources.tasks}} {sys.executable} launch.py > {{output}}"
    """)
    (folder / "launch.py").write_text(
        "import subprocess\nfrom ecmpipe.engines.process import own_mpi\n"
        "subprocess.run(['srun', 'sh', '-c', 'echo $SLURM_PROCID $SLURMD_NODENAME'], env=own_mpi(), check=True)\n"
    )
    code, said = finish(start(folder), folder, 180)
    assert code == 0, said[-2000:]
    ranks = sorted(line.split() for line in (folder / "tasks.txt").read_text().splitlines())
    assert [rank for rank, _ in ranks] == ["0", "1", "2", "3"] and {node for _, node in ranks} == {"n1", "n2"}


def test_what_does_not_need_a_failed_step_goes_on(tiny) -> None:
    folder = tiny("""
        rule all:
            input: "bad.txt", "good.txt"
            localrule: True
        rule bad:
            output: "bad.txt"
            shell: "exit 7"
        rule good:
            output: "good.txt"
            resources: mem_mb=1000
            shell: "sleep 20; touch {output}"
    """)
    code, _ = finish(start(folder, "--jobs", "1", "--retries", "0", "--prioritize", "bad.txt"), folder, 180)
    assert code == 1 and (folder / "good.txt").exists()


def _root() -> Path:
    return Path(os.environ.get("ROOT", Path(os.environ.get("TMPDIR", "/tmp")) / "ecmpipe-slurm"))


def test_snakemake_killed_outright_leaves_jobs_that_the_next_start_names(tiny) -> None:
    folder = tiny("""
        rule all:
            output: "done.txt"
            shell: "echo x >> started; sleep 60; touch {output}"
    """)
    process = start(folder)
    until((folder / "started").exists)
    (orphan,) = jobs()
    process.kill()
    process.wait()
    code, said = finish(start(folder, "--nolock"), folder)
    assert code == 2 and orphan in said and f"scancel {orphan}" in said
    subprocess.run(["scancel", orphan], check=True)
    until(lambda: not jobs())
    subprocess.run(["sed", "-i", "s/sleep 60/true/", "Snakefile"], cwd=folder, check=True)
    code, said = finish(start(folder, "--nolock"), folder)
    assert code == 0 and (folder / "done.txt").exists(), said[-2000:]


def test_ctrl_c_cancels_the_jobs(tiny) -> None:
    folder = tiny("""
        rule all:
            output: "done.txt"
            shell: "touch started; sleep 300; touch {output}"
    """)
    process = start(folder)
    until((folder / "started").exists)
    process.send_signal(signal.SIGINT)
    code, said = finish(process, folder, 120)
    assert code != 0
    until(lambda: not jobs("R,PD"), 60)
