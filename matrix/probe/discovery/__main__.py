"""`python -m matrix.probe.discovery scan | census`: answers the question on stdin with JSON lines."""

import importlib
import json
import sys

from matrix.probe.startup import claim_stdout, set_variables


def main(name: str) -> None:
    """Answers one question. Whatever upstream prints goes to stderr, also while it is imported."""
    records = claim_stdout()
    set_variables()
    question = json.load(sys.stdin)
    for line in importlib.import_module(f"matrix.probe.discovery.{name}").answer(question):
        records.write(json.dumps(line) + "\n")
    records.flush()


if __name__ == "__main__":
    main(sys.argv[1])
