#include "base/date.h"

#include <stdio.h>
#include <time.h>

/* Cuts so many digits, and the character behind them unless it is '\0', off `rest`. */
static bool take(struct span *rest, size_t digits, char behind, int *value)
{
    uint64_t number;
    size_t length = digits + (behind != '\0');
    if (rest->length < length || (behind != '\0' && rest->data[digits] != behind))
        return false;
    if (!span_number((struct span){rest->data, digits}, &number))
        return false;
    *value = (int)number;
    *rest = span_skip(*rest, length);
    return true;
}

/* "1998-12-31T23:59:60"; the letter in either case. */
static bool take_day_and_time(struct span *rest, struct tm *parts)
{
    int year, month;
    if (!take(rest, 4, '-', &year) || !take(rest, 2, '-', &month) ||
        !take(rest, 2, '\0', &parts->tm_mday) || rest->length == 0 ||
        (rest->data[0] != 'T' && rest->data[0] != 't'))
        return false;
    *rest = span_skip(*rest, 1);
    if (!take(rest, 2, ':', &parts->tm_hour) || !take(rest, 2, ':', &parts->tm_min) ||
        !take(rest, 2, '\0', &parts->tm_sec))
        return false;
    parts->tm_year = year - 1900;
    parts->tm_mon = month - 1;
    return parts->tm_hour < 24 && parts->tm_min < 60 && parts->tm_sec <= 60;
}

/* ".25", in ms; what is finer is cut off. */
static bool take_fraction(struct span *rest, int *ms)
{
    int digit, weight = 100;
    *ms = 0;
    if (rest->length == 0 || rest->data[0] != '.')
        return true;
    *rest = span_skip(*rest, 1);
    if (!take(rest, 1, '\0', &digit))
        return false;
    do {
        *ms += digit * weight;
        weight /= 10;
    } while (take(rest, 1, '\0', &digit));
    return true;
}

/* "Z", "+01:00" or "-08:30", to the end; in minutes. */
static bool take_offset(struct span rest, int *minutes)
{
    int hours, left;
    *minutes = 0;
    if (rest.length == 1)
        return rest.data[0] == 'Z' || rest.data[0] == 'z';
    if (rest.length == 0 || (rest.data[0] != '+' && rest.data[0] != '-'))
        return false;
    bool west = rest.data[0] == '-';
    rest = span_skip(rest, 1);
    if (!take(&rest, 2, ':', &hours) || !take(&rest, 2, '\0', &left) || rest.length > 0)
        return false;
    *minutes = (hours * 60 + left) * (west ? -1 : 1);
    return hours < 24 && left < 60;
}

bool date_read(struct span text, int64_t *ms)
{
    struct tm parts = {0};
    int fraction, offset;
    if (!take_day_and_time(&text, &parts) || !take_fraction(&text, &fraction) ||
        !take_offset(text, &offset))
        return false;
    if (parts.tm_sec == 60)
        parts.tm_sec = 59;
    struct tm same = parts;
    time_t seconds = timegm(&same); /* brings a 31st of February to March: then it is no date */
    if (same.tm_mday != parts.tm_mday || same.tm_mon != parts.tm_mon)
        return false;
    *ms = ((int64_t)seconds - INT64_C(60) * offset) * 1000 + fraction;
    return true;
}

char *date_format(int64_t ms, char text[DATE_TEXT_MAX])
{
    struct tm parts;
    time_t seconds = ms / 1000;
    gmtime_r(&seconds, &parts);
    strftime(text, DATE_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}
