"""A queue of deferred mail for Postfix, as large as one likes, in seconds: one message is accepted
and deferred by Postfix itself, and its queue file and log file are copied under the names that
Postfix would give them (short queue IDs: microseconds, then inode). Those that are due have a time
stamp in the past, as its queue manager wants it. The queue lies in memory (/dev/shm): so many files
would take their time to come and to go on a disk, and what we ask is how long reading takes.
"""
import os
import shutil
import tempfile
import time
from pathlib import Path

from lib.millrace import Load
from lib.workshop import wait_until

from .relays import PostfixRelay

_LATER = 3600             # seconds until the others are due
_SIZE = 512               # bytes of a message
_STRIDE = 9973            # microseconds from one to the next: they spread over the directories


class DeferredPostfix(PostfixRelay):
    """It starts with `count` deferred messages."""

    def __init__(self, workshop, case, count):
        super().__init__(workshop, case)
        self.state = Path(tempfile.mkdtemp(prefix="millrace-deferred-", dir="/dev/shm"))
        self.state.chmod(0o755)
        self.count = count
        self.filled = False

    def remove(self):
        shutil.rmtree(self.state, ignore_errors=True)

    def settings(self):
        return super().settings() | {"enable_long_queue_ids": "no"}

    def prepare(self):
        """Its queue needs no second look by `postfix check`: only the master is started."""
        binds, command = super().prepare()
        return binds, ["/usr/lib/postfix/sbin/master", "-d"] if self.filled else command

    def fill(self):
        self.case.paused = True
        self.start()
        Load(self.workshop, f"127.0.0.1:{self.port}", 1, f"load-{self.port}", connections=1,
             size=_SIZE).wait()
        wait_until(self.settled, "Postfix has deferred it", alive=[self.daemon])
        self.stop()
        self.case.paused = False
        self._copy_all()
        self.filled = True

    def _copy_all(self):
        message, = _files(self.queue / "deferred")
        log, = _files(self.queue / "defer")
        later = time.time() + _LATER
        copies = [_Copies(file, later) for file in (message, log)]
        for at in range(1, self.count):
            begin = f"{at * _STRIDE % 1000000:05X}"
            name = copies[0].add(begin[0], f"{begin}{{:X}}")
            copies[1].add(begin[0], name)

    def make_due(self, count):
        """So many of those that wait, from all over the queue."""
        waiting = _files(self.queue / "deferred")
        now = time.time()
        for file in waiting[::max(1, len(waiting) // count)][:count]:
            os.utime(file, (now - 1, now - 1))


class _Copies:
    """Of one file of the queue, which lies in a directory that is named by one letter."""

    def __init__(self, file, later):
        self.content, self.kind, self.later = file.read_bytes(), file.parents[1], later
        self.owner = (file.stat().st_uid, file.stat().st_gid)
        self.mode = file.stat().st_mode & 0o777

    def add(self, letter, name):
        """Under `name`, in which the inode stands for {}; what it is called then."""
        place = self.kind / letter
        if not place.is_dir():
            place.mkdir(mode=0o700)
            os.chown(place, *self.owner)
        fresh = f"{place}/fresh"
        file = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, self.mode)
        os.write(file, self.content)
        os.fchown(file, *self.owner)
        os.utime(file, (self.later, self.later))
        name = name.format(os.fstat(file).st_ino)
        os.close(file)
        os.rename(fresh, f"{place}/{name}")
        return name


def _files(directory):
    return [Path(place) / name for place, _, names in os.walk(directory) for name in names]
