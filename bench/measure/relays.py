"""The relays that are measured: Millrace and its peers, each with the same next hops.

Each peer is set up as its own manual advises who wants throughput: no look-ups, no rewriting, no
checks; as many connections to the next hop as Millrace has. All of them sync what they accept.
A next hop is "[ADDRESS]:PORT", for one domain or ("*") for all.
"""
import os

from lib.millrace import Relay
from lib.servers import (USERS, PEER_NAME, _namespaced, _private_etc, postfix_main_cf, root_of,
                         write_postfix)
from lib.workshop import greets, wait_until

CONNECTIONS = 20          # to the sink, for all
DOMAIN = "load.test"


class Case:
    """How mail goes out: what all relays have in common in one comparison."""

    def __init__(self, sink_port, *, starttls=False, one_per_connection=False, destinations=1,
                 paused=False):
        """`paused`: what is accepted stays in the queue."""
        self.sink_port = sink_port
        self.starttls = starttls
        self.one_per_connection = one_per_connection
        self.destinations = destinations
        self.paused = paused

    def hops(self):
        """(domain, next hop) of each destination; addresses of their own where there are many."""
        if self.destinations == 1:
            return [("*", f"[127.0.0.1]:{self.sink_port}")]
        return [(f"d{i}.{DOMAIN}", f"[127.1.{i // 250}.{i % 250 + 1}]:{self.sink_port}")
                for i in range(self.destinations)]


class MillraceRelay:
    name = "millrace"

    def __init__(self, workshop, case):
        level = "encrypt" if case.starttls else "none"
        (first, hop), *rest = case.hops()
        routes = [f'route "{domain}" {{ hosts = {{ "{to}" }} }}' for domain, to in rest]
        if first != "*":
            routes.append(f'route "{first}" {{ hosts = {{ "{hop}" }} }}')
        destination = ""
        if case.one_per_connection:
            destination = "messages-per-connection = 1"
        self.relay = Relay(workshop, route=[hop] if first == "*" else None, level=level,
                           top='durability = "commit"\n' + "\n".join(routes),
                           destination=destination)
        self.port = self.relay.port
        self.queue = self.relay.spool
        self.paused = case.paused

    def start(self):
        self.relay.start()
        if self.paused:
            self.relay.command("dest", "pause", DOMAIN, "--reason", "a measurement")

    def settled(self):
        """Whether nothing remains to be done for what was accepted."""
        return True

    @property
    def daemon(self):
        return self.relay.daemon

    def stop(self):
        self.relay.stop()


class _Peer:
    name = None

    def __init__(self, workshop, case):
        self.workshop, self.case = workshop, case
        self.port = workshop.free_port()
        self.state = workshop.make_dir(f"{self.name}.{self.port}.state")
        self.etc = _private_etc(workshop, f"{self.name}.{self.port}")
        self.root = root_of(self.name)
        self.queue = self.state
        self.daemon = None

    def settled(self):
        return True

    def start(self):
        binds, command = self.prepare()
        self.daemon = self.workshop.start(f"{self.name}.{self.port}",
                                          _namespaced(self.root, self.etc, binds, command))
        wait_until(lambda: greets("127.0.0.1", self.port), f"{self.name} greets", within=60,
                   alive=[self.daemon])

    def stop(self):
        self.daemon.kill()


