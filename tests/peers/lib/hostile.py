"""Hostile lines and dialogues, and what is to be replied to them.

A case begins somewhere in a session, sends its bytes all at once, and knows every reply to them;
what is replied to QUIT behind them shows that there was no reply too many, and that nothing was
taken for a command that is none.
"""
import base64
from typing import NamedTuple

START = {  # name: what is sent to get there, and the codes that come of it
    "": (b"", ()),
    "hello": (b"EHLO c.test\r\n", (250,)),
    "mail": (b"EHLO c.test\r\nMAIL FROM:<s@app.test>\r\n", (250, 250)),
    "utf8": (b"EHLO c.test\r\nMAIL FROM:<s@app.test> SMTPUTF8\r\n", (250, 250)),
    "rcpt": (b"EHLO c.test\r\nMAIL FROM:<s@app.test>\r\nRCPT TO:<r@peer.test>\r\n",
             (250, 250, 250)),
    "binary": (b"EHLO c.test\r\nMAIL FROM:<s@app.test> BODY=BINARYMIME\r\n"
               b"RCPT TO:<r@peer.test>\r\n", (250, 250, 250)),
    "data": (b"EHLO c.test\r\nMAIL FROM:<s@app.test>\r\nRCPT TO:<r@peer.test>\r\nDATA\r\n",
             (250, 250, 250, 354)),
}

MESSAGE_MAX, HEADER_MAX, RECIPIENTS_MAX, ERRORS_MAX = 65536, 8192, 5, 60    # the relay's limits


class Case(NamedTuple):
    name: str
    start: str
    send: bytes
    replies: tuple          # how each begins
    ends: bool = False      # the server closes the connection behind them
    stranger: bool = False  # may not relay
    auth: bool = False      # comes to the listener that offers AUTH, where `user` is known


def crlf(*lines):
    return b"".join(line + b"\r\n" for line in lines)


def one(kind, start, line, *replies, **options):
    """A case of one line, named by what it begins with."""
    return Case(f"{kind}: {line[:70]!r} ({start or 'connected'})", start, line + b"\r\n",
                replies, **options)


VERBS = (b"EHLO c.test", b"HELO c.test", b"MAIL FROM:<a@app.test>", b"RCPT TO:<b@peer.test>",
         b"DATA", b"BDAT 1 LAST", b"RSET", b"NOOP", b"QUIT", b"VRFY a", b"EXPN a", b"HELP",
         b"STARTTLS", b"AUTH PLAIN", b"XYZZY")


def long_lines():
    for verb in VERBS:
        auth = verb.startswith(b"AUTH")
        most = 12288 if auth else 2048      # RFC 4954 4
        line = verb + b" " + b"x" * (most - len(verb) - 2)
        yield Case(f"a line of {most + 1:,} bytes: {verb!r}", "hello", crlf(line),
                   ("500 5.5.6" if auth else "500 5.5.2", "421 4.7.0"), ends=True)
    for start in START:
        if start != "data":
            yield Case(f"a line without end ({start or 'connected'})", start, b"x" * 20000,
                       ("500 5.5.2", "421 4.7.0"), ends=True)
    yield Case("a line of 2,048 bytes", "hello", crlf(b"NOOP " + b"x" * 2041), ("250 2.0.0",))
    yield Case("a name of 256 bytes", "", crlf(b"EHLO " + b"a." * 127 + b"ab"), ("501 5.5.2",))
    yield Case("a label of 64 bytes", "", crlf(b"EHLO " + b"a" * 64 + b".test"), ("501 5.5.2",))
    for what, path in (("local part of 65 bytes", b"a" * 65 + b"@b.test"),
                       ("quoted local part of 65 bytes", b'"' + b"a" * 63 + b'"@b.test'),
                       ("local part of 1,900 bytes", b"a" * 1900 + b"@b.test"),
                       ("domain of 256 bytes", b"a@" + b"a." * 127 + b"ab"),
                       ("domain of 1,900 bytes", b"a@" + b"a." * 950),
                       ("label of 64 bytes", b"a@" + b"a" * 64 + b".test"),
                       ("source route of 1,900 bytes", b"@" + b"a." * 940 + b"a:a@b.test")):
        yield Case(f"MAIL: {what}", "hello", crlf(b"MAIL FROM:<" + path + b">"), ("553 5.1.7",))
        yield Case(f"RCPT: {what}", "mail", crlf(b"RCPT TO:<" + path + b">"), ("553 5.1.3",))


def odd_bytes():
    """NUL and bare CR anywhere in a command make it none; a bare LF ends it."""
    for verb in VERBS:
        for what, byte in (("NUL", b"\0"), ("CR", b"\r")):
            half = len(verb) // 2
            for where, line in (("in front of", byte + verb), ("within", verb[:half] + byte +
                                verb[half:]), ("behind", verb + byte)):
                yield Case(f"{what} {where} {verb!r}", "hello", crlf(line), ("500 5.5.2",))
    yield Case("NOOP, CR, QUIT", "hello", b"NOOP\rQUIT\r\n", ("500 5.5.2",))
    yield Case("MAIL, CR, RCPT", "hello", b"MAIL FROM:<a@b>\rRCPT TO:<c@d>\r\n", ("500 5.5.2",))
    yield Case("NOOP, LF, RSET", "hello", b"NOOP\nRSET\r\n", ("250 2.0.0", "250 2.0.0"))
    yield Case("an address across LF", "hello", b"MAIL FROM:<a@\nb.test>\r\n",
               ("501 5.5.4", "500 5.5.2"))
    yield Case("empty lines", "hello", b"\r\n\r\n", ("500 5.5.2", "500 5.5.2"))
    yield Case("blanks", "hello", b" \t \r\n", ("500 5.5.2",))
    yield Case("nothing but NUL", "", b"\0\0\0\r\n", ("500 5.5.2",))


