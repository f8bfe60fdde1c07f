/* The native reader: JSON documents to columns of event times, hashed users, groups and values.
 *
 * It accepts only what is certainly right, like the strict reader in Python, and leaves everything else
 * to the patient one.
 */
#include <Python.h>

#include <string.h>

#include "document.h"
#include "group_table.h"

typedef struct {
    PyObject_HEAD
    fields wanted;
    Py_ssize_t max_bytes;
    /* Of a row, beside its time. */
    unsigned columns;
    unsigned group_column;
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

/* What a scan fills. */
typedef struct {
    Py_buffer times_ms;
    Py_buffer columns[MAX_FIELDS];
    unsigned open;
    group_table groups;
    PyObject *refused;
    /* Rows whose value was ignored, by column. */
    unsigned long long ignored[MAX_FIELDS];
} scan;

static bool open_columns(scan *scan, PyObject *times_ms, PyObject *columns, unsigned count, Py_ssize_t rows)
{
    if (PyTuple_Size(columns) != (Py_ssize_t)count) {
        PyErr_Format(PyExc_ValueError, "%u columns are wanted", count);
        return false;
    }
    if (!open_column(times_ms, rows, &scan->times_ms))
        return false;
    for (; scan->open < count; scan->open++)
        if (!open_column(PyTuple_GetItem(columns, scan->open), rows, &scan->columns[scan->open]))
            return false;
    return true;
}

static void close_scan(scan *scan)
{
    PyBuffer_Release(&scan->times_ms);
    while (scan->open > 0)
        PyBuffer_Release(&scan->columns[--scan->open]);
    free_table(&scan->groups);
    Py_XDECREF(scan->refused);
}

static bool refuse(scan *scan, Py_ssize_t i)
{
    PyObject *number = PyLong_FromSsize_t(i);
    bool done = number && PyList_Append(scan->refused, number) == 0;
    Py_XDECREF(number);
    return done;
}

static void put_row(scan *scan, Py_ssize_t i, const row *row)
{
    ((int64_t *)scan->times_ms.buf)[i] = row->time_ms;
    for (unsigned column = 0; column < scan->open; column++)
        ((uint64_t *)scan->columns[column].buf)[i] = row->cells[column];
}

/* False with an exception. */
static bool scan_all(const Scanner *scanner, const source *from, scan *scan)
{
    static const row blank;
    const fields *wanted = &scanner->wanted;
    row row;
    for (Py_ssize_t i = 0; i < from->count; i++) {
        payload document = payload_at(from, i);
        if (!document.text || document.size > (size_t)scanner->max_bytes || !read_document(wanted, document, &row)) {
            put_row(scan, i, &blank);
            if (!refuse(scan, i))
                return false;
            continue;
        }
        if (wanted->parts &&
            !find_group(&scan->groups, row.group, row.group_size, &row.cells[scanner->group_column]))
            return false;
        put_row(scan, i, &row);
        for (; row.ignored; row.ignored &= row.ignored - 1)
            scan->ignored[wanted->list[__builtin_ctz(row.ignored)].place]++;
    }
    return true;
}

static PyObject *ignored_of(const scan *scan)
{
    PyObject *counts = PyTuple_New(scan->open);
    for (unsigned column = 0; counts && column < scan->open; column++) {
        PyObject *count = PyLong_FromUnsignedLongLong(scan->ignored[column]);
        if (!count || PyTuple_SetItem(counts, column, count) < 0)
            Py_CLEAR(counts);
    }
    return counts;
}

static PyObject *result_of(scan *scan)
{
    PyObject *ignored = ignored_of(scan), *groups = ignored ? table_columns(&scan->groups) : NULL;
    return Py_BuildValue("ONN", scan->refused, ignored, groups);
}

static PyObject *Scanner_scan(PyObject *self, PyObject *args)
{
    const Scanner *scanner = (const Scanner *)self;
    PyObject *payloads, *times_ms, *columns, *result = NULL;
    source from;
    if (!PyArg_ParseTuple(args, "OOO!:scan", &payloads, &times_ms, &PyTuple_Type, &columns))
        return NULL;
    if (!open_source(payloads, &from))
        return NULL;
    scan scan = {.groups.seed = scanner->wanted.seed, .refused = PyList_New(0)};
    if (scan.refused && open_columns(&scan, times_ms, columns, scanner->columns, from.count) &&
        scan_all(scanner, &from, &scan))
        result = result_of(&scan);
    close_scan(&scan);
    close_source(&from);
    return result;
}

/* The number that a key is, written as JSON has integers, or NO_INDEX; no array has more than 18 digits of
 * elements. */
static uint64_t index_in(const char *text, Py_ssize_t size)
{
    uint64_t index = 0;
    if (size == 0 || size > 18 || (*text == '0' && size > 1))
        return NO_INDEX;
    for (Py_ssize_t i = 0; i < size; i++) {
        if (!is_digit((uint8_t)text[i]))
            return NO_INDEX;
        index = index * 10 + (uint64_t)(text[i] - '0');
    }
    return index;
}

/* Copy a tuple of bytes; false with an exception. */
static bool copy_keys(PyObject *tuple, field *field)
{
    Py_ssize_t count = PyTuple_Size(tuple);
    field->keys = PyMem_Calloc((size_t)count + 1, sizeof *field->keys);
    if (!field->keys)
        return PyErr_NoMemory(), false;
    for (Py_ssize_t i = 0; i < count; i++) {
        char *text;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(tuple, i), &text, &size) < 0)
            return false;
        uint8_t *copy = PyMem_Calloc((size_t)size + 1, 1);
        if (!copy)
            return PyErr_NoMemory(), false;
        memcpy(copy, text, (size_t)size);
        field->keys[field->count++] = (key){copy, (size_t)size, index_in(text, size)};
    }
    return true;
}

