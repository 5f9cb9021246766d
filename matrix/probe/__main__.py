"""`python -m matrix.probe JOB`: measure, in this interpreter, what the JSON file JOB asks for.

Prints JSON lines on stdout: {"environment": {...}} first, then {"progress": ...} and {"case": {...}} as they come, and
{"end": {...}} last, or {"failure": {...}} when a package cannot be imported. Of a job's target it tells {"target": {...}}
before the cases, or {"refused": why} last. Everything upstream prints goes to stderr.
Started by torchrun, srun or deepspeed (RANK is set), it is one rank of their group instead of the zygote of its own.
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
from matrix.probe.startup import claim_stdout, quieten

quieten()  # before torch is imported


def main(job_file: str) -> int:
    """Measure the job; 0 when everything was measured, 2 when there is no such target, 3 when the packages cannot be imported."""
    started = time.perf_counter()
    records = claim_stdout()

    def tell(message: dict[str, Any]) -> None:
        records.write(json.dumps(message) + "\n")
        records.flush()

    job = Job.from_json(Path(job_file).read_text())
    os.environ.setdefault("DS_ACCELERATOR", job.device)  # deepspeed decides while it is imported
    if job.device is Device.CPU:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    try:
        from matrix.probe.ranks import external_launcher as outer
        from matrix.probe.ranks import zygote
    except Exception as error:  # whatever the import of a mismatched package raises
        from matrix.probe.exceptions import failure

        tell({"failure": asdict(failure(error))})
        return 3
    with tempfile.TemporaryDirectory(prefix="zero3-") as root:
        if "RANK" in os.environ:
            return outer.measure(job, Path(root), tell)
        return zygote.measure(job, Path(root), tell, started)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
