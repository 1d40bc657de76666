"""The peers: Postfix, OpenSMTPD, Exim and nsd on loopback, each in a root of its own.

`tests/peers/install` unpacked each package below ROOTS. A server is started in a private mount
and pid namespace in which its root lies over /usr and a directory of the workshop over /etc (with
the server's users in a private passwd), so that compiled-in paths work, two mail servers can run
side by side, and the machine itself is not touched. Killing the namespace's first process ends
all that the server ever started.
"""
import json
import os
import re
import shutil
from pathlib import Path

from .zones import Signed, sign_zone, zone_text
from .workshop import PROJECT, Failed, Skip, answers, greets, need_root, run_command, wait_until

ROOTS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "millrace" / "peers"
PEER_NAME = "peer.test"

# Users that exist only in the private /etc/passwd of a peer.
USERS = {"postfix": 64011, "postdrop": 64012, "opensmtpd": 64013, "opensmtpq": 64014,
         "Debian-exim": 64015, "peermail": 64016}
MAIL_UID = USERS["peermail"]


def root_of(peer):
    """Where the package of `peer` is unpacked; skips the test when it is not."""
    root = ROOTS / peer
    if not (root / ".complete").exists():
        raise Skip(f"{peer} is not there: run tests/peers/install (looked in {root})")
    return root


def program_of(peer, name, place="bin"):
    """A program out of its unpacked package: its path, and the environment it needs."""
    root = root_of(peer)
    libraries = f"{root}/usr/lib/x86_64-linux-gnu:{root}/usr/lib"
    return f"{root}/usr/{place}/{name}", dict(os.environ, LD_LIBRARY_PATH=libraries, HOME="/nonexistent")


_EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]


def make_certificate(workshop, name="cert", host=PEER_NAME, addresses=("127.0.0.1",)):
    """A self-signed certificate for `host`; (certificate, key) as paths."""
    cert, key = workshop.path(f"{name}.pem"), workshop.path(f"{name}.key")
    names = ",".join([f"DNS:{host}"] + [f"IP:{a}" for a in addresses])
    run_command(["openssl", "req", "-x509", *_EC, "-nodes", "-days", "30", "-subj", f"/CN={host}",
                 "-addext", f"subjectAltName={names}", "-keyout", key, "-out", cert])
    key.chmod(0o600)
    return cert, key


def _new_key(bits):
    """Options of `openssl req`: RSA of so many bits, or P-256."""
    return ["-newkey", f"rsa:{bits}"] if bits else _EC


def make_ca(workshop, name="ca", *, bits=None):
    """A local certification authority; (certificate, key) as paths. `bits`: RSA, not P-256."""
    cert, key = workshop.path(f"{name}.pem"), workshop.path(f"{name}.key")
    run_command(["openssl", "req", "-x509", *_new_key(bits), "-nodes", "-days", "30", "-subj",
                 f"/CN=Millrace test {name}", "-keyout", key, "-out", cert])
    return cert, key


def sign_certificate(workshop, by, name, host, *, days=30, bits=None, ca=False):
    """A certificate for `host`, signed by `by` (as make_ca gave it); (certificate, key). `days` may
    be -1: it has expired. `bits`: RSA, not P-256. `ca`: it may sign others."""
    request, cert, key = (workshop.path(f"{name}{end}") for end in (".csr", ".pem", ".key"))
    run_command(["openssl", "req", *_new_key(bits), "-nodes", "-subj", f"/CN={host}", "-keyout", key,
                 "-out", request])
    extensions = workshop.write(f"{name}.ext", f"subjectAltName=DNS:{host}\n" +
                                ("basicConstraints=critical,CA:TRUE\n" if ca else ""))
    run_command(["openssl", "x509", "-req", "-in", request, "-CA", by[0], "-CAkey", by[1],
                 "-CAcreateserial", "-days", str(days), "-extfile", extensions, "-out", cert])
    key.chmod(0o600)
    return cert, key


def _private_etc(workshop, name):
    """A directory to lay over /etc: the machine's passwd and group, plus the peers' users."""
    etc = workshop.make_dir(f"{name}.etc")
    for file, line in (("passwd", "{0}:x:{1}:{1}::/usr:/usr/sbin/nologin"),
                       ("group", "{0}:x:{1}:")):
        kept = [entry for entry in Path("/etc", file).read_text().splitlines()
                if entry.split(":")[0] not in USERS]
        kept += [line.format(user, uid) for user, uid in USERS.items()]
        (etc / file).write_text("\n".join(kept) + "\n")
    (etc / "mailname").write_text(PEER_NAME + "\n")
    return etc


