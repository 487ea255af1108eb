import functools
import sys

from ecmpipe.errors import EcmpipeError
from ecmpipe.orphans import refuse_orphans


def leave(error):
    """One line per problem and exit code 2."""
    print(*(f"error: {line}" for line in str(error).splitlines()), sep="\n", file=sys.stderr)
    sys.exit(2)


onstart:  # not of a dry run, and after Snakemake's own lock
    if not workflow.local_exec:
        import snakemake_executor_plugin_slurm as executor

        # It asks at every poll how long Slurm remembers ended jobs, takes silence for not at all, and turns to an accounting there may not be.
        executor.get_min_job_age = functools.cache(executor.get_min_job_age)
        executor.get_min_job_age()
    try:
        refuse_orphans(submits=not workflow.local_exec)
    except EcmpipeError as error:
        leave(error)
