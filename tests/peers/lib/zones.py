"""Zones in master-file format, signed or not (by ldnsutils), and the TLSA records in them."""
import base64
import hashlib
import shutil
from dataclasses import dataclass

from .workshop import Skip, run_command


@dataclass
class Signed:
    """Records of a zone that is signed. Its key is a trust anchor: nobody above it is asked."""
    records: str
    nsec3: bool = False    # how denials are proved; else by NSEC
    expired: bool = False  # the signatures are years old


def zone_text(zone, records):
    origin = zone.strip(".") + "."
    return (f"$ORIGIN {origin}\n$TTL 60\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n"
            f"@ IN NS ns\nns IN A 127.0.0.1\n{records}\n")


def _new_key(workshop, zone, directory, *kind):
    made = run_command(["ldns-keygen", "-a", "ECDSAP256SHA256", *kind, zone], cwd=directory)
    return made.stdout.strip()


def sign_zone(workshop, zone, signed, directory):
    """Writes the signed zone into `directory`; (its file, the trust anchor as text)."""
    if not shutil.which("ldns-signzone"):
        raise Skip("ldns-signzone is not there: run tests/peers/install")
    name = zone.strip(".")
    anchor, key = (_new_key(workshop, name, directory, *kind) for kind in (["-k"], []))
    plain, file = directory / f"{name}.plain", directory / f"{name}.zone"
    plain.write_text(zone_text(zone, signed.records))
    options = ["-n"] if signed.nsec3 else []
    if signed.expired:
        options += ["-i", "20200101000000", "-e", "20200201000000"]
    run_command(["ldns-signzone", *options, "-f", file, plain, key, anchor], cwd=directory)
    return file, (directory / f"{anchor}.key").read_text()


def _der_in(pem):
    return base64.b64decode("".join(line for line in pem.splitlines() if "-----" not in line))


def tlsa_of_key(certificate):
    """The data of "TLSA 3 1 1": SHA-256 of the certificate's public key."""
    asked = ["openssl", "x509", "-in", certificate, "-noout", "-pubkey"]
    return hashlib.sha256(_der_in(run_command(asked).stdout)).hexdigest()


def tlsa_of_certificate(certificate):
    """The data of "TLSA 2 0 1": SHA-256 of the certificate."""
    return hashlib.sha256(_der_in(certificate.read_text())).hexdigest()