/* The column of the next field, or of one of a group its place there; all of a group share a column. */
static unsigned next_place(Scanner *scanner, enum kind kind)
{
    if (kind == TO_TIME)
        return 0;
    if (kind != TO_GROUP)
        return scanner->columns++;
    if (scanner->wanted.parts == 0)
        scanner->group_column = scanner->columns++;
    return scanner->wanted.parts++;
}

/* Copy what is said of a field: a kind and a tuple of keys; false with an exception. */
static bool copy_field(PyObject *said, Scanner *scanner)
{
    PyObject *keys;
    int kind;
    fields *wanted = &scanner->wanted;
    if (!PyArg_ParseTuple(said, "iO!:field", &kind, &PyTuple_Type, &keys))
        return false;
    if (kind < TO_TIME || kind > TO_HASH || (kind == TO_GROUP && wanted->parts == MAX_PARTS)) {
        PyErr_SetString(PyExc_ValueError, "no such kind of a field, or too many of it");
        return false;
    }
    field *field = &wanted->list[wanted->count++];
    field->kind = (enum kind)kind;
    field->place = next_place(scanner, field->kind);
    return copy_keys(keys, field);
}

/* What the keys of all fields are, by level; one level more, so that there always is a next one. */
static bool make_levels(fields *wanted)
{
    unsigned depth = 0;
    for (unsigned number = 0; number < wanted->count; number++)
        depth = wanted->list[number].count > depth ? wanted->list[number].count : depth;
    wanted->levels = PyMem_Calloc((size_t)depth + 1, sizeof *wanted->levels);
    if (!wanted->levels)
        return PyErr_NoMemory(), false;
    for (unsigned number = 0; number < wanted->count; number++) {
        const field *field = &wanted->list[number];
        uint32_t bit = 1u << number;
        wanted->all |= bit;
        for (unsigned i = 0; i < field->count; i++) {
            level *level = &wanted->levels[i];
            level->begins[*field->keys[i].text] |= bit;
            level->indexes |= field->keys[i].index == NO_INDEX ? 0 : bit;
            level->ends |= i + 1 == field->count ? bit : 0;
        }
    }
    return true;
}

static bool copy_fields(PyObject *said, Scanner *scanner)
{
    Py_ssize_t count = PyTuple_Size(said);
    if (count > MAX_FIELDS) {
        PyErr_Format(PyExc_ValueError, "more than %d fields", MAX_FIELDS);
        return false;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if (!copy_field(PyTuple_GetItem(said, i), scanner))
            return false;
    return make_levels(&scanner->wanted);
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
    static char *names[] = {"fields", "unit", "max_bytes", "framing", "seed", NULL};
    PyObject *wanted;
    const char *unit, *framing;
    Py_ssize_t max_bytes;
    unsigned long long seed;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!snsK:Scanner", names, &PyTuple_Type, &wanted, &unit,
                                     &max_bytes, &framing, &seed))
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
    self->wanted.seed = seed;
    if (!copy_fields(wanted, self))
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void free_fields(fields *wanted)
{
    for (unsigned number = 0; number < wanted->count; number++) {
        field *field = &wanted->list[number];
        for (unsigned i = 0; i < field->count; i++)
            PyMem_Free((void *)field->keys[i].text);
        PyMem_Free(field->keys);
    }
    PyMem_Free(wanted->levels);
}

static void Scanner_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free_fields(&((Scanner *)self)->wanted);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef scanner_methods[] = {
    {"scan", Scanner_scan, METH_VARARGS,
     "scan(payloads, event_time_ms, columns)\n--\n\n"
     "Fill columns of eight bytes a payload. Returns the positions of the refused ones, which get zeros; how many "
     "values were ignored, by column; and ids, checks, lengths and text of the groups."},
    {0},
};

static PyType_Slot scanner_slots[] = {
    {Py_tp_doc,
     "Scanner(fields, unit, max_bytes, framing, seed)\n--\n\n"
     "Reads fields, in the order of their columns: each a kind (0 time, 1 user, 2 of the group, 3 number, 4 hash) "
     "and a tuple of keys from the root."},
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
    .m_doc = "JSON documents to columns of event times, hashed users, groups and values.",
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__scanner(void)
{
    return PyModuleDef_Init(&module);
}
