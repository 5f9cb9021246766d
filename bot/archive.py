"""Zip archives that strangers' code may have made: bytes in, the files of a comparison's runs out.

Nothing is ever written to disk. Sizes, counts and names that an archive tells of itself are claims; what is unpacked is
counted while it is unpacked.
"""

import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from bot.hostile import LIMITS, MIB, HostileError, Limits
from bot.text import clip, count
from matrix.compare import Role

_NAME: Final = re.compile(rf"({'|'.join(Role)})/([A-Za-z0-9][A-Za-z0-9_.+-]*)\.jsonl")
_DIRECTORY_ENTRY: Final = b"PK\x01\x02"
_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
_FOLDER: Final = 0x10


@dataclass(frozen=True)
class Member:
    """One file of an artifact: the role that it is a run of, its name without folder and ending, and what it holds."""

    role: Role
    stem: str
    content: bytes


def members(archive: bytes, limits: Limits = LIMITS) -> tuple[Member, ...]:
    """The files of a zip archive, all of them `<role>/<name>.jsonl`; raises HostileError for anything else in it."""
    if len(archive) > limits.archive:
        raise HostileError(f"its archive has more than {limits.archive // MIB} MiB")
    if archive.count(_DIRECTORY_ENTRY) > 2 * limits.members:  # bounds what zipfile builds from it; data may hold a few
        raise HostileError(f"its archive has more than {count(limits.members, 'file')}")
    try:
        with zipfile.ZipFile(BytesIO(archive)) as opened:
            return tuple(_members(opened, limits))
    except HostileError:
        raise
    except Exception as error:  # a malformed archive makes zipfile raise a dozen classes, undocumented
        raise HostileError("its archive cannot be unpacked (", type(error).__name__, ")") from error


def _members(opened: zipfile.ZipFile, limits: Limits) -> Iterator[Member]:
    entries = opened.infolist()
    if len(entries) > limits.members:
        raise HostileError(f"its archive has more than {count(limits.members, 'file')}")
    names = [entry.orig_filename.lower() for entry in entries]
    if len(set(names)) < len(names):
        raise HostileError("its archive holds a name twice")
    if len({name.partition("/")[0] for name in names}) < len(names):
        raise HostileError("its archive holds two files of one role")
    left = limits.total
    for entry in entries:
        name = _checked(entry)
        content = _content(opened, entry, min(limits.member, left, limits.ratio * entry.compress_size))
        left -= len(content)
        yield Member(Role(name[1]), name[2], content)


def _checked(entry: zipfile.ZipInfo) -> re.Match[str]:
    """The parts of the entry's name, when it is a plain file in its place; raises HostileError."""
    name, shown = _NAME.fullmatch(entry.orig_filename), clip(entry.orig_filename)
    if name is None:
        raise HostileError("its archive holds ", shown, ", which is no <role>/<name>.jsonl")
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG) or entry.external_attr & _FOLDER:
        raise HostileError("its archive holds ", shown, ", which is no plain file")
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise HostileError("its archive holds ", shown, ", which is encrypted or packed in an unusual way")
    return name


def _content(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes:
    """What `entry` really unpacks to; raises HostileError as soon as that is more than `limit` bytes."""
    with opened.open(entry) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise HostileError("its archive unpacks to more than results ever have, at ", clip(entry.orig_filename))
    return content
