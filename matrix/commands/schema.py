"""`python -m matrix schema`: prints the JSON Schema of a line of a results file."""

import json

import typer

from matrix.results.store import json_schema


def print_schema() -> None:
    """Print the JSON Schema of a line of a results file."""
    typer.echo(json.dumps(json_schema(), indent=2))
