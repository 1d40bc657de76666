"""A queue of deferred mail for Postfix, as large as one likes, in seconds: one message is accepted
and deferred by Postfix itself, and its queue file and log file are copied under the names that
Postfix would give them (short queue IDs: microseconds, then inode). Those that are due have a time
stamp in the past, as its queue manager wants it.
"""
import os
import shutil
import time

from lib.millrace import Load
from lib.workshop import Failed, wait_until

from .relays import PostfixRelay

_LATER = 3600             # seconds until the others are due


class DeferredPostfix(PostfixRelay):
    """It starts with `count` deferred messages."""

    def __init__(self, workshop, case, count):
        super().__init__(workshop, case)
        self.count = count
        self.filled = False

    def settings(self):
        return super().settings() | {"enable_long_queue_ids": "no"}

    def prepare(self):
        """Its queue needs no second look by `postfix check`: only the master is started."""
        binds, command = super().prepare()
        return binds, ["/usr/lib/postfix/sbin/master", "-d"] if self.filled else command

    def fill(self):
        self.case.paused = True
        self.start()
        Load(self.workshop, f"127.0.0.1:{self.port}", 1, f"load-{self.port}", connections=1).wait()
        wait_until(self.settled, "Postfix has deferred it", alive=[self.daemon])
        self.stop()
        self.case.paused = False
        self._copy_all()
        self.filled = True

    def _copy_all(self):
        messages = [file for file in (self.queue / "deferred").rglob("*") if file.is_file()]
        if len(messages) != 1:
            raise Failed(f"Postfix has deferred {len(messages)} messages, not 1")
        log, = (self.queue / "defer").rglob(messages[0].name)
        for at in range(1, self.count):
            name = self._copy(messages[0], "deferred", f"{at % 1000000:05X}")
            self._copy(log, "defer", name, name)

    def _copy(self, file, kind, begin, name=None):
        """Its name, which tells microseconds and its own inode, or the one that is given."""
        place = self.queue / kind / begin[0]
        if not place.is_dir():
            place.mkdir(mode=0o700)
            os.chown(place, *_owner(file))
        fresh = place / "fresh"
        shutil.copy2(file, fresh)
        os.chown(fresh, *_owner(file))
        later = time.time() + _LATER
        os.utime(fresh, (later, later))
        name = name or f"{begin}{fresh.stat().st_ino:X}"
        fresh.rename(place / name)
        return name

    def make_due(self, count):
        """So many of those that wait, from all over the queue."""
        waiting = [file for file in (self.queue / "deferred").rglob("*") if file.is_file()]
        for file in waiting[::max(1, len(waiting) // count)][:count]:
            os.utime(file, (time.time() - 1, time.time() - 1))


def _owner(file):
    found = file.stat()
    return found.st_uid, found.st_gid
