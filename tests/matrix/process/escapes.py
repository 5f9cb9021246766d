"""Ways out of a confinement, each a small program that ends without an error when it got out.

They run inside, in one process that starts a child for each. OSError means that it is held, anything else that the program
is wrong. `at` has what is outside: see `Outside` in test_escapes.py.
"""

from typing import Final

PRELUDE: Final = r"""
import ctypes, glob, json, mmap, os, resource, select, signal, socket, stat, subprocess, sys, time
from pathlib import Path
at = json.loads(sys.argv[1])
opened = set(os.listdir("/proc/self/fd")) - {"0", "1", "2", "3"}  # the last is that of this look
kept, below, unlisted, own = (Path(at[name]) for name in ("kept", "below", "unlisted", "own"))
libc = ctypes.CDLL(None, use_errno=True)
def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def call(number, *values):
    return check(libc.syscall(ctypes.c_long(number), *values))
def held(condition, why="held"):
    if condition:
        raise OSError(why)
def again(path):
    "Leaves a file for the next confined process; finding it is the escape."
    if not Path(path).exists():
        Path(path).write_text("left")
        raise OSError("nothing was left by another")
def new_user():
    "Becomes root of a user namespace with mounts of its own."
    check(libc.unshare(0x10000000 | 0x00020000))
def mount(source, target, kind=None, flags=0):
    encoded = [value and os.fsencode(str(value)) for value in (source, target, kind)]
    check(libc.mount(*encoded, ctypes.c_ulong(flags), None))
def connect(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as out:
        out.settimeout(3)
        out.connect(address)
def beyond(limit, begin):
    "Lowers an own limit and goes beyond it: the kernel counts."
    resource.setrlimit(limit, (40, 40))
    begin()
def forks():
    for _ in range(80):
        if not os.fork():
            time.sleep(5)
            os._exit(0)
"""

NETWORK: Final = {
    "connect to a port of the host's loopback": "connect(socket.AF_INET, ('127.0.0.1', at['port']))",
    "reach the internet over IPv4": "connect(socket.AF_INET, ('192.0.2.1', 9), socket.SOCK_DGRAM)",
    "reach the internet over IPv6": "connect(socket.AF_INET6, ('2001:db8::1', 9), socket.SOCK_DGRAM)",
    "connect to an abstract socket of the host": r"connect(socket.AF_UNIX, '\0' + at['abstract'])",
    "send raw packets": "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
    "listen to every packet": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)",
    "see an interface of the host": "held(not [n for _, n in socket.if_nameindex() if n in at['interfaces']])",
    "take an address for the loopback": r"""
import fcntl, struct
fcntl.ioctl(socket.socket(), 0x8916, struct.pack("16sH2s4s8s", b"lo", 2, b"", socket.inet_aton("10.9.9.9"), b""))
""",
    "leave a segment of System V memory": """
number = {'x86_64': 29, 'aarch64': 194}[os.uname().machine]
if libc.syscall(number, 77, 4096, 0o666) < 0:
    call(number, 77, 4096, 0o1666)
    raise OSError("nothing was left by another")
""",
    "leave a message queue": r"""
libc.mq_open.restype = ctypes.c_int
if libc.mq_open(b"/zero3-escape", 2) < 0:
    check(libc.mq_open(b"/zero3-escape", 0o102, 0o666, None))
    raise OSError("nothing was left by another")
""",
    "rename the host": "check(libc.sethostname(b'escaped', 7))",
}
"""What is held wherever there is a namespace for the network."""

