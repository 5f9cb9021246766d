"""`python -m matrix.probe JOB`: measures, in this interpreter, what the JSON file JOB asks for.

Prints JSON lines on stdout: {"environment": {...}} first, then {"progress": ...}, {"remark": words} and {"case": {...}}
as they come, and {"end": {...}} last, or {"failure": {...}} when a package cannot be imported. For a job with a target it
prints {"target": {...}} before the cases, or {"refused": why} last. Everything upstream prints goes to stderr.
"""

import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matrix.job import Job
from matrix.model import Device
from matrix.probe.startup import claim_stdout, set_variables

set_variables()  # before torch is imported


def main(job_file: str) -> int:
    """Measures the job and returns the exit code.

    0 when everything was measured, 2 when there is no such target, 3 when the packages cannot be imported.
    """
    started = time.perf_counter()
    records = claim_stdout()

    def emit(message: dict[str, Any]) -> None:
        records.write(json.dumps(message) + "\n")
        records.flush()

    job = Job.from_json(Path(job_file).read_text())
    os.environ.setdefault("DS_ACCELERATOR", job.device)  # deepspeed decides while it is imported
    if job.device is Device.CPU:
        # DS_ACCELERATOR speaks to deepspeed alone: torch and transformers must not see a GPU either.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    try:
        from matrix.probe.ranks import zygote
    except Exception as error:  # whatever the import of a mismatched package raises
        from matrix.probe.exceptions import failure

        emit({"failure": asdict(failure(error))})
        return 3
    with tempfile.TemporaryDirectory(prefix="zero3-") as root:
        return zygote.measure(job, Path(root), emit, started)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
