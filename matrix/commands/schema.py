"""`python -m matrix schema`: prints the JSON Schema of a line of a results file."""

import json

from matrix.command_line.output import say
from matrix.results.json_schema import build_json_schema


def print_schema() -> None:
    """Print the JSON Schema of a line of a results file."""
    say(json.dumps(build_json_schema(), indent=2))