def eight_bits():
    utf8 = "ä".encode()
    yield one("8-bit", "hello", utf8 + b"HLO c.test", "500 5.5.2")
    yield one("8-bit", "hello", b"NOOP\xff", "500 5.5.2")
    yield one("8-bit", "hello", b"NOOP \xff", "250 2.0.0")
    yield one("8-bit", "", b"EHLO " + utf8 + b".test", "501 5.5.2")
    yield one("8-bit", "", b"HELO c\xa0.test", "501 5.5.2")
    yield one("8-bit", "rcpt", b"DATA " + utf8, "501 5.5.4")
    yield one("8-bit", "rcpt", b"BDAT " + "1".encode("utf-16-le"), "500 5.5.2")
    yield one("8-bit", "rcpt", "BDAT １ LAST".encode(), "501 5.5.4", "421 4.7.0", ends=True)
    yield one("8-bit", "hello", b"VRFY " + utf8, "252 ")
    yield one("8-bit", "hello", b"HELP " + utf8, "214 ")
    yield one("8-bit", "hello", b"MAIL FROM\xef\xbc\x9a<a@b.test>", "501 5.5.4")
    yield one("8-bit", "hello", "MAIL FROM:＜a@b.test＞".encode(), "501 5.5.4")
    yield one("8-bit", "hello", b"MAIL FROM:<a@b.test>\xc2\xa0SIZE=1", "501 5.5.4")
    yield one("8-bit", "hello", b"MAIL FROM:<a@b.test> S\xc4\xb0ZE=1", "555 5.5.4")


BAD_UTF8 = (("cut off", b"\xc3"), ("a follower first", b"\xa4"), ("overlong slash", b"\xc0\xaf"),
            ("overlong slash of 3", b"\xe0\x80\xaf"), ("overlong of 4", b"\xf0\x80\x80\xaf"),
            ("overlong NUL", b"\xc0\x80"), ("overlong CRLF", b"\xc0\x8d\xc0\x8a"),
            ("overlong at", b"\xc1\x80"), ("high surrogate", b"\xed\xa0\x80"),
            ("low surrogate", b"\xed\xbf\xbf"), ("beyond Unicode", b"\xf4\x90\x80\x80"),
            ("of 5 bytes", b"\xf8\x88\x80\x80\x80"), ("FE", b"\xfe"), ("FF", b"\xff"),
            ("Latin-1", b"\xe4"), ("NEL", b"\xc2\x85"), ("CSI", b"\xc2\x9b"),
            ("line separator", b"\xe2\x80\xa8"), ("paragraph separator", b"\xe2\x80\xa9"))


def unicode_paths():
    for what, text in BAD_UTF8:
        for where, path in (("local part", text + b"@b.test"),
                            ("quoted", b'"' + text + b'"@b.test'),
                            ("domain", b"a@b" + text + b".test")):
            yield Case(f"{what} in a {where}, SMTPUTF8", "utf8", crlf(b"RCPT TO:<" + path + b">"),
                       ("553 5.1.3",))
        yield Case(f"{what}, no SMTPUTF8", "hello", crlf(b"MAIL FROM:<" + text + b"@b.test>"),
                   ("553 5.6.7",))
    for what, path in (("wide at", "a＠b.test"), ("domain with a wide at", "a@b＠c.test"),
                       ("domain with a wide slash", "a@b／c.test"),
                       ("joiner", "a@b\u200dc.test"), ("mark first", "a@\u0308b.test"),
                       ("two directions", "a@\u05d0b.test"),
                       ("right-to-left override", "a@b\u202ec.test"),
                       ("empty label", "a@ä..test"), ("hyphen first", "a@-ä.test"),
                       ("escaped", '"\\ä"@b.test'), ("label too long", "a@" + "ä" * 60 + ".test"),
                       ("local part too long", "ä" * 33 + "@b.test"),
                       ("literal", "a@[ä]"), ("source route", "@ä.test:a@b.test")):
        yield Case(f"{what}, SMTPUTF8", "utf8", crlf(b"RCPT TO:<" + path.encode() + b">"),
                   ("553 5.1.3",))
    yield one("UTF-8", "mail", "RCPT TO:<ä@peer.test>".encode(), "553 5.6.7")
    yield one("UTF-8", "mail", "RCPT TO:<a@ä.test>".encode(), "553 5.6.7")
    yield one("UTF-8", "mail", b"RCPT TO:<a@peer.test> SMTPUTF8", "555 5.5.4")
    yield one("UTF-8", "mail", "RCPT TO:<a@peer.test> ORCPT=utf-8;ä@b".encode(), "501 5.5.4")


CONTROLS = (b"\x01", b"\x07", b"\x08", b"\x0b", b"\x0c", b"\x1b", b"\x7f")