def _namespaced(root, etc, binds, argv):
    """The command line that runs `argv` with `root`/usr over /usr, `etc` over /etc, and each
    (source, target) of `binds` bound."""
    steps = ["set -e",
             f"mount -t overlay overlay -o lowerdir='{root}/usr':/usr /usr",
             f"mount -t overlay overlay -o lowerdir='{etc}':/etc /etc"]
    steps += [f"mount --bind '{source}' '{target}'" for source, target in binds]
    # The shell stays, as the namespace's init: it ends with `unshare`, and all the rest with it.
    # (A server that changes its user would lose the mark that makes it end with its parent.)
    steps += ['"$@" & wait $!']
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
            "--propagation", "private", "sh", "-c", "\n".join(steps), "sh", *map(str, argv)]


class Maildir:
    """Where a peer delivers. Only what is complete is seen (a maildir's `new`)."""

    def __init__(self, path):
        self.path = path

    def count(self):
        new = self.path / "new"
        return len(os.listdir(new)) if new.is_dir() else 0

    def messages(self):
        """Each mail as the peer stored it, as bytes, oldest name first."""
        new = self.path / "new"
        names = sorted(os.listdir(new)) if new.is_dir() else []
        return [(new / name).read_bytes() for name in names]


class _MailServer:
    """What the three have in common: STARTTLS on a loopback port, all mail into one maildir."""

    name = None
    host = "127.0.0.1"
    longest_line = None      # bytes without CRLF that it takes and keeps as they are; None: any

    def __init__(self, workshop):
        need_root()
        self.workshop = workshop
        self.root = root_of(self.name)
        self.port = workshop.free_port()
        self.cert, self.key = make_certificate(workshop, f"{self.name}-cert")
        self.etc = _private_etc(workshop, self.name)
        self.state = workshop.make_dir(f"{self.name}.state")
        mail = workshop.make_dir(f"{self.name}.mail", mode=0o700, owner=MAIL_UID)
        self.inbox = Maildir(mail / "inbox")
        self.daemon = None

    def start(self):
        self.daemon = self.namespaced(*self._prepare())
        wait_until(lambda: greets(self.host, self.port), f"{self.name} greets on port {self.port}",
                   within=60, alive=[self.daemon])
        return self

    def namespaced(self, binds, argv):
        """Start a program where its root lies over /usr and `etc` over /etc."""
        return self.workshop.start(self.name, _namespaced(self.root, self.etc, binds, argv))

    def stop(self):
        """End it and everything it started."""
        self.daemon.kill()

    def chunked(self):
        """How much came by BDAT; None where it is not offered."""
        return None

    def without_additions(self, arrived):
        """A mail as it arrived, less what this peer adds elsewhere than at the top."""
        return arrived

    def wait_for(self, number):
        """Wait until `number` mails have been delivered to the maildir; then all of them."""
        wait_until(lambda: self.inbox.count() >= number,
                   f"{self.name} has delivered {number} mails", alive=[self.daemon])
        return self.inbox.messages()

    def _prepare(self):
        """Write the configuration; what to bind where, and the command."""
        raise NotImplementedError


def postfix_main_cf(state, log):
    """The lines that every Postfix of ours needs, whatever it does."""
    return {
        "compatibility_level": "3.6",
        "queue_directory": f"{state}/queue", "data_directory": f"{state}/data",
        "command_directory": "/usr/sbin", "daemon_directory": "/usr/lib/postfix/sbin",
        "meta_directory": "/etc/postfix", "shlib_directory": "/usr/lib/postfix",
        "mail_owner": "postfix", "setgid_group": "postdrop",
        "maillog_file": log, "maillog_file_prefixes": str(Path(log).parent),
        "myhostname": PEER_NAME, "mydestination": "", "local_recipient_maps": "",
        "alias_maps": "", "alias_database": "", "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4", "mynetworks": "127.0.0.0/8",
        "biff": "no", "message_size_limit": "104857600", "mailbox_size_limit": "0",
        "smtpd_peername_lookup": "no",
    }


