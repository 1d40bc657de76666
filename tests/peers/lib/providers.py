"""Servers that mail is handed to by those they know: a Postfix that asks Cyrus SASL, an Exim behind
TLS from the first byte, and a small one of our own that takes OAuth tokens."""
import base64
import ssl
import subprocess

from .oddserver import OddServer
from .servers import PEER_NAME, Exim, Postfix, program_of
from .workshop import PATIENCE, Failed, answers, wait_until

MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-1", "DIGEST-MD5", "CRAM-MD5", "LOGIN", "PLAIN")

_SASL_CONF = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {database}
mech_list: {mechanisms}
"""


class KnowingPostfix(Postfix):
    """It takes mail from `user` alone, and offers all mechanisms, inside TLS."""

    def __init__(self, workshop, pair, user, password):
        super().__init__(workshop, {
            "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_local_domain": PEER_NAME,
            "smtpd_sasl_security_options": "noanonymous", "smtpd_tls_auth_only": "yes",
            "mynetworks": "", "smtpd_recipient_restrictions": "permit_sasl_authenticated, reject"})
        self.cert, self.key = pair
        self.user = (user, password)

    def _prepare(self):
        database = self.workshop.path("sasldb2")
        program, env = program_of("sasl2-bin", "saslpasswd2", "sbin")
        subprocess.run([program, "-p", "-c", "-u", PEER_NAME, "-f", database, self.user[0]], env=env,
                       input=self.user[1].encode(), check=True, capture_output=True, timeout=PATIENCE)
        database.chmod(0o644)
        self.workshop.dir.chmod(0o755)
        binds, argv = super()._prepare()
        (self.etc / "postfix" / "sasl").mkdir(exist_ok=True)
        (self.etc / "postfix" / "sasl" / "smtpd.conf").write_text(
            _SASL_CONF.format(database=database, mechanisms=" ".join(MECHANISMS)))
        return binds, argv


_EXIM_AUTH = """
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and {{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq{{$auth1}}{{{user}}}{{{password}}}fail}}
  server_set_id = $auth1
"""


class KnowingExim(Exim):
    """It takes mail from `user` alone, by PLAIN or CRAM-MD5, and TLS comes first."""

    def __init__(self, workshop, pair, user, password):
        super().__init__(workshop, rules="require authenticated = *")
        self.cert, self.key = pair
        self.user = (user, password)

    def start(self):
        self.daemon = self.namespaced(*self._prepare())
        wait_until(lambda: answers(self.host, self.port), f"Exim answers on port {self.port}",
                   within=60, alive=[self.daemon])
        return self

    def _prepare(self):
        prepared = super()._prepare()
        file = self.etc / "exim4/exim4.conf"
        file.write_text(f"tls_on_connect_ports = {self.port}\nauth_advertise_hosts = *\n"
                        + file.read_text()
                        + _EXIM_AUTH.format(user=self.user[0], password=self.user[1]))
        return prepared


class TokenServer(OddServer):
    """TLS from the first byte; AUTH by `token` for `user` first (RFC 7628, XOAUTH2)."""

    def __init__(self, workshop, pair, user, token, mechanisms="XOAUTH2 OAUTHBEARER"):
        super().__init__(workshop, keywords=[f"AUTH {mechanisms}"])
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)
        self.user, self.token = user, token
        self.taken = []              # the mechanisms of those who were let in

    def _serve(self, client):
        try:
            with self.context.wrap_socket(client, server_side=True) as inside:
                super()._serve(inside)
        except (OSError, ssl.SSLError):
            pass

    def _talk(self, client, lines):
        super()._talk(client, self._after_auth(client, lines))

    def _after_auth(self, client, lines):
        for line in lines:
            if line.startswith(b"AUTH "):
                self.commands.append("AUTH")
                client.sendall(self._judge(client, lines, *line.split()[1:]))
            else:
                yield line

    def _judge(self, client, lines, mechanism, said):
        said = base64.b64decode(said).decode()
        bearer = f"\1auth=Bearer {self.token}\1\1"
        wanted = {b"XOAUTH2": f"user={self.user}{bearer}",
                  b"OAUTHBEARER": f"n,a={self.user},\1host=localhost\1port={self.port}{bearer}"}
        if said == wanted[mechanism]:
            self.taken.append(mechanism.decode())
            return b"235 2.7.0 Yes\r\n"
        client.sendall(b"334 " + base64.b64encode(b'{"status":"401"}') + b"\r\n")
        answer = next(lines)
        if answer != {b"XOAUTH2": b"\r\n", b"OAUTHBEARER": b"AQ==\r\n"}[mechanism]:
            raise Failed(f"{mechanism}: the client answers {answer}")
        return b"535 5.7.8 No\r\n"
