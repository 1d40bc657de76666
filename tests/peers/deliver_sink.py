#!/usr/bin/env python3
"""Relay -> millrace sink: every message of the corpus and every edge case arrives byte for byte;
bare CR and LF are refused."""
from lib.delivery import deliver_all_to_sink
from lib.workshop import run_test

run_test(deliver_all_to_sink)
