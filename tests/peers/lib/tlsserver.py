"""An OddServer that offers STARTTLS, and looks at what clients show before it answers."""
import ssl
import struct
from socket import MSG_PEEK

from .oddserver import OddServer

PRE_SHARED_KEY = 41            # RFC 8446 4.2
HANDSHAKE_FAILURE = bytes((21, 3, 3, 0, 2, 2, 40))   # a fatal alert as a record, RFC 8446 6


def extensions(hello):
    """The types of the extensions of a ClientHello, given with its record's head."""
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]                                    # session id
    at += 2 + struct.unpack_from("!H", hello, at)[0]       # cipher suites
    at += 1 + hello[at]                                    # compression methods
    at += 2
    found = []
    while at < len(hello):
        kind, length = struct.unpack_from("!HH", hello, at)
        found.append(kind)
        at += 4 + length
    return found


class TlsServer(OddServer):
    """`take(hello's extensions)`: whether the handshake goes on; if not, the client gets an alert,
    or with `rude` no word at all."""

    def __init__(self, workshop, certificate, take=lambda kinds: True, rude=False):
        super().__init__(workshop, keywords=["STARTTLS"], replies={"STARTTLS": b"220 Go on\r\n"})
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.take = take
        self.rude = rude
        self.handshakes = []         # whether each was resumed
        self.refused = 0

    def _talk(self, client, lines):
        for line in lines:
            verb = line.split()[0].upper().decode()
            client.sendall(self.replies.get(verb) or self._usual(verb))
            if verb == "STARTTLS":
                self._go_on(client)
            if verb in ("STARTTLS", "QUIT"):
                return

    def _go_on(self, client):
        hello = self._peek_hello(client)
        if not self.take(extensions(hello)):
            self.refused += 1
            if not self.rude:
                client.sendall(HANDSHAKE_FAILURE)
            return
        with self.context.wrap_socket(client, server_side=True) as inside:
            self.handshakes.append(inside.session_reused)
            with inside.makefile("rb") as lines:
                super()._talk(inside, lines)

    @staticmethod
    def _peek_hello(client):
        while True:
            seen = client.recv(65536, MSG_PEEK)
            if not seen:
                raise OSError("the client went away")
            if len(seen) >= 5 and len(seen) >= 5 + struct.unpack_from("!H", seen, 3)[0]:
                return seen
