"""Reads zip archives that a stranger's code may have made: bytes in, the files of a run or of a comparison's runs out.

Nothing is ever written to disk. The sizes, counts and names in an archive are claims; what is unpacked is counted while
it is unpacked.
"""

import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from bot.text import clip, count
from bot.untrusted.strict_records import LIMITS, MIB, ArtifactLimits, HostileError
from matrix.comparison.compare import Role

_NAME: Final = r"([A-Za-z0-9][A-Za-z0-9_.+-]{0,200})\.jsonl"
_DIRECTORY_ENTRY: Final = b"PK\x01\x02"
_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
_FOLDER: Final = 0x10


@dataclass(frozen=True)
class _Names:
    """The pattern of the names of an archive's files, in words too."""

    pattern: re.Pattern[str]
    words: str


_IN_ROLES: Final = _Names(re.compile(rf"({'|'.join(Role)})/{_NAME}"), "<role>/<name>.jsonl")
_FLAT: Final = _Names(re.compile(_NAME), "<name>.jsonl")


@dataclass(frozen=True)
class Member:
    """One file of an artifact: the role that it is a run of, its name without folder and ending, and what it holds."""

    role: Role
    stem: str
    content: bytes


def read_members(archive: bytes, limits: ArtifactLimits = LIMITS) -> tuple[Member, ...]:
    """Returns the files of a zip archive, all of them `<role>/<name>.jsonl`; raises HostileError for anything else in it."""
    found = tuple(Member(Role(name[1]), name[2], content) for name, content in _unpacked(archive, _IN_ROLES, limits))
    if len({member.role for member in found}) < len(found):
        raise HostileError("its archive has two files for one role")
    return found


def read_results(archive: bytes, limits: ArtifactLimits = LIMITS) -> dict[str, bytes]:
    """Returns the files of a zip archive by name without ending, all of them `<name>.jsonl`; raises HostileError otherwise."""
    return {name[1]: content for name, content in _unpacked(archive, _FLAT, limits)}


def _unpacked(archive: bytes, names: _Names, limits: ArtifactLimits) -> tuple[tuple[re.Match[str], bytes], ...]:
    if len(archive) > limits.archive:
        raise HostileError(f"its archive is larger than {limits.archive // MIB} MiB")
    if archive.count(_DIRECTORY_ENTRY) > 2 * limits.members:  # bounds what zipfile builds from it; data may hold a few
        raise HostileError(f"its archive has more than {count(limits.members, 'file')}")
    try:
        with zipfile.ZipFile(BytesIO(archive)) as opened:
            return tuple(_files(opened, names, limits))
    except HostileError:
        raise
    except Exception as error:  # a malformed archive makes zipfile raise a dozen classes, undocumented
        raise HostileError("its archive cannot be unpacked (", type(error).__name__, ")") from error


def _files(opened: zipfile.ZipFile, names: _Names, limits: ArtifactLimits) -> Iterator[tuple[re.Match[str], bytes]]:
    entries = opened.infolist()
    if len(entries) > limits.members:
        raise HostileError(f"its archive has more than {count(limits.members, 'file')}")
    # `orig_filename`, because zipfile cuts `filename` at a NUL byte: two names could become one.
    if len({entry.orig_filename.lower() for entry in entries}) < len(entries):
        raise HostileError("its archive has two files with the same name")
    left = limits.total
    for entry in entries:
        name = _checked(entry, names)
        content = _content(opened, entry, min(limits.member, left, limits.ratio * entry.compress_size))
        left -= len(content)
        yield name, content


def _checked(entry: zipfile.ZipInfo, names: _Names) -> re.Match[str]:
    """Returns the parts of the entry's name, when it is a plain file in its place; raises HostileError."""
    name, shown = names.pattern.fullmatch(entry.orig_filename), clip(entry.orig_filename)
    if name is None:
        raise HostileError("its archive holds ", shown, f", which is not a {names.words}")
    # Nothing is unpacked to disk today; links and devices are rejected so that it stays safe if that changes.
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG) or entry.external_attr & _FOLDER:
        raise HostileError("its archive holds ", shown, ", which is not a plain file")
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise HostileError("its archive holds ", shown, ", which is encrypted or packed in an unusual way")
    return name


def _content(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes:
    """Returns the unpacked content of `entry`; raises HostileError as soon as that is more than `limit` bytes."""
    with opened.open(entry) as file:
        # The size in the entry is a claim: only what comes out is counted.
        content = file.read(limit + 1)
    if len(content) > limit:
        raise HostileError("its archive is too large when unpacked, at ", clip(entry.orig_filename))
    return content
