#!/usr/bin/env python3
"""Relay -> Exim over STARTTLS: every message arrives byte for byte."""
from lib.delivery import deliver_all
from lib.servers import Exim
from lib.workshop import run_test

run_test(lambda workshop: deliver_all(workshop, Exim(workshop), altered={}))