_MASTER_CF = """\
127.0.0.1:{port} inet n - n - {smtpds} smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
tlsproxy  unix  - - n - 0 tlsproxy
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix  - - n - {smtps} smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
local     unix  - n n - - local
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

# `postfix check` makes the queue directories; the master then stays in the foreground.
_START_POSTFIX = "postfix check && exec /usr/lib/postfix/sbin/master -d"


def write_postfix(etc, state, settings, port, smtpds="-", smtps="-"):
    """Write main.cf and master.cf into `etc`/postfix; the command that runs them."""
    conf = etc / "postfix"
    conf.mkdir(exist_ok=True)
    shutil.copyfile(root_of("postfix") / "etc/postfix/postfix-files", conf / "postfix-files")
    (conf / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in settings.items()))
    (conf / "master.cf").write_text(_MASTER_CF.format(port=port, smtpds=smtpds, smtps=smtps))
    for name in ("queue", "data"):
        (state / name).mkdir(exist_ok=True)
    os.chown(state / "data", USERS["postfix"], USERS["postfix"])
    return ["sh", "-c", _START_POSTFIX]


class Postfix(_MailServer):
    name = "postfix"
    refusing = {"smtpd_recipient_restrictions":
                "check_recipient_access inline:{no@peer.test=REJECT}, permit"}

    def __init__(self, workshop, settings=None):
        """`settings` of main.cf are set on top, as `refusing`: nobody gets mail as no@peer.test."""
        super().__init__(workshop)
        self.settings = settings or {}

    def chunked(self):
        """How many chunks it took, of the connections that have ended."""
        log = self.workshop.path("postfix.log").read_text()
        return sum(int(n) for n in re.findall(r" disconnect from .* bdat=(\d+)", log))

    def _prepare(self):
        log = self.workshop.path("postfix.log")
        self.workshop.watch_log(log)
        settings = postfix_main_cf(self.state, log)
        settings |= {
            "virtual_mailbox_domains": "static:all", "virtual_mailbox_maps": "static:inbox/",
            "virtual_mailbox_base": self.inbox.path.parent, "virtual_mailbox_limit": "0",
            "virtual_uid_maps": f"static:{MAIL_UID}", "virtual_gid_maps": f"static:{MAIL_UID}",
            "smtpd_tls_security_level": "may", "smtpd_tls_cert_file": self.cert,
            "smtpd_tls_key_file": self.key, "smtpd_tls_loglevel": "1",
            # A receiver that hands on what it got: no header dropped, none written anew.
            "message_drop_headers": "", "local_header_rewrite_clients": "",
            "smtputf8_enable": "no",
        }
        settings |= self.settings
        return [], write_postfix(self.etc, self.state, settings, self.port)


_OPENSMTPD_CONF = """\
pki {name} cert "{cert}"
pki {name} key "{key}"
smtp max-message-size 100M
table boxes {{ "@" = "peermail" }}
listen on 127.0.0.1 port {port} tls pki {name} hostname {name}
action "inbox" maildir "{inbox}" virtual <boxes>
match from any for any action "inbox"
"""


class PostfixClient(_MailServer):
    """A Postfix that relays all it is given to `port`, as `user`; `how` is "none", "encrypt" or
    "implicit", `mechanism` the only one it uses."""

    name = "postfix"

    def __init__(self, workshop, port, how, user, password, mechanism):
        super().__init__(workshop)
        self.relay = f"[127.0.0.1]:{port}"
        self.how = how
        self.login = f"{user}:{password}"
        self.mechanism = mechanism

    def _prepare(self):
        log = self.workshop.path(f"postfix-{self.how}.log")
        self.workshop.watch_log(log)
        logins = self.state / "logins"
        logins.write_text(f"{self.relay} {self.login}\n")
        settings = postfix_main_cf(self.state, log)
        settings |= {
            "relayhost": self.relay, "default_transport": "smtp", "relay_domains": "static:all",
            "smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": f"texthash:{logins}",
            "smtp_sasl_security_options": "", "smtp_sasl_mechanism_filter": self.mechanism.lower(),
            "smtp_tls_security_level": "none" if self.how == "none" else "encrypt",
            "smtp_tls_wrappermode": "yes" if self.how == "implicit" else "no",
        }
        return [], write_postfix(self.etc, self.state, settings, self.port)


class OpenSmtpd(_MailServer):
    name = "opensmtpd"
    longest_line = 65532        # it takes 65,535 with CRLF and with the dot that is added to a dot

    def __init__(self, workshop, tls_works=True):
        """Debian 12's OpenSMTPD cannot finish any TLS handshake by itself (its privilege
        separation and OpenSSL 3 do not go together); with `tls_works` it is given its key by a
        small preloaded library (opensmtpd_key.c), without it is as Debian ships it."""
        super().__init__(workshop)
        self.tls_works = tls_works

    def without_additions(self, arrived):
        """It ends a header section that lacks them with a Date and a Message-ID of its own."""
        return re.sub(rb"\n(?:Date: [^\n]*\n)?Message-ID: <[0-9a-f]{16}@%s>\n\n"
                      % PEER_NAME.encode(), b"\n\n", arrived, count=1)

    def _environment(self):
        if not self.tls_works:
            return []
        library = self.workshop.path("opensmtpd_key.so")
        compiler = os.environ.get("CC", "cc")
        run_command([compiler, "-shared", "-fPIC", "-O1", "-Wno-deprecated-declarations",
                     "-o", library, Path(__file__).with_name("opensmtpd_key.c"),
                     "-lssl", "-lcrypto", "-ldl"])
        return ["env", f"LD_PRELOAD={library}", f"MILLRACE_PEER_KEY={self.key}"]

    def _prepare(self):
        text = _OPENSMTPD_CONF.format(name=PEER_NAME, cert=self.cert, key=self.key, port=self.port,
                                      inbox=self.inbox.path)
        (self.etc / "smtpd.conf").write_text(text)
        spool, run, lib = (self.workshop.make_dir(f"opensmtpd.{name}")
                           for name in ("spool", "run", "lib"))
        self.workshop.make_dir("opensmtpd.lib", "opensmtpd", "empty")      # it chroots there
        self.workshop.make_dir("opensmtpd.spool", "smtpd", mode=0o711)
        return ([(spool, "/var/spool"), (run, "/run"), (lib, "/var/lib")],
                [*self._environment(), "/usr/sbin/smtpd", "-d"])


_EXIM_CONF = """\
primary_hostname = {name}
local_interfaces = <; [127.0.0.1]:{port}
spool_directory = {state}
log_file_path = {logs}/%s
pid_file_path =
tls_advertise_hosts = *
tls_certificate = {cert}
tls_privatekey = {key}
acl_smtp_rcpt = all
acl_smtp_data = taken
message_size_limit = 100M
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
smtp_accept_max_nonmail = 1000
recipients_max = 0
return_path_remove = false
envelope_to_remove = false
delivery_date_remove = false
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
dsn_advertise_hosts = *
begin acl
all:
  {rules}
  accept