def controls():
    for byte in CONTROLS:
        for where, path in (("local part", b"a" + byte + b"@b.test"),
                            ("quoted local part", b'"a' + byte + b'"@b.test'),
                            ("escape", b'"a\\' + byte + b'"@b.test'),
                            ("domain", b"a@b" + byte + b".test")):
            yield Case(f"{byte!r} in a {where}", "hello", crlf(b"MAIL FROM:<" + path + b">"),
                       ("553 5.1.7",))
        yield Case(f"{byte!r} in a name", "", crlf(b"EHLO c" + byte + b".test"), ("501 5.5.2",))


NO_PATHS = (b"", b"<", b">", b"a@b.test", b"a@b.test>", b"<a@b.test", b"<<a@b.test>>",
            b"<a@b.test>x", b'<"a@b.test>', b'<"a\\"@b.test>', b'<a"b@c.test>',
            b'<"a"b"@c.test>', b'<"a\\">', b"(a@b.test)", b"[a@b.test]",
            b"Ann <a@b.test>", b"<a@b.test>,<c@d.test>", b"<a@b.test>;", b"<a@b.test>SIZE=1")
NO_ADDRESSES = (b"a", b"@", b"a@", b"@b.test", b"postmaster", b"a b@c.test", b" a@b.test",
                b"a@b.test ", b"a@b c.test", b".a@b.test", b"a.@b.test", b"a..b@c.test",
                b"a,b@c.test", b"a:b@c.test", b"a;b@c.test", b"a(b)@c.test", b"a[b]@c.test",
                b'"a"b@c.test', b'"a".b@c.test', b'"a"@"b"',
                b"a\\b@c.test", b"a@b@c.test", b"a@.b.test", b"a@b.test.", b"a@b..test",
                b"a@-b.test", b"a@b-.test", b"a@b/c.test", b"a@b_\\c.test", b"a@b*.test",
                b"a@[192.0.2.1", b"a@192.0.2.1]", b"a@[192.0.2.256]", b"a@[192.0.2]",
                b"a@[0x7f.1]", b"a@[2130706433]", b"a@[2001:db8::1]", b"a@[IPv6:192.0.2.1]",
                b"a@[IPv6:2001:db8::1::2]", b"a@[IPv6:::%lo]", b"a@[]", b"a@[a.test]",
                b"@x", b"@x:", b"@:a@b.test", b"@x,:a@b.test", b"@x,y:a@b.test",
                b"@x@y:a@b.test", b"@x:@y:a@b.test", b"|/bin/sh@b.test|x", b"a`id`@b.test\\",
                b"/etc/passwd", b"a@$(id).test", b"a@{b}.test")


def addresses():
    for text in NO_PATHS:
        yield one("no path", "hello", b"MAIL FROM:" + text, "501 5.5.4")
        yield one("no path", "mail", b"RCPT TO:" + text, "501 5.5.4")
    for text in NO_ADDRESSES:
        yield one("no address", "hello", b"MAIL FROM:<" + text + b">", "553 5.1.7")
        yield one("no address", "mail", b"RCPT TO:<" + text + b">", "553 5.1.3")
    yield one("no address", "mail", b"RCPT TO:<>", "553 5.1.3")
    for line in (b"MAIL", b"MAIL FROM", b"MAIL FROM <a@b.test>", b"MAIL TO:<a@b.test>",
                 b"MAIL :<a@b.test>", b"MAIL FROM:FROM:<a@b.test>", b"MAIL <a@b.test>"):
        yield one("no MAIL", "hello", line, "501 5.5.4")
    for line in (b"RCPT", b"RCPT TO", b"RCPT FROM:<a@b.test>", b"RCPT <a@b.test>",
                 b"RCPT TO:TO:<a@b.test>", b"RCPT CC:<a@b.test>"):
        yield one("no RCPT", "mail", line, "501 5.5.4")
    for line in (b"EHLO", b"EHLO ", b"HELO", b"EHLO a b", b"EHLO .", b"EHLO -a.test",
                 b"EHLO a..test", b"EHLO a.test/", b"EHLO [192.0.2.1", b"EHLO [x]",
                 b"EHLO <a.test>", b"HELO a;b", b"EHLO a.test\tb", b"HELO ${jndi:ldap://x}"):
        yield one("no name", "", line, "501 5.5.2")


BAD_MAIL = (b"SIZE", b"SIZE=", b"SIZE=x", b"SIZE=-1", b"SIZE=1.5", b"SIZE=1e9",
            b"SIZE=18446744073709551616", b"SIZE=1 SIZE=1", b"SIZE=1 size=2", b"BODY", b"BODY=",
            b"BODY=8BIT", b"BODY=7BIT BODY=8BITMIME", b"BODY=8BITMIME,7BIT", b"SMTPUTF8=",
            b"SMTPUTF8=true", b"SMTPUTF8 smtputf8", b"RET", b"RET=", b"RET=NONE", b"RET=FULL,HDRS",
            b"RET=FULL RET=HDRS", b"ENVID", b"ENVID=", b"ENVID=a=b", b"ENVID=+", b"ENVID=a+4",
            b"ENVID=a+4g", b"ENVID=a+2b", b"ENVID=a+0D+0ASubject:+20x", b"ENVID=a+00b",
            b"ENVID=a+7F", b"ENVID=a+E4", b"ENVID=\xc3\xa4", b"ENVID=a ENVID=a",
            b"ENVID=" + b"a" * 101, b"ENVID=" + b"+41" * 34, b"HOLDFOR", b"HOLDFOR=",
            b"HOLDFOR=-1", b"HOLDFOR=1h", b"HOLDFOR=9999999999", b"HOLDFOR=2592001",
            b"HOLDFOR=1 HOLDFOR=1", b"HOLDUNTIL=now", b"HOLDUNTIL=2026-13-01T00:00:00Z",
            b"HOLDUNTIL=2026-01-01 00:00:00Z", b"HOLDUNTIL=2126-01-01T00:00:00Z",
            b"HOLDFOR=1 HOLDUNTIL=2026-01-01T00:00:00Z", b"BY", b"BY=", b"BY=1", b"BY=;R",
            b"BY=1;", b"BY=1;X", b"BY=1;RN", b"BY=0;R", b"BY=-1;R", b"BY=1234567890;N",
            b"BY=60;R HOLDFOR=120")
