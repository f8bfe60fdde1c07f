/* The structure of the whole document is checked, and the wanted fields are looked at. */
#include "document.h"

#include <Python.h>

#include <math.h>

#include "json.h"
#include "number.h"
#include "xxh3.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian machines only; elsewhere the reader in Python does this work"
#endif

/* Bytes of a key with escapes, taken apart on the stack; longer ones are left to the patient reader. */
#define LONGEST_KEY 256
/* What clients of a schema registry put before a message: a zero, and a number of four bytes. */
#define REGISTRY_BYTES 5

/* What has been found of one document; bits of fields, by their numbers. */
typedef struct {
    const fields *wanted;
    position end;
    row *row;
    uint32_t present;
    part parts[MAX_PARTS];
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
static position take_text_id(position first, const finding *found, uint64_t *hash)
{
    bool escaped;
    uint8_t plain[XXH3_LONGEST + 4];
    position last = string_end(first, found->end, &escaped), text = first;
    if (!last)
        return NULL;
    size_t size = (size_t)(last - first);
    if (escaped) {
        size = unescape(first, last, plain, sizeof plain);
        text = plain;
    }
    if (size == 0 || size > XXH3_LONGEST || !is_utf8(text, size))
        return NULL;
    *hash = xxh3(text, size, found->wanted->seed);
    return last + 1;
}

/* An integer of up to XXH3_LONGEST characters. */
static position take_integer_id(position first, const finding *found, uint64_t *hash)
{
    position last = skip_integer(first);
    if (!last || last - first > XXH3_LONGEST)
        return NULL;
    /* 1.0 and 1e3 are numbers, but no users; -0 is the user 0. */
    if (*last == '.' || (*last | 0x20) == 'e' || (first[0] == '-' && first[1] == '0'))
        return NULL;
    *hash = xxh3(first, (size_t)(last - first), found->wanted->seed);
    return last;
}

static position take_id(position p, const finding *found, uint64_t *hash)
{
    return *p == '"' ? take_text_id(p + 1, found, hash) : take_integer_id(p, found, hash);
}

static bool is_numeric(position p)
{
    return is_digit(*p) || *p == '-';
}

/* A value that is none, and ignored if it is not null. */
static position take_none(position p, finding *found, unsigned level, unsigned number)
{
    if (*p != 'n')
        found->row->ignored |= 1u << number;
    return skip_value(p, found->end, level + 1);
}

static position take_double(position p, finding *found, unsigned level, unsigned number)
{
    double value = NAN;
    position next = is_numeric(p) ? take_number(p, &value) : take_none(p, found, level, number);
    if (isinf(value)) {
        value = NAN;
        take_none(p, found, level, number);
    }
    /* -0 is 0. */
    value += 0.0;
    memcpy(&found->row->cells[found->wanted->list[number].place], &value, sizeof value);
    return next;
}

/* What may be an id, but not for sure, is left to the patient reader. */
static position take_hash(position p, finding *found, unsigned level, unsigned number)
{
    uint64_t *hash = &found->row->cells[found->wanted->list[number].place];
    position next = take_id(p, found, hash);
    if (next) {
        *hash += *hash == 0;
        return next;
    }
    next = take_none(p, found, level, number);
    *hash = 0;
    if (!next || (*p == '"' && next - p > 2) || (is_numeric(p) && skip_integer(p) == next))
        return NULL;
    return next;
}

static position take_part(position p, finding *found, unsigned number)
{
    if (*p == '{' || *p == '[')
        return NULL;
    position next = skip_scalar(p, found->end);
    found->parts[found->wanted->list[number].place] = (part){p, next};
    return next;
}

static position take_field(position p, finding *found, unsigned level, unsigned number)
{
    switch (found->wanted->list[number].kind) {
    case TO_TIME:
        found->row->time_ms = take_time(&p, found->wanted->unit);
        return found->row->time_ms == REFUSED ? NULL : p;
    case TO_USER:
        return take_id(p, found, &found->row->cells[found->wanted->list[number].place]);
    case TO_GROUP:
        return take_part(p, found, number);
    case TO_NUMBER:
        return take_double(p, found, level, number);
    default:
        return take_hash(p, found, level, number);
    }
}

/* The value of all these fields, which have the same path; they agree on where it ends. */
static position take_fields(position p, finding *found, unsigned level, uint32_t here)
{
    position next = NULL;
    found->present |= here;
    for (; here; here &= here - 1) {
        position last = take_field(p, found, level, (unsigned)__builtin_ctz(here));
        if (!last || (next && last != next))
            return NULL;
        next = last;
    }
    return next;
}

static inline bool is_key(const key *key, position name, size_t size)
{
    return key->size == size && !memcmp(key->text, name, size);
}

/* Which fields a key leads on to, of those whose way has come along until here. */
static uint32_t fields_at_key(const fields *wanted, unsigned level, uint32_t ways, position name, size_t size)
{
    ways &= wanted->levels[level].begins[*name];
    for (uint32_t left = ways; left; left &= left - 1) {
        unsigned number = (unsigned)__builtin_ctz(left);
        if (!is_key(&wanted->list[number].keys[level], name, size))
            ways &= ~(1u << number);
    }
    return ways;
}

/* The same of an element of an array. */
static uint32_t fields_at_index(const fields *wanted, unsigned level, uint32_t ways, uint64_t index)
{
    for (uint32_t left = ways; left; left &= left - 1) {
        unsigned number = (unsigned)__builtin_ctz(left);
        if (wanted->list[number].keys[level].index != index)
            ways &= ~(1u << number);
    }
    return ways;
}

static position read_object(position p, finding *found, unsigned level, uint32_t ways);
static position read_array(position p, finding *found, unsigned level, uint32_t ways);

/* A value that lies on a way: the last one of equal keys wins, whatever the first held. */
static position read_on_way(position p, finding *found, unsigned level, uint32_t ways)
{
    const fields *wanted = found->wanted;
    found->present &= ~ways;
    found->row->ignored &= ~ways;
    if (ways & wanted->levels[level].ends)
        return take_fields(p, found, level, ways);
    if (*p == '{')
        return read_object(p, found, level + 1, ways);
    uint32_t inside = ways & wanted->levels[level + 1].indexes;
    return *p == '[' && inside ? read_array(p, found, level + 1, inside) : skip_value(p, found->end, level + 1);
}

/* From the first quote of a key to the first byte of its value; *ways loses those it does not lie on. */
static position read_key(position p, finding *found, unsigned level, uint32_t *ways)
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
    *ways = fields_at_key(found->wanted, level, *ways, name, size);
    p = skip_blanks(p + 1);
    return *p == ':' ? skip_blanks(p + 1) : NULL;
}

