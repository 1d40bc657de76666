#!/usr/bin/env python3
"""The admin listener: its pages tell what happened, its API does what the command line does, and
whatever comes in over HTTP, the relay stands and goes on answering."""
import http.client
import json
import os
import socket
import stat
import threading

from lib.exposition import families_of, value_of
from lib.millrace import Load, Relay, Sink, binary
from lib.rawsmtp import RawClient, Refused
from lib.workshop import check, run_command, run_test, say, wait_until

MESSAGES = 500
JSON = {"Content-Type": "application/json"}


class Admin:
    """A client of the admin listener; a connection for each request."""

    def __init__(self, relay):
        self.relay = relay
        self.port = int(relay.admin.rsplit(":", 1)[1])

    def send(self, method, path, body=None, headers=None):
        """(status, headers, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def get(self, path):
        """The JSON that comes with 200."""
        status, _, body = self.send("GET", path)
        check(status == 200, f"GET {path}: 200", body)
        return json.loads(body)

    def post(self, path, **members):
        status, _, body = self.send("POST", path, json.dumps(members), JSON)
        check(status == 200, f"POST {path}: 200", body)
        return json.loads(body)

    def fails(self, status, method, path, body=None, headers=None):
        """The error that comes with this status."""
        got, _, answer = self.send(method, path, body, headers)
        check(got == status, f"{method} {path[:60]}: {status}", (got, answer))
        return json.loads(answer)["error"]

    def metrics(self):
        status, _, body = self.send("GET", "/metrics")
        if status != 200:
            raise AssertionError(body)
        return families_of(body)

    def stands(self):
        return self.send("GET", "/health")[0] == 200


def start(workshop, name="relay", **settings):
    admin = f"127.0.0.1:{workshop.free_port()}"
    top = settings.pop("top", "") + f'\nadmin "{admin}" {{ destinations = 2 actions = true }}'
    relay = Relay(workshop, name, top=top, **settings)
    relay.admin = admin
    relay.start()
    return relay, Admin(relay)


def hand_in(relay, sender, *recipients):
    mail = b"Subject: x\r\n\r\nx\r\n"
    with RawClient(relay.host, relay.port) as client:
        client.deliver(sender, list(recipients), mail)


# ---- what is told ----

def told(relay, admin, sink):
    code, _ = Load(relay.workshop, relay.address, MESSAGES, name="told").wait()
    check(code == 0, f"{MESSAGES} messages are taken")
    sink.wait_for(MESSAGES)
    relay.wait_until_empty()
    try:
        with RawClient(relay.host, relay.port) as client:
            client.command("RCPT TO:<b@peer.test>", 250)
    except Refused:
        pass
    metrics = admin.metrics()

    def value(name, **labels):
        return value_of(metrics, f"millrace_{name}", **labels)

    expected = [
        (value("messages_received_total"), MESSAGES, "messages received"),
        (value("recipients_received_total"), MESSAGES, "recipients received"),
        (value("deliveries_total", result="delivered"), MESSAGES, "delivered"),
        (value("queue_recipients"), 0, "queued"),
        (value("books_balance"), 1, "the books balance"),
        (value("books_difference"), 0, "with no difference"),
        (value("inbound_rejected_total", **{"class": "5"}, reason="protocol"), 1, "rejected"),
        (value("spool_messages"), 0, "messages in the spool"),
        (value("ready"), 1, "ready"),
        (value("healthy"), 1, "healthy"),
        (value("log_lost_lines_total"), 0, "lost lines"),
    ]
    for got, wanted, what in expected:
        check(got == wanted, f"/metrics: {what}: {wanted:g}", got)
    latency = {sample: number for sample, labels, number
               in metrics["millrace_delivery_latency_seconds"].samples if not labels}
    check(latency["millrace_delivery_latency_seconds_count"] == MESSAGES, "a latency for each")
    handshakes = sum(number for _, labels, number
                     in metrics["millrace_tls_handshakes_total"].samples
                     if labels["result"] == "ok")
    opened = value("connections_opened_total")
    check(handshakes == opened > 0, "a handshake for each connection", (handshakes, opened))
    # A connection may come too late for anything to be left.
    check(MESSAGES - opened <= value("connection_reuse_total") < MESSAGES, "all else was reuse")
    commits = dict((sample, number) for sample, labels, number
                   in metrics["millrace_spool_batch_size"].samples if not labels)
    check(commits["millrace_spool_batch_size_sum"] >= 2 * MESSAGES,
          "each message and each verdict was committed")
    stats = relay.stats()
    over_http = admin.get("/api/stats")
    check(over_http["delivered"] == stats["delivered"] and over_http.keys() == stats.keys(),
          "/api/stats is `millrace stats`")


def full(workshop):
    relay, admin = start(workshop, "full", route=["[127.0.0.1]:9"], top="min-free = 16T")
    try:
        hand_in(relay, "a@app.test", "b@peer.test")
        raise AssertionError("it was taken")
    except Refused as refused:
        check(refused.code == 452, "with no room on the disk mail gets 452")
    wait_until(lambda: relay.events("started"), "the relay has started", alive=[relay.daemon])
    status, headers, body = admin.send("GET", "/ready")
    check(status == 503 and "spool is full" in body and headers["Retry-After"],
          "/ready: 503, and why", body)
    check(admin.stands(), "/health: 200 all the same")
    metrics = admin.metrics()
    check(value_of(metrics, "millrace_throttled_total", reason="full") == 1
          and value_of(metrics, "millrace_ready") == 0, "and /metrics says so")
    relay.stop()


def draining(relay, admin):
    client = RawClient(relay.host, relay.port)
    client.command("MAIL FROM:<a@app.test>", 250)
    relay.daemon.send_signal(15)

    def drains():
        status, _, body = admin.send("GET", "/ready")
        return status == 503 and "draining" in body
    wait_until(drains, "/ready says 503: draining", alive=[relay.daemon])
    check(admin.stands(), "while it drains /ready says so, and /health is fine")
    client.close()
    check(relay.daemon.wait() == 0, "and it ends with 0")


# ---- what is done ----

def acted_on(relay, admin):
    for sender, domain in (("a", "one"), ("b", "two"), ("c", "two"), ("d", "three")):
        hand_in(relay, f"{sender}@app.test", f"{sender}@{domain}.dead.test")
    wait_until(lambda: {e["state"] for e in relay.queue()} == {"waiting"}
               and len(relay.queue()) == 4, "four envelopes wait", alive=[relay.daemon])
    listed = admin.get("/api/queue")
    check(listed["count"] == 4 and not listed["more"], "/api/queue: all of them")
    same = {e["envelope"] for e in listed["envelopes"]} == {e["envelope"] for e in relay.queue()}
    check(same and listed["envelopes"][0].keys() == relay.queue()[0].keys(),
          "as `queue list` has them")
    for query, count in (("domain=two.dead.test", 2), ("domain=.dead.test&state=waiting", 4),
                         ("sender=a@app.test", 1), ("recipient=%40three.dead.test", 1),
                         ("older-than=1h", 0), ("state=held", 0), ("limit=3", 3)):
        check(admin.get(f"/api/queue?{query}")["count"] == count, f"{query}: {count}")

    one = next(e for e in listed["envelopes"] if e["sender"] == "a@app.test")
    name = one["envelope"]
    shown = admin.get(f"/api/queue/{name}")["envelopes"]
    check(len(shown) == 1 and shown[0]["recipients"] == ["a@one.dead.test"], "and one by its id")
    admin.post(f"/api/queue/{name}/hold", reason="a look at it")
    check(admin.get(f"/api/queue/{name}")["envelopes"][0]["state"] == "held", "hold holds it")
    admin.post(f"/api/queue/{name}/release")
    check(admin.get(f"/api/queue/{name}")["envelopes"][0]["state"] != "held", "release lets go")
    admin.post(f"/api/queue/{name}/retry", reason="now")
    check(admin.post(f"/api/queue/{name}/drop", reason="wrong address")["count"] == 1, "drop")
    admin.fails(404, "GET", f"/api/queue/{name}")
    admin.fails(404, "POST", f"/api/queue/{name}/drop", "{}", JSON)
    wait_until(lambda: "wrong address" in [event.get("reason")
                                           for event in relay.events("operator")],
               "what was done is in the log, with its reason", alive=[relay.daemon])
    check("reason" in admin.fails(400, "POST", f"/api/queue/{name}/hold", "{}", JSON),
          "hold wants a reason")

    paused = admin.post("/api/destinations/two.dead.test/pause", **{"reason": "late", "for": "1h"})
    check(paused["paused"] and paused["pause_reason"] == "late" and paused["paused_until"],
          "a destination is paused")
    names = [d["destination"] for d in admin.get("/api/destinations?busiest")["destinations"]]
    check(names[0] == "two.dead.test" and len(names) >= 2, "the busiest comes first", names)
    check("paused" in json.dumps(admin.get("/api/explain?what=two.dead.test")),
          "explain says that it is paused")
    check(not admin.post("/api/destinations/two.dead.test/resume")["paused"], "and resumed")
    envelopes = admin.metrics()["millrace_destination_envelopes"].samples
    counts = {}
    for _, labels, number in envelopes:
        counts[labels["destination"]] = counts.get(labels["destination"], 0) + number
    check(counts == {"two.dead.test": 2, "three.dead.test": 1, "other": 0},
          "/metrics has the busiest two, and the others together", counts)


# ---- who may ----

def strangers(admin):
    say("pages of other sites, and people who err")
    for host in ("evil.test", "127.0.0.1.evil.test", "localhost.evil.test:8025"):
        admin.fails(403, "GET", "/api/queue", headers={"Host": host})
        admin.fails(403, "POST", "/api/queue/X/drop", "{}", {**JSON, "Host": host})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        admin.fails(415, "POST", "/api/queue/X/drop", '{"reason":"x"}', {"Content-Type": kind})
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        admin.fails(405, method, "/metrics", headers=JSON)
    status, headers, _ = admin.send("OPTIONS", "/api/queue/X/drop", headers={
        "Origin": "http://evil.test", "Access-Control-Request-Method": "POST"})
    check(status == 405 and not any(h.lower().startswith("access-control") for h in headers),
          "a preflight gets no leave")
    for path in ("/", "/api", "/api/queue/X/frobnicate", "/api/../metrics/", "/%2e%2e/etc/passwd",
                 "/api/queue/%2Fetc%2Fpasswd", "/metrics%00", "/api/queue/A%00B"):
        got, _, _ = admin.send("GET", path)
        check(got in (400, 404), f"GET {path}: {got}")
    admin.fails(400, "GET", "/api/queue?limit=many")
    admin.fails(400, "GET", "/api/queue?" + "&".join(f"domain=d{i}" for i in range(40)))
    admin.fails(400, "POST", "/api/queue/X/drop", "{", JSON)
    admin.fails(400, "POST", "/api/queue/X/drop", "[" * 60000, JSON)
    admin.fails(400, "POST", "/api/queue/not-an-id/drop", "{}", JSON)
    admin.fails(413, "POST", "/api/queue/X/drop", '"' + "x" * 70000 + '"', JSON)


HOSTILE = [
    b"\r\n\r\n\r\n",
    b"\x00" * 4096,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(300),
    b"EHLO client.test\r\nMAIL FROM:<a@app.test>\r\n",
    b"GET\r\n\r\n",
    b"GET /health\r\n\r\n",
    b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"GET /health HTTP/1.1\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\n\r\n",
    b"GET /" + b"a" * 60000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 60000 + b"\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 10000 + b"\r\n",
    b"GET /%zz%1%%%00%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/queue?%00=%00&&&=&a=b=c&%ff=%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http://evil.test/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"CONNECT evil.test:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /api/queue/X/drop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: -1\r\n\r\n{}",
    b"POST /api/queue/X/drop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 99999999999999999999\r\n\r\n{}",
    b"POST /api/queue/X/drop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100\r\n\r\n{}",
    b"POST /api/queue/X/drop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    b"POST /api/queue/X/drop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n" + (b"4000\r\n" + b"x" * 0x4000 + b"\r\n") * 8
    + b"0\r\n\r\n",
    b"POST /api/queue/X/drop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200,
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close, keep-alive\r\n"
    b"Expect: 100-continue\r\nUpgrade: websocket\r\n\r\n",
]


def talk(admin, data):
    """Send these bytes and read what comes until the end, or until nothing more can come."""
    with socket.create_connection(("127.0.0.1", admin.port), timeout=60) as s:
        received = b""
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while got := s.recv(65536):
                received += got
        except OSError:      # it may end the connection at any moment
            pass
        return received


def hostile(relay, admin):
    say("bytes that are no request, or a bad one")
    acted = len(relay.events("operator"))
    for number, data in enumerate(HOSTILE):
        received = talk(admin, data)
        wrong = received and not received.startswith((b"HTTP/1.1 ", b"HTTP/1.0 "))
        check(not wrong and admin.stands(), f"hostile request {number}: it stands",
              (data[:200], received[:200]))
    pipelined = talk(admin, HOSTILE[-2])
    check(pipelined.count(b'{"status":"working"}') == 200, "200 in a row are all answered")
    chunked = talk(admin, HOSTILE[-4])
    check(chunked.startswith(b"HTTP/1.1 413"), "a body that is too long in chunks: 413", chunked)
    check(len(relay.events("operator")) == acted, "none of them did anything")


def crowd(relay, admin):
    say("clients that say nothing, and many at once")
    silent = [socket.create_connection(("127.0.0.1", admin.port), timeout=60) for _ in range(40)]
    for s in silent:
        s.sendall(b"GET /health HTTP/1.1\r\nHost: loc")
    check(admin.stands(), "beside 40 silent clients it answers")
    results = []

    def ask():
        for _ in range(20):
            results.append(admin.send("GET", "/metrics")[0])
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(results == [200] * 160, "160 requests by 8 clients beside them are all answered")
    for s in silent:
        s.close()
    over = [socket.create_connection(("127.0.0.1", admin.port), timeout=60) for _ in range(100)]
    for s in over:
        s.close()
    wait_until(admin.stands, "it answers behind a crowd", alive=[relay.daemon])
    hand_in(relay, "z@app.test", "z@four.dead.test")
    check(True, "and mail is taken all the while")


# ---- where it listens ----

def places(workshop, relay):
    path = workshop.path("admin.sock")
    local = Relay(workshop, "local", route=["[127.0.0.1]:9"], top=f'admin "{path}" {{ }}').start()
    check(stat.S_IMODE(path.stat().st_mode) == 0o600, "a unix socket is for its owner alone")
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(b"GET /api/stats HTTP/1.1\r\nHost: what.ever\r\nConnection: close\r\n\r\n")
        answer = b""
        while got := s.recv(65536):
            answer += got
    check(answer.startswith(b"HTTP/1.1 200") and b'"delivered"' in answer, "and answers there")
    local.configure(top=f'admin "{path}" {{ actions = false }}')
    local.reload()
    wait_until(lambda: any(event["key"] == "admin" for event in
                           local.events("reload-needs-restart")),
               "SIGHUP says what needs a restart", alive=[local.daemon])
    check(local.stop() == 0 and not path.exists(), "it is gone with the relay")

    again = Relay(workshop, "again", route=["[127.0.0.1]:9"], top=f'admin "{relay.admin}" {{ }}')
    done = run_command([binary(), "run", "-c", again.config], check_code=False)
    check(done.returncode == 69 and relay.admin in done.stderr and "admin" in done.stderr,
          "an address in use is told: " + done.stderr.strip().splitlines()[-1])
    again.configure(top='admin "0.0.0.0:0" { }')
    done = run_command([binary(), "check-config", "-c", again.config], check_code=False)
    check(done.returncode == 78 and "allow-remote" in done.stderr,
          "an address that others reach must be asked for", done.stderr)


def test(workshop):
    binary()
    sink = Sink(workshop).start()
    relay, admin = start(workshop, route=[sink.next_hop], retry="first = 1h longest = 1h",
                         destination="", back_off="1h")
    told(relay, admin, sink)
    relay.stop()
    full(workshop)
    dead = f"[127.0.0.1]:{workshop.free_port()}"
    relay, admin = start(workshop, "dead", route=[dead], retry="first = 1h longest = 1h",
                         back_off="1h")
    acted_on(relay, admin)
    strangers(admin)
    hostile(relay, admin)
    crowd(relay, admin)
    places(workshop, relay)
    draining(relay, admin)


run_test(test)
