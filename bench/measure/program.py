"""What the programs of bench/ have in common: options, a workshop, what they print, how they end.

    def measure(workshop, options, findings): ...
    sys.exit(program.run(__doc__, measure, cases={"plain": "in clear, 4 KiB"}))

Progress goes to stderr; the tables to stdout, each as soon as it is there, or with --json the samples
in their place. It ends with 0; with 77 where it cannot run (a line says why); with 1 where something
was lost or broken. It never fails for being slow.
"""
import argparse
import json
import os
import signal
import sys
from pathlib import Path

from lib.workshop import SKIPPED, Failed, Skip, Workshop


def progress(text):
    """A line for whoever waits."""
    print(text, file=sys.stderr, flush=True)


class Findings:
    """The tables of one run, and the samples behind them."""

    def __init__(self, shown=True):
        self.shown = shown
        self.tables = []
        self.samples = {}

    def add(self, name, table, samples):
        """`samples`: of report.samples(), or whatever JSON can say."""
        self.tables.append(table)
        self.samples[name] = samples
        if self.shown:
            print("\n" + table, flush=True)


def _options(doc, cases, rounds, more):
    parser = argparse.ArgumentParser(description=doc.split("\n\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=rounds, help=f"{rounds}, if not told")
    parser.add_argument("--dir", help="where the spools go: on a disk, not in memory (/var/tmp)")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables there, too")
    parser.add_argument("--json", action="store_true", help="print the samples, not the tables")
    parser.add_argument("--list", action="store_true", help="name the cases")
    if cases:
        parser.add_argument("cases", nargs="*", metavar="CASE")
    if more:
        more(parser)
    options = parser.parse_args()
    unknown = [name for name in options.cases if name not in cases] if cases else []
    if unknown:
        parser.error(f"no case {' '.join(unknown)}: there are {' '.join(cases)}")
    if options.rounds < 1:
        parser.error("--rounds begin at 1")
    if cases:
        options.cases = options.cases or list(cases)
    return options


def _list(doc, cases):
    if not cases:
        print(doc.split("\n", 1)[0])
    for name, title in (cases or {}).items():
        print(f"{name:<16} {title}")


def _measure(measure, workshop, options, findings):
    try:
        measure(workshop, options, findings)
    except Skip as reason:
        progress(f"cannot measure: {reason}")
        return SKIPPED
    except Failed as reason:
        progress(f"FAILED: {reason}")
        workshop.show_logs()
        return 1
    except KeyboardInterrupt:
        progress("interrupted")
        return 130
    if options.markdown:
        Path(options.markdown).write_text("\n".join(findings.tables))
    if options.json:
        print(json.dumps(findings.samples))
    return 0


def run(doc, measure, *, cases=None, rounds=5, more=None):
    """Reads the options, measures, writes what was asked for; the exit code.

    `cases`: name -> what it is, for --list; options.cases are those chosen, or all. `rounds`: if not
    told. `more`: adds options of its own to the parser.
    """
    options = _options(doc, cases, rounds, more)
    if options.list:
        _list(doc, cases)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))    # so that it cleans up, too
    if options.dir:
        os.environ["MILLRACE_TEST_DIR"] = options.dir
    with Workshop(Path(sys.argv[0]).name) as workshop:
        return _measure(measure, workshop, options, Findings(shown=not options.json))
