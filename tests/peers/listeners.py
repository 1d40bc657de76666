#!/usr/bin/env python3
"""Listeners: TLS from the first byte (RFC 8314), TLS required (RFC 3207 4), and clients behind a
proxy that says who they are (PROXY protocol 1 and 2)."""
import socket
import ssl
import struct

from lib.millrace import Relay, Sink, binary
from lib.rawsmtp import RawClient, Refused
from lib.servers import make_certificate, program_of
from lib.workshop import Failed, Skip, answers, check, run_test, say, wait_until

SMALL = b"Subject: x\r\n\r\nx\r\n"
PROXY = "127.0.0.2"          # where connections come from that begin with a header
LIMITS = "limits { connections-per-client = 3 idle = 30s }"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.1 40000 25\r\n"


def v2(client, port, command=0x21, extra=b""):
    """A header of version 2 in which `client` speaks."""
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    server = "2001:db8::ff" if ":" in client else "198.51.100.1"
    body = socket.inet_pton(family, client) + socket.inet_pton(family, server)
    body += struct.pack("!HH", port, 25) + extra
    kind = 0x21 if ":" in client else 0x11
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", command, kind, len(body)) + body


def refused(what, wanted, action):
    try:
        action()
    except Refused as reply:
        check(reply.text.startswith(wanted), f"{what}: {reply.text}")
    else:
        raise Failed(f"{what}: was not refused")


class Side:
    def __init__(self, workshop, sink):
        self.pair = make_certificate(workshop, "relay", "relay.test")
        names = ("implicit", "required", "proxied", "proxied_implicit")
        self.ports = {name: workshop.free_port() for name in names}
        keys = f'certificate = "{self.pair[0]}" key = "{self.pair[1]}"'
        self.top = "\n".join([
            LIMITS,
            self.section("implicit", f'tls = "implicit" {keys}'),
            self.section("required", f'tls = "required" {keys}'),
            self.section("proxied", f'proxy = {{ "{PROXY}" }}'),
            self.section("proxied_implicit", f'tls = implicit {keys} proxy = {{ "{PROXY}/32" }}')])
        self.relay = Relay(workshop, route=[sink.next_hop], top=self.top,
                           relay_from='"127.0.0.1", "192.0.2.1", "2001:db8::1"').start()

    def section(self, name, keys):
        return f'listen "127.0.0.1:{self.ports[name]}" {{ {keys} }}'

    def client(self, name, **options):
        return RawClient("127.0.0.1", self.ports[name], **options)

    def proxied(self, before, name="proxied", **options):
        return self.client(name, before=before, source=PROXY, **options)

    def received(self, number):
        """The log line of the `number`th message."""
        wait_until(lambda: len(self.relay.events("received")) >= number, f"{number} received")
        return self.relay.events("received")[number - 1]


def deliver(client):
    client.deliver("a@app.test", ["b@peer.test"], SMALL)


def implicit(side):
    with side.client("implicit", tls=True) as client:
        check("STARTTLS" not in client.keywords, "implicit TLS: STARTTLS is not offered")
        refused("implicit TLS: STARTTLS", "503 ", lambda: client.command("STARTTLS", 220))
        deliver(client)
    check(side.received(1)["tls"].startswith("TLSv1."), "implicit TLS: a mail is taken")
    with socket.create_connection(("127.0.0.1", side.ports["implicit"]), timeout=60) as plain:
        plain.sendall(b"EHLO client.test\r\n")
        check(plain.recv(512)[:1] in (b"", b"\x15"), "implicit TLS: nothing is said in clear")
    wait_until(lambda: side.relay.events("tls-failed"), "the failed handshake is in the log")


def required(side):
    with side.client("required") as client:
        check("STARTTLS" in client.keywords, "TLS required: STARTTLS is offered")
        refused("TLS required: MAIL", "530 5.7.0", lambda: client.command("MAIL FROM:<>", 250))
        client.command("NOOP", 250)
        client.start_tls()
        deliver(client)
    side.received(2)


def through_a_proxy(side):
    number = 2
    for what, header, seen, options in (
            ("version 1", V1, "192.0.2.1:40000", {}),
            ("version 2, IPv6", v2("2001:db8::1", 1024), "[2001:db8::1]:1024", {}),
            ("version 2 with extensions", v2("192.0.2.1", 7, extra=b"\x04\x00\x03abc"),
             "192.0.2.1:7", {}),
            ("version 1 before TLS", V1, "192.0.2.1:40000",
             {"name": "proxied_implicit", "tls": True})):
        with side.proxied(header, **options) as client:
            deliver(client)
        number += 1
        line = side.received(number)
        check(line["client"] == seen, f"{what}: the client is {seen}", line)
    for what, header in (("LOCAL", v2("192.0.2.1", 7, command=0x20)),
                         ("UNKNOWN", b"PROXY UNKNOWN\r\n"),
                         ("a client that may not relay", v2("192.0.2.2", 7))):
        with side.proxied(header) as client:
            refused(what, "550 5.7.1", lambda c=client: deliver(c))
    with side.client("proxied") as client:
        deliver(client)
        refused("a header from elsewhere is a command", "500 ",
                lambda: client.command(V1.decode().strip(), 220))
    side.received(number + 1)


