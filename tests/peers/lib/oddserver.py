"""A small SMTP server of our own, for what no real one will do on demand: it speaks by a script.

Each connection gets a thread. `keywords` is what EHLO offers (None: EHLO is refused, as by a
server that knows HELO only); `replies` has, for a command's verb ("MAIL", "RCPT", "DATA", "." for
the end of data, …), the bytes to answer with instead of the usual ones. `greeting` is all it says
before it is asked anything.
"""
import socket
import threading

OK = b"250 2.0.0 Ok\r\n"


class OddServer:
    def __init__(self, workshop, keywords=(), replies=None, greeting=b"220 odd.test ESMTP\r\n",
                 host="127.0.0.1"):
        self.host = host
        self.port = workshop.free_port()
        self.keywords = keywords
        self.replies = replies or {}
        self.greeting = greeting
        self.mails = []              # (MAIL's parameters, [RCPT's], the mail with CRLF)
        self.commands = []           # all that was said, by verb
        self.names = []              # what the clients called themselves
        self.connections = 0
        self.present = 0             # who has been greeted and has not said QUIT
        self.most_present = 0
        self._count = threading.Lock()
        self.clients = []            # from which address each came
        self._socket = None

    @property
    def next_hop(self):
        return f"[{self.host}]:{self.port}"

    def start(self):
        self._socket = socket.create_server(
            (self.host, self.port), backlog=128,
            family=socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self):
        while True:
            client, address = self._socket.accept()
            self.clients.append(address and address[0])      # "": a unix socket
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            with client, client.makefile("rb") as lines:
                client.sendall(self.greeting)
                self._come_and_go(1)
                self._talk(client, lines)
        except OSError:
            pass                     # the client went away: that is its right

    def _talk(self, client, lines):
        sender, recipients = b"", []
        for line in lines:
            verb = line.split()[0].upper().decode()
            argument = line.partition(b":")[2].strip()
            self.commands.append(verb)
            if verb in ("EHLO", "HELO"):
                self.names.append(line.split()[1].decode())
            if verb == "MAIL":
                sender, recipients = argument, []
            if verb == "QUIT":
                self._come_and_go(-1)
                self._before_goodbye(client)
            reply = self.replies.get(verb) or self._usual(verb)
            if verb == "RCPT" and reply.startswith(b"2"):
                recipients.append(argument)
            client.sendall(reply)
            if verb == "DATA" and reply.startswith(b"354"):
                mail = _read_mail(lines)
                reply = self.replies.get(".", OK)
                if reply.startswith(b"2"):
                    self.mails.append((sender, recipients, mail))
                client.sendall(reply)
            if verb == "QUIT":
                return

    def _come_and_go(self, by):
        with self._count:
            self.present += by
            self.most_present = max(self.present, self.most_present)

    def _before_goodbye(self, client):
        pass

    def _usual(self, verb):
        if verb == "EHLO":
            if self.keywords is None:
                return b"500 5.5.1 Command unrecognized\r\n"
            return b"".join(b"250-%s\r\n" % k.encode() for k in ("odd.test", *self.keywords)) + OK
        return {"DATA": b"354 Go ahead\r\n", "QUIT": b"221 2.0.0 Bye\r\n"}.get(verb, OK)


def _read_mail(lines):
    mail = []
    for line in lines:
        if line == b".\r\n":
            return b"".join(mail)
        mail.append(line[1:] if line.startswith(b".") else line)
    raise OSError("the client left in the middle of a mail")
