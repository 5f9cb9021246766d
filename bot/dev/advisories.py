"""`python -m bot.dev.advisories REPORT OUTPUT` says what pip-audit found.

It exits with 1 when a package has a known vulnerability, and when pip-audit failed for any reason but a service that
cannot be reached. pip-audit itself ends with success when nobody answered for a single package, so its exit code says
little. OUTPUT is a file with what it said.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_UNREACHABLE: Final = re.compile(
    r"\b(ConnectionError|ProxyError|\w*Timeout|NameResolutionError)\b: |Could not connect to "
)
"""What pip-audit, and requests below it, say where a service does not answer."""


def describe(report: dict[str, Any] | None) -> Iterator[str]:
    """Yields a line for each vulnerability, then one that counts what was looked up; `report` is pip-audit's JSON, if any."""
    packages = report["dependencies"] if report else []
    for package in packages:
        for found in package.get("vulns", ()):
            fixed = ", ".join(found["fix_versions"]) or "no release yet"
            yield f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}"
    unanswered = [package["name"] for package in packages if "skip_reason" in package]
    if len(unanswered) == len(packages):
        yield "No public advisories were looked up: their service cannot be reached from here."
    else:
        yield f"Advisories of {len(packages) - len(unanswered)} of {len(packages)} packages were looked up."


def main(file: Path, said: Path) -> int:
    """Prints what the report in `file` says and returns the exit code; `said` has pip-audit's output."""
    report, output = _read(file), said.read_text(encoding="utf-8") if said.exists() else ""
    if report is None and not _UNREACHABLE.search(output):
        sys.stdout.write(f"pip-audit wrote no report. It said:\n{output.strip()}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in describe(report)))
    return int(any(package.get("vulns") for package in (report or {"dependencies": ()})["dependencies"]))


def _read(file: Path) -> dict[str, Any] | None:
    """Returns pip-audit's report; None where it wrote none, or only a part of one."""
    try:
        report = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return report if isinstance(report, dict) and "dependencies" in report else None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
