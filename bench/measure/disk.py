"""What a directory weighs on its disk, and what was asked of the disk.

A file weighs the blocks that the file system gave it, whatever its length; directories count. A
flush is what the whole machine asked of that disk ("forget nothing from here on"): the kernel
counts them, for whoever called fsync, so other programs that write make the count wrong.
"""
import os
from pathlib import Path

_BLOCK = 512          # of st_blocks
_FLUSHES = 15         # the field of /sys/dev/block/*/stat: flush requests completed


def weigh(directory):
    """(bytes, files) of all below the directory. What vanishes meanwhile weighs nothing."""
    total, files = 0, 0
    for place, _, names in os.walk(directory):
        for name in (".", *names):
            try:
                found = os.lstat(os.path.join(place, name))
            except FileNotFoundError:
                continue
            total += found.st_blocks * _BLOCK
            files += 1
    return total, files


def flushes(directory):
    """How many flushes the directory's disk has completed; None where the kernel does not tell."""
    device = os.stat(directory).st_dev
    place = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    try:
        return int(place.read_text().split()[_FLUSHES])
    except (OSError, IndexError):
        return None
