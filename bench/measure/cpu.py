"""CPU time of a daemon and of all it ever started.

A tree's time is what each living process has used, and what each has collected of children that
ended: so nothing is lost when short-lived children come and go, as long as somebody waits for
them. (The peers run in a pid namespace whose first process does.)
"""
import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """(parent, seconds) of one process; None when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15])) / _TICK     # utime stime cutime cstime


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