def raw(port, *pieces):
    """Connect as the proxy does and send the pieces; the socket."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60,
                                          source_address=(PROXY, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        connection.sendall(piece)
    return connection


def ends(connection):
    with connection:
        try:
            return connection.recv(512) == b""
        except ConnectionResetError:
            return True


def lies(side):
    port = side.ports["proxied"]
    with raw(port, *(V1[i:i + 1] for i in range(len(V1)))) as pieces:
        check(pieces.recv(512).startswith(b"220 "), "a header in pieces of a byte is read")
    told = 0
    for what, header in (("no header", b"EHLO client.test\r\n"), ("a ClientHello", b"\x16\x03\x01"),
                         ("a wrong family", b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"),
                         ("a header of 537 bytes", v2("192.0.2.1", 7, extra=b"\0" * 509)),
                         ("a header without an end", b"PROXY UNKNOWN " + b"x" * 600)):
        check(ends(raw(port, header)), f"{what}: dropped without a word")
        told += 1
        wait_until(lambda: len(side.relay.events("proxy-refused")) == told, "it is in the log")
    with raw(port, V1[:20]):
        pass
    side.relay.configure(top=side.top.replace("idle = 30s", "idle = 300ms"))
    reloads = len(side.relay.events("reloaded"))
    side.relay.reload()
    wait_until(lambda: len(side.relay.events("reloaded")) > reloads, "reloaded")
    check(ends(raw(port)), "a proxy that says nothing is dropped")
    late = wait_until(lambda: [e for e in side.relay.events("proxy-refused")
                               if e["why"] == "no PROXY header came in time"], "it is in the log")
    check(late[0]["client"].startswith(PROXY), "with the proxy's address", late)


HAPROXY = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen v1
    bind 127.0.0.1:{v1}
    server relay 127.0.0.1:{relay} send-proxy source {proxy}
listen v2
    bind 127.0.0.1:{v2}
    server relay 127.0.0.1:{relay} send-proxy-v2 proxy-v2-options unique-id,crc32c source {proxy}
    unique-id-format %[uuid()]
listen tls
    bind 127.0.0.1:{tls}
    server relay 127.0.0.1:{implicit} send-proxy-v2 source {proxy}
"""


def through_haproxy(side, workshop):
    """The program that the protocol comes from: it says where its clients come from."""
    program, env = program_of("haproxy", "haproxy", "sbin")
    ports = {name: workshop.free_port() for name in ("v1", "v2", "tls")}
    config = workshop.write("haproxy.cfg", HAPROXY.format(
        **ports, relay=side.ports["proxied"], implicit=side.ports["proxied_implicit"], proxy=PROXY))
    side.relay.configure(relay_from='"127.0.0.3"')
    side.relay.reload()
    haproxy = workshop.start("haproxy", [program, "-db", "-f", config], env=env)
    wait_until(lambda: answers("127.0.0.1", ports["v1"]), "haproxy answers", alive=[haproxy])

    def hands_in(name, **options):
        with RawClient("127.0.0.1", ports[name], source="127.0.0.3", **options) as client:
            try:
                deliver(client)
            except Refused as reply:    # not yet reloaded
                if reply.code != 550:
                    raise
                return False
        return True
    number = len(side.relay.events("received"))
    for name, options in (("v1", {}), ("v2", {}), ("tls", {"tls": True})):
        wait_until(lambda n=name, o=options: hands_in(n, **o), "the client may relay",
                   alive=[haproxy, side.relay.daemon])
        number += 1
        line = side.received(number)
        check(line["client"].startswith("127.0.0.3:"), f"haproxy, {name}: the client is its own", line)
    with RawClient("127.0.0.1", ports["v1"], source="127.0.0.4") as client:
        refused("haproxy: another client", "550 5.7.1", lambda: deliver(client))


def certificates(side, workshop):
    """SIGHUP takes a new certificate; one that cannot be loaded changes nothing."""
    def served():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", side.ports["implicit"]), timeout=60) as plain:
            with context.wrap_socket(plain) as client:
                return client.getpeercert(True)
    old, fresh = served(), make_certificate(workshop, "fresh", "relay.test")
    for file, other in zip(side.pair, fresh):
        file.write_bytes(other.read_bytes())
    check(served() == old, "a new certificate waits for SIGHUP")
    side.relay.reload()
    wait_until(lambda: served() != old, "and is taken by it")
    new = served()
    side.pair[0].write_text("-----BEGIN CERTIFICATE-----\n")
    side.relay.reload()
    wait_until(lambda: side.relay.events("reload-failed"), "one that cannot be loaded is in the log")
    check(served() == new, "and the old one stays")
    side.pair[0].write_bytes(fresh[0].read_bytes())


def limits(side):
    """Three connections each: of those behind the proxy, not of the proxy."""
    many = V1.replace(b"192.0.2.1", b"192.0.2.77")
    held = [side.proxied(many) for _ in range(3)] + [side.proxied(v2("192.0.2.78", 1))]
    refused("the fourth of one client", "421 4.7.0", lambda: side.proxied(many))
    with raw(side.ports["proxied_implicit"], many) as connection:
        check(connection.recv(512) == b"", "with implicit TLS without a word")
    held.pop(0).close()

    def is_let_in():
        try:
            return side.proxied(many)
        except Refused:
            return None
    held.append(wait_until(is_let_in, "an end makes room"))
    for client in held:
        client.close()


def test(workshop):
    binary()
    sink = Sink(workshop).start()
    side = Side(workshop, sink)
    implicit(side)
    required(side)
    through_a_proxy(side)
    limits(side)
    certificates(side, workshop)
    lies(side)
    try:
        through_haproxy(side, workshop)
    except Skip as why:
        say(f"  left out: {why}")
    side.relay.wait_until_empty()
    wait_until(lambda: side.relay.stats()["inbound"]["open"] == 0, "all have left")
    check(side.relay.stop() == 0, "the relay ends with 0")


run_test(test)
