/* Documents: the fields that are wanted of each. */
#ifndef STREAMAGG_DOCUMENT_H
#define STREAMAGG_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event_time.h"
#include "group_text.h"

/* Fields are bits of a mask. */
#define MAX_FIELDS 32

typedef struct {
    const uint8_t *text;
    size_t size;
    /* The number that it is, if an array has elements of that number; else NO_INDEX. */
    uint64_t index;
} key;

#define NO_INDEX UINT64_MAX

enum kind { TO_TIME, TO_USER, TO_GROUP, TO_NUMBER, TO_HASH };

/* Where a field is, and what becomes of its value. */
typedef struct {
    /* From the root on. */
    key *keys;
    unsigned count;
    enum kind kind;
    /* The column; of TO_GROUP the place in the group. */
    unsigned place;
} field;

/* The keys so many levels below the root, as bits of fields: so most keys of a document cost one look. */
typedef struct {
    /* Those whose key here begins with a byte. */
    uint32_t begins[256];
    /* Those whose key here is an index, too. */
    uint32_t indexes;
    /* Those whose key here is the last one. */
    uint32_t ends;
} level;

/* Whether the five bytes of a schema registry stand before a document. */
enum framing { FRAMING_AUTO, FRAMING_NONE, FRAMING_REGISTRY };

/* What is wanted of every document, and what it comes in. No field's path is the beginning of another's. */
typedef struct {
    field list[MAX_FIELDS];
    unsigned count;
    uint32_t all;
    level *levels;
    /* Fields of a group; 0: there are no groups. */
    unsigned parts;
    enum unit unit;
    enum framing framing;
    /* Of all hashes. */
    uint64_t seed;
} fields;

/* What is found of a document: a cell for each column but that of the group, whose text is here instead. */
typedef struct {
    int64_t time_ms;
    uint64_t cells[MAX_FIELDS];
    /* Bits of fields whose value is none, and not null. */
    uint32_t ignored;
    size_t group_size;
    uint8_t group[LONGEST_GROUP];
} row;

/* What a buffer of payloads consists of: where each is in memory. */
typedef struct {
    const void *text;
    size_t size;
} payload;

/* True if the document was certainly right. */
bool read_document(const fields *wanted, payload document, row *row);

#endif
