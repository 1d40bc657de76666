"""Mails to send, and whether what arrived is what was sent.

A mail here is bytes with CRLF line ends, the last line ended as well: exactly what a client
sends between DATA and the final dot, before dot-stuffing.
"""
import os
import random
import re

from .workshop import PROJECT, Failed

EDGES = (998, 1000, 1024, 2048, 4096, 8192, 16384, 65536)
TRACE = rb"(?i)(Return-Path|Delivered-To|X-Original-To|Envelope-To|Delivery-Date|Received)"
_HEADER = re.compile(TRACE + rb":[^\n]*\n(?:[ \t][^\n]*\n)*")


def corpus_dir():
    """The folder of messages from the world, or None."""
    path = os.environ.get("MILLRACE_CORPUS") or PROJECT.parent / "shared" / "corpus"
    return path if os.path.isdir(path) else None


def corpus():
    """[(name, mail, sendable)]: each message of the corpus as CRLF; not sendable if a bare CR is
    left."""
    mails = []
    for name in sorted(os.listdir(corpus_dir())):
        if not name.endswith(".eml"):
            continue
        with open(os.path.join(corpus_dir(), name), "rb") as file:
            text = file.read().replace(b"\r\n", b"\n")
        sendable = b"\r" not in text
        if not text.endswith(b"\n"):
            text += b"\n"
        mails.append((name, text.replace(b"\n", b"\r\n"), sendable))
    return mails


def _mail(name, lines):
    head = [b"Date: Sat, 21 Nov 2026 12:00:00 +0000", b"From: <a@app.test>", b"To: <b@peer.test>",
            b"Subject: " + name.encode(), b"Message-ID: <" + name.encode() + b"@mails.test>", b""]
    return name, b"\r\n".join(head + lines) + b"\r\n"


def _edge_lines(edge):
    """Lines of every length around `edge`: plain, full of dots, ending in or followed by dots."""
    lines = []
    for length in range(edge - 3, edge + 4):
        lines += [b"x" * length, b".", b"." * length, b"..", b"." + b"y" * (length - 2) + b"."]
    return lines


def _pattern_mails(size):
    """Short dotted patterns repeated over `size` bytes, in every phase: whatever the length of
    the header that a relay puts in front, each byte of a pattern falls on each buffer edge."""
    patterns = {"dot": b".\r\n", "dots": b"..\r\n", "empty": b"\r\n", "dotx": b".x\r\n",
                "mixed": b".\r\n..\r\n\r\nx.\r\n", "dotdot": b"...\r\n\r\n"}
    for name, pattern in patterns.items():
        for phase in range(len(pattern)):
            body = b"p" * phase + b"\r\n" + pattern * (size // len(pattern))
            yield _mail(f"pattern-{name}-{phase}", body.split(b"\r\n")[:-1])


def _random_lines(dice, size):
    """About `size` bytes of lines that are short, long, empty, dotted or 8-bit."""
    lines, total = [], 0
    while total < size:
        kind = dice.randrange(6)
        if kind == 0:
            line = b"." * dice.randrange(0, 5)
        elif kind == 1:
            line = b"." + bytes(dice.choices(b"abc .", k=dice.randrange(0, 80)))
        elif kind == 2:
            length = dice.choice(EDGES[:5]) + dice.randrange(-3, 4)
            line = bytes(dice.choices(b"0123456789 .", k=length))
        elif kind == 3:
            line = bytes(dice.choices(range(128, 256), k=dice.randrange(0, 120)))
        elif kind == 4:
            line = b""
        else:
            line = bytes(dice.choices(range(32, 127), k=dice.randrange(0, 79)))
        lines.append(line)
        total += len(line) + 2
    return lines


def random_mails(seed, number=60):
    """[(name, mail)]: the buffer-edge cases, and `number` random ones made from `seed`."""
    dice = random.Random(seed)
    mails = [_mail(f"edge-{edge}", _edge_lines(edge)) for edge in EDGES]
    mails += list(_pattern_mails(70000))
    sizes = (10, 500, 5000, 70000, 300000)
    mails += [_mail(f"random-{seed}-{i}", _random_lines(dice, dice.choice(sizes)))
              for i in range(number)]
    mails += [_mail("no-body", []), _mail("one-dot", [b"."]), _mail("two-dots", [b".."]),
              _mail("only-empty-lines", [b""] * 5000)]
    return mails


def large_mails(seed):
    """[(name, mail)]: around 1 MiB, from where on the relay gives a body a file of its own, and
    beyond. The header that the relay adds has some 200 bytes."""
    dice = random.Random(seed)
    mails, mib = [], 1 << 20
    for size in (*range(mib - 400, mib + 2, 50), 3 * mib, 9 * mib + 7):
        name, mail = _mail(f"large-{size}", _random_lines(dice, size - 5000))
        mails.append((name, mail + b"." * (size - len(mail) - 2) + b"\r\n"))
    return mails


def longest_line(mail):
    return max(len(line) for line in mail.split(b"\r\n"))


def trace_part(arrived, sent):
    """What stands in `arrived` before `sent`; None when it does not end in it."""
    return arrived[:len(arrived) - len(sent)] if arrived.endswith(sent) else None


def same_but_for_trace(arrived, sent, by):
    """Why `arrived` is not `sent` with nothing but trace headers before it, the last of them the
    `Received:` of host `by`; "" if it is. Both with LF line ends."""
    trace = trace_part(arrived, sent)
    if trace is None:
        return "the content differs: " + _first_difference(arrived, sent)
    headers, rest = [], trace
    while rest:
        header = _HEADER.match(rest)
        if not header:
            return f"something that is no trace header was put in front: {rest[:200]!r}"
        headers.append(header.group(0))
        rest = rest[header.end():]
    if not headers:
        return "no trace header was added"
    last = headers[-1]
    if not last.lower().startswith(b"received:") or b"by " + by.encode() not in last:
        return f"the last trace header is not the Received of {by}: {last!r}"
    return ""


def _first_difference(arrived, sent):
    """Where the two part, seen from the end and from the beginning of `sent`."""
    back = 0
    while back < min(len(arrived), len(sent)) and arrived[-1 - back] == sent[-1 - back]:
        back += 1
    at = len(sent) - back
    return (f"{len(sent)} bytes sent, {len(arrived)} arrived, the last {back} agree; before that "
            f"sent {sent[max(0, at - 60):at]!r}, arrived "
            f"{arrived[max(0, len(arrived) - back - 60):len(arrived) - back]!r}")


def recipient_of(arrived):
    """The local part of the recipient that the receiving peer noted at the top of the mail."""
    noted = rb"(?im)^(?:X-Original-To|Envelope-To|Delivered-To):\s*<?([^@\s>]+)@"
    found = re.search(noted, arrived)
    if not found:
        raise Failed(f"no recipient noted in {arrived[:300]!r}")
    return found.group(1).decode()
