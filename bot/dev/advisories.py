"""`python -m bot.dev.advisories REPORT` says what pip-audit found, and exits with 1 when a package has a known vulnerability.

pip-audit itself ends with success when nobody answered for a single package, so its exit code says little.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


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


def main(file: Path) -> int:
    """Prints what the report in `file` says and returns the exit code; there is no file where pip-audit failed."""
    report = json.loads(file.read_bytes()) if file.exists() else None
    sys.stdout.write("".join(f"{line}\n" for line in describe(report)))
    return int(any(package.get("vulns") for package in (report or {"dependencies": ()})["dependencies"]))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