/* An object on the way to the fields; recursion goes as deep as the longest path, not as the document. */
static position read_object(position p, finding *found, unsigned level, uint32_t ways)
{
    if (level == DEEPEST)
        return NULL;
    p = skip_blanks(p + 1);
    if (*p == '}')
        return p + 1;
    for (;;) {
        uint32_t on = ways;
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

/* An array on the way to the fields. */
static position read_array(position p, finding *found, unsigned level, uint32_t ways)
{
    if (level == DEEPEST)
        return NULL;
    p = skip_blanks(p + 1);
    if (*p == ']')
        return p + 1;
    for (uint64_t index = 0;; index++) {
        uint32_t on = fields_at_index(found->wanted, level, ways, index);
        p = on ? read_on_way(p, found, level, on) : skip_value(p, found->end, level + 1);
        if (!p || p == found->end)
            return NULL;
        p = skip_blanks(p);
        if (*p == ']')
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

/* Cells of fields that are not in the document, and the text of the group. */
static bool complete(finding *found)
{
    static const double none = NAN;
    const fields *wanted = found->wanted;
    row *row = found->row;
    for (uint32_t absent = wanted->all & ~found->present; absent; absent &= absent - 1) {
        const field *field = &wanted->list[__builtin_ctz(absent)];
        switch (field->kind) {
        case TO_GROUP:
            found->parts[field->place].first = NULL;
            break;
        case TO_NUMBER:
            memcpy(&row->cells[field->place], &none, sizeof none);
            break;
        case TO_HASH:
            row->cells[field->place] = 0;
            break;
        default:
            return false;
        }
    }
    if (!wanted->parts)
        return true;
    row->group_size = put_group(found->parts, wanted->parts, row->group);
    return row->group_size && row->group_size <= XXH3_LONGEST && is_utf8(row->group, row->group_size);
}

bool read_document(const fields *wanted, payload document, row *row)
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
    finding found;
    found.wanted = wanted;
    found.end = end;
    found.row = row;
    found.present = 0;
    row->ignored = 0;
    return read_object(p, &found, 0, wanted->all) == end && complete(&found);
}
