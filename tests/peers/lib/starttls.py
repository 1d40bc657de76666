"""A server whose STARTTLS goes wrong by a script: for each connection one of the ways below.

`ways` is the way of the first connection, of the second, …; the last one holds for all that follow.
What is said in clear and inside TLS is kept apart: `clear` and `inside` are the mails of each.
"""
import socket
import ssl
import time

from .oddserver import OK, OddServer, _read_mail

ALERT = b"\x15\x03\x03\x00\x02\x02\x28"     # fatal, handshake_failure
HELLO = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03"  # of 16 KiB, and so much comes of it
GO = b"220 2.0.0 Go ahead\r\n"

NO_TLS = {                                   # way: what is said to STARTTLS
    "temporary": b"454 4.7.0 TLS not available\r\n",
    "closing": b"421 4.3.2 Shutting down\r\n",
    "501": b"501 5.5.4 No\r\n",
    "refused": b"554 5.7.3 Unable to initialize security subsystem\r\n",
    "wrong": b"250 2.0.0 Fine\r\n",
}
BEHIND = {                                   # way: what comes with the 220
    "residue": b"250-injected\r\n250 AUTH PLAIN\r\n",
    "fragment": b"25",
}


class StartTlsServer(OddServer):
    def __init__(self, workshop, certificate, ways, most=ssl.TLSVersion.TLSv1_3):
        super().__init__(workshop, keywords=("PIPELINING", "STARTTLS"))
        self.ways = ways
        self.clear, self.inside = [], []
        self.asked_inside = 0                # for STARTTLS, where it is offered although TLS is on
        self._sockets = []
        self.begun = []                      # the verbs each connection said, in clear
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.maximum_version = most
        self.context.load_cert_chain(*certificate)
        self.wants_certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.wants_certificate.load_cert_chain(*certificate)
        self.wants_certificate.load_verify_locations(certificate[0])
        self.wants_certificate.verify_mode = ssl.CERT_REQUIRED

    def hang_up(self):
        """On all who are here."""
        for client in self._sockets:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass                         # it has gone already

    def _serve(self, client):
        way = self.ways[min(self.connections, len(self.ways)) - 1]
        self._sockets.append(client)
        try:
            with client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.sendall(self.greeting)
                verbs = []
                self.begun.append(verbs)
                if self._talk_clear(client, way, verbs):
                    self._talk_inside(client, way)
        except OSError:
            pass

    def _talk_clear(self, client, way, verbs):
        """True once STARTTLS was said and is to be answered with TLS."""
        with client.makefile("rb", buffering=0) as lines:
            for verb in self._dialogue(client, lines, self.clear,
                                       offers=way not in ("not-offered", "wants-tls"),
                                       mail=b"530 5.7.0 Must issue a STARTTLS command first\r\n"
                                       if way == "wants-tls" else OK):
                verbs.append(verb)
                if verb != "STARTTLS":
                    continue
                if way in NO_TLS:
                    client.sendall(NO_TLS[way])
                elif way == "endless":
                    self._say_without_end(client)
                elif way == "dripping-reply":
                    self._drip(client, b"220-" + b"x" * 2000)
                else:
                    client.sendall(GO + BEHIND.get(way, b""))
                    return True
        return False

    def _talk_inside(self, client, way):
        if way in ("stalled", "dripping", "garbage", "alert", "closed", *BEHIND):
            self._spoil(client, way)
            return
        context = self.wants_certificate if way == "late-alert" else self.context
        with context.wrap_socket(client, server_side=True) as inside:
            self._sockets.append(inside)
            if way == "silent":
                inside.recv(65536)
                inside.recv(65536)
                return
            with inside.makefile("rb") as lines:
                for verb in self._dialogue(inside, lines, self.inside, offers=True):
                    if verb == "STARTTLS":
                        self.asked_inside += 1
                        inside.sendall(GO)

    def _spoil(self, client, way):
        hello = client.recv(65536)
        if way == "garbage" and hello:
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        if way == "alert" and hello:
            client.sendall(ALERT)
        if way == "closed":
            return
        if way == "dripping":
            self._drip(client, HELLO + bytes(16384))
        while client.recv(65536):            # until the other side has had enough
            pass

    def _drip(self, client, data):
        for byte in data:
            client.sendall(bytes([byte]))
            time.sleep(0.02)                 # nobody waits for it: the pace of the server

    def _say_without_end(self, client):
        while True:
            client.sendall(b"220-and so on\r\n")
            time.sleep(0.0005)

    def _dialogue(self, client, lines, mails, offers, mail=OK):
        """Answers; yields each verb, and leaves the answer to STARTTLS to the caller."""
        sender, recipients = b"", []
        for line in lines:
            verb = line.split()[0].upper().decode()
            argument = line.partition(b":")[2].strip()
            self.commands.append(verb)
            yield verb
            if verb == "STARTTLS":
                continue
            if verb == "EHLO":
                names = ("odd.test", "PIPELINING", *(("STARTTLS",) if offers else ()))
                client.sendall(b"".join(b"250-%s\r\n" % k.encode() for k in names) + OK)
                continue
            if verb == "MAIL":
                sender, recipients = argument, []
            if verb == "RCPT":
                recipients.append(argument)
            client.sendall(mail if verb == "MAIL" else self._usual(verb))
            if verb == "DATA" and mail == OK:
                mails.append((sender, recipients, _read_mail(lines)))
                client.sendall(OK)
            if verb == "QUIT":
                return
