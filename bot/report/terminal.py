"""Prints a report on the terminal: the table and the worst findings, with colour only where the terminal shows it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from bot.report.context import CoverageView, Report, SummaryRow
from bot.text import Code, Sentence, count, join_words
from matrix.text import join_lines, make_visible
from matrix.verdicts import Verdict

FINDINGS_SHOWN = 10
NAMES_SHOWN = 5
WIDTH_ELSEWHERE = 160
"""Columns of the table when the output is not a terminal (a log, a pipe, a file) and COLUMNS is not set."""


def print_report(report: Report, file: TextIO) -> None:
    """Writes the summary of `report` to `file`; NO_COLOR, FORCE_COLOR and COLUMNS are respected, as rich does."""
    width = None if file.isatty() or "COLUMNS" in os.environ else WIDTH_ELSEWHERE
    console = Console(file=file, highlight=False, markup=False, emoji=False, width=width)
    table = _table(report)
    fits = Measurement.get(console, console.options.update(width=1000), table).minimum <= console.width
    console.print(table if fits else _narrow(report))
    for line in (*_gaps(report), *_coverage(report), *_findings(report)):
        console.print(line, soft_wrap=not console.is_terminal)
    if report.findings:
        console.print(
            "\nto reproduce the first finding:\n ", join_lines(report.findings[0].example.command), soft_wrap=True
        )
    console.print(Text(f"\n{report.answer}", "bold"), soft_wrap=not console.is_terminal)


def _table(report: Report) -> Table:
    """Builds the table: a row per environment with a line per loader, readable also where long names wrap."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("environment", min_width=24)
    table.add_column("loader", no_wrap=True)
    table.add_column("precision", no_wrap=True)
    for verdict in report.verdicts:
        table.add_column(_lines(verdict.row.word.split()), justify="right", no_wrap=True)
    table.add_column("of", justify="right", no_wrap=True)
    for environment in report.environments:
        rows = report.rows(environment)
        named = (_lines(row.loader for row in rows), _lines(row.trained_in for row in rows))
        of = [str(row.measured) for row in rows] or ["0"]
        numbers = [_numbers(rows, verdict) for verdict in report.verdicts]
        table.add_row(join_lines(environment.label), *named, *numbers, _lines(of))
    return table


def _narrow(report: Report) -> Text:
    """Formats the table as lines, for a terminal that is too narrow for it: a cropped column would hide a verdict."""
    lines = []
    for environment in report.environments:
        label = join_lines(environment.label)
        for row in report.rows(environment):
            counts = [f"{row.counts[verdict]} {verdict.row.word}" for verdict in report.verdicts if row.counts[verdict]]
            lines.append(f"{label}, {row.loader}, {row.trained_in}: {', '.join(counts)} of {row.measured}")
    return Text("\n".join(lines))


def _numbers(rows: Sequence[SummaryRow], verdict: Verdict) -> Text:
    numbers = [row.counts.get(verdict, 0) for row in rows]
    return Text("\n").join(Text(str(number), verdict.row.style if number else "dim") for number in numbers)


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(texts)


def _gaps(report: Report) -> list[Text]:
    lines = []
    for environment in report.gaps:
        lines.append(Text(f"\n{join_lines(environment.label)}: {environment.gap}", "bold"))
        if environment.error:
            lines.append(Text(make_visible(f"{environment.error.type}: {environment.error.message}")))
    return lines


def _coverage(report: Report) -> list[Text]:
    """Says which share was checked, and why the rest was not."""
    lines = [Text("\ncoverage", "bold")]
    for environment in report.environments:
        lines.append(Text(f"{join_lines(environment.label)}: {environment.covered}"))
        lines.extend(Text(f"  {line}") for line in (_uncovered(environment.coverage) if environment.coverage else ()))
        lines.extend(Text("  note: ").append_text(_words(note)) for note in environment.notes)
    return lines


def _uncovered(coverage: CoverageView) -> Iterator[str]:
    for group in coverage.unchecked:
        where = f", {group.where}" if group.where else ""
        yield f"{join_lines(group.reason)}{where}: {_few(group.architectures) if group.architectures else 'every architecture'}"
    if coverage.unreached:
        yield f"{coverage.unreached_words}: {_few(coverage.unreached)}"


def _few(names: Sequence[str]) -> str:
    few = [join_lines(name) for name in names[:NAMES_SHOWN]]
    more = len(names) - NAMES_SHOWN
    return join_words([*few, f"{more} more"] if more > 0 else few)


def _findings(report: Report) -> list[Text]:
    lines = [Text("\nworst findings", "bold")] if report.findings else []
    for finding in report.findings[:FINDINGS_SHOWN]:
        shown = finding.verdict.row
        lines.append(
            Text.assemble((shown.word, shown.style), " ", _words(finding.where), ": ", _words(finding.sentence))
        )
    more = len(report.findings) - FINDINGS_SHOWN
    return [*lines, Text(f"and {count(more, 'more finding')}, in the report")] if more > 0 else lines


def _words(sentence: Sentence) -> Text:
    return Text.assemble(*[(make_visible(part), "cyan" if isinstance(part, Code) else "") for part in sentence])
