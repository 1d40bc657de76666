"""A real `openssl s_server` behind STARTTLS.

OpenSSL's server knows nothing of SMTP, so a front of ours speaks the beginning, up to the 220 to
STARTTLS, and then only carries bytes between the client and s_server. What s_server has decrypted
comes out of its stdout, where OddServer's script answers it through its stdin: so the handshake is
OpenSSL's own, with whatever its options make of it, and mail arrives. It serves one client at a
time. Who does not say STARTTLS is served in clear.
"""
import itertools
import os
import socket
import threading

from .oddserver import OddServer
from .workshop import answers, wait_until

_BEFORE_TLS = b"250-openssl.test\r\n250 STARTTLS\r\n"


class _Pipe:
    """A named pipe that is open at both ends, so that nobody waits for the other or sees an end."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = path
        self.fd = os.open(path, os.O_RDWR)

    def sendall(self, data):
        os.write(self.fd, data)


class OpensslServer(OddServer):
    def __init__(self, workshop, name, certificate, options=()):
        """certificate: (certificate with its chain, key). `options`: of s_server."""
        super().__init__(workshop)
        self.name = name
        self._workshop = workshop
        self._tls_port = workshop.free_port()
        self._argv = ["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{self._tls_port}",
                      "-cert", certificate[0], "-cert_chain", certificate[0],
                      "-key", certificate[1], *options]

    def start(self):
        to, out = (_Pipe(self._workshop.path(f"{self.name}.{end}")) for end in ("to", "from"))
        self._workshop.start(self.name, ["sh", "-c", f'exec "$@" <"{to.path}" >"{out.path}"', "sh",
                                         *self._argv])
        wait_until(lambda: answers("127.0.0.1", self._tls_port), f"{self.name} listens")
        threading.Thread(target=self._talk_inside, args=(to, out), daemon=True).start()
        return super().start()

    def _talk_inside(self, to, out):
        with os.fdopen(out.fd, "rb") as lines:
            while True:
                self._talk(to, lines)       # until QUIT; then for the next connection

    def _serve(self, client):
        try:
            with client, client.makefile("rb") as lines:
                client.sendall(self.greeting)
                lines.readline()                                        # EHLO
                client.sendall(_BEFORE_TLS)
                command = lines.readline()
                if command.upper().startswith(b"STARTTLS"):
                    self._carry_inside(client)
                else:
                    self._talk(client, itertools.chain([command], lines))
        except OSError:
            pass                     # one of them went away

    def _carry_inside(self, client):
        with socket.create_connection(("127.0.0.1", self._tls_port)) as inside:
            client.sendall(b"220 2.0.0 Go ahead\r\n")
            threading.Thread(target=_carry, args=(inside, client), daemon=True).start()
            _carry(client, inside)


def _carry(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
