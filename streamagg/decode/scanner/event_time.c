#include "event_time.h"

#include <math.h>
#include <stdbool.h>

/* As in decode/event_time.py. */
#define YEAR_10000_MS 253402300800000

/* Exact as doubles, all of them: see fraction_to_ms. */
static const double POWERS_OF_TEN[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

static int64_t in_range(int64_t time_ms)
{
    return time_ms >= 0 && time_ms < YEAR_10000_MS ? time_ms : REFUSED;
}

static int64_t integer_to_ms(uint64_t value, enum unit unit)
{
    switch (unit) {
    case SECONDS:
        return value < YEAR_10000_MS / 1000 ? (int64_t)value * 1000 : REFUSED;
    case MILLISECONDS:
        return value < YEAR_10000_MS ? (int64_t)value : REFUSED;
    case MICROSECONDS:
        return value < (uint64_t)YEAR_10000_MS * 1000 ? (int64_t)(value / 1000) : REFUSED;
    default:
        return (int64_t)(value / 1000000);
    }
}

/* Of digits * 10 ** -decimals: the shortest text of the nearest double is what is rounded down.
 *
 * digits < 2 ** 53 and decimals < 16, so that the division gives the nearest double (Clinger 1990). The
 * nearest millisecond is right or one too high; it is too high when, as seconds, it is above the double.
 */
static int64_t fraction_to_ms(uint64_t digits, int decimals, enum unit unit)
{
    double value = (double)digits / POWERS_OF_TEN[decimals];
    if (unit == MILLISECONDS)
        return value < (double)YEAR_10000_MS ? (int64_t)value : REFUSED;
    if (unit != SECONDS || value >= (double)(YEAR_10000_MS / 1000))
        return REFUSED;
    double nearest = rint(value * 1000.0);
    return in_range((int64_t)nearest - (nearest / 1000.0 > value));
}

/* Reads a number without sign and exponent from *p on, and leaves *p behind it. */
static int64_t number_to_ms(position *p, enum unit unit)
{
    position first = *p, digit = first;
    uint64_t value = 0;
    for (; is_digit(*digit); digit++)
        value = value * 10 + (uint64_t)(*digit - '0');
    int64_t digits = digit - first;
    if (digits == 0 || digits > 19 || (*first == '0' && digits > 1))
        return REFUSED;
    *p = digit;
    if (*digit != '.')
        return integer_to_ms(value, unit);
    position decimal = digit + 1;
    for (; is_digit(*decimal); decimal++)
        value = value * 10 + (uint64_t)(*decimal - '0');
    int64_t decimals = decimal - digit - 1;
    if (decimals == 0 || decimals > 15 || digits + decimals > 19 || value >> 53)
        return REFUSED;
    *p = decimal;
    return fraction_to_ms(value, (int)decimals, unit);
}

/* The value of so many digits, which *p moves over; negative if they are something else. */
static int take_digits(position *p, int count)
{
    int value = 0;
    for (; count > 0; count--, (*p)++) {
        if (!is_digit(**p))
            return -1;
        value = value * 10 + (**p - '0');
    }
    return value;
}

/* Moves over a byte if it is there. */
static bool take(position *p, char byte)
{
    bool there = **p == (uint8_t)byte;
    *p += there;
    return there;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, after H. Hinnant's days_from_civil. */
static int64_t days_from_civil(int year, int month, int day)
{
    year -= month <= 2;
    int era = year / 400, year_of_era = year - era * 400;
    int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + day_of_era - 719468;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* Z or +hh:mm as minutes east of UTC, which *p moves over; below -1440 if it is neither. */
static int take_offset(position *p)
{
    if (take(p, 'Z'))
        return 0;
    int sign = take(p, '+') ? 1 : take(p, '-') ? -1 : 0;
    int hours = take_digits(p, 2);
    bool colon = take(p, ':');
    int minutes = take_digits(p, 2);
    bool right = sign && colon && hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60;
    return right ? sign * (60 * hours + minutes) : -10000;
}

/* Reads the usual form, 2016-07-11T13:39:44.123Z or with an offset, and leaves *p behind it. */
static int64_t iso8601_to_ms(position *p)
{
    int year = take_digits(p, 4);
    if (year < 1970 || !take(p, '-'))
        return REFUSED;
    int month = take_digits(p, 2);
    if (month < 1 || month > 12 || !take(p, '-'))
        return REFUSED;
    int day = take_digits(p, 2);
    if (day < 1 || day > days_in_month(year, month) || !(take(p, 'T') || take(p, ' ')))
        return REFUSED;
    int hour = take_digits(p, 2);
    if (hour < 0 || hour > 23 || !take(p, ':'))
        return REFUSED;
    int minute = take_digits(p, 2);
    if (minute < 0 || minute > 59 || !take(p, ':'))
        return REFUSED;
    int second = take_digits(p, 2);
    if (second < 0 || second > 59)
        return REFUSED;
    int millisecond = 0;
    if (take(p, '.')) {
        if (!is_digit(**p))
            return REFUSED;
        for (int scale = 100; is_digit(**p); (*p)++, scale /= 10)
            millisecond += (**p - '0') * scale;
    }
    int offset = take_offset(p);
    if (offset < -1440)
        return REFUSED;
    int64_t minutes = (days_from_civil(year, month, day) * 24 + hour) * 60 + minute - offset;
    return in_range((minutes * 60 + second) * 1000 + millisecond);
}

int64_t take_time(position *p, enum unit unit)
{
    bool quoted = take(p, '"');
    if (!quoted && unit == ISO8601)
        return REFUSED;
    int64_t time_ms = unit == ISO8601 ? iso8601_to_ms(p) : number_to_ms(p, unit);
    return quoted && !take(p, '"') ? REFUSED : time_ms;
}
