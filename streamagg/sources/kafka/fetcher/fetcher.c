/* Fetches messages without making an object of each.
 *
 * The consumer is confluent-kafka's, with all that it configures, assigns and closes. Only the batches are
 * taken from its queue here. To find the client behind it, this module is also a plugin of librdkafka, whose
 * interceptor sees every client that is made with it.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "librdkafka.h"
#include "log.h"
#include "messages.h"
#include "news.h"

#define MAX_PARTITIONS 4096
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

static rd_kafka_t *newest_client;

/* Called with the client's own configuration, before it does anything.
 *
 * confluent-kafka has set a callback for errors after the plugin was loaded, and it may run inside calls of that
 * package only.
 */
static int on_new(rd_kafka_t *client, const rd_kafka_conf_t *conf, void *opaque, char *error, size_t size)
{
    (void)opaque, (void)error, (void)size;
    librdkafka.conf_set_error_cb((rd_kafka_conf_t *)conf, hear_error);
    librdkafka.conf_set_stats_cb((rd_kafka_conf_t *)conf, hear_statistics);
    newest_client = client;
    return 0;
}

/* librdkafka calls this when a client is configured with this module as its plugin. */
__attribute__((visibility("default"))) int conf_init(rd_kafka_conf_t *conf, void **opaque, char *error, size_t size)
{
    (void)opaque;
    if (!librdkafka.conf_set_log_cb) {
        snprintf(error, size, "the plugin must be loaded by streamagg first");
        return -1;
    }
    librdkafka.conf_set_log_cb(conf, keep_line);
    return librdkafka.conf_interceptor_add_on_new(conf, "streamagg", on_new, NULL);
}

/* Where the parts of a fetch belong. */
typedef struct {
    Messages *groups[MAX_PARTITIONS];
    int count;
} grouping;

/* The number of a partition's group; a new one if it has none, -1 with an exception if that fails. */
static int group_of(grouping *into, Fetched *fetched, long partition)
{
    for (int i = into->count; i-- > 0;)
        if (into->groups[i]->partition == partition)
            return i;
    if (into->count == MAX_PARTITIONS) {
        PyErr_SetString(PyExc_OverflowError, "records of too many partitions at once");
        return -1;
    }
    Messages *group = new_messages(fetched, 0, 0);
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
static int sort_messages(grouping *into, Fetched *fetched, int *numbers)
{
    for (Py_ssize_t i = 0; i < fetched->count; i++) {
        numbers[i] = group_of(into, fetched, fetched->messages[i]->partition);
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

static PyObject *grouped(Fetched *fetched)
{
    size_t count = (size_t)fetched->count;
    grouping *into = PyMem_Calloc(1, sizeof *into);
    int *numbers = PyMem_Calloc(count, sizeof *numbers);
    rd_kafka_message_t **taken = PyMem_Calloc(count, sizeof *taken);
    fetched->payloads = PyMem_Calloc(count, sizeof *fetched->payloads);
    PyObject *list = NULL;
    if (!into || !numbers || !taken || !fetched->payloads) {
        PyErr_NoMemory();
    } else if (sort_messages(into, fetched, numbers) == 0) {
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
static PyObject *fetch(Fetcher *fetcher, Fetched *fetched, Py_ssize_t limit, patience waits)
{
    fetched->messages = PyMem_Calloc((size_t)limit, sizeof *fetched->messages);
    if (!fetched->messages)
        return PyErr_NoMemory();
    PyThreadState *state = PyEval_SaveThread();
    fetched->count = take_messages(fetcher, fetched->messages, limit, waits);
    PyEval_RestoreThread(state);
    return fetched->count ? grouped(fetched) : PyList_New(0);
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
    Fetched *fetched = allocate(fetched_type);
    if (!fetched)
        return NULL;
    fetched->list = &fetcher->living;
    fetched->next = fetcher->living;
    fetcher->living = fetched;
    PyObject *groups = fetch(fetcher, fetched, limit, waits);
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
    if (!newest_client)
        return PyErr_SetString(PyExc_RuntimeError, "no consumer was made with this plugin"), NULL;
    Fetcher *fetcher = allocate(type);
    if (!fetcher)
        return NULL;
    fetcher->queue = librdkafka.queue_get_consumer(newest_client);
    newest_client = NULL;
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

static PyType_Spec fetcher_spec = {
    .name = "streamagg.sources.kafka._fetcher.Fetcher",
    .basicsize = sizeof(Fetcher),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = fetcher_slots,
};

static PyObject *load(PyObject *module, PyObject *args)
{
    (void)module;
    const char *path;
    if (!PyArg_ParseTuple(args, "s:load", &path))
        return NULL;
    void *library = dlopen(path, RTLD_NOW);
    const char *missing = library ? find_functions(library, dlsym) : dlerror();
    if (missing)
        return PyErr_Format(PyExc_ImportError, "librdkafka cannot be used directly: %s", missing);
    return Py_NewRef(Py_None);
}

static PyObject *take_log(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    pthread_mutex_lock(&kept_log.lock);
    int count = kept_log.count, dropped = kept_log.dropped;
    PyObject *list = PyList_New(0);
    for (int i = 0; list && i < count; i++) {
        PyObject *line = Py_BuildValue("iN", kept_log.lines[i].level,
                                       PyUnicode_DecodeUTF8(kept_log.lines[i].text,
                                                            (Py_ssize_t)strlen(kept_log.lines[i].text), "replace"));
        if (!line || PyList_Append(list, line) < 0)
            Py_CLEAR(list);
        Py_XDECREF(line);
    }
    kept_log.count = kept_log.dropped = 0;
    pthread_mutex_unlock(&kept_log.lock);
    return list ? Py_BuildValue("Ni", list, dropped) : NULL;
}

static PyMethodDef module_methods[] = {
    {"load", load, METH_VARARGS,
     "load(path)\n--\n\nFind librdkafka behind a library that is loaded; raises ImportError."},
    {"take_log", take_log, METH_NOARGS,
     "take_log()\n--\n\nLines logged since the last call, as pairs of syslog level and text; how many more there were."},
    {0},
};

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec, const char *name)
{
    PyObject *type = PyType_FromSpec(spec);
    if (type && PyModule_AddObjectRef(module, name, type) < 0)
        Py_CLEAR(type);
    return (PyTypeObject *)type;
}

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "streamagg.sources.kafka._fetcher",
    .m_doc = "Fetches messages without making an object of each.",
    .m_size = -1,
    .m_methods = module_methods,
};

PyMODINIT_FUNC PyInit__fetcher(void)
{
    PyObject *made = PyModule_Create(&module);
    if (!made)
        return NULL;
    fetched_type = add_type(made, &fetched_spec, "Fetched");
    messages_type = add_type(made, &messages_spec, "Messages");
    PyTypeObject *fetcher_type = add_type(made, &fetcher_spec, "Fetcher");
    if (!fetched_type || !messages_type || !fetcher_type)
        Py_CLEAR(made);
    Py_XDECREF((PyObject *)fetcher_type);
    return made;
}
