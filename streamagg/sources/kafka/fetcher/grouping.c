#include "grouping.h"

#include <string.h>

/* Of one fetch; an unmarshaller reads a handful of them at once. 32 KiB of pointers. */
#define MAX_PARTITIONS 4096

/* Where the parts of a fetch belong. */
typedef struct {
    Messages *groups[MAX_PARTITIONS];
    int count;
} grouping;

/* The number of a partition's group; a new one if it has none, -1 with an exception if that fails. */
static int group_of(grouping *into, Fetched *fetched, PyTypeObject *type, long partition)
{
    for (int i = into->count; i-- > 0;)
        if (into->groups[i]->partition == partition)
            return i;
    if (into->count == MAX_PARTITIONS) {
        PyErr_SetString(PyExc_OverflowError, "records of too many partitions at once");
        return -1;
    }
    Messages *group = new_messages(type, fetched, 0, 0);
    if (!group)
        return -1;
    group->partition = partition;
    into->groups[into->count] = group;
    return into->count++;
}

/* Note a record of a group or, where one has an error, its end or the first other error. */
static void note_message(Messages *group, const rd_kafka_message_t *message)
{
    if (!message->err) {
        group->count++;
        group->end = -1;
    } else if (message->err == PARTITION_EOF) {
        group->end = message->offset;
    } else if (!group->error) {
        group->error = message->err;
    }
}

/* Look at every message once: numbers[i] is its group; -1 with an exception. */
static int sort_messages(grouping *into, Fetched *fetched, PyTypeObject *type, int *numbers)
{
    for (Py_ssize_t i = 0; i < fetched->count; i++) {
        numbers[i] = group_of(into, fetched, type, fetched->messages[i]->partition);
        if (numbers[i] < 0)
            return -1;
        note_message(into->groups[numbers[i]], fetched->messages[i]);
    }
    return 0;
}

/* Put the records of each partition together, and what is none behind them all. */
static void arrange(grouping *into, Fetched *fetched, rd_kafka_message_t **taken, const int *numbers)
{
    Py_ssize_t records = 0;
    for (int g = 0; g < into->count; g++) {
        into->groups[g]->first = records;
        records += into->groups[g]->count;
        into->groups[g]->count = 0;
    }
    for (Py_ssize_t i = 0; i < fetched->count; i++) {
        Messages *group = into->groups[numbers[i]];
        Py_ssize_t place = taken[i]->err ? records++ : group->first + group->count++;
        fetched->messages[place] = taken[i];
        fetched->payloads[place] = (payload){taken[i]->payload, taken[i]->size};
    }
}

static PyObject *list_of(grouping *from)
{
    PyObject *list = PyList_New(from->count);
    for (int i = 0; list && i < from->count; i++)
        PyList_SetItem(list, i, Py_NewRef((PyObject *)from->groups[i]));
    return list;
}

PyObject *grouped(Fetched *fetched, PyTypeObject *type)
{
    size_t count = (size_t)fetched->count;
    grouping *into = PyMem_Calloc(1, sizeof *into);
    int *numbers = PyMem_Calloc(count, sizeof *numbers);
    rd_kafka_message_t **taken = PyMem_Calloc(count, sizeof *taken);
    fetched->payloads = PyMem_Calloc(count, sizeof *fetched->payloads);
    PyObject *list = NULL;
    if (!into || !numbers || !taken || !fetched->payloads) {
        PyErr_NoMemory();
    } else if (sort_messages(into, fetched, type, numbers) == 0) {
        memcpy(taken, fetched->messages, count * sizeof *taken);
        arrange(into, fetched, taken, numbers);
        list = list_of(into);
    }
    for (int i = 0; into && i < into->count; i++)
        Py_DECREF((PyObject *)into->groups[i]);
    PyMem_Free(into);
    PyMem_Free(numbers);
    PyMem_Free(taken);
    return list;
}
