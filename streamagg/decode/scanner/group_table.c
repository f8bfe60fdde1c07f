#include "group_table.h"

#include <string.h>

#include "xxh3.h"

/* See model/groups.py. */
#define CHECK 0x9E3779B97F4A7C15
#define FEWEST_SLOTS 64

/* Twice the slots; half of them are used at most. */
static bool grow_slots(group_table *table)
{
    size_t slot_count = table->slot_count ? 2 * table->slot_count : FEWEST_SLOTS;
    group *groups = PyMem_Realloc(table->groups, slot_count / 2 * sizeof *groups);
    if (groups)
        table->groups = groups;
    uint32_t *slots = groups ? PyMem_Calloc(slot_count, sizeof *slots) : NULL;
    if (!slots)
        return PyErr_NoMemory(), false;
    for (size_t i = 0; i < table->count; i++) {
        size_t at = groups[i].id & (slot_count - 1);
        while (slots[at])
            at = (at + 1) & (slot_count - 1);
        slots[at] = (uint32_t)i + 1;
    }
    PyMem_Free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
    return true;
}

static bool grow_text(group_table *table, size_t size)
{
    size_t room = 2 * (table->text_room + size);
    uint8_t *text = PyMem_Realloc(table->text, room);
    if (!text)
        return PyErr_NoMemory(), false;
    table->text = text;
    table->text_room = room;
    return true;
}

static bool is_group(const group_table *table, const group *known, uint64_t id, const uint8_t *text, size_t size)
{
    return known->id == id && known->size == size && !memcmp(table->text + known->start, text, size);
}

bool find_group(group_table *table, const uint8_t *text, size_t size, uint64_t *id)
{
    *id = xxh3(text, size, table->seed);
    if (2 * table->count == table->slot_count && !grow_slots(table))
        return false;
    size_t at = *id & (table->slot_count - 1);
    for (; table->slots[at]; at = (at + 1) & (table->slot_count - 1))
        if (is_group(table, table->groups + table->slots[at] - 1, *id, text, size))
            return true;
    if (table->text_room - table->text_size < size && !grow_text(table, size))
        return false;
    memcpy(table->text + table->text_size, text, size);
    table->groups[table->count] = (group){*id, table->text_size, (uint32_t)size};
    table->text_size += size;
    table->slots[at] = (uint32_t)++table->count;
    return true;
}

PyObject *table_columns(const group_table *table)
{
    Py_ssize_t count = (Py_ssize_t)table->count;
    PyObject *ids = PyBytes_FromStringAndSize(NULL, 8 * count);
    PyObject *checks = PyBytes_FromStringAndSize(NULL, 8 * count);
    PyObject *lengths = PyBytes_FromStringAndSize(NULL, 4 * count);
    for (size_t i = 0; ids && checks && lengths && i < table->count; i++) {
        const group *known = table->groups + i;
        uint64_t check = xxh3(table->text + known->start, known->size, table->seed ^ CHECK);
        memcpy(PyBytes_AsString(ids) + 8 * i, &known->id, 8);
        memcpy(PyBytes_AsString(checks) + 8 * i, &check, 8);
        memcpy(PyBytes_AsString(lengths) + 4 * i, &known->size, 4);
    }
    /* Fails if one of the three is not there. */
    return Py_BuildValue("NNNy#", ids, checks, lengths, table->text ? (const char *)table->text : "",
                         (Py_ssize_t)table->text_size);
}

void free_table(group_table *table)
{
    PyMem_Free(table->groups);
    PyMem_Free(table->slots);
    PyMem_Free(table->text);
}
