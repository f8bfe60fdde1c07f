/* The native reader: JSON documents to columns of event times and hashed users.
 *
 * It accepts only what is certainly right, like the strict reader in Python, and leaves everything else
 * to the patient one. It checks the structure of the whole document and looks at the two fields.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian machines only; elsewhere the reader in Python does this work"
#endif

#include "event_time.h"
#include "json.h"
#include "xxh3.h"

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

typedef struct {
    PyObject_HEAD
    path time;
    path user;
    enum unit unit;
    enum framing framing;
    Py_ssize_t max_bytes;
} Scanner;

#define TO_TIME 1u
#define TO_USER 2u
#define LONGEST_KEY 256
#define REGISTRY_BYTES 5

/* What has been found of one document; the ways to the fields that led to one. */
typedef struct {
    const Scanner *scanner;
    position end;
    int64_t time_ms;
    uint64_t user;
    unsigned ways;
} finding;

static bool is_utf8(const uint8_t *text, size_t size)
{
    uint8_t high = 0;
    for (size_t i = 0; i < size; i++)
        high |= text[i];
    if (high < 0x80)
        return true;
    PyObject *decoded = PyUnicode_DecodeUTF8((const char *)text, (Py_ssize_t)size, NULL);
    if (!decoded)
        PyErr_Clear();
    Py_XDECREF(decoded);
    return decoded != NULL;
}

/* A string of 1 to XXH3_LONGEST bytes of UTF-8. */
static position take_text_user(position first, position end, uint64_t *user)
{
    bool escaped;
    uint8_t plain[XXH3_LONGEST + 4];
    position last = string_end(first, end, &escaped), text = first;
    if (!last)
        return NULL;
    size_t size = (size_t)(last - first);
    if (escaped) {
        size = unescape(first, last, plain, sizeof plain);
        text = plain;
    }
    if (size == 0 || size > XXH3_LONGEST || !is_utf8(text, size))
        return NULL;
    *user = xxh3(text, size);
    return last + 1;
}

/* An integer of up to XXH3_LONGEST characters. */
static position take_integer_user(position first, uint64_t *user)
{
    position last = skip_integer(first);
    if (!last || last - first > XXH3_LONGEST)
        return NULL;
    /* 1.0 and 1e3 are numbers, but no users; -0 is the user 0. */
    if (*last == '.' || (*last | 0x20) == 'e' || (first[0] == '-' && first[1] == '0'))
        return NULL;
    *user = xxh3(first, (size_t)(last - first));
    return last;
}

static inline bool is_key(const key *wanted, position name, size_t size)
{
    return wanted->size == size && *wanted->text == *name && !memcmp(wanted->text, name, size);
}

/* Which way a key leads on: bits of TO_TIME and TO_USER, those it has come along until here given. */
static unsigned ways_of(const Scanner *scanner, unsigned level, unsigned ways, position name, size_t size)
{
    if (ways & TO_TIME && !(level < scanner->time.count && is_key(&scanner->time.keys[level], name, size)))
        ways &= ~TO_TIME;
    if (ways & TO_USER && !(level < scanner->user.count && is_key(&scanner->user.keys[level], name, size)))
        ways &= ~TO_USER;
    return ways;
}

static position read_object(position p, finding *found, unsigned level, unsigned ways);

/* The value of a key that lies on a way: the last one of equal keys wins, whatever the first held. */
static position read_on_way(position p, finding *found, unsigned level, unsigned ways)
{
    const Scanner *scanner = found->scanner;
    found->ways &= ~ways;
    if (ways & TO_TIME && level + 1 == scanner->time.count) {
        found->ways |= TO_TIME;
        found->time_ms = take_time(&p, scanner->unit);
        return found->time_ms == REFUSED ? NULL : p;
    }
    if (ways & TO_USER && level + 1 == scanner->user.count) {
        found->ways |= TO_USER;
        return *p == '"' ? take_text_user(p + 1, found->end, &found->user) : take_integer_user(p, &found->user);
    }
    return *p == '{' ? read_object(p, found, level + 1, ways) : skip_value(p, found->end, level + 1);
}

/* From the first quote of a key to the first byte of its value; *ways loses those it does not lie on. */
static position read_key(position p, finding *found, unsigned level, unsigned *ways)
{
    bool escaped;
    uint8_t plain[LONGEST_KEY];
    position name = p + 1;
    if (*p != '"' || !(p = string_end(name, found->end, &escaped)))
        return NULL;
    size_t size = (size_t)(p - name);
    if (escaped) {
        size = unescape(name, p, plain, sizeof plain);
        if (size == 0)
            return NULL;
        name = plain;
    }
    *ways = ways_of(found->scanner, level, *ways, name, size);
    p = skip_blanks(p + 1);
    return *p == ':' ? skip_blanks(p + 1) : NULL;
}