class PostfixRelay(_Peer):
    """TUNING_README, CONNECTION_CACHE_README, TLS_README: reuse by tlsproxy, a session cache."""
    name = "postfix"

    def settings(self):
        case = self.case
        hop = f"[127.0.0.1]:{case.sink_port}"
        chosen = {
            "relayhost": hop, "default_transport": "smtp",
            "disable_dns_lookups": "yes", "smtp_host_lookup": "native",
            "default_process_limit": "200",
            "qmgr_message_active_limit": "100000", "qmgr_message_recipient_limit": "100000",
            "initial_destination_concurrency": CONNECTIONS,
            "default_destination_concurrency_limit": CONNECTIONS,
            "smtp_destination_concurrency_limit": CONNECTIONS,
            "smtp_connection_cache_on_demand": "yes",
            "smtp_connection_cache_destinations": hop,
            "smtp_connection_reuse_count_limit": "0", "smtp_connection_reuse_time_limit": "300s",
            "smtp_tls_security_level": "encrypt" if case.starttls else "none",
            "smtp_tls_connection_reuse": "yes",
            "smtp_tls_session_cache_database": "btree:${data_directory}/smtp_scache",
            "in_flow_delay": "0", "hash_queue_names": "deferred, defer",
            "smtpd_client_connection_count_limit": "0", "smtpd_client_connection_rate_limit": "0",
            "smtpd_delay_reject": "no",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject",
            "receive_override_options": "no_unknown_recipient_checks, no_header_body_checks, "
                                        "no_address_mappings, no_milters",
            "header_checks": "", "smtputf8_enable": "no", "local_header_rewrite_clients": "",
            "always_add_missing_headers": "no", "enable_long_queue_ids": "yes",
            "max_use": "10000", "max_idle": "300s",
        }
        if case.one_per_connection:
            chosen |= {"smtp_connection_cache_destinations": "",
                       "smtp_connection_cache_on_demand": "no", "smtp_tls_connection_reuse": "no"}
        if case.paused:
            chosen["defer_transports"] = "smtp"
        return chosen

    def settled(self):
        """The queue manager has put all that came among the deferred."""
        return not any(os.listdir(self.queue / name) for name in ("incoming", "active"))

    def prepare(self):
        log = self.workshop.path(f"postfix.{self.port}.log")
        self.workshop.watch_log(log)
        self.queue = self.state / "queue"
        settings = postfix_main_cf(self.state, log) | self.settings()
        if self.case.destinations > 1:
            map_file = self.etc / "transport"
            map_file.write_text("".join(f"{domain} smtp:{hop}\n"
                                        for domain, hop in self.case.hops()))
            del settings["relayhost"]
            settings["transport_maps"] = "texthash:/etc/transport"
            settings["smtp_connection_cache_destinations"] = "static:all"
        return [], write_postfix(self.etc, self.state, settings, self.port, smtpds=100, smtps=50)


_OPENSMTPD = """\
smtp max-message-size 100M
queue ttl 5d
listen on 127.0.0.1 port {port} hostname {name}
action "out" relay host {scheme}://127.0.0.1:{sink} {options}
match from any for any action "out"
"""


class OpenSmtpdRelay(_Peer):
    """smtpd.conf(5). It reuses connections as it likes; there is no knob for their number."""
    name = "opensmtpd"

    def prepare(self):
        case = self.case
        scheme = "smtp+tls" if case.starttls else "smtp+notls"
        text = _OPENSMTPD.format(port=self.port, name=PEER_NAME, sink=case.sink_port, scheme=scheme,
                                 options="tls no-verify" if case.starttls else "")
        (self.etc / "smtpd.conf").write_text(text)
        tag = f"opensmtpd.{self.port}"
        spool, run, lib = (self.workshop.make_dir(f"{tag}.{name}") for name in ("spool", "run", "lib"))
        self.workshop.make_dir(f"{tag}.lib", "opensmtpd", "empty")      # it chroots there
        self.workshop.make_dir(f"{tag}.spool", "smtpd", mode=0o711)
        self.queue = spool
        return ([(spool, "/var/spool"), (run, "/run"), (lib, "/var/lib")],
                ["/usr/sbin/smtpd", "-d", *(["-P", "mta"] if case.paused else [])])


_EXIM = """\
primary_hostname = {name}
local_interfaces = <; [127.0.0.1]:{port}
spool_directory = {state}
log_file_path = {logs}/%s
pid_file_path =
acl_smtp_rcpt = all
acl_smtp_data = all
message_size_limit = 100M
smtp_accept_max = 0
smtp_connect_backlog = 200
smtp_accept_queue_per_connection = 0
smtp_accept_max_nonmail = 1000000
{paused}
queue_run_max = 5
remote_max_parallel = {connections}
recipients_max = 0
split_spool_directory = true
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
tls_advertise_hosts =
begin acl
all:
  accept
begin routers
everybody:
  driver = manualroute
  route_list = * 127.0.0.1::{sink} byname
  self = send
  transport = out
begin transports
out:
  driver = smtp
  {tls}
  connection_max_messages = {each}
begin retry
* * F,5d,5m
"""


class EximRelay(_Peer):
    """The specification, chapters 14, 30 and 49: delivery at once, a process for each message."""
    name = "exim"

    def prepare(self):
        case = self.case
        os.chown(self.state, USERS["Debian-exim"], USERS["Debian-exim"])
        logs = self.workshop.make_dir(f"exim.{self.port}.log", owner=USERS["Debian-exim"])
        tls = "hosts_require_tls = *\n  tls_verify_hosts = :\n  tls_try_verify_hosts = :" \
            if case.starttls else "hosts_avoid_tls = *"
        text = _EXIM.format(name=PEER_NAME, port=self.port, state=self.state, logs=logs,
                            sink=case.sink_port, connections=CONNECTIONS, tls=tls,
                            paused="queue_only" if case.paused else "",
                            each=1 if case.one_per_connection else 500)
        (self.etc / "exim4").mkdir()
        (self.etc / "exim4/exim4.conf").write_text(text)
        return [], ["/usr/sbin/exim4", "-bdf", *([] if case.paused else ["-q10s"])]
