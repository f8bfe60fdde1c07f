/* The text of a group: the values of its fields as a compact array of JSON, as decode/values.py makes it. */
#ifndef STREAMAGG_GROUP_TEXT_H
#define STREAMAGG_GROUP_TEXT_H

#include "json.h"

#define MAX_PARTS 4
/* Bytes of UTF-8 of one value: see model/groups.py. */
#define LONGEST_PART 256
/* A control byte takes six. */
#define LONGEST_GROUP (MAX_PARTS * (6 * LONGEST_PART + 3) + 1)

/* A string, number or literal in a document, from its first byte to behind it; absent without a first byte. */
typedef struct {
    position first;
    position last;
} part;

/* Returns the size, or 0 if it is not certainly right; whether it is UTF-8 is not looked at. */
size_t put_group(const part *parts, unsigned count, uint8_t out[LONGEST_GROUP]);

#endif