UNKNOWN_MAIL = (b"X", b"X=", b"X=Y", b"=", b"=Y", b"SIZE:1", b"SIZ=1", b"NOTIFY=NEVER",
                b"ORCPT=rfc822;a@b", b"SOLICIT=x", b"MT-PRIORITY=3", b"REQUIRETLS", b"CONPERM",
                b"XVERP", b"SIZE=1 X=Y", b"--", b"\"SIZE=1\"", b"SIZE\xc2\xad=1")
BAD_RCPT = (b"NOTIFY", b"NOTIFY=", b"NOTIFY=ALWAYS", b"NOTIFY=NEVER,DELAY", b"NOTIFY=DELAY,NEVER",
            b"NOTIFY=,DELAY", b"NOTIFY=DELAY,", b"NOTIFY=DELAY,,FAILURE", b"NOTIFY=DELAY;FAILURE",
            b"NOTIFY=DELAY NOTIFY=DELAY", b"ORCPT", b"ORCPT=", b"ORCPT=a@b", b"ORCPT=;a@b",
            b"ORCPT=rfc822;", b"ORCPT=rfc822;a=b", b"ORCPT=rfc822;a+2", b"ORCPT=rfc822;a+2b@b",
            b"ORCPT=rfc822;a+0D+0AX:+20y", b"ORCPT=rfc822;a+00", b"ORCPT=rfc822;\xe4@b",
            b"ORCPT=rfc 822;a@b", b"ORCPT=(x);a@b", b"ORCPT=utf-8;a+40b", b"ORCPT=utf-8;\\x{d}",
            b"ORCPT=utf-8;\\x{0D}\\x{0A}", b"ORCPT=utf-8;\\x{D800}", b"ORCPT=utf-8;\\x{110000}",
            b"ORCPT=utf-8;\\x{41}", b"ORCPT=utf-8;\\x{}", b"ORCPT=utf-8;\\x{4E00",
            b"ORCPT=rfc822;a ORCPT=rfc822;a", b"ORCPT=rfc822;" + b"a" * 494)


def parameters():
    for words in BAD_MAIL:
        yield one("MAIL", "hello", b"MAIL FROM:<a@b.test> " + words, "501 5.5.4")
    for words in UNKNOWN_MAIL:
        yield one("MAIL", "hello", b"MAIL FROM:<a@b.test> " + words, "555 5.5.4")
    for words in BAD_RCPT:
        yield one("RCPT", "mail", b"RCPT TO:<a@b.test> " + words, "501 5.5.4")
    for words in (b"SIZE=1", b"BODY=8BITMIME", b"RET=FULL", b"X=Y", b"AUTH=<>"):
        yield one("RCPT", "mail", b"RCPT TO:<a@b.test> " + words, "555 5.5.4")
    many = b"MAIL FROM:<a@b.test>" + b" SIZE=1" * 280
    yield Case("SIZE 280 times", "hello", crlf(many), ("501 5.5.4",))
    yield Case("500 parameters", "hello", crlf(b"MAIL FROM:<a@b.test>" + b" X=Y" * 500),
               ("555 5.5.4",))
    yield Case("1,000 letters as parameters", "mail", crlf(b"RCPT TO:<a@b.test>" + b" X" * 1000),
               ("555 5.5.4",))
    yield Case("parameters behind HELO", "", crlf(b"HELO c.test", b"MAIL FROM:<a@b.test> SIZE=1"),
               ("250 ", "555 5.5.4"))
    yield Case("too large, by its own word", "hello",
               crlf(b"MAIL FROM:<a@b.test> SIZE=%d" % (MESSAGE_MAX + 1)), ("552 5.3.4",))