taken:
  accept
begin routers
everybody:
  driver = accept
  transport = inbox
begin transports
inbox:
  driver = appendfile
  maildir_format
  directory = {inbox}
  user = peermail
  group = peermail
  envelope_to_add
  return_path_add
"""


class Exim(_MailServer):
    name = "exim"
    refusing = "deny local_parts = no"

    def __init__(self, workshop, rules=""):
        """`rules` of the ACL for RCPT come first, as `refusing`: nobody gets mail as no@…"""
        super().__init__(workshop)
        self.rules = rules

    def chunked(self):
        """How many messages came in chunks."""
        log = self.workshop.path("exim.log").joinpath("main").read_text()
        return sum(" <= " in line and " K " in line for line in log.splitlines())

    def _prepare(self):
        os.chown(self.state, USERS["Debian-exim"], USERS["Debian-exim"])
        logs = self.workshop.make_dir("exim.log", owner=USERS["Debian-exim"])
        os.chown(self.key, USERS["Debian-exim"], USERS["Debian-exim"])
        for kind in ("main", "reject", "panic"):
            self.workshop.watch_log(logs / kind)
        text = _EXIM_CONF.format(name=PEER_NAME, port=self.port, state=self.state, logs=logs,
                                 cert=self.cert, key=self.key, inbox=self.inbox.path,
                                 rules=self.rules)
        (self.etc / "exim4").mkdir()
        (self.etc / "exim4/exim4.conf").write_text(text)
        return [], ["/usr/sbin/exim4", "-bdf", "-q10s"]


def node_peer(script, *arguments):
    """The command line and the environment that run one of tests/peers/node; skips without Node."""
    modules = ROOTS / "node" / "node_modules"
    if not modules.is_dir() or not shutil.which("node"):
        raise Skip("Node 20 or later is not here: its mail client and server are left out")
    file = PROJECT / "tests/peers/node" / script
    return ["node", file, *arguments], {"PEER_MODULES": str(modules)}


class NodeServer:
    """Node's smtp-server on a loopback port, with STARTTLS, DSN and SMTPUTF8."""

    name = "node"
    host = "127.0.0.1"

    def __init__(self, workshop):
        self.workshop = workshop
        self.port = workshop.free_port()
        self.inbox = workshop.make_dir("node.inbox")
        self.cert, self.key = make_certificate(workshop, "node-cert")
        self.daemon = None

    def start(self):
        argv, env = node_peer("serve.js", self.port, self.cert, self.key, self.inbox)
        self.daemon = self.workshop.start(self.name, argv, env=env)
        wait_until(lambda: greets(self.host, self.port), f"node greets on port {self.port}",
                   within=60, alive=[self.daemon])
        return self

    def wait_for(self, number):
        """Wait until so many mails are there; (envelope, mail) of each."""
        wait_until(lambda: len(list(self.inbox.glob("*.json"))) >= number,
                   f"node has {number} mails", alive=[self.daemon])
        return [(json.loads(path.read_text()), path.with_suffix(".eml").read_bytes())
                for path in sorted(self.inbox.glob("*.json"))]


