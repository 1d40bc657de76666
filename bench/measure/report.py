"""Rounds, medians and tables.

All that is compared runs in the same round, in an order that turns from round to round, so that
a noisy minute of the machine falls upon everybody.
"""
import statistics
from dataclasses import dataclass, field


@dataclass
class Row:
    """One line of a table: a name, and the samples of each column."""
    name: str
    samples: dict = field(default_factory=dict)

    def add(self, **values):
        for column, value in values.items():
            self.samples.setdefault(column, []).append(value)

    def median(self, column):
        values = self.samples.get(column)
        return statistics.median(values) if values else None

    def spread(self, column):
        """From the least to the most."""
        values = self.samples.get(column) or [0]
        return min(values), max(values)


def ratios(row, other, column):
    """Of two rows, round by round: their median tells more than the ratio of the medians."""
    pairs = zip(row.samples.get(column, []), other.samples.get(column, []))
    return [a / b for a, b in pairs if b]


def times(row, other, column):
    """How many times the one is the other: the median of their ratios; nothing where there are none."""
    found = ratios(row, other, column)
    return number(statistics.median(found)) if found else ""


def beside(mine, column, heading, less=False, but=None):
    """A column of a table: how many times `mine` is each other row, or (`less`) it is ours. Not of the
    row that is called `but`: nobody is faster than the limit."""
    def times_of(row):
        if mine is None or row is mine or row.name == but:
            return ""
        return times(row, mine, column) if less else times(mine, row, column)
    return None, heading, times_of


def in_turn(items, round_):
    """The items, begun with another one in each round."""
    at = round_ % len(items)
    return items[at:] + items[:at]


def number(value):
    if value is None:
        return "–"
    if 0 < abs(value) < 0.001:
        return "<0.001"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}" if abs(value) >= 1 else f"{value:.3g}"


def cell(row, column):
    """"1,234 (1,200–1,300)"."""
    median = row.median(column)
    if median is None:
        return "–"
    least, most = row.spread(column)
    return f"{number(median)} ({number(least)}–{number(most)})"


def table(title, columns, rows, notes=()):
    """A Markdown table; `columns`: (key, heading), or (None, heading, function of the row). `notes`:
    sentences below it, which say what the rows are."""
    lines = [f"### {title}", "", "| | " + " | ".join(column[1] for column in columns) + " |",
             "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        cells = [column[2](row) if len(column) > 2 else cell(row, column[0]) for column in columns]
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    if notes:
        lines += ["", " ".join(notes)]
    return "\n".join(lines) + "\n"


def samples(rows):
    """What the table was made of, for --json."""
    return {row.name: row.samples for row in rows}
