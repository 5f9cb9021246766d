"""What must be done before torch, transformers and deepspeed are imported. Standard library only."""

import os
import sys
from typing import TextIO

QUIET = {
    "OMP_NUM_THREADS": "1",  # a thread pool does not survive a fork
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",  # importing inductor starts a pool of workers otherwise
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # counting GPUs through the CUDA runtime spoils later forks
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""Environment variables that must be set; what the user has set stays."""


def quieten() -> None:
    """Set these variables, where the user has not."""
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})


def claim_stdout() -> TextIO:
    """Keep the real stdout for records, and let everything that upstream prints go to stderr, in forked ranks too."""
    records = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return records
