"""CPU time of a daemon and of all it ever started.

Where that can be, it is started in a control group of its own (version 2), whose time the kernel
keeps: nothing is lost when short-lived children come and go. Else a tree's time is what each living
process has used, and what each has collected of children that ended; who does not wait for them,
as Exim, looks cheaper then than he is.
"""
import atexit
import contextlib
import os
import time
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PREFIX = "millrace-bench-"
_groups = []


def _hierarchy():
    """Where control groups of version 2 are mounted; None where they are not."""
    for line in Path("/proc/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2":
            return Path(fields[1])
    return None


def _group_of(pid):
    """The process's control group, as a directory; None where there are none."""
    root = _hierarchy()
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    paths = [line[len("0::/"):] for line in lines if line.startswith("0::/")]
    return root / paths[0] if root and paths else None


def _remove_empty():
    """Those whose processes have ended."""
    for group in list(_groups):
        with contextlib.suppress(OSError):
            group.rmdir()
            _groups.remove(group)


@contextlib.contextmanager
def counted():
    """What is started within has a control group of its own, if we may make one."""
    ours, group = _group_of("self"), None
    _remove_empty()
    try:
        if ours:
            group = ours / f"{_PREFIX}{os.getpid()}-{time.monotonic_ns()}"
            group.mkdir()
            _groups.append(group)
            (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        group = None
    try:
        yield
    finally:
        if group:
            (ours / "cgroup.procs").write_text(str(os.getpid()))


atexit.register(_remove_empty)


def _stat(pid):
    """(parent, seconds) of one process; None when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15])) / _TICK     # utime stime cutime cstime


def method():
    """How it is counted here, in words."""
    ours = _group_of("self")
    return "the kernel, a control group for each relay" if ours and os.access(ours, os.W_OK) else \
        "what processes and their parents tell: too little of who does not wait for his children"


def thread_seconds(pid):
    """What each thread of one process has used, to the nanosecond: (number, name) -> seconds."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        found[int(task.name), name] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return found


def idle_seconds():
    """Of the whole machine, all cores together: neither user, kernel nor waiting for the disk."""
    return int(Path("/proc/stat").read_text().split()[4]) / _TICK


def tree_seconds(pid):
    """What the process and all below it have used, in user mode and in the kernel."""
    group = _group_of(pid)
    if group and group.name.startswith(_PREFIX):
        used = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
        return int(used["usage_usec"]) / 1e6
    found = {int(name): _stat(name) for name in os.listdir("/proc") if name.isdigit()}
    found = {number: facts for number, facts in found.items() if facts}
    children = {}
    for number, (parent, _) in found.items():
        children.setdefault(parent, []).append(number)
    total, waiting = 0.0, [pid]
    while waiting:
        number = waiting.pop()
        total += found.get(number, (0, 0.0))[1]
        waiting += children.get(number, [])
    return total
