#!/usr/bin/env python3
"""kill -9 of the relay five times in the middle of 20,000 messages, and each time again as soon as
it is back and still reading its spool: every message that got its 250 arrives, and at most the few
whose verdict was not yet committed arrive twice. In the end no body is left on the disk."""
import os

from lib.millrace import Load, Relay, Sink
from lib.workshop import check, run_test, say, wait_until

MESSAGES = int(os.environ.get("MILLRACE_TEST_MESSAGES", "20000"))
ROUNDS = 5                   # of two kills each
TWICE_PER_KILL = 64          # connections out (20) and what one committer batch may hold of them


def test(workshop):
    sink = Sink(workshop).start()
    relay = Relay(workshop, route=[sink.next_hop], level="encrypt").start()
    load = Load(workshop, relay.address, MESSAGES)
    for turn in range(1, ROUNDS + 1):
        goal = MESSAGES * turn // (ROUNDS + 2)
        wait_until(lambda: sink.count() >= goal, f"{goal} messages have arrived before kill {turn}",
                   alive=[sink.daemon, relay.daemon])
        relay.kill()
        say(f"  kill {turn} at {sink.count()} of {MESSAGES} arrived, and again")
        relay.start()
        relay.kill()
        relay.start()
    load.wait()
    accepted = load.accepted()

    def all_arrived():
        return sink.count() >= len(accepted) and not accepted - sink.ledger()
    wait_until(all_arrived, f"each of the {len(accepted)} accepted messages is at the sink",
               alive=[sink.daemon, relay.daemon])
    relay.wait_until_empty()
    arrived = sink.ledger()
    check(len(accepted) > MESSAGES // 2, f"{len(accepted)} of {MESSAGES} messages got their 250")
    check(not accepted - arrived, "every one of them is at the sink")
    twice = sum(count - 1 for count in arrived.values())
    unanswered = len(arrived.keys() - accepted.keys())
    say(f"  {twice} duplicates after {2 * ROUNDS} kills; "
        f"{unanswered} messages arrived whose 250 was lost")
    check(twice <= 2 * ROUNDS * TWICE_PER_KILL,
          f"no more than {2 * ROUNDS * TWICE_PER_KILL} duplicates: {twice}")
    relay.stop()
    check(not list((relay.spool / "bodies").iterdir()), "no body is left on the disk")


run_test(test)