def order():
    """Commands where they have no place, alone and in flights."""
    for start, line, reply in (
            ("", b"MAIL FROM:<a@b.test>", "503 5.5.1"), ("", b"RCPT TO:<a@b.test>", "503 5.5.1"),
            ("", b"DATA", "503 5.5.1"), ("hello", b"RCPT TO:<a@b.test>", "503 5.5.1"),
            ("hello", b"DATA", "503 5.5.1"), ("mail", b"DATA", "503 5.5.1"),
            ("mail", b"MAIL FROM:<a@b.test>", "503 5.5.1"),
            ("rcpt", b"MAIL FROM:<a@b.test>", "503 5.5.1"), ("rcpt", b"DATA now", "501 5.5.4"),
            ("binary", b"DATA", "503 5.5.1"), ("hello", b"EXPN staff", "502 5.5.1"),
            ("hello", b"ETRN b.test", "502 5.5.1"), ("hello", b"ATRN b.test", "502 5.5.1"),
            ("hello", b"TURN", "502 5.5.1"), ("hello", b"SEND FROM:<a@b.test>", "502 5.5.1"),
            ("hello", b"SOML FROM:<a@b.test>", "502 5.5.1"),
            ("hello", b"SAML FROM:<a@b.test>", "502 5.5.1"), ("hello", b"VRFY", "501 5.5.4"),
            ("hello", b"VRFY root", "252 "), ("hello", b"MAILFROM:<a@b.test>", "500 5.5.2"),
            ("hello", b"DEBUG", "500 5.5.2"), ("hello", b"WIZ", "500 5.5.2"),
            ("hello", b"XEXCH50 2 2", "500 5.5.2"), ("hello", b"BURL imap://x LAST", "500 5.5.2"),
            ("hello", b"STARTTLS now", "501 5.5.4"), ("hello", b"starttlS\t;", "501 5.5.4"),
            ("", b"SSH-2.0-OpenSSH_9.2", "500 5.5.2"), ("", b"* OK IMAP4rev1", "500 5.5.2"),
            ("", b"From: a@b.test", "500 5.5.2"), ("", b"{\"a\": 1}", "500 5.5.2"),
            ("", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "500 5.5.2"),
            ("", b"\x80\x2e\x01\x03\x01 SSLv2", "500 5.5.2")):
        yield one("order", start, line, reply)
    for verb in (b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"CONNECT b.test:25 HTTP/1.1",
                 b"PUT /x HTTP/1.1", b"HEAD / HTTP/1.0", b"OPTIONS * HTTP/1.1"):
        body = crlf(b"Host: relay.test", b"", b"EHLO c.test", b"MAIL FROM:<a@b.test>",
                    b"RCPT TO:<b@peer.test>", b"DATA", b"x", b".")
        yield Case(f"HTTP: {verb!r} with a mail in its body", "", crlf(verb) + body, ("421 4.7.0",),
                   ends=True)
    yield Case("a mail without waiting for the greeting or any reply, its RCPT wrong", "",
               crlf(b"EHLO c.test", b"MAIL FROM:<a@b.test>", b"RCPT TO:<wrong>", b"DATA",
                    b"Subject: x", b"", b"RSET", b"."),
               ("250", "250 2.1.0", "553 5.1.3", "503 5.5.1", "500 5.5.2", "500 5.5.2",
                "250 2.0.0", "500 5.5.2"))
    yield Case("the same by BDAT", "",
               crlf(b"EHLO c.test", b"MAIL FROM:<a@b.test>", b"RCPT TO:<wrong>", b"BDAT 12 LAST",
                    b"RSET", b"NOOP"),
               ("250", "250 2.1.0", "553 5.1.3", "503 5.5.1"))
    yield Case("recipients without number", "mail", b"RCPT TO:<a@peer.test>\r\n" * 20,
               ("250 2.1.5",) * RECIPIENTS_MAX + ("452 4.5.3",) * (20 - RECIPIENTS_MAX))
    yield Case("errors without number", "hello", b"XYZZY\r\n" * (ERRORS_MAX + 10),
               ("500 5.5.2",) * ERRORS_MAX + ("421 4.7.0",), ends=True)
    yield Case("EHLO without number", "", b"EHLO c.test\r\n" * 200, ("250",) * 200)
    yield Case("MAIL and RSET without number", "hello",
               b"MAIL FROM:<a@b.test>\r\nRSET\r\n" * 100, ("250 2.1.0", "250 2.0.0") * 100)


SMUGGLED = crlf(b"MAIL FROM:<evil@x.test>", b"RCPT TO:<victim@peer.test>", b"DATA", b"x")
FALSE_ENDS = (b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\n\n.\r\n",
              b"\r\r\n.\r\r\n", b"\n.\n\n", b"\r\n\n.\r\n", b"\r\n.\r\r\n", b"\n\r.\n\r\n",
              b"\r\n\r.\r\n", b"\n.\r", b"\r.\n", b"\r\n\0.\n", b"\r\r.\r\r", b"\n\r\n.\n")


