"""``python -m ecmpipe``."""

import os
import sys

# One job, one thread: the workflow runs jobs side by side. Set before NumPy and PyTorch are imported.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from ecmpipe.cli import main  # noqa: E402

sys.exit(main())
