/* What went wrong, as one printable line. */
#include "tlspolicy/tls_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

void why_print(char why[TLS_WHY_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, TLS_WHY_MAX, format, arguments);
    va_end(arguments);
}

static void make_printable(char *text)
{
    for (char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

void openssl_reason(char *to, size_t size)
{
    const char *data = NULL;
    int flags = 0;
    unsigned long code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);
    const char *reason =
        ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    bool has_data = (flags & ERR_TXT_STRING) && data && data[0] != '\0' && !ERR_SYSTEM_ERROR(code);
    snprintf(to, size, "%s%s%s", reason ? reason : "no reason given", has_data ? ": " : "",
             has_data ? data : "");
    make_printable(to);
    ERR_clear_error();
}

static const char *const fault_names[] = {
    [TLS_FAULT_NONE] = "none", [TLS_FAULT_PROTOCOL] = "protocol",       [TLS_FAULT_ALERT] = "alert",
    [TLS_FAULT_NAME] = "name", [TLS_FAULT_EXPIRED] = "expired",         [TLS_FAULT_CHAIN] = "chain",
    [TLS_FAULT_TLSA] = "tlsa", [TLS_FAULT_FINGERPRINT] = "fingerprint",
};
_Static_assert(countof(fault_names) == TLS_FAULTS, "a word for each");

const char *tls_fault_name(enum tls_fault fault)
{
    return fault_names[fault];
}

void tls_tell(struct tls *tls, enum tls_fault fault, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(tls->why, sizeof(tls->why), format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof(tls->why))
        memcpy(tls->why + sizeof(tls->why) - sizeof("..."), "...", sizeof("..."));
    make_printable(tls->why);
    tls->fault = fault;
}

/* Those of TLS 1.3 have no words in OpenSSL 3.0 (RFC 8446 6). */
static const char *alert_name(int alert)
{
    switch (alert) {
    case 109: return "missing extension";
    case 116: return "certificate required";
    case 120: return "no application protocol";
    default: return SSL_alert_desc_string_long(alert);
    }
}

void tls_tell_openssl(struct tls *tls)
{
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && tls->fault != TLS_FAULT_NONE)
        return;
    bool closed = code == 0 && (SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN);
    int alert = reason >= SSL_AD_REASON_OFFSET ? reason - SSL_AD_REASON_OFFSET : 0;
    char text[TLS_WHY_MAX];
    if (alert > 0 || closed) {
        tls_tell(tls, TLS_FAULT_ALERT, "peer alert: %s (%d)", alert_name(alert), alert);
        return;
    }
    openssl_reason(text, sizeof(text));
    tls_tell(tls, TLS_FAULT_PROTOCOL, "%s", text);
}
