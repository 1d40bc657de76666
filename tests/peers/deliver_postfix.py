#!/usr/bin/env python3
"""Relay -> Postfix over STARTTLS: every message arrives byte for byte."""
from lib.delivery import deliver_all
from lib.servers import Postfix
from lib.workshop import run_test

ALTERED = {
    "malformed-019.eml": "Postfix takes away the space between a header's name and its colon",
}

run_test(lambda workshop: deliver_all(workshop, Postfix(workshop), ALTERED))
