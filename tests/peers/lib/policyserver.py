"""Servers of TLS policies: one by a script, and Debian's postfix-mta-sts-resolver."""
import json
import os
import shutil
import socket
import sqlite3
import threading
import time

from .workshop import Skip, answers, wait_until


class PolicyServer:
    """Speaks socketmap (netstrings) or, with tcp=True, tcp_table. `answers` has a reply for a domain,
    as it goes over the wire between the frames; a callable gets the connection instead."""

    def __init__(self, workshop, replies, tcp=False, path=None):
        self.replies, self.tcp, self.path = replies, tcp, path
        self.port = None if path else workshop.free_port()
        self.asked = []
        self.connections = 0
        self._socket = None

    @property
    def map(self):
        if self.path:
            return f"socketmap:unix:{self.path}:postfix"
        return (f"tcp:127.0.0.1:{self.port}" if self.tcp
                else f"socketmap:inet:127.0.0.1:{self.port}:postfix")

    def start(self):
        if self.path:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(str(self.path))
            self._socket.listen(64)
        else:
            self._socket = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self):
        while True:
            client, _ = self._socket.accept()
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            with client, client.makefile("rb") as lines:
                while question := self._question(lines):
                    self.asked.append(question)
                    reply = self.replies.get(question, b"500 no" if self.tcp else b"NOTFOUND ")
                    if callable(reply):
                        reply(client)
                        return
                    client.sendall(reply + b"\n" if self.tcp
                                   else b"%d:%s," % (len(reply), reply))
        except OSError:
            pass

    def _question(self, lines):
        if self.tcp:
            return lines.readline().decode().removeprefix("get ").rstrip("\n")
        length = b""
        while (byte := lines.read(1)) not in (b":", b""):
            length += byte
        text = lines.read(int(length) + 1) if length else b""
        name, _, domain = text[:-1].decode().partition(" ")
        assert not text or name == "postfix", text
        return domain


class StsResolver:
    """postfix-mta-sts-resolver, with policies in its cache so that it needs no network."""

    def __init__(self, workshop, policies):
        if not shutil.which("mta-sts-daemon"):
            raise Skip("no mta-sts-daemon: ./dev test installs postfix-mta-sts-resolver")
        self.port = workshop.free_port()
        cache = workshop.path("sts.db")
        with sqlite3.connect(cache) as file:
            file.execute("create table sts_policy_cache "
                         "(domain text, ts integer, pol_id text, pol_body text)")
            for domain, body in policies.items():
                file.execute("insert into sts_policy_cache values (?, ?, '1', ?)",
                             (domain, int(time.time()), json.dumps(body)))
        file.close()
        self._config = workshop.write("sts.yml", "\n".join([
            "host: 127.0.0.1", f"port: {self.port}", "cache_grace: 86400",
            "cache:", "  type: sqlite", "  options:", f'    filename: "{cache}"', ""]))
        self._workshop = workshop

    @property
    def map(self):
        return f"socketmap:inet:127.0.0.1:{self.port}:postfix"

    def start(self):
        daemon = self._workshop.start("mta-sts-daemon", ["mta-sts-daemon", "-c", self._config],
                                      env={"PATH": os.environ["PATH"]})
        wait_until(lambda: answers("127.0.0.1", self.port), "mta-sts-daemon listens",
                   alive=[daemon])
        return self
