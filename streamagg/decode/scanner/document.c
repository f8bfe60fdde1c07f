/* The structure of the whole document is checked, and the two fields are looked at. */
#include "document.h"

#include <Python.h>

#include "json.h"
#include "xxh3.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian machines only; elsewhere the reader in Python does this work"
#endif

#define TO_TIME 1u
#define TO_USER 2u
/* Bytes of a key with escapes, taken apart on the stack; longer ones are left to the patient reader. */
#define LONGEST_KEY 256
/* What clients of a schema registry put before a message: a zero, and a number of four bytes. */
#define REGISTRY_BYTES 5

/* What has been found of one document; the ways to the fields that led to one. */
typedef struct {
    const fields *wanted;
    position end;
    int64_t time_ms;
    uint64_t user;
    unsigned ways;
} finding;

static bool is_utf8(const uint8_t *text, size_t size)
{
    uint8_t high = 0;
    for (size_t i = 0; i < size; i++)
        high |= text[i];
    if (high < 0x80)
        return true;
    PyObject *decoded = PyUnicode_DecodeUTF8((const char *)text, (Py_ssize_t)size, NULL);
    if (!decoded)
        PyErr_Clear();
    Py_XDECREF(decoded);
    return decoded != NULL;
}

/* A string of 1 to XXH3_LONGEST bytes of UTF-8. */
static position take_text_user(position first, position end, uint64_t *user)
{
    bool escaped;
    uint8_t plain[XXH3_LONGEST + 4];
    position last = string_end(first, end, &escaped), text = first;
    if (!last)
        return NULL;
    size_t size = (size_t)(last - first);
    if (escaped) {
        size = unescape(first, last, plain, sizeof plain);
        text = plain;
    }
    if (size == 0 || size > XXH3_LONGEST || !is_utf8(text, size))
        return NULL;
    *user = xxh3(text, size);
    return last + 1;
}

/* An integer of up to XXH3_LONGEST characters. */
static position take_integer_user(position first, uint64_t *user)
{
    position last = skip_integer(first);
    if (!last || last - first > XXH3_LONGEST)
        return NULL;
    /* 1.0 and 1e3 are numbers, but no users; -0 is the user 0. */
    if (*last == '.' || (*last | 0x20) == 'e' || (first[0] == '-' && first[1] == '0'))
        return NULL;
    *user = xxh3(first, (size_t)(last - first));
    return last;
}

static inline bool is_key(const key *key, position name, size_t size)
{
    return key->size == size && *key->text == *name && !memcmp(key->text, name, size);
}

/* Which way a key leads on: bits of TO_TIME and TO_USER, those it has come along until here given. */
static unsigned ways_of(const fields *wanted, unsigned level, unsigned ways, position name, size_t size)
{
    if (ways & TO_TIME && !(level < wanted->time.count && is_key(&wanted->time.keys[level], name, size)))
        ways &= ~TO_TIME;
    if (ways & TO_USER && !(level < wanted->user.count && is_key(&wanted->user.keys[level], name, size)))
        ways &= ~TO_USER;
    return ways;
}

static position read_object(position p, finding *found, unsigned level, unsigned ways);

/* The value of a key that lies on a way: the last one of equal keys wins, whatever the first held. */
static position read_on_way(position p, finding *found, unsigned level, unsigned ways)
{
    const fields *wanted = found->wanted;
    found->ways &= ~ways;
    if (ways & TO_TIME && level + 1 == wanted->time.count) {
        found->ways |= TO_TIME;
        found->time_ms = take_time(&p, wanted->unit);
        return found->time_ms == REFUSED ? NULL : p;
    }
    if (ways & TO_USER && level + 1 == wanted->user.count) {
        found->ways |= TO_USER;
        return *p == '"' ? take_text_user(p + 1, found->end, &found->user) : take_integer_user(p, &found->user);
    }
    return *p == '{' ? read_object(p, found, level + 1, ways) : skip_value(p, found->end, level + 1);
}

/* From the first quote of a key to the first byte of its value; *ways loses those it does not lie on. */
static position read_key(position p, finding *found, unsigned level, unsigned *ways)
{
    bool escaped;
    uint8_t plain[LONGEST_KEY];
    position name = p + 1;
    if (*p != '"' || !(p = string_end(name, found->end, &escaped)))
        return NULL;
    size_t size = (size_t)(p - name);
    if (escaped) {
        size = unescape(name, p, plain, sizeof plain);
        if (size == 0)
            return NULL;
        name = plain;
    }
    *ways = ways_of(found->wanted, level, *ways, name, size);
    p = skip_blanks(p + 1);
    return *p == ':' ? skip_blanks(p + 1) : NULL;
}

/* An object on the way to the fields; recursion goes as deep as the longer path, not as the document. */
static position read_object(position p, finding *found, unsigned level, unsigned ways)
{
    p = skip_blanks(p + 1);
    if (*p == '}')
        return p + 1;
    for (;;) {
        unsigned on = ways;
        p = read_key(p, found, level, &on);
        if (!p)
            return NULL;
        p = on ? read_on_way(p, found, level, on) : skip_value(p, found->end, level + 1);
        if (!p || p == found->end)
            return NULL;
        p = skip_blanks(p);
        if (*p == '}')
            return p + 1;
        if (*p != ',')
            return NULL;
        p = skip_blanks(p + 1);
    }
}

/* The document without what it came in: the five bytes of a schema registry, a byte order mark. */
static payload unwrapped(enum framing framing, payload document)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    const uint8_t *text = document.text;
    size_t size = document.size;
    bool framed = size >= REGISTRY_BYTES && *text == 0;
    if (framing == FRAMING_REGISTRY && !framed)
        return (payload){text, 0};
    if (framing != FRAMING_NONE && framed) {
        text += REGISTRY_BYTES;
        size -= REGISTRY_BYTES;
    }
    if (size >= sizeof mark && !memcmp(text, mark, sizeof mark)) {
        text += sizeof mark;
        size -= sizeof mark;
    }
    return (payload){text, size};
}

bool read_document(const fields *wanted, payload document, int64_t *time_ms, uint64_t *user)
{
    document = unwrapped(wanted->framing, document);
    position p = document.text, end = p + document.size;
    while (end > p && is_blank(end[-1]))
        end--;
    if (end == p || end[-1] != '}')
        return false;
    p = skip_blanks(p);
    if (*p != '{')
        return false;
    finding found = {.wanted = wanted, .end = end};
    if (read_object(p, &found, 0, TO_TIME | TO_USER) != end)
        return false;
    *time_ms = found.time_ms;
    *user = found.user;
    return found.ways == (TO_TIME | TO_USER);
}