def bodies():
    for end in FALSE_ENDS:
        text = b"Subject: x\r\n\r\nx" + end + SMUGGLED
        yield Case(f"smuggling behind {end!r}", "data", text + b"\r\n.\r\n", ("550 5.5.2",))
        yield Case(f"the same in a chunk {end!r}", "rcpt", b"BDAT %d LAST\r\n" % len(text) + text,
                   ("550 5.5.2",))
    yield Case("a bare LF in the header", "data", b"Subject: x\nBcc: y\r\n\r\nx\r\n.\r\n",
               ("550 5.5.2",))
    yield Case("a message too large", "data", b"x: y\r\n\r\n" + b"x" * 78 * 1000 + b"\r\n.\r\n",
               ("552 5.3.4",))
    yield Case("a header too large", "data", b"x: y\r\n" * 2000 + b"\r\nx\r\n.\r\n", ("552 5.3.4",))
    yield Case("a field too large", "data", b"x: " + b"y" * 9000 + b"\r\n\r\nx\r\n.\r\n",
               ("552 5.3.4",))
    yield Case("a folded field too large", "data",
               b"x: y\r\n" + b" y\r\n" * 3000 + b"\r\nx\r\n.\r\n", ("552 5.3.4",))
    yield Case("a mail loop", "data", b"Received: x\r\n" * 101 + b"\r\nx\r\n.\r\n", ("554 5.4.6",))
    yield Case("a mail loop in capitals, folded", "data",
               b"RECEIVED\t:\r\n x\r\n" * 101 + b"\r\nx\r\n.\r\n", ("554 5.4.6",))
    refused = b"Subject: x\r\n\r\nbare\nLF\r\n.\r\n"
    yield Case("commands behind a refusal", "data", refused + crlf(b"NOOP", b"DATA", b"RSET"),
               ("550 5.5.2", "250 2.0.0", "503 5.5.1", "250 2.0.0"))
    yield Case("commands behind what is too large", "data",
               b"x" * 70000 + b"\r\n.\r\n" + crlf(b"BDAT 4", b"NOOP")[:-2] + crlf(b"DATA"),
               ("552 5.3.4", "503 5.5.1", "503 5.5.1"))


BAD_SIZES = (b"", b" ", b" LAST", b" x", b" -1", b" +1", b" 0x10", b" 1e3", b" 1.0", b" 1,0",
             b" 18446744073709551616", b" 99999999999999999999999999", b" 1LAST", b" 1 LAST LAST",
             b" 1 FIRST", b" 1 2", b" LAST 1", b" 1;LAST", b" 1\tLAST x", b" '1'")


