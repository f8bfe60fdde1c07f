/* The distinct groups of a scan. */
#ifndef STREAMAGG_GROUP_TABLE_H
#define STREAMAGG_GROUP_TABLE_H

#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t id;
    size_t start;
    uint32_t size;
} group;

/* An empty one is all zeros, but for the seed of the hashes. */
typedef struct {
    uint64_t seed;
    group *groups;
    size_t count;
    /* Numbers of groups plus one, by their hashes; 0 is free. */
    uint32_t *slots;
    size_t slot_count;
    uint8_t *text;
    size_t text_size;
    size_t text_room;
} group_table;

/* The id of the group with a text of 1 to XXH3_LONGEST bytes; false with an exception. */
bool find_group(group_table *table, const uint8_t *text, size_t size, uint64_t *id);

/* The table as model.groups.GroupTexts has it: ids, checks, lengths, text. */
PyObject *table_columns(const group_table *table);

void free_table(group_table *table);

#endif
