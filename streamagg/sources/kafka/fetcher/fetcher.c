#include "fetcher.h"

#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "grouping.h"
#include "librdkafka.h"
#include "messages.h"
#include "news.h"
#include "objects.h"
#include "plugin.h"

/* Of one fetch: with records of 2.2 KB some 7,600, near the 8,000 of small ones ("Tried" in REPORT.md). */
#define MAX_BYTES (16 << 20)
/* Taken at once; between two of these it is seen how many bytes there are. */
#define MOST_AT_ONCE 500

typedef struct {
    PyObject_HEAD
    PyObject *consumer;
    rd_kafka_queue_t *queue;
    Fetched *living;
    struct news news;
    int wake[2]; /* a pipe, into which librdkafka writes when the queue is no longer empty */
} Fetcher;

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Wait until the queue may hold something, or the time is up.
 *
 * librdkafka's own waits end at a time of day: a wall clock that is set back lengthens them (its issue 2145).
 */
static void wait_for_messages(int wake, int64_t left_ms)
{
    struct pollfd readable = {.fd = wake, .events = POLLIN};
    char bytes[64];
    if (poll(&readable, 1, (int)left_ms) > 0)
        while (read(wake, bytes, sizeof bytes) > 0)
            ;
}

/* How long to wait: for the first message, and for more once there is one. */
typedef struct {
    int first_ms;
    int more_ms;
} patience;

/* Take messages until there are as many as wanted, they hold MAX_BYTES, or the time is up. */
static Py_ssize_t take_messages(Fetcher *fetcher, rd_kafka_message_t **messages, Py_ssize_t limit, patience waits)
{
    int64_t end = monotonic_ms() + waits.first_ms;
    size_t bytes = 0;
    Py_ssize_t count = 0;
    hearing = &fetcher->news;
    while (count < limit && bytes < MAX_BYTES) {
        size_t room = (size_t)(limit - count < MOST_AT_ONCE ? limit - count : MOST_AT_ONCE);
        ssize_t came = librdkafka.consume_batch_queue(fetcher->queue, 0, messages + count, room);
        if (came <= 0) {
            int64_t left_ms = end - monotonic_ms();
            if (left_ms <= 0)
                break;
            wait_for_messages(fetcher->wake[0], left_ms);
            continue;
        }
        if (count == 0)
            end = monotonic_ms() + waits.more_ms;
        for (; came > 0; came--)
            bytes += messages[count++]->size;
    }
    hearing = NULL;
    return count;
}

/* The records that come within the time-out, as a list of Messages; NULL with an exception. */
static PyObject *fetch(Fetcher *fetcher, Fetched *fetched, PyTypeObject *messages, Py_ssize_t limit, patience waits)
{
    fetched->messages = PyMem_Calloc((size_t)limit, sizeof *fetched->messages);
    if (!fetched->messages)
        return PyErr_NoMemory();
    PyThreadState *state = PyEval_SaveThread();
    fetched->count = take_messages(fetcher, fetched->messages, limit, waits);
    PyEval_RestoreThread(state);
    return fetched->count ? grouped(fetched, messages) : PyList_New(0);
}

static PyObject *Fetcher_fetch(PyObject *self, PyObject *args)
{
    Fetcher *fetcher = (Fetcher *)self;
    Py_ssize_t limit;
    patience waits;
    if (!PyArg_ParseTuple(args, "nii:fetch", &limit, &waits.first_ms, &waits.more_ms))
        return NULL;
    if (!fetcher->queue)
        return PyErr_SetString(PyExc_RuntimeError, "the fetcher is closed"), NULL;
    const types *types = PyType_GetModuleState(Py_TYPE(self));
    Fetched *fetched = allocate(types->fetched);
    if (!fetched)
        return NULL;
    fetched->list = &fetcher->living;
    fetched->next = fetcher->living;
    fetcher->living = fetched;
    PyObject *groups = fetch(fetcher, fetched, types->messages, limit, waits);
    Py_DECREF((PyObject *)fetched);
    return groups;
}

