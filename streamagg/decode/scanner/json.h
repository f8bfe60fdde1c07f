/* JSON text: where strings, numbers and whole values end.
 *
 * Every function gets a position in a document whose last byte is a closing brace, and returns the position
 * behind what it read, or NULL when that is not certainly right JSON. Nothing behind the document is read:
 * no token but a string can go on over that brace, and who has read a closing brace asks whether it was the
 * last byte.
 */
#ifndef STREAMAGG_JSON_H
#define STREAMAGG_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef const uint8_t *position;

/* Objects and arrays within each other, the document itself included. */
#define DEEPEST 512

static inline bool is_digit(uint8_t byte)
{
    return (uint8_t)(byte - '0') < 10;
}

static inline bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static inline position skip_blanks(position p)
{
    while (is_blank(*p))
        p++;
    return p;
}

/* The first byte that does not stand for itself in a string: a quote, a backslash or a control byte; or the end. */
static inline position plain_end(position p, position end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);
    for (; end - p >= 16; p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)p);
        __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));
        ends = _mm_or_si128(ends, _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes));
        int found = _mm_movemask_epi8(ends);
        if (found)
            return p + __builtin_ctz((unsigned)found);
    }
#endif
    while (p < end && *p > 0x1f && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* The value of four hexadecimal digits, or -1. */
static inline int hex4(position p)
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
static inline position skip_escape(position p)
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

/* From behind an opening quote to the closing one; *escaped says whether there is a backslash in between. */
static inline position string_end(position p, position end, bool *escaped)
{
    *escaped = false;
    for (;;) {
        p = plain_end(p, end);
        if (p == end)
            return NULL;
        if (*p == '"')
            return p;
        if (*p != '\\')
            return NULL;
        *escaped = true;
        p = skip_escape(p);
        if (!p)
            return NULL;
    }
}

/* Appends a code point as UTF-8; returns the position behind it. */
static inline uint8_t *put_utf8(uint8_t *out, uint32_t point)
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
static inline uint32_t escaped_point(position p)
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
static inline size_t unescape(position p, position last, uint8_t *out, size_t room)
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

static inline position skip_digits(position p)
{
    while (is_digit(*p))
        p++;
    return p;
}

/* An integer: a minus or not, then 0 or digits that do not begin with one. */
static inline position skip_integer(position p)
{
    if (*p == '-')
        p++;
    if (*p == '0')
        return p + 1;
    return is_digit(*p) ? skip_digits(p) : NULL;
}

static inline position skip_number(position p)
{
    p = skip_integer(p);
    if (!p)
        return NULL;
    if (*p == '.') {
        if (!is_digit(p[1]))
            return NULL;
        p = skip_digits(p + 1);
    }
    if (*p == 'e' || *p == 'E') {
        p += p[1] == '+' || p[1] == '-' ? 2 : 1;
        if (!is_digit(*p))
            return NULL;
        p = skip_digits(p);
    }
    return p;
}

static inline bool read_word(position p, position end, const char word[4])
{
    return end - p >= 4 && !memcmp(p, word, 4);
}

/* A string, number or literal. */
static inline position skip_scalar(position p, position end)
{
    bool escaped;
    switch (*p) {
    case '"':
        p = string_end(p + 1, end, &escaped);
        return p ? p + 1 : NULL;
    case 't':
        return read_word(p, end, "true") ? p + 4 : NULL;
    case 'f':
        return read_word(p + 1, end, "alse") ? p + 5 : NULL;
    case 'n':
        return read_word(p, end, "null") ? p + 4 : NULL;
    default:
        return skip_number(p);
    }
}

/* From the quote of a key to the first byte of its value. */
static inline position skip_key(position p, position end)
{
    bool escaped;
    if (*p != '"' || !(p = string_end(p + 1, end, &escaped)))
        return NULL;
    p = skip_blanks(p + 1);
    return *p == ':' ? skip_blanks(p + 1) : NULL;
}

/* From the first byte of an object or array, which lies in so many others, to behind it; nesting deeper than
 * DEEPEST is refused. */
static position skip_nested(position p, position end, unsigned outside)
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

/* From the first byte of any value, which lies in so many objects, to behind it. */
static inline position skip_value(position p, position end, unsigned outside)
{
    return *p == '{' || *p == '[' ? skip_nested(p, end, outside) : skip_scalar(p, end);
}

#endif
