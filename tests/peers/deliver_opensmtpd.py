#!/usr/bin/env python3
"""Relay -> OpenSMTPD over STARTTLS: every message arrives byte for byte."""
from lib.delivery import deliver_all
from lib.servers import OpenSmtpd
from lib.workshop import run_test

WITHOUT_DOMAIN = "OpenSMTPD appends its own domain to the addresses in From and To"
ALTERED = {"rfc-001.eml": WITHOUT_DOMAIN, "rfc-004.eml": WITHOUT_DOMAIN}

run_test(lambda workshop: deliver_all(workshop, OpenSmtpd(workshop), ALTERED))