static PyObject *Fetcher_take_news(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    return take_news(&((Fetcher *)self)->news);
}

static PyObject *Fetcher_close(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    Fetcher *fetcher = (Fetcher *)self;
    for (Fetched *fetched; (fetched = fetcher->living); fetcher->living = fetched->next) {
        destroy_messages(fetched);
        fetched->list = NULL;
    }
    if (fetcher->queue) {
        librdkafka.queue_io_event_enable(fetcher->queue, -1, NULL, 0);
        librdkafka.queue_destroy(fetcher->queue);
        close(fetcher->wake[0]);
        close(fetcher->wake[1]);
    }
    fetcher->queue = NULL;
    Py_CLEAR(fetcher->consumer);
    return Py_NewRef(Py_None);
}

/* Have librdkafka write into a pipe when something comes; 0, or -1 with an exception. */
static int open_wake(Fetcher *fetcher)
{
    if (pipe(fetcher->wake) < 0)
        return PyErr_SetFromErrno(PyExc_OSError), -1;
    for (int i = 0; i < 2; i++) {
        fcntl(fetcher->wake[i], F_SETFL, O_NONBLOCK);
        fcntl(fetcher->wake[i], F_SETFD, FD_CLOEXEC);
    }
    librdkafka.queue_io_event_enable(fetcher->queue, fetcher->wake[1], ".", 1);
    return 0;
}

static PyObject *Fetcher_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"consumer", NULL};
    PyObject *consumer;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Fetcher", names, &consumer))
        return NULL;
    rd_kafka_t *client = take_newest_client();
    if (!client)
        return PyErr_SetString(PyExc_RuntimeError, "no consumer was made with this plugin"), NULL;
    Fetcher *fetcher = allocate(type);
    if (!fetcher)
        return NULL;
    fetcher->queue = librdkafka.queue_get_consumer(client);
    if (!fetcher->queue) {
        Py_DECREF((PyObject *)fetcher);
        return PyErr_SetString(PyExc_RuntimeError, "the client has no queue of a consumer"), NULL;
    }
    if (open_wake(fetcher) < 0) {
        librdkafka.queue_destroy(fetcher->queue);
        fetcher->queue = NULL;
        Py_DECREF((PyObject *)fetcher);
        return NULL;
    }
    fetcher->consumer = Py_NewRef(consumer);
    return (PyObject *)fetcher;
}

static void Fetcher_dealloc(PyObject *self)
{
    Py_DECREF(Fetcher_close(self, NULL));
    forget_news(&((Fetcher *)self)->news);
    release(self);
}

static PyMethodDef fetcher_methods[] = {
    {"fetch", Fetcher_fetch, METH_VARARGS,
     "fetch(limit, timeout_ms, more_ms)\n--\n\n"
     "Up to so many messages, by partition: the first that come within the time-out, and what comes until more_ms later."},
    {"take_news", Fetcher_take_news, METH_NOARGS,
     "take_news()\n--\n\nWhat has come since the last call and is of no partition: codes of errors, statistics in JSON."},
    {"close", Fetcher_close, METH_NOARGS, "close()\n--\n\nGive the queue back; to be called before the consumer's."},
    {0},
};

static PyType_Slot fetcher_slots[] = {
    {Py_tp_doc, "Fetcher(consumer)\n--\n\nTakes messages for the consumer that was made last with this plugin."},
    {Py_tp_new, Fetcher_new},
    {Py_tp_dealloc, Fetcher_dealloc},
    {Py_tp_methods, fetcher_methods},
    {0},
};

PyType_Spec fetcher_spec = {
    .name = "streamagg.sources.kafka._fetcher.Fetcher",
    .basicsize = sizeof(Fetcher),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = fetcher_slots,
};