/* An object on the way to the fields; recursion goes as deep as the longer path, not as the document. */
static position read_object(position p, finding *found, unsigned level, unsigned ways)
{
    p = skip_blanks(p + 1);
    if (*p == '}')
        return p + 1;
    for (;;) {
        unsigned on = ways;
        p = read_key(p, found, level, &on);
        if (!p)
            return NULL;
        p = on ? read_on_way(p, found, level, on) : skip_value(p, found->end, level + 1);
        if (!p || p == found->end)
            return NULL;
        p = skip_blanks(p);
        if (*p == '}')
            return p + 1;
        if (*p != ',')
            return NULL;
        p = skip_blanks(p + 1);
    }
}

/* What a buffer of payloads consists of: where each is in memory. */
typedef struct {
    const void *text;
    size_t size;
} payload;

/* The document without what it came in: the five bytes of a schema registry, a byte order mark. */
static payload unwrapped(enum framing framing, payload document)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    const uint8_t *text = document.text;
    size_t size = document.size;
    bool framed = size >= REGISTRY_BYTES && *text == 0;
    if (framing == FRAMING_REGISTRY && !framed)
        return (payload){0};
    if (framing != FRAMING_NONE && framed) {
        text += REGISTRY_BYTES;
        size -= REGISTRY_BYTES;
    }
    if (size >= sizeof mark && !memcmp(text, mark, sizeof mark)) {
        text += sizeof mark;
        size -= sizeof mark;
    }
    return (payload){text, size};
}

/* True if the document was certainly right, with both fields. */
static bool read_document(const Scanner *scanner, payload document, int64_t *time_ms, uint64_t *user)
{
    position p = document.text, end = p + document.size;
    while (end > p && is_blank(end[-1]))
        end--;
    if (end == p || end[-1] != '}')
        return false;
    p = skip_blanks(p);
    if (*p != '{')
        return false;
    finding found = {.scanner = scanner, .end = end};
    if (read_object(p, &found, 0, TO_TIME | TO_USER) != end)
        return false;
    *time_ms = found.time_ms;
    *user = found.user;
    return found.ways == (TO_TIME | TO_USER);
}

/* The bytes of an object; without a text if it has none. */
static payload payload_of(PyObject *object)
{
    char *text;
    Py_ssize_t size;
    if (!PyBytes_Check(object) || PyBytes_AsStringAndSize(object, &text, &size) < 0)
        return (payload){0};
    return (payload){text, (size_t)size};
}

/* A column of so many 8-byte values to write into; false with an exception if it is something else. */
static bool open_column(PyObject *column, Py_ssize_t rows, Py_buffer *view)
{
    if (PyObject_GetBuffer(column, view, PyBUF_CONTIG) < 0)
        return false;
    if (view->itemsize == 8 && view->len == rows * 8)
        return true;
    PyBuffer_Release(view);
    PyErr_SetString(PyExc_ValueError, "a column has eight bytes for each payload");
    return false;
}

/* The payloads of a call: a list of bytes, or a buffer that says where they are. */
typedef struct {
    PyObject *list;
    Py_buffer places;
    Py_ssize_t count;
} source;

static bool open_source(PyObject *payloads, source *from)
{
    if (PyList_Check(payloads)) {
        *from = (source){.list = payloads, .count = PyList_Size(payloads)};
        return true;
    }
    *from = (source){0};
    if (PyObject_GetBuffer(payloads, &from->places, PyBUF_SIMPLE) < 0)
        return false;
    from->count = from->places.len / (Py_ssize_t)sizeof(payload);
    return true;
}

static void close_source(source *from)
{
    if (!from->list)
        PyBuffer_Release(&from->places);
}

static payload payload_at(const source *from, Py_ssize_t i)
{
    return from->list ? payload_of(PyList_GetItem(from->list, i)) : ((const payload *)from->places.buf)[i];
}

static PyObject *scan_into(const Scanner *scanner, const source *from, int64_t *times_ms, uint64_t *users)
{
    PyObject *refused = PyList_New(0);
    for (Py_ssize_t i = 0; refused && i < from->count; i++) {
        payload document = payload_at(from, i);
        if (document.text && document.size <= (size_t)scanner->max_bytes &&
            read_document(scanner, unwrapped(scanner->framing, document), times_ms + i, users + i))
            continue;
        times_ms[i] = 0;
        users[i] = 0;
        PyObject *number = PyLong_FromSsize_t(i);
        if (!number || PyList_Append(refused, number) < 0)
            Py_CLEAR(refused);
        Py_XDECREF(number);
    }
    return refused;
}

