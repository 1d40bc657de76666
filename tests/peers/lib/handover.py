#!/usr/bin/env python3
"""handover.py NAME=FD... -- COMMAND...: becomes COMMAND with these descriptors handed over as
systemd does it (sd_listen_fds(3)): from descriptor 3 on, named in the environment."""
import os
import sys

FIRST = 3

split = sys.argv.index("--")
names, numbers = zip(*(word.split("=") for word in sys.argv[1:split]))
aside = [os.dup(int(number)) for number in numbers]     # so that none is overwritten
high = [os.dup2(fd, 200 + i, inheritable=True) for i, fd in enumerate(aside)]
for i, fd in enumerate(high):
    os.dup2(fd, FIRST + i, inheritable=True)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(names)),
                  LISTEN_FDNAMES=":".join(names))
os.execv(sys.argv[split + 1], sys.argv[split + 1:])