PRIVILEGES: Final = {
    "gain privileges by a setuid program": "held(libc.prctl(39, 0, 0, 0, 0) == 1)",
    "have a capability": r"""
lines = Path("/proc/self/status").read_text().splitlines()
held({int(line.split()[1], 16) for line in lines if line.startswith("Cap")} == {0})
""",
    "become another user": "os.setresuid(12345, 12345, 12345)",
    "join another group": "os.setgroups([6])",
    "raise a limit again": """
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (9000, 9000))
except ValueError as error:
    raise OSError(str(error))
""",
    "run before others (nice)": "os.nice(-10)",
    "set the clock": "time.clock_settime(time.CLOCK_REALTIME, time.time())",
    "load a kernel module": "call({'x86_64': 175, 'aarch64': 105}[os.uname().machine], b'', 0, b'')",
    "open a file by its number": "call({'x86_64': 304, 'aarch64': 265}[os.uname().machine], 0, b'\\x08\\0\\0\\0\\x01' + bytes(64), 0)",
    "make a device": "os.mknod(own / 'disk', stat.S_IFBLK | 0o666, os.makedev(254, 0))",
    "use an open file of the host": "held(not opened)",
    "type into the terminal": "os.open('/dev/tty', os.O_RDWR)",
    "write a file of more than 2 GiB": "os.pwrite(os.open(own / 'big', os.O_CREAT | os.O_RDWR), b'x', 2 << 30)",
    "open more than 8,192 files": "[os.dup(0) for _ in range(8193)]",
    "dump core": "held(resource.getrlimit(resource.RLIMIT_CORE) == (0, 0))",
}
"""What is held in every mode."""

PROCESSES: Final = {
    "fork without end": "beyond(resource.RLIMIT_NPROC, forks)",
    "have no limit of processes": "held(resource.getrlimit(resource.RLIMIT_NPROC) == (4096, 4096))",
}
"""What is held but for root itself, whose processes the kernel does not count."""

KEYS: Final = {
    "leave a key in the kernel's keyring": """
search, add = {'x86_64': (249, 248), 'aarch64': (218, 217)}[os.uname().machine]
if libc.syscall(ctypes.c_long(search), b"user", b"zero3-escape", None, -4) < 0:
    call(add, b"user", b"zero3-escape", b"left", ctypes.c_size_t(4), -4)
    raise OSError("nothing was left by another")
""",
}
"""What needs a user namespace, which root makes none of."""

MEMORY: Final = {
    "be spared when memory is short": "Path('/proc/self/oom_score_adj').write_text('0')",
}
"""What is held where root with CAP_SYS_RESOURCE starts it: others may change back what they have set."""

FIRST: Final = {
    "trace the first process": "check(libc.ptrace(16, 1, None, None))",
    "write to the first process's memory": "open('/proc/1/mem', 'r+b')",
}
"""With bubblewrap the first process has no more privileges than any other: who stops it hangs, until the deadline."""

FILES: Final = {
    "fill memory by empty files": """
private = ("/tmp", "/var/tmp", "/dev/shm", "/run")
held(all(os.statvfs(folder).f_files <= 100_000 for folder in private))
""",
}
"""What bubblewrap cannot limit: its private folders have as many files as the kernel permits."""

SHARED: Final = {
    "write to a named pipe of the host": "os.write(os.open(kept / 'pipe', os.O_RDWR), b'evil')",
    "lock a file of the host": "import fcntl; fcntl.flock((kept / 'file').open(), fcntl.LOCK_EX | fcntl.LOCK_NB)",
}
"""What no mode promises: a read-only mount does not keep a process from it."""

