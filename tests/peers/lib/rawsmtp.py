"""An SMTP client that sends exactly the bytes it is given.

smtplib normalises line ends and could not send what these tests must send; this one adds the
dots, and the final CRLF.CRLF, and nothing else.
"""
import re
import socket
import ssl

from .workshop import Failed


class Refused(Exception):
    """A reply that was not wanted; `code` and `text` (all lines, without CRLF)."""

    def __init__(self, command, code, text):
        super().__init__(f"{command}: {text}")
        self.code, self.text = code, text


def stuff_dots(message):
    """Dot-stuffing after CRLF and at the very beginning (RFC 5321, 4.5.2)."""
    return re.sub(rb"(\A|\r\n)\.", rb"\1..", message)


class Wire:
    """One connection to an SMTP server that says nothing by itself, from the address `source` if one
    is given."""

    def __init__(self, host, port, timeout=120, source=""):
        self._socket = socket.create_connection((host, port), timeout=timeout,
                                                source_address=(source, 0) if source else None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def receive(self):
        """Whatever comes next, as it comes; b"" when the server has closed the connection."""
        if self._buffer:
            received, self._buffer = self._buffer, b""
            return received
        try:
            return self._socket.recv(65536)
        except ConnectionResetError:
            return b""

    def closed(self):
        """Whether the server closes the connection without another word."""
        return self.receive() == b""

    def send(self, data):
        self._socket.sendall(data)

    def reply(self):
        """The next reply; (code, text)."""
        lines = []
        while True:
            line = self._line()
            lines.append(line)
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(lines)

    def expect(self, code, command):
        got, text = self.reply()
        if got != code:
            raise Refused(command, got, text)
        return text

    def command(self, line, code):
        self.send(line.encode() + b"\r\n")
        return self.expect(code, line)

    def close(self):
        try:
            self.send(b"QUIT\r\n")
        except OSError:
            pass
        self._socket.close()

    def cut(self):
        """Go without a word."""
        self._socket.close()

    def end(self):
        """Say no more, and listen."""
        self._socket.shutdown(socket.SHUT_WR)

    def _line(self):
        while b"\r\n" not in self._buffer:
            chunk = self._socket.recv(65536)
            if not chunk:
                raise Failed(f"the server closed the connection (unfinished: {self._buffer!r})")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line.decode("utf-8", "replace")


class RawClient(Wire):
    """A client that has been greeted, and has said EHLO; with TLS from the first byte when `tls`, and
    `before` sent before anything else (before TLS, too)."""

    def __init__(self, host, port, starttls=False, name="client.test", timeout=120, source="",
                 tls=False, before=b""):
        super().__init__(host, port, timeout, source)
        self.send(before)
        if tls:
            self._socket = self._context().wrap_socket(self._socket)
        self.greeting = self.expect(220, "greeting")
        self.keywords = self.command(f"EHLO {name}", 250)
        if starttls:
            self.start_tls(name)

    def start_tls(self, name="client.test", ehlo=True):
        self.command("STARTTLS", 220)
        if self._buffer:
            raise Failed(f"bytes after the reply to STARTTLS: {self._buffer!r}")
        self._socket = self._context().wrap_socket(self._socket)
        if ehlo:
            self.keywords = self.command(f"EHLO {name}", 250)

    @staticmethod
    def _context():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def deliver(self, sender, recipients, message, eight_bit=None):
        """Send `message` (whole lines ending in CRLF); the text of the reply to the final dot.

        BODY=8BITMIME is said when the message needs it (or as `eight_bit` says). Raises Refused,
        with the transaction reset, when any step is refused.
        """
        if not message.endswith(b"\r\n"):
            raise ValueError("a message must end in CRLF")
        return self.deliver_raw(sender, recipients, stuff_dots(message), eight_bit)

    def deliver_raw(self, sender, recipients, data, eight_bit=None):
        """As deliver, but `data` goes out as it is, followed by `.CRLF`."""
        if eight_bit is None:
            eight_bit = not data.isascii()
        body = " BODY=8BITMIME" if eight_bit and "8BITMIME" in self.keywords else ""
        try:
            self.command(f"MAIL FROM:<{sender}>{body}", 250)
            for recipient in recipients:
                self.command(f"RCPT TO:<{recipient}>", 250)
            self.command("DATA", 354)
        except Refused:
            self.command("RSET", 250)
            raise
        self.send(data + b".\r\n")
        return self.expect(250, "end of data")