def smtp_source(*arguments, within=600):
    """Run Postfix's generator to its end."""
    root = root_of("postfix")
    libraries = f"{root}/usr/lib/postfix:{root}/usr/lib/x86_64-linux-gnu"
    run_command([root / "usr/sbin/smtp-source", *arguments], within=within,
                env=dict(os.environ, LD_LIBRARY_PATH=libraries))


_NSD_CONF = """\
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    chroot: ""
    zonesdir: "{state}"
    database: ""
    pidfile: "{state}/nsd.pid"
    xfrdfile: "{state}/xfrd.state"
    zonelistfile: "{state}/zone.list"
    server-count: 1
    do-ip6: no
    rrl-ratelimit: 0
remote-control:
    control-enable: no
"""


class Nsd:
    """An authoritative DNS server. `zones`: name -> records in master-file format (an SOA and an
    NS are added), or Signed; None instead of records makes a zone that is answered with SERVFAIL.
    `anchor`: the file of all that is signed."""

    def __init__(self, workshop, zones):
        self.workshop = workshop
        self.root = root_of("nsd")
        self.port = workshop.free_port()
        self.state = workshop.make_dir("nsd.state")
        self.zones = zones
        self.anchor = workshop.path("nsd.anchor")
        self.daemon = None

    def start(self):
        conf = _NSD_CONF.format(port=self.port, state=self.state)
        anchors = ""
        for zone, records in self.zones.items():
            file = self.state / f"{zone.strip('.') or 'root'}.zone"
            if isinstance(records, Signed):
                file, anchor = sign_zone(self.workshop, zone, records, self.state)
                anchors += anchor
            elif records is not None:
                file.write_text(zone_text(zone, records))
            conf += f'zone:\n    name: "{zone}"\n    zonefile: "{file}"\n'
        self.anchor.write_text(anchors)
        conf_file = self.workshop.write("nsd.conf", conf)
        libraries = f"{self.root}/usr/lib/x86_64-linux-gnu"
        self.daemon = self.workshop.start(
            "nsd", [self.root / "usr/sbin/nsd", "-d", "-c", conf_file],
            env={"LD_LIBRARY_PATH": libraries})
        wait_until(lambda: answers("127.0.0.1", self.port), "nsd answers", within=60,
                   alive=[self.daemon])
        return self

    def stop(self):
        self.daemon.stop()


_UNBOUND_CONF = """\
server:
    interface: 127.0.0.1
    port: {port}
    username: ""
    chroot: ""
    directory: "{state}"
    pidfile: ""
    use-syslog: no
    do-not-query-localhost: no
    local-zone: "test." transparent
    trust-anchor-file: "{anchor}"
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@{upstream}
"""


class Unbound:
    """A resolver that validates, in front of an Nsd."""

    def __init__(self, workshop, nsd):
        self.workshop = workshop
        self.root = root_of("unbound")
        self.port = workshop.free_port()
        self.nsd = nsd
        self.daemon = None

    def start(self):
        state = self.workshop.make_dir("unbound.state")
        conf = self.workshop.write("unbound.conf", _UNBOUND_CONF.format(
            port=self.port, state=state, anchor=self.nsd.anchor, upstream=self.nsd.port))
        libraries = f"{self.root}/usr/lib/x86_64-linux-gnu"
        self.daemon = self.workshop.start(
            "unbound", [self.root / "usr/sbin/unbound", "-d", "-c", conf],
            env={"LD_LIBRARY_PATH": libraries})
        wait_until(lambda: answers("127.0.0.1", self.port), "unbound answers", within=60,
                   alive=[self.daemon])
        return self