FULL: Final = {
    "write to a protected folder": "(kept / 'x').touch()",
    "write to a mount below a protected folder": "(below / 'x').touch()",
    "write where the host runs programs from, listed nowhere": "(unlisted / 'uv').write_text('evil')",
    "change a file of the host": "(kept / 'file').write_text('evil')",
    "append to a file of the host": "(kept / 'file').open('a')",
    "truncate a file of the host": "os.truncate(kept / 'file', 0)",
    "delete a file of the host": "(kept / 'file').unlink()",
    "rename a file of the host": "(kept / 'file').rename(kept / 'other')",
    "move a file of the host to its own folder": "(kept / 'file').rename(own / 'file')",
    "link to a file of the host and write": "os.link(kept / 'file', own / 'hard'); (own / 'hard').write_text('evil')",
    "write through a symbolic link": "(own / 'soft').symlink_to(kept / 'file'); (own / 'soft').write_text('evil')",
    "change the rights of a file of the host": "(kept / 'file').chmod(0o777)",
    "change the times of a file of the host": "os.utime(kept / 'file')",
    "set an attribute of a file of the host": "os.setxattr(kept / 'file', 'user.evil', b'1')",
    "write by way of the first process": "Path('/proc/1/root', *kept.parts[1:], 'x').touch()",
    "write by way of its working folder": "os.chdir(own); Path('/proc/self/cwd/../kept/x').touch()",
    "write to any folder near the root": """
for pattern in ("/*", "/*/*", "/*/*/*"):
    for folder in glob.iglob(pattern):
        if os.path.isdir(folder) and not os.path.realpath(folder).startswith(("/tmp", "/var/tmp", "/dev/shm", "/run", "/proc")):
            try:
                os.mkdir(f"{folder}/zero3-escape")
            except OSError:
                continue
            os.rmdir(f"{folder}/zero3-escape")
            sys.exit()
raise OSError("no folder can be written to")
""",
    "make a mount writable again": "mount(None, '/', None, 32); (kept / 'x').touch()",
    "make a mount writable again as root of a user namespace": "new_user(); mount(None, '/', None, 32); (kept / 'x').touch()",
    "unmount what hides /tmp as root of a user namespace": "new_user(); check(libc.umount2(b'/tmp', 2))",
    "mount the host's processes as root of a user namespace": """
new_user()
check(libc.unshare(0x20000000))
mount("proc", own, "proc")
os.kill(at["pid"], 0)
""",
    "leave a folder by chroot": """
(own / "jail").mkdir(exist_ok=True)
os.chroot(own / "jail")
[os.chdir("..") for _ in range(64)]
os.chroot(".")
(kept / "x").touch()
""",
    "write to a disk": """
disks = [d for d in map(Path, glob.glob("/dev/*")) if stat.S_ISBLK(d.stat().st_mode)]
held(not disks, "no disk is there")
[os.open(disk, os.O_WRONLY) for disk in disks]
""",
    "open a device other than null, zero, random, tty and a GPU's": """
known = {"null", "zero", "full", "random", "urandom", "tty", "ptmx"}
found = [d for d in map(Path, glob.glob("/dev/*")) if d.name not in known and not d.name.startswith(("nvidia", "std"))]
held(not [d for d in found if d.exists() and stat.S_ISCHR(d.stat().st_mode)], "no other device is there")
""",
    "set the kernel's core_pattern": "open('/proc/sys/kernel/core_pattern', 'w')",
    "open a setting of the kernel for writing": """
for folder, _, names in os.walk("/proc/sys"):
    for name in names:
        try:
            os.open(f"{folder}/{name}", os.O_WRONLY)
        except OSError:
            continue
        sys.exit()
raise OSError("no setting can be opened")
""",
    "ask the kernel for a reboot (sysrq)": "open('/proc/sysrq-trigger', 'w')",
    "make a control group": "os.mkdir(next(iter(glob.glob('/sys/fs/cgroup/*/')), '/sys/fs/cgroup/') + 'zero3-escape')",
    "write to the first process's program": "open('/proc/1/exe', 'r+b')",
    "signal a process of the host": "os.kill(at['pid'], 0)",
    "read the variables of a process of the host": "open(f'/proc/{at[\"pid\"]}/environ', 'rb').read()",
    "trace a process of the host": "check(libc.ptrace(16, at['pid'], None, None))",
    "kill the first process": "[os.kill(1, n) for n in (1, 2, 9, 15)]; time.sleep(0.1); held(Path('/proc/1').exists())",
    "live on as a daemon": """
if not os.fork():
    os.setsid()
    subprocess.run([sys.executable, "-c", "import time; time.sleep(60)", at["daemon"]])
raise OSError("looked for afterwards")
""",
    "connect to a socket file in /tmp": "connect(socket.AF_UNIX, at['socket'])",
    "leave a file in /tmp": "again('/tmp/zero3-escape')",
    "leave a file in /var/tmp": "again('/var/tmp/zero3-escape')",
    "leave a file in /dev/shm": "again('/dev/shm/zero3-escape')",
    "leave a file in /run": "again('/run/zero3-escape')",
    "leave a file in /run/lock": "again('/run/lock/zero3-escape')",
    "fill memory by /dev/shm": "s = os.statvfs('/dev/shm'); held(s.f_blocks * s.f_frsize <= 4 << 30)",
    "fill memory by /tmp": "s = os.statvfs('/tmp'); held(s.f_blocks * s.f_frsize <= 1 << 30)",
    "leave a path that is too long to be deleted": """
os.chdir(own)
for _ in range(1500):
    os.mkdir("d" * 20)
    os.chdir("d" * 20)
raise OSError("looked for afterwards")
""",
}
"""What needs mounts and processes of its own."""
