/* Fetched messages as a sequence of payloads, left where librdkafka has put them. */
#ifndef STREAMAGG_MESSAGES_H
#define STREAMAGG_MESSAGES_H

#include <Python.h>

#include "librdkafka.h"

/* What the buffer of a Messages object consists of; a record without a value has no text, an empty one has. */
typedef struct {
    const void *text;
    size_t size;
} payload;

/* All messages of one fetch, destroyed together; those of a partition stand together, in offset order.
 *
 * A client waits with its end until all of these are destroyed. So they are when their fetcher closes, and who
 * still holds them then finds `messages` NULL.
 */
typedef struct fetched {
    PyObject_HEAD
    rd_kafka_message_t **messages;
    payload *payloads;
    Py_ssize_t count;
    struct fetched **list;
    struct fetched *next;
} Fetched;

/* Consecutive messages of one partition. */
typedef struct {
    PyObject_HEAD
    Fetched *fetched;
    Py_ssize_t first;
    Py_ssize_t count;
    long partition;
    long long end;
    int error;
} Messages;

extern PyType_Spec fetched_spec;
extern PyType_Spec messages_spec;

/* So many messages from the first on, NULL with an exception; the type is that of the module, Messages. */
Messages *new_messages(PyTypeObject *type, Fetched *fetched, Py_ssize_t first, Py_ssize_t count);

void destroy_messages(Fetched *fetched);

#endif
