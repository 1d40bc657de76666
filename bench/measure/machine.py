"""What the figures were measured on: the machine, its disk, the compiler, the libraries, the peers."""
import gzip
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from measure import cpu
from lib.millrace import binary
from lib.servers import ROOTS

_SYNCS = 200
_BLOCK = 4096

# what it is called here -> its package
_LIBRARIES = {"OpenSSL": "libssl3", "LMDB": "liblmdb0", "jemalloc": "libjemalloc2"}
# what it is called here -> (the root it is unpacked in, its package)
_PEERS = {"Postfix": ("postfix", "postfix"), "OpenSMTPD": ("opensmtpd", "opensmtpd"),
          "Exim": ("exim", "exim4-daemon-light")}


def _said_by(*argv):
    """What a program prints, or nothing where it is not to be had."""
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _field(path, name):
    found = re.search(rf"^{name}\s*:\s*(.*)$", Path(path).read_text(), re.MULTILINE)
    return found.group(1) if found else "?"


def _processor():
    model = _field("/proc/cpuinfo", "model name")
    virtual = ", a virtual machine" if " hypervisor" in _field("/proc/cpuinfo", "flags") else ""
    return f"{len(os.sched_getaffinity(0))} cores of {model}{virtual}"


def _memory():
    return f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB"


def _disk(directory):
    system, source = (_said_by("findmnt", "-n", "-T", directory, "-o", column)
                      for column in ("FSTYPE", "SOURCE"))
    cache = Path("/sys/class/block", Path(source or "?").name, "queue/write_cache")
    how = f", the disk's cache is {cache.read_text().strip()}" if cache.exists() else ""
    return f"{system or 'unknown'} on {source or 'unknown'}{how}"


def _sync_us(directory):
    """What one write of 4 KiB and its fdatasync take, in us: each is appended to a file that has
    its length already."""
    with tempfile.TemporaryFile(dir=directory) as file:
        os.posix_fallocate(file.fileno(), 0, _SYNCS * _BLOCK)
        os.fsync(file.fileno())
        took = []
        for i in range(_SYNCS):
            began = time.perf_counter()
            os.pwrite(file.fileno(), os.urandom(_BLOCK), i * _BLOCK)
            os.fdatasync(file.fileno())
            took.append(1e6 * (time.perf_counter() - began))
    return statistics.median(took)


def _compiled():
    """Compiler and options of the program that is measured: those it was really called with."""
    commands = binary().parent / "compile_commands.json"
    if not commands.exists():
        return "not known"
    words = next(each["command"] for each in json.loads(commands.read_text())
                 if each["file"].endswith("/relay/main.c")).split()
    compiler = next(word for word in words if "=" not in word and not word.endswith("ccache"))
    told = re.compile(r"-(O|g|flto|fstack|fcf|D_FORTIFY|DNDEBUG)")
    said = _said_by(compiler, "-dumpfullversion")
    return f"{os.path.basename(compiler)} {said} {' '.join(filter(told.match, words))}"


def _peer_version(root, package):
    changes = ROOTS / root / "usr/share/doc" / package / "changelog.Debian.gz"
    if not changes.exists():
        return "not there"
    with gzip.open(changes, "rt", errors="replace") as file:
        return re.search(r"\((.*?)\)", file.readline()).group(1)


def facts():
    """(what, value) of each."""
    directory = os.environ.get("MILLRACE_TEST_DIR") or "/var/tmp"
    return [
        ("processor", _processor()),
        ("memory", _memory()),
        ("kernel", f"Linux {os.uname().release}"),
        ("spools on", _disk(directory)),
        ("one write of 4 KiB with fdatasync there", f"{_sync_us(directory):,.0f} µs (median)"),
        ("CPU time is counted by", cpu.method()),
        ("compiled by", _compiled()),
        *((name, _said_by("dpkg-query", "-W", "-f", "${Version}", package) or "unknown")
          for name, package in _LIBRARIES.items()),
        *((name, _peer_version(*where)) for name, where in _PEERS.items()),
    ]


def as_table():
    return "\n".join(["| | |", "|---|---|", *(f"| {what} | {value} |" for what, value in facts())])
