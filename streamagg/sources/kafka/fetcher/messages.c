#include "messages.h"

#include <stdbool.h>

#include "objects.h"

void destroy_messages(Fetched *fetched)
{
    for (Py_ssize_t i = 0; i < fetched->count; i++)
        librdkafka.message_destroy(fetched->messages[i]);
    PyMem_Free(fetched->messages);
    PyMem_Free(fetched->payloads);
    fetched->messages = NULL;
    fetched->payloads = NULL;
    fetched->count = 0;
}

static void Fetched_dealloc(PyObject *self)
{
    Fetched *fetched = (Fetched *)self, **link = fetched->list;
    while (link && *link && *link != fetched)
        link = &(*link)->next;
    if (link && *link)
        *link = fetched->next;
    destroy_messages(fetched);
    release(self);
}

/* True if the messages are still there; otherwise there is an exception. */
static bool alive(const Messages *messages)
{
    if (messages->fetched->messages)
        return true;
    PyErr_SetString(PyExc_RuntimeError, "the fetcher of these messages is closed");
    return false;
}

static void Messages_dealloc(PyObject *self)
{
    Py_XDECREF((PyObject *)((Messages *)self)->fetched);
    release(self);
}

Messages *new_messages(PyTypeObject *type, Fetched *fetched, Py_ssize_t first, Py_ssize_t count)
{
    Messages *messages = allocate(type);
    if (!messages)
        return NULL;
    messages->fetched = (Fetched *)Py_NewRef((PyObject *)fetched);
    messages->first = first;
    messages->count = count;
    messages->end = -1;
    return messages;
}

static Py_ssize_t Messages_length(PyObject *self)
{
    return ((Messages *)self)->count;
}

static PyObject *Messages_item(PyObject *self, Py_ssize_t index)
{
    const Messages *messages = (const Messages *)self;
    if (index < 0 || index >= messages->count)
        return PyErr_SetString(PyExc_IndexError, "no such message"), NULL;
    if (!alive(messages))
        return NULL;
    payload found = messages->fetched->payloads[messages->first + index];
    if (!found.text)
        return Py_NewRef(Py_None);
    return PyBytes_FromStringAndSize(found.text, (Py_ssize_t)found.size);
}

static PyObject *Messages_subscript(PyObject *self, PyObject *index)
{
    Messages *messages = (Messages *)self;
    Py_ssize_t start, stop, step;
    if (!PySlice_Check(index)) {
        Py_ssize_t number = PyNumber_AsSsize_t(index, PyExc_IndexError);
        if (number == -1 && PyErr_Occurred())
            return NULL;
        return Messages_item(self, number < 0 ? number + messages->count : number);
    }
    if (PySlice_Unpack(index, &start, &stop, &step) < 0)
        return NULL;
    if (step != 1)
        return PyErr_SetString(PyExc_ValueError, "a slice of messages has no steps"), NULL;
    Py_ssize_t count = PySlice_AdjustIndices(messages->count, &start, &stop, step);
    Messages *part = new_messages(Py_TYPE(self), messages->fetched, messages->first + start, count);
    if (part)
        part->partition = messages->partition;
    return (PyObject *)part;
}

static int Messages_buffer(PyObject *self, Py_buffer *view, int flags)
{
    const Messages *messages = (const Messages *)self;
    if (!alive(messages))
        return -1;
    payload *first = messages->fetched->payloads + messages->first;
    return PyBuffer_FillInfo(view, self, first, messages->count * (Py_ssize_t)sizeof(payload), 1, flags);
}

static int64_t offset_of(const rd_kafka_message_t *message)
{
    return message->offset;
}

static int64_t timestamp_of(const rd_kafka_message_t *message)
{
    int type;
    int64_t timestamp_ms = librdkafka.message_timestamp(message, &type);
    return type == 0 ? -1 : timestamp_ms;
}

/* When the broker has appended it: a time that a producer has stamped is that of the producer's clock. */
static int64_t append_time_of(const rd_kafka_message_t *message)
{
    int type;
    int64_t timestamp_ms = librdkafka.message_timestamp(message, &type);
    return type == LOG_APPEND_TIME ? timestamp_ms : -1;
}

/* A number of each message, packed. */
static PyObject *pack(const Messages *messages, int64_t (*number_of)(const rd_kafka_message_t *))
{
    if (!alive(messages))
        return NULL;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, messages->count * (Py_ssize_t)sizeof(int64_t));
    if (!bytes)
        return NULL;
    int64_t *numbers = (int64_t *)PyBytes_AsString(bytes);
    for (Py_ssize_t i = 0; i < messages->count; i++)
        numbers[i] = number_of(messages->fetched->messages[messages->first + i]);
    return bytes;
}

static PyObject *Messages_offsets(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    return pack((const Messages *)self, offset_of);
}

static PyObject *Messages_timestamps(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    return pack((const Messages *)self, timestamp_of);
}

static PyObject *Messages_appended(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    return pack((const Messages *)self, append_time_of);
}

static PyObject *Messages_origin(PyObject *self, PyObject *argument)
{
    const Messages *messages = (const Messages *)self;
    Py_ssize_t index = PyNumber_AsSsize_t(argument, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred())
        return NULL;
    if (index < 0 || index >= messages->count)
        return PyErr_SetString(PyExc_IndexError, "no such message"), NULL;
    if (!alive(messages))
        return NULL;
    const rd_kafka_message_t *message = messages->fetched->messages[messages->first + index];
    return Py_BuildValue("y#L", message->key, (Py_ssize_t)message->key_size, (long long)timestamp_of(message));
}

static PyObject *Messages_state(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    const Messages *messages = (const Messages *)self;
    return Py_BuildValue("lLi", messages->partition, messages->end, messages->error);
}

static PyMethodDef messages_methods[] = {
    {"offsets", Messages_offsets, METH_NOARGS, "offsets()\n--\n\nOffsets as int64, packed."},
    {"timestamps", Messages_timestamps, METH_NOARGS,
     "timestamps()\n--\n\nKafka timestamps in milliseconds as int64, packed; -1 where a record has none."},
    {"appended", Messages_appended, METH_NOARGS,
     "appended()\n--\n\nWhen the broker has appended each, in milliseconds as int64, packed; -1 where it does not say."},
    {"origin", Messages_origin, METH_O,
     "origin(index)\n--\n\nKey of one message or None, and its Kafka timestamp in milliseconds; -1 if it has none."},
    {"state", Messages_state, METH_NOARGS,
     "state()\n--\n\nPartition; offset of its end or -1; code of an error that came instead of a record, or 0."},
    {0},
};

static PyType_Slot messages_slots[] = {
    {Py_tp_doc, "Consecutive messages of one partition: a sequence of their payloads."},
    {Py_tp_dealloc, Messages_dealloc},
    {Py_tp_methods, messages_methods},
    {Py_sq_length, Messages_length},
    {Py_sq_item, Messages_item},
    {Py_mp_length, Messages_length},
    {Py_mp_subscript, Messages_subscript},
    {Py_bf_getbuffer, Messages_buffer},
    {0},
};

PyType_Spec messages_spec = {
    .name = "streamagg.sources.kafka._fetcher.Messages",
    .basicsize = sizeof(Messages),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = messages_slots,
};

static PyType_Slot fetched_slots[] = {{Py_tp_dealloc, Fetched_dealloc}, {0}};

PyType_Spec fetched_spec = {
    .name = "streamagg.sources.kafka._fetcher.Fetched",
    .basicsize = sizeof(Fetched),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = fetched_slots,
};
