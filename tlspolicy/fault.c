/* What went wrong, as one printable line. */
#include "tlspolicy/openssl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

void why_print(char why[TLS_WHY_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, TLS_WHY_MAX, format, arguments);
    va_end(arguments);
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
    for (char *c = to; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    ERR_clear_error();
}
