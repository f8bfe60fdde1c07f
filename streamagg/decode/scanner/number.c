#include "number.h"

#include <Python.h>

#define MAX_POWER 22
/* More characters may be an integer that does not fit in 64 bits. */
#define MAX_CHARACTERS 19

static const double POWERS_OF_TEN[MAX_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The exponent of a number, from behind its e on. */
static int64_t exponent(position p, position last)
{
    int64_t value = 0;
    bool negative = *p == '-';
    for (p += negative || *p == '+'; p < last; p++)
        value = value * 10 + (*p - '0');
    return negative ? -value : value;
}

/* Digits and a power of ten that are exact as doubles: their product or quotient is the nearest one (Clinger
 * 1990). False for all other numbers. */
static bool by_one_step(position p, position last, double *value)
{
    if (last - p > MAX_CHARACTERS)
        return false;
    uint64_t digits = 0;
    int64_t power = 0;
    bool negative = *p == '-', behind_point = false;
    for (p += negative; p < last && (*p | 0x20) != 'e'; p++) {
        if (*p == '.') {
            behind_point = true;
            continue;
        }
        digits = digits * 10 + (uint64_t)(*p - '0');
        power -= behind_point;
    }
    if (p < last)
        power += exponent(p + 1, last);
    if (digits >> 53 || power < -MAX_POWER || power > MAX_POWER)
        return false;
    double size = power < 0 ? (double)digits / POWERS_OF_TEN[-power] : (double)digits * POWERS_OF_TEN[power];
    *value = negative ? -size : size;
    return true;
}

/* It reads no further than the number goes. */
static bool by_python(position first, position last, double *value)
{
    char *end;
    *value = PyOS_string_to_double((const char *)first, &end, NULL);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    return (position)end == last;
}

position take_number(position first, double *value)
{
    position last = skip_number(first);
    return last && (by_one_step(first, last, value) || by_python(first, last, value)) ? last : NULL;
}
