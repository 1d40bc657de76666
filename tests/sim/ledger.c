#include "tests/sim/ledger.h"

#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct ledger *ledger;

const char *sim_fault_name(enum sim_fault fault)
{
    static const char *const names[SIM_FAULTS] = {
        "refused-connection",
        "silent-host",
        "reset",
        "reset-after-dot",
        "4xx",
        "5xx",
        "421",
        "stall",
        "garbage",
        "endless-reply",
        "early-bytes",
        "454",
        "502-to-starttls",
        "residue",
        "broken-handshake",
        "tls-gone",
        "dns-temporary",
        "dns-late",
        "dns-no-domain",
        "dns-null-mx",
        "dns-no-address",
        "dns-partial",
        "no-descriptor",
        "client-reset",
        "client-slow",
        "clock-forward",
        "clock-back",
        "disk-full",
        "write-enospc",
        "short-write",
        "write-eio",
        "sync-eio",
        "crash",
        "crash-in-commit",
        "lost-write",
        "operator",
    };
    return names[fault];
}

const char *sim_promise_name(enum sim_promise promise)
{
    static const char *const names[SIM_PROMISES] = {"durable-before-250",
                                                    "verdict-after-commit",
                                                    "one-end",
                                                    "kept-over-crash",
                                                    "never-again",
                                                    "whole",
                                                    "sender-told",
                                                    "never-in-clear",
                                                    "host-limit",
                                                    "site-limit",
                                                    "session-limit",
                                                    "rate-limit",
                                                    "client-limit",
                                                    "queue-limit",
                                                    "tried-when-due",
                                                    "books",
                                                    "broken-disk-ends"};
    return names[promise];
}

void sim_count(enum sim_fault fault)
{
    ledger->faults[fault]++;
}

void broken(const char *format, ...)
{
    va_list arguments;
    if (ledger->broken[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(ledger->broken, sizeof(ledger->broken), format, arguments);
    va_end(arguments);
}

static bool take_number(struct span *text, char letter, unsigned *number)
{
    *number = 0;
    if (text->length < 2 || text->data[0] != letter)
        return false;
    *text = span_skip(*text, 1);
    while (text->length > 0 && text->data[0] >= '0' && text->data[0] <= '9') {
        *number = *number * 10 + (unsigned)(text->data[0] - '0');
        *text = span_skip(*text, 1);
    }
    return true;
}

bool ledger_parse(struct span path, unsigned *message, int *recipient)
{
    unsigned number;
    *recipient = -1;
    if (!take_number(&path, 'm', message) || *message >= ledger->messages)
        return false;
    if (take_number(&path, 'r', &number))
        *recipient = (int)number;
    return path.length > 0 && path.data[0] == '@' &&
           *recipient < ledger->message[*message].recipients;
}

struct ledger_recipient *ledger_recipient(unsigned message, int recipient)
{
    return &ledger->message[message].to[recipient];
}

bool ledger_has_ended(const struct ledger_recipient *recipient)
{
    return recipient->delivered || recipient->bounced || recipient->dropped;
}

void ledger_relay_died(void)
{
    for (unsigned i = 0; i < ledger->messages; i++)
        for (unsigned r = 0; r < ledger->message[i].recipients; r++) {
            struct ledger_recipient *to = ledger_recipient(i, (int)r);
            if (!to->delivered)
                to->excused = to->arrived; /* the window of at-least-once */
            to->heard = 0;
        }
}

/* How a recipient ended, as far as anybody outside the relay can know. */
static bool has_one_end(const struct ledger_message *of, const struct ledger_recipient *to)
{
    if (to->arrived > 0) /* what the relay could not know of may bounce later, or be dropped */
        return !to->bounced || to->excused >= to->arrived;
    return to->bounced || to->dropped || (to->vanished && (to->drop_asked || of->notices > 0));
}

/* Each recipient of what was taken has one end; of what is not known to be taken, all or none. */
static void judge_recipient(unsigned message, unsigned recipient)
{
    const struct ledger_message *of = &ledger->message[message];
    const struct ledger_recipient *to = &of->to[recipient];
    if (of->handing == HANDING_TAKEN)
        keeps(PROMISE_ONE_END, has_one_end(of, to),
              "m%ur%u was taken, and is neither delivered nor bounced nor dropped, or two of these",
              message, recipient);
    if (of->handing == HANDING_NOT_YET && to->arrived > 0)
        broken("m%ur%u was refused, and is delivered all the same", message, recipient);
    if (to->arrived > to->excused + 1)
        broken("m%ur%u arrived %u times, of which %u are excused", message, recipient, to->arrived,
               to->excused);
    if (to->delivered && to->arrived == 0)
        broken("m%ur%u is delivered by the log, and never arrived", message, recipient);
    ledger->twice += to->arrived > 1 ? to->arrived - 1u : 0;
    ledger->bounced += to->bounced;
}

void ledger_judge(void)
{
    for (unsigned i = 0; i < ledger->messages; i++) {
        bool bounced = false;
        for (unsigned r = 0; r < ledger->message[i].recipients; r++) {
            judge_recipient(i, r);
            bounced |= ledger->message[i].to[r].bounced;
        }
        if (bounced)
            keeps(PROMISE_SENDER_TOLD, ledger->message[i].notices > 0,
                  "m%u bounced, and its sender was not told", i);
    }
}
