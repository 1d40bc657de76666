"""The sendmail command as the programs of a machine find it: under its three names, with the
relay's configuration; and a relay of our own that speaks by a script on a unix socket."""
import socket
import stat
import subprocess
import threading

from .millrace import binary
from .oddserver import OK, OddServer
from .workshop import PATIENCE, Failed, check


class Sendmail:
    """`sendmail`, `mailq` and `newaliases` in a directory of the workshop, for the relay with the
    configuration file `config`."""

    def __init__(self, workshop, config, name="bin"):
        self.directory = workshop.make_dir(name)
        for word in ("sendmail", "mailq", "newaliases"):
            script = self.directory / word
            script.write_text(f'#!/bin/bash\nexec -a {word} "{binary()}" -C "{config}" "$@"\n')
            script.chmod(0o755)
        self.path = self.directory / "sendmail"

    def run(self, *arguments, text="", word="sendmail", **options):
        """The CompletedProcess; `text` (bytes or text) is its standard input."""
        if isinstance(text, str):
            text = text.encode()
        argv = [str(self.directory / word), *map(str, arguments)]
        try:
            done = subprocess.run(argv, input=text, capture_output=True, timeout=PATIENCE, **options)
        except subprocess.TimeoutExpired:
            raise Failed(f"`{' '.join(argv)}` does not end") from None
        done.said = (done.stdout + done.stderr).decode(errors="replace").strip()
        return done

    def ends_with(self, code, what, *arguments, text="", says="", **options):
        """Fails unless it ends with this code and says so, in one line."""
        done = self.run(*arguments, text=text, **options)
        said = done.stderr.decode(errors="replace").strip()
        fine = done.returncode == code and says in said and (code == 0 or "\n" not in said)
        check(fine, f"{what}: {code}" + (f": {said}" if said else ""),
              f"{done.returncode}: {done.said}")
        return done


class OddRelay(OddServer):
    """An OddServer on a unix socket."""

    def __init__(self, workshop, path, **options):
        super().__init__(workshop, **options)
        self.path = path

    def start(self):
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def stop(self):
        self._socket.close()
        self.path.unlink()


class Limited(OddRelay):
    """Takes so many recipients a transaction."""

    def __init__(self, workshop, path, most):
        super().__init__(workshop, path)
        self.most = most

    def _usual(self, verb):
        taken = self.commands[::-1].index("MAIL") if "MAIL" in self.commands else 0
        return b"452 4.5.3 Too many\r\n" if verb == "RCPT" and taken > self.most else \
            super()._usual(verb)


def is_socket(path):
    return path.exists() and stat.S_ISSOCK(path.stat().st_mode)


__all__ = ["OK", "Limited", "OddRelay", "Sendmail", "is_socket"]
