"""A real nginx as the host of MTA-STS policies (RFC 8461 3.3), each domain with a certificate of its
own; and a clock that can be moved."""
from pathlib import Path

from .servers import make_certificate, program_of, sign_certificate
from .workshop import Skip, answers, run_command, wait_until

HOST = "127.0.0.10"

_HEAD = """\
daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log stderr;
events {{ }}
http {{
    log_format hosts '"$host" $status';
    access_log {dir}/access.log hosts;
    client_body_temp_path {dir}/temp; proxy_temp_path {dir}/temp; fastcgi_temp_path {dir}/temp;
    uwsgi_temp_path {dir}/temp; scgi_temp_path {dir}/temp;
    types {{ }}
    default_type text/plain;
"""

_SERVER = """\
    server {{
        listen {host}:{port} ssl;
        server_name mta-sts.{domain};
        ssl_certificate {cert}; ssl_certificate_key {key};
        location = /.well-known/mta-sts.txt {{ {location} }}
    }}
"""


def policy(mode, *patterns, max_age=604800):
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {p}" for p in patterns),
             f"max_age: {max_age}"]
    return "".join(f"{line}\r\n" for line in lines)


class PolicyHost:
    """`add` each domain, then `start`. `publish` changes a policy at any time."""

    def __init__(self, workshop, ca):
        self.workshop = workshop
        self.ca = ca
        self.port = workshop.free_port((HOST,))
        self.state = workshop.make_dir("policies")
        self.daemon = None
        self._servers = ""
        self._starts = 0

    def add(self, domain, text, *, location="", certificate=None):
        """`location`: more lines of nginx's configuration; `certificate`: another one than that of
        mta-sts.DOMAIN by the local authority."""
        cert, key = certificate or sign_certificate(self.workshop, self.ca, f"policy-{domain}",
                                                    f"mta-sts.{domain}")
        self.publish(domain, text)
        self._servers += _SERVER.format(
            host=HOST, port=self.port, domain=domain, cert=cert, key=key,
            location=f"alias {self._file(domain)}; {location}")

    def _file(self, domain):
        return self.state / f"{domain}.txt"

    def publish(self, domain, text):
        self._file(domain).write_text(text)

    def start(self):
        self._starts += 1
        (self.state / "temp").mkdir(exist_ok=True)
        program, env = program_of("nginx", "nginx", "sbin")
        config = self.workshop.write(
            "policies.conf", _HEAD.format(dir=self.state) + self._servers + "}\n")
        self.daemon = self.workshop.start(
            f"policies.{self._starts}",
            [program, "-c", config, "-p", self.state, "-e", "stderr"], env=env)
        wait_until(lambda: answers(HOST, self.port), "nginx answers", alive=[self.daemon])
        return self

    def stop(self):
        self.daemon.kill()

    def fetches(self, domain):
        """How often the domain's policy was asked for."""
        log = self.state / "access.log"
        return log.read_text().count(f'"mta-sts.{domain}"') if log.exists() else 0


def self_signed(workshop, domain):
    return make_certificate(workshop, f"self-{domain}", f"mta-sts.{domain}")


def by_common_name(workshop, ca, domain):
    """A certificate that the authority has signed, and that has a CN and no DNS-ID."""
    name = f"cn-{domain}"
    request, cert, key = (workshop.path(f"{name}{end}") for end in (".csr", ".pem", ".key"))
    run_command(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN=mta-sts.{domain}", "-keyout", key, "-out", request])
    run_command(["openssl", "x509", "-req", "-in", request, "-CA", ca[0], "-CAkey", ca[1],
                 "-CAcreateserial", "-days", "30", "-out", cert])
    return cert, key


class Clock:
    """The time of day of whoever is started with `env`; moved at will."""

    def __init__(self, workshop):
        library = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
        if not library.exists():
            raise Skip("libfaketime is not there: the clock cannot be moved (apt-get install "
                       "libfaketime)")
        self._file = workshop.path("clock")
        self.ahead = 0
        self.move(0)
        self.env = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(self._file),
                    "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def move(self, seconds):
        """So many seconds on."""
        self.ahead += seconds
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"+{self.ahead}\n")
        fresh.rename(self._file)
