#include "json.h"

/* The value of four hexadecimal digits, or -1. */
static int hex4(position p)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t letter = p[i] | 0x20;
        int digit = is_digit(p[i]) ? p[i] - '0' : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* From a backslash to behind its escape; half a surrogate pair is refused. */
position skip_escape(position p)
{
    switch (p[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return p + 2;
    case 'u':
        break;
    default:
        return NULL;
    }
    int unit = hex4(p + 2);
    if (unit < 0)
        return NULL;
    if (unit < 0xd800 || unit > 0xdfff)
        return p + 6;
    if (unit > 0xdbff || p[6] != '\\' || p[7] != 'u')
        return NULL;
    int low = hex4(p + 8);
    return low >= 0xdc00 && low <= 0xdfff ? p + 12 : NULL;
}

/* Appends a code point as UTF-8; returns the position behind it. */
static uint8_t *put_utf8(uint8_t *out, uint32_t point)
{
    if (point < 0x80) {
        *out++ = (uint8_t)point;
        return out;
    }
    int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    *out++ = (uint8_t)(lead[more] | point >> 6 * more);
    while (more-- > 0)
        *out++ = (uint8_t)(0x80 | (point >> 6 * more & 0x3f));
    return out;
}

/* The code point of an escape that skip_escape has accepted. */
static uint32_t escaped_point(position p)
{
    static const char letters[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    if (p[1] != 'u')
        return (uint8_t)strchr(letters, p[1])[1];
    uint32_t unit = (uint32_t)hex4(p + 2);
    if (unit < 0xd800 || unit > 0xdfff)
        return unit;
    return 0x10000 + ((unit - 0xd800) << 10) + ((uint32_t)hex4(p + 8) - 0xdc00);
}

/* Write what stands between the quotes of a string that string_end has accepted, without its escapes.
 *
 * Returns the size, or 0 if there is nothing or more than fits.
 */
size_t unescape(position p, position last, uint8_t *out, size_t room)
{
    uint8_t *const first = out;
    while (p < last) {
        if ((size_t)(out - first) + 4 > room)
            return 0;
        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        out = put_utf8(out, escaped_point(p));
        p = skip_escape(p);
    }
    return (size_t)(out - first);
}

/* From the first byte of an object or array, which lies in so many others, to behind it; nesting deeper than
 * DEEPEST is refused. */
position skip_nested(position p, position end, unsigned outside)
{
    /* A bit for each open bracket, the innermost one kept apart: 1 is an object. */
    uint64_t outer[DEEPEST / 64];
    bool in_object = false;
    unsigned depth = 0;
    if (outside >= DEEPEST)
        return NULL;
    for (;;) {
        if (*p == '{' || *p == '[') {
            if (depth == DEEPEST - outside)
                return NULL;
            uint64_t bit = (uint64_t)1 << depth % 64;
            outer[depth / 64] = depth % 64 == 0 ? 0 : outer[depth / 64] & (bit - 1);
            outer[depth / 64] |= in_object ? bit : 0;
            depth++;
            in_object = *p == '{';
            p = skip_blanks(p + 1);
            if (*p != (in_object ? '}' : ']')) {
                if (in_object && !(p = skip_key(p, end)))
                    return NULL;
                continue;
            }
        } else {
            p = skip_scalar(p, end);
            if (!p)
                return NULL;
            p = skip_blanks(p);
        }
        /* Behind a value, or at the bracket that closes an empty object or array. */
        while (*p == (in_object ? '}' : ']')) {
            depth--;
            in_object = outer[depth / 64] >> depth % 64 & 1;
            if (depth == 0)
                return p + 1;
            if (p + 1 == end)
                return NULL;
            p = skip_blanks(p + 1);
        }
        if (*p != ',')
            return NULL;
        p = skip_blanks(p + 1);
        if (in_object && !(p = skip_key(p, end)))
            return NULL;
    }
}
