"""What must be done before torch, transformers and deepspeed are imported. Standard library only."""

import ctypes
import os
import signal
import sys
from typing import TextIO

_SET_PDEATHSIG = 1

VARIABLES = {
    "OMP_NUM_THREADS": "1",  # a thread pool does not survive a fork
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",  # importing inductor starts a pool of workers otherwise
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # counting GPUs through the CUDA runtime spoils later forks
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""Environment variables that the measured packages need, so that they start no threads and ask no hub."""


def set_variables() -> None:
    """Sets `VARIABLES`, except those that the user has set."""
    os.environ.update({name: value for name, value in VARIABLES.items() if name not in os.environ})


def claim_stdout() -> TextIO:
    """Returns the real stdout, for records. Everything that upstream prints goes to stderr, in forked ranks too."""
    records = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return records


def die_with(parent: int) -> None:
    """Has the kernel kill this process when its `parent` ends, however that happens; see prctl(2), which only Linux has.

    A rank can be deep in a collective or in compiled code, where nothing of ours would notice that it is alone.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the kernel knew
            os._exit(1)