static PyObject *scan_columns(const Scanner *scanner, const source *from, PyObject *times, PyObject *users)
{
    Py_buffer time_view, user_view;
    if (!open_column(times, from->count, &time_view))
        return NULL;
    PyObject *refused = NULL;
    if (open_column(users, from->count, &user_view)) {
        refused = scan_into(scanner, from, time_view.buf, user_view.buf);
        PyBuffer_Release(&user_view);
    }
    PyBuffer_Release(&time_view);
    return refused;
}

static PyObject *Scanner_scan(PyObject *self, PyObject *args)
{
    PyObject *payloads, *times, *users;
    source from;
    if (!PyArg_ParseTuple(args, "OOO:scan", &payloads, &times, &users))
        return NULL;
    if (!open_source(payloads, &from))
        return NULL;
    PyObject *refused = scan_columns((const Scanner *)self, &from, times, users);
    close_source(&from);
    return refused;
}

static void free_path(path *way)
{
    for (unsigned i = 0; i < way->count; i++)
        PyMem_Free((void *)way->keys[i].text);
    PyMem_Free(way->keys);
}

/* Copy a tuple of bytes; false with an exception. */
static bool copy_path(PyObject *tuple, path *way)
{
    Py_ssize_t count = PyTuple_Size(tuple);
    way->keys = PyMem_Calloc((size_t)count + 1, sizeof *way->keys);
    if (!way->keys)
        return PyErr_NoMemory(), false;
    for (Py_ssize_t i = 0; i < count; i++) {
        char *text;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(tuple, i), &text, &size) < 0)
            return false;
        uint8_t *copy = PyMem_Malloc((size_t)size + 1);
        if (!copy)
            return PyErr_NoMemory(), false;
        memcpy(copy, text, (size_t)size);
        way->keys[way->count++] = (key){copy, (size_t)size};
    }
    return true;
}

/* Where a word is among words that a NULL ends, or -1. */
static int index_of(const char *word, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(word, words[i]))
            return i;
    return -1;
}

static PyObject *Scanner_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"time", "user", "unit", "max_bytes", "framing", NULL};
    PyObject *time, *user;
    const char *unit, *framing;
    Py_ssize_t max_bytes;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!sns:Scanner", names, &PyTuple_Type, &time, &PyTuple_Type,
                                     &user, &unit, &max_bytes, &framing))
        return NULL;
    static const char *const units[] = {"s", "ms", "us", "ns", "iso8601", NULL};
    static const char *const framings[] = {"auto", "none", "registry", NULL};
    int unit_number = index_of(unit, units), framing_number = index_of(framing, framings);
    if (unit_number < 0)
        return PyErr_Format(PyExc_ValueError, "no such unit: %s", unit);
    if (framing_number < 0)
        return PyErr_Format(PyExc_ValueError, "no such framing: %s", framing);
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Scanner *self = (Scanner *)allocate(type, 0);
    if (!self)
        return NULL;
    self->unit = (enum unit)unit_number;
    self->framing = (enum framing)framing_number;
    self->max_bytes = max_bytes;
    if (!copy_path(time, &self->time) || !copy_path(user, &self->user))
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void Scanner_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free_path(&((Scanner *)self)->time);
    free_path(&((Scanner *)self)->user);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef scanner_methods[] = {
    {"scan", Scanner_scan, METH_VARARGS,
     "scan(payloads, event_time_ms, user)\n--\n\n"
     "Fill two columns of eight bytes a payload; returns the positions of the refused ones, which get zeros."},
    {0},
};

static PyType_Slot scanner_slots[] = {
    {Py_tp_doc, "Scanner(time, user, unit, max_bytes, framing)\n--\n\nReads two fields, each a tuple of keys from the root."},
    {Py_tp_new, Scanner_new},
    {Py_tp_dealloc, Scanner_dealloc},
    {Py_tp_methods, scanner_methods},
    {0},
};

static PyType_Spec scanner_spec = {
    .name = "streamagg.decode._scanner.Scanner",
    .basicsize = sizeof(Scanner),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = scanner_slots,
};

static int fill_module(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&scanner_spec);
    int failed = !type || PyModule_AddObjectRef(module, "Scanner", type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill_module}, {0}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "streamagg.decode._scanner",
    .m_doc = "JSON documents to columns of event times and hashed users.",
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__scanner(void)
{
    return PyModuleDef_Init(&module);
}
