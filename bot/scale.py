"""The benchmark of the dashboard: a made-up year of nights, built by the command that the nightly workflow calls."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.site.data.urls import START
from matrix.bench_year import Year, write
from matrix.errors import OutputError
from matrix.measure.speed import Goal
from matrix.process import run as runner

BUILD_SECONDS, NIGHT_SECONDS, MEMORY_MIB, START_KB, SITE_MB = 60.0, 10.0, 1024.0, 150.0, 1000.0
"""The goals; a published site of GitHub Pages may have 1 GB."""


@dataclass(frozen=True)
class Place:
    """Where a year is made: its record files, their database, the site."""

    folder: Path

    @property
    def history(self) -> Path:
        """The folder of the nights."""
        return self.folder / "history"

    @property
    def database(self) -> Path:
        """What is built from them."""
        return self.folder / "history.sqlite"

    @property
    def site(self) -> Path:
        """What is published."""
        return self.folder / "site"

    @property
    def command(self) -> list[str]:
        """What builds database and site."""
        paths = {"--history": self.history, "--database": self.database, "--out": self.site}
        return ["-m", "bot", "dashboard", *(str(word) for pair in paths.items() for word in pair)]


@dataclass(frozen=True)
class Measured:
    """What a year came to: the build of all nights but the last, and that of the last one, added. Sizes are in bytes."""

    name: str
    built: runner.Usage
    added: runner.Usage
    records: "Size"
    database: int
    site: "Size"
    start: int

    @property
    def goals(self) -> list[Goal]:
        """Each limit of the dashboard."""
        memory = max(self.built.memory, self.added.memory)
        return [
            Goal(f"{self.name}: all nights", self.built.wall, BUILD_SECONDS, "s"),
            Goal(f"{self.name}: one more night", self.added.wall, NIGHT_SECONDS, "s"),
            Goal(f"{self.name}: most memory", memory, MEMORY_MIB, "MiB"),
            Goal(f"{self.name}: start page, compressed", self.start / 1e3, START_KB, "kB"),
            Goal(f"{self.name}: published site", self.site.bytes / 1e6, SITE_MB, "MB"),
        ]

    @property
    def words(self) -> str:
        """What has no limit."""
        return (
            f"{self.name}: {self.built.cpu:.1f} s on all cores for all nights, {self.added.cpu:.1f} s for one more; "
            f"{self.records.files:,} record files of {self.records.bytes / 1e6:,.0f} MB, "
            f"database {self.database / 1e6:,.0f} MB, site of {self.site.files:,} files"
        )


@dataclass(frozen=True)
class Size:
    """How many files a folder holds, and how many bytes."""

    files: int
    bytes: int

    @classmethod
    def of(cls, folder: Path) -> "Size":
        """The size of a folder with all that is in it but for hidden files, such as a lock."""
        files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
        sizes = [path.stat().st_size for path in files]
        return cls(len(sizes), sum(sizes))


@contextmanager
def scratch(out: Path) -> Iterator[Path]:
    """An empty folder inside `out`, removed in the end; raises OutputError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = TemporaryDirectory(prefix="year-", dir=out)
    except OSError as error:
        raise OutputError(out, error) from error
    with folder as name:
        yield Path(name).absolute()


def measure(name: str, year: Year, place: Place, tell: Callable[[str], None]) -> Measured:
    """Make up a `year` in `place`, which is empty, and measure its builds; raises CommandFailedError."""
    tell(f"{name}: making up {year.nights} nights")
    write(year, place.history, range(year.nights - 1))
    tell(f"{name}: building all nights but the last")
    built = runner.used(place.command)
    write(year, place.history, [year.nights - 1])
    tell(f"{name}: adding the last night")
    added = runner.used(place.command)
    start = len(gzip.compress((place.site / START).read_bytes()))
    sizes = (Size.of(place.history), place.database.stat().st_size, Size.of(place.site))
    return Measured(name, built, added, *sizes, start)
