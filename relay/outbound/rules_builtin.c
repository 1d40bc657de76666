/* The built-in rules, in the configuration's own syntax: `millrace check-config --dump` shows them,
 * a `reply` section of the same name takes the place of one, `builtin-rules = false` that of all.
 *
 * What a rule does to mail must be right for everybody: nothing here bounces what a host meant to
 * be temporary. Only one touches a 5xx: who is on a blocklist must not lose the mail of a day. */
#include "relay/outbound/rules.h"

const char rules_builtin[] =
    /* Mailbox full, said for now. (552 5.2.2, said for good, stays a bounce.) */
    "reply \"mailbox-full\" {\n"
    "    match = '^452 4\\.2\\.2 |^4\\d\\d .*(mailbox|quota|storage).*"
    "(full|exceeded|exceeds|over|limit)'\n"
    "    action = \"defer\" for = 1h\n"
    "}\n"
    /* Greylisting that says when to come back, and greylisting that does not. */
    "reply \"greylist-seconds\" {\n"
    "    match = '^4\\d\\d .*(gr[ae]y-?list|try again|retry).*?\\b(?<seconds>\\d{1,5}) ?s(ec)?"
    "(ond)?s?\\b'\n"
    "    action = \"defer\"\n"
    "}\n"
    "reply \"greylist-minutes\" {\n"
    "    match = '^4\\d\\d .*(gr[ae]y-?list|try again|retry).*?\\b(?<minutes>\\d{1,4}) ?min(ute)?"
    "s?\\b'\n"
    "    action = \"defer\"\n"
    "}\n"
    "reply \"greylist\" {\n"
    "    match = '^4\\d\\d .*gr[ae]y-?list'\n"
    "    action = \"defer\" for = 5m\n"
    "}\n"
    /* Rate limits: of Gmail, of Yahoo, of Outlook, and of anybody who says so in words. */
    "reply \"rate-gmail\" {\n"
    "    match = '^4\\d\\d 4\\.7\\.28 '\n"
    "    action = \"back-off\" for = 15m\n"
    "}\n"
    "reply \"rate-yahoo\" {\n"
    "    match = '^4\\d\\d .*\\[TSS?0\\d\\]'\n"
    "    action = \"back-off\" for = 15m\n"
    "}\n"
    "reply \"rate-outlook\" {\n"
    "    match = '^4\\d\\d .*\\b(S77[45]|RP-00[123])\\b'\n"
    "    action = \"back-off\" for = 15m\n"
    "}\n"
    "reply \"rate\" {\n"
    /* (Too many messages, without 4.7: OpenSMTPD ends a connection so.) */
    "    match = '^4\\d\\d .*(too many (concurrent|connections|sessions)|4\\.7\\.\\d+ .*too many messages|"
    "rate ?-?limit|throttl|exceed.{1,40}\\b(rate|connections)\\b)'\n"
    "    action = \"back-off\" for = 5m\n"
    "}\n"
    /* Our address is on a blocklist. What is said of a domain or a link in the mail is that mail's.
     */
    "reply \"blocklist\" {\n"
    "    match = '^[45]\\d\\d (?!.*(\\bdbl\\b|surbl|uribl|\\burls?\\b|\\bdomain\\b)).*"
    "(\\bS31[45]0\\b|(client host|\\bip\\b|\\[[0-9a-f.:]+\\]).*"
    "(blocked using|block ?list|black ?list|spamhaus))'\n"
    "    action = \"suspend\" for = 1h\n"
    "}\n";
