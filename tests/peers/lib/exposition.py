"""Prometheus' text format, version 0.0.4, read strictly."""
import math
import re
from collections import namedtuple

from .workshop import Failed

Family = namedtuple("Family", "kind help samples labels")

_HELP = re.compile(r"# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (\S.*)")
_TYPE = re.compile(r"# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)")
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)')


def _number(text):
    return {"+Inf": math.inf, "-Inf": -math.inf, "NaN": math.nan}.get(text) or float(text)


def _labels(text):
    labels, at = {}, 0
    while at < len(text or ""):
        found = _LABEL.match(text, at)
        if not found or found[1] in labels:
            raise Failed(f"not labels: {text}")
        labels[found[1]] = found[2]
        at = found.end()
    return labels


def _belongs(sample, name, kind):
    if kind == "histogram":
        return sample in (f"{name}_bucket", f"{name}_sum", f"{name}_count")
    return sample == name


def _check_histogram(name, samples):
    buckets = [(_number(labels["le"]), value) for sample, labels, value in samples
               if sample == f"{name}_bucket"]
    counts = {sample: value for sample, labels, value in samples if not labels}
    if buckets != sorted(buckets) or buckets[-1][0] != math.inf:
        raise Failed(f"{name}: buckets that do not grow to +Inf: {buckets}")
    if [value for _, value in buckets] != sorted(value for _, value in buckets):
        raise Failed(f"{name}: buckets that are not cumulative: {buckets}")
    if counts[f"{name}_count"] != buckets[-1][1]:
        raise Failed(f"{name}: the count is not that of +Inf")


def _check_family(name, kind, samples):
    if not samples:
        raise Failed(f"{name}: no sample")
    series = [(sample, tuple(sorted(labels.items()))) for sample, labels, _ in samples]
    if len(set(series)) != len(series):
        raise Failed(f"{name}: a series is there twice")
    if (kind == "counter") != name.endswith("_total"):
        raise Failed(f"{name}: a counter ends in _total, and nothing else does")
    if kind == "counter" and any(value < 0 for _, _, value in samples):
        raise Failed(f"{name}: a counter below 0")
    if kind == "histogram":
        _check_histogram(name, samples)


def families_of(text):
    """name -> Family, in order; samples are (name, labels, value)."""
    if not text.endswith("\n"):
        raise Failed("the last line has no end")
    families, lines = {}, text.splitlines()
    while lines:
        heading = _HELP.fullmatch(lines.pop(0))
        kind = _TYPE.fullmatch(lines.pop(0)) if heading and lines else None
        if not kind or kind[1] != heading[1] or heading[1] in families:
            raise Failed(f"no HELP and TYPE of a new family before: {lines[:2]}")
        name, samples = heading[1], []
        while lines and not lines[0].startswith("#"):
            found = _SAMPLE.fullmatch(lines.pop(0))
            if not found or not _belongs(found[1], name, kind[2]):
                raise Failed(f"no sample of {name}: {found and found[0]}")
            samples.append((found[1], _labels(found[2]), _number(found[3])))
        _check_family(name, kind[2], samples)
        labels = frozenset(label for _, labels, _ in samples for label in labels if label != "le")
        families[name] = Family(kind[2], heading[2], samples, labels)
    return families


def value_of(families, name, **labels):
    """The value of the one series with exactly these labels."""
    for sample, given, value in families[name].samples:
        if sample == name and given == labels:
            return value
    raise Failed(f"there is no {name}{labels}")