def chunks():
    for start in ("hello", "rcpt"):
        for size in BAD_SIZES:
            yield Case(f"BDAT{size!r} with commands behind ({start})", start,
                       crlf(b"BDAT" + size, b"RSET", b"MAIL FROM:<evil@x.test>"),
                       ("501 5.5.4", "421 4.7.0"), ends=True)
    hidden = crlf(b"RSET", b"MAIL FROM:<evil@x.test>", b"RCPT TO:<victim@peer.test>")
    for start in ("", "hello", "mail"):
        for last in (b"", b" LAST"):
            yield Case(f"octets of nobody, BDAT n{last!r} ({start or 'connected'})", start,
                       b"BDAT %d%s\r\n" % (len(hidden), last) + hidden, ("503 5.5.1",))
    yield Case("octets of nobody: none", "hello", crlf(b"BDAT 0 LAST"), ("503 5.5.1",))
    large = b"x" * (MESSAGE_MAX + 1)
    for last in (b"", b" LAST"):
        yield Case(f"a chunk too large{last!r}", "rcpt",
                   b"BDAT %d%s\r\n" % (len(large), last) + large + crlf(b"NOOP"),
                   ("552 5.3.4", "250 2.0.0"))
    half = b"x" * (MESSAGE_MAX // 2 + 1)
    chunk = b"BDAT %d\r\n" % len(half) + half
    yield Case("chunks that are too large together", "rcpt",
               chunk * 4 + crlf(b"BDAT 0 LAST", b"BDAT 0 LAST"),
               ("250 2.0.0", "552 5.3.4", "503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1"))
    yield Case("DATA between chunks", "rcpt", b"BDAT 1\r\nx" + crlf(b"DATA", b"RSET"),
               ("250 2.0.0", "503 5.5.1", "250 2.0.0"))
    yield Case("MAIL and RCPT between chunks", "rcpt", b"BDAT 1\r\nx" + hidden[6:] + crlf(b"RSET"),
               ("250 2.0.0", "503 5.5.1", "503 5.5.1", "250 2.0.0"))
    yield Case("RSET between chunks, and one behind it", "rcpt",
               b"BDAT 1\r\nx" + crlf(b"RSET") + b"BDAT 6 LAST\r\nNOOP\r\n",
               ("250 2.0.0", "250 2.0.0", "503 5.5.1"))
    yield Case("EHLO between chunks", "rcpt", b"BDAT 1\r\nx" + crlf(b"EHLO c.test", b"BDAT 0 LAST"),
               ("250 2.0.0", "250", "503 5.5.1"))
    yield Case("a header too large, in chunks", "rcpt",
               (b"BDAT 6000\r\n" + b"x: y\r\n" * 1000) * 2 + crlf(b"BDAT 0 LAST"),
               ("250 2.0.0", "552 5.3.4", "503 5.5.1"))
    yield Case("a bare CR at the very end of the last chunk", "rcpt", b"BDAT 2 LAST\r\nx\r",
               ("550 5.5.2",))
    yield Case("a bare LF at the beginning of a chunk", "rcpt",
               b"BDAT 1\r\nxBDAT 2\r\n\nxBDAT 0 LAST\r\n", ("250 2.0.0", "550 5.5.2", "503 5.5.1"))
    yield Case("QUIT in a chunk, and the chunk cut short by the end", "rcpt",
               b"BDAT 6\r\nQUIT\r\n" + crlf(b"RSET"), ("250 2.0.0", "250 2.0.0"))


RELAYED = (b"victim@other.test", b"@relay.test:victim@other.test",
           b"@relay.test,@other.test:victim@other.test", 
           b"victim%other.test@relay.test", b"victim%other.test@[127.0.0.1]",
           b"victim%other.test%x@relay.test", b"other.test!victim@relay.test",
           b"relay.test!other.test!victim@relay.test", b'"victim@other.test"@relay.test',
           b'"victim%other.test"@relay.test', b'"other.test!victim"@relay.test',
           b'"victim\\@other.test"@relay.test', b'"@other.test:victim"@relay.test',
           b'"victim@other.test>"@relay.test', b'"<victim@other.test>"@relay.test',
           b"victim@[127.0.0.1]", b"victim@[192.0.2.1]", b"victim@[IPv6:::1]",
           b"victim@[IPv6:2001:db8::1]", b"victim@[IPv6:::ffff:127.0.0.1]", b"victim@localhost",
           b"victim@relay.test", b"postmaster@relay.test", b"root@localhost", b"victim@OTHER.test",
           b"abuse@other.test", b"victim+x@other.test", b"victim@xn--bcher-kva.test",
           b'""@other.test', b"|cat@other.test", b"/dev/null@other.test", b"{victim}@other.test")
NEVER = (b"@[127.0.0.1]:victim@other.test", b"victim@other.test@relay.test", b"victim@other.test.",
         b"other.test!victim",
         b"victim%other.test", b'"victim@other.test"', b"victim", b"victim@", b"@other.test",
         b"victim@other.test,relay.test", b"victim@relay.test@[127.0.0.1]",
         b"@relay.test:@other.test:victim@other.test", b"@@relay.test:victim@other.test")
SENDERS = (b"", b"spam@relay.test", b"spam@localhost", b"spam@[127.0.0.1]", b"spam@other.test")


def open_relay():
    for path in RELAYED:
        yield one("relay?", "mail", b"RCPT TO:<" + path + b">", "550 5.7.1", stranger=True)
    for path in NEVER:
        yield one("relay?", "mail", b"RCPT TO:<" + path + b">", "553 5.1.3", stranger=True)
    for sender in SENDERS:
        for path in RELAYED[:3]:
            yield Case(f"relay? from <{sender.decode()}> to <{path.decode()}>", "hello",
                       crlf(b"MAIL FROM:<" + sender + b">", b"RCPT TO:<" + path + b">", b"DATA"),
                       ("250 2.1.0", "550 5.7.1", "503 5.5.1"), stranger=True)
    for name in (b"relay.test", b"localhost", b"[127.0.0.1]", b"other.test"):
        yield Case(f"relay? by calling itself {name.decode()}", "",
                   crlf(b"EHLO " + name, b"MAIL FROM:<a@b.test>", b"RCPT TO:<victim@other.test>"),
                   ("250", "250 2.1.0", "550 5.7.1"), stranger=True)
    for line in (b"XCLIENT ADDR=127.0.0.1", b"XFORWARD ADDR=127.0.0.1",
                 b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25", b"AUTH EXTERNAL =", b"AUTH ANONYMOUS",
                 b"AUTH PLAIN AGEAYQ==", b"AUTH PLAIN ="):
        yield Case(f"relay? by {line!r}", "hello",
                   crlf(line, b"MAIL FROM:<a@b.test>", b"RCPT TO:<victim@other.test>"),
                   ("5", "250 2.1.0", "550 5.7.1"), stranger=True)
    for word in (b"AUTH=<>", b"AUTH=root", b"HOLDFOR=1", b"BY=1;R"):
        yield one("relay?", "hello", b"MAIL FROM:<a@b.test> " + word, "555 5.5.4", stranger=True)
    yield Case("relay? a recipient, RSET, another", "mail",
               crlf(b"RCPT TO:<victim@other.test>", b"RSET", b"MAIL FROM:<>",
                    b"RCPT TO:<victim@other.test>", b"DATA", b"BDAT 0 LAST"),
               ("550 5.7.1", "250 2.0.0", "250 2.1.0", "550 5.7.1", "503 5.5.1", "503 5.5.1"),
               stranger=True)


UNKNOWN_MECHANISMS = (b"EXTERNAL", b"ANONYMOUS", b"GSSAPI", b"NTLM", b"XOAUTH2", b"OAUTHBEARER",
                      b"DIGEST-MD5", b"PLAIN,LOGIN", b"PLAIN=", b"PLAI", b"PLAINN", b"\xff",
                      b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-1", b"*", b"=")
NO_BASE64 = (b"!", b"A", b"AA", b"AAA", b"AA=A", b"A===", b"====", b"AAAA=", b"AA==AA==", b"AA-_",
             b"QUIT!", b"<a@b.test>", b"AHVzZXIAcGFzcw\xc3\xa4")
BAD_PLAIN = ((b"user", "no NUL"), (b"user\0pass", "one NUL"), (b"\0\0", "NULs"),
             (b"\0user\0", "no password"), (b"\0\0pass", "no name"),
             (b"\0user\0pa\0ss", "three NULs"),
             (b"\0nobody\0pass", "nobody"), (b"\0user\0wrong", "a wrong password"),
             (b"root\0user\0secret", "another's name"), (b"\0USER\0secret", "capitals"),
             (b"\0user\n\0secret", "a line end in the name"), (b"\0user \0secret", "a blank"),
             (b"\0\xff\xfe\0secret", "no UTF-8"),
             (b"\0" + b"u" * 5000 + b"\0secret", "a long name"),
             (b"\0user\0" + b"s" * 5000, "a long password"), (b"\0../users\0secret", "a path"),
             (b"\0*\0secret", "a star"), (b"\0user:\0secret", "a colon"),
             (b"\0%s%n\0secret", "a format"))
BAD_SCRAM = (b"x", b"n", b"n,,", b"n,,n=user", b"n,,r=abc", b"n,,n=,r=abc", b"n,,r=abc,n=user",
             b"n,,n=user,r=", b"p=tls-unique,,n=user,r=abc", b"p=x,,n=user,r=abc",
             b"n,,m=x,n=user,r=abc", b"x,,n=user,r=abc", b"n,,n=nobody,r=")
SCRAM_BEGUN = (b"n,a=root,n=user,r=abc", b"n,,n=us=er,r=abc", b"n,,n=user,r=a\0c",
               b"n,,n=" + b"u" * 5000 + b",r=abc", b"n,,n=nobody,r=abc")


def authentication():
    def said(name, send, *replies, start="hello", ends=False):
        return Case(f"AUTH: {name}", start, send, replies, ends=ends, stranger=True, auth=True)

    for name in UNKNOWN_MECHANISMS:
        yield said(f"{name!r}", crlf(b"AUTH " + name), "504 5.5.4")
    for line in (b"AUTH", b"AUTH ", b"AUTH PLAIN AAAA AAAA", b"AUTH PLAIN = =", b"AUTH LOGIN A B"):
        yield said(f"{line!r}", crlf(line), "501 5.5.4")
    for text in NO_BASE64:
        yield said(f"PLAIN {text!r}", crlf(b"AUTH PLAIN " + text), "501 5.5.2")
        yield said(f"PLAIN, {text!r}", crlf(b"AUTH PLAIN", text), "334", "501 5.5.2")
        yield said(f"LOGIN, {text!r}", crlf(b"AUTH LOGIN", text), "334", "501 5.5.2")
        yield said(f"SCRAM, {text!r}", crlf(b"AUTH SCRAM-SHA-256", text), "334", "501 5.5.2")
    for text, what in BAD_PLAIN:
        yield said(f"PLAIN, {what}", crlf(b"AUTH PLAIN " + base64.b64encode(text)), "535 5.7.8")
    for text in BAD_SCRAM:
        yield said(f"SCRAM, {text!r}", crlf(b"AUTH SCRAM-SHA-256 " + base64.b64encode(text)),
                   "535 5.7.8")
    for text in SCRAM_BEGUN:    # whether it is true is seen at the proof
        begun = crlf(b"AUTH SCRAM-SHA-256 " + base64.b64encode(text))
        for proof in (b"", b"c=biws", b"c=biws,r=abc,p=", b"c=biws,r=abc,p=AAAA", b"p=AAAA"):
            yield said(f"SCRAM, {text[:40]!r} and {proof!r}", begun + crlf(base64.b64encode(proof)),
                       "334", "535 5.7.8")
    too_long = ("334", "500 5.5.6", "421 4.7.0")
    for mechanism in (b"PLAIN", b"LOGIN", b"SCRAM-SHA-256"):
        yield said(f"{mechanism!r}, cancelled", crlf(b"AUTH " + mechanism, b"*"), "334",
                   "501 5.7.0")
        yield said(f"{mechanism!r}, a response too long",
                   crlf(b"AUTH " + mechanism, b"A" * 12287), *too_long, ends=True)
        yield said(f"{mechanism!r}, a response without end",
                   crlf(b"AUTH " + mechanism) + b"A" * 20000, *too_long, ends=True)
        yield said(f"{mechanism!r}, NUL", crlf(b"AUTH " + mechanism, b"AA\0A"), "334", "501 5.5.2")
        yield said(f"{mechanism!r}, CR", crlf(b"AUTH " + mechanism, b"AA\rA"), "334", "501 5.5.2")
        yield said(f"{mechanism!r} within a transaction", crlf(b"AUTH " + mechanism), "503 5.5.1",
                   start="mail")
        yield said(f"{mechanism!r} before EHLO", crlf(b"AUTH " + mechanism), "503 5.5.1", start="")
        yield said(f"{mechanism!r} behind HELO", crlf(b"HELO c.test", b"AUTH " + mechanism), "250",
                   "503 5.5.1", start="")
        yield said(f"{mechanism!r} with a command for a response",
                   crlf(b"AUTH " + mechanism, b"MAIL FROM:<a@b.test>"), "334", "501 5.5.2")
    yield said("LOGIN, commands that are base64, too", crlf(b"AUTH LOGIN", b"QUIT", b"NOOP"), "334",
               "334", "535 5.7.8")
    yield said("a wrong password, and a mail behind it",
               crlf(b"AUTH PLAIN AHVzZXIAd3Jvbmc=", b"MAIL FROM:<a@b.test>",
                    b"RCPT TO:<victim@other.test>", b"DATA"),
               "535 5.7.8", "250 2.1.0", "530 5.7.0", "503 5.5.1")


def cases():
    kinds = (long_lines, odd_bytes, eight_bits, unicode_paths, controls, addresses, parameters,
             order, bodies, chunks, open_relay, authentication)
    found = [case for kind in kinds for case in kind()]
    assert len({case.name for case in found}) == len(found), "names are there once"
    assert len({(case.start, case.send, case.stranger, case.auth) for case in found}) == len(found)
    return found
