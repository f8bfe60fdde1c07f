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

/* Nested objects and arrays, the document itself included: see decode/depth.py. */
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

/* From a backslash to behind its escape; half a surrogate pair is refused. */
position skip_escape(position p);

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

/* Write what stands between the quotes of a string that string_end has accepted, without its escapes.
 *
 * Returns the size, or 0 if there is nothing or more than fits.
 */
size_t unescape(position p, position last, uint8_t *out, size_t room);

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
position skip_nested(position p, position end, unsigned outside);

/* From the first byte of any value, which lies in so many objects, to behind it. */
static inline position skip_value(position p, position end, unsigned outside)
{
    return *p == '{' || *p == '[' ? skip_nested(p, end, outside) : skip_scalar(p, end);
}

#endif
