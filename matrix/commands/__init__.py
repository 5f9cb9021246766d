"""The commands that measure and compare, one file each, and the table of them."""

from typing import Final

from matrix.command_line.table import CommandEntry

COMMANDS: Final = (
    CommandEntry("matrix.commands.run:measure_cell", "run", "run"),
    CommandEntry("matrix.commands.check:check_model", "check", "check"),
    CommandEntry("matrix.commands.advise:advise_pairs", "advise", "advise"),
    CommandEntry("matrix.commands.list:list_catalog", "list", "list"),
    CommandEntry("matrix.commands.compare:compare_runs", "compare", "compare"),
    CommandEntry("matrix.commands.history:show_history", "history", "history"),
    CommandEntry("matrix.commands.catalog:write_lock", "catalog", "catalog"),
    CommandEntry("matrix.commands.bench:measure_speed", "bench", "bench"),
    CommandEntry("matrix.commands.duel:measure_comparison_job", "duel", "bot measure"),
    CommandEntry("matrix.commands.night:measure_nightly_shard", "night", "nightly measure"),
    CommandEntry("matrix.commands.merge:merge_runs", "merge", "nightly merge"),
    CommandEntry("matrix.commands.schema:print_schema", "schema"),
)
"""The commands of `python -m matrix`."""
