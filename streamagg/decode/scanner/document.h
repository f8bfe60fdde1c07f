/* Documents: the two fields that are wanted of each. */
#ifndef STREAMAGG_DOCUMENT_H
#define STREAMAGG_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event_time.h"

typedef struct {
    const uint8_t *text;
    size_t size;
} key;

/* The keys from the root to a field. */
typedef struct {
    key *keys;
    unsigned count;
} path;

/* Whether the five bytes of a schema registry stand before a document. */
enum framing { FRAMING_AUTO, FRAMING_NONE, FRAMING_REGISTRY };

/* What is wanted of every document, and what it comes in. */
typedef struct {
    path time;
    path user;
    enum unit unit;
    enum framing framing;
} fields;

/* What a buffer of payloads consists of: where each is in memory. */
typedef struct {
    const void *text;
    size_t size;
} payload;

/* True if the document was certainly right, with both fields. */
bool read_document(const fields *wanted, payload document, int64_t *time_ms, uint64_t *user);

#endif
