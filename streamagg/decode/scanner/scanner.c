/* The native reader: JSON documents to columns of event times and hashed users.
 *
 * It accepts only what is certainly right, like the strict reader in Python, and leaves everything else
 * to the patient one.
 */
#include <Python.h>

#include <string.h>

#include "document.h"

typedef struct {
    PyObject_HEAD
    fields wanted;
    Py_ssize_t max_bytes;
} Scanner;

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
            read_document(&scanner->wanted, document, times_ms + i, users + i))
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
    self->wanted.unit = (enum unit)unit_number;
    self->wanted.framing = (enum framing)framing_number;
    self->max_bytes = max_bytes;
    if (!copy_path(time, &self->wanted.time) || !copy_path(user, &self->wanted.user))
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void Scanner_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free_path(&((Scanner *)self)->wanted.time);
    free_path(&((Scanner *)self)->wanted.user);
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

/* All there is belongs to the module, so that every interpreter may have its own. */
static int fill_module(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &scanner_spec, NULL);
    int failed = !type || PyModule_AddType(module, (PyTypeObject *)type) < 0;
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
