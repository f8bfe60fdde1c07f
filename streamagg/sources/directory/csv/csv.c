/* Records of CSV (RFC 4180) to JSON documents, as streamagg/sources/directory/csv_rows.py does it. */
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    char *text;
    size_t size, room;
    bool failed;
} buffer;

static bool make_room(buffer *to, size_t more)
{
    if (to->failed || to->size + more <= to->room)
        return !to->failed;
    size_t room = 2 * to->room + more;
    char *text = PyMem_Realloc(to->text, room);
    if (!text)
        return to->failed = true, false;
    to->text = text;
    to->room = room;
    return true;
}

static void put(buffer *to, const char *text, size_t size)
{
    if (size && make_room(to, size)) {
        memcpy(to->text + to->size, text, size);
        to->size += size;
    }
}

static void put_number(buffer *to, size_t number)
{
    int64_t value = (int64_t)number;
    put(to, (const char *)&value, sizeof value);
}

/* What is between two commas, without its quotes. */
typedef struct {
    const char *begin, *end;
    /* Quotes in it are doubled. */
    bool doubled;
} field;

typedef enum { WHOLE, INCOMPLETE, MALFORMED } outcome;

typedef struct {
    const char *text;
    size_t size;
} key;

/* The names of the columns as JSON keys, and which of them are read as numbers. */
typedef struct {
    key *keys;
    const char *numbers;
    Py_ssize_t count;
    /* Of a longer record no more is kept. */
    size_t kept;
} header;

static bool is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const char *behind_digits(const char *at, const char *end)
{
    while (is_digit(at, end))
        at++;
    return at;
}

/* By the grammar of JSON. */
static bool is_number(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    if (!is_digit(at, end))
        return false;
    at = *at == '0' ? at + 1 : behind_digits(at, end);
    if (at < end && *at == '.') {
        if (!is_digit(++at, end))
            return false;
        at = behind_digits(at, end);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        if (!is_digit(at, end))
            return false;
        at = behind_digits(at, end);
    }
    return at == end;
}

/* As a string; there is room for it. Returns where it ends. */
static char *write_string(char *out, field value)
{
    static const char digits[] = "0123456789abcdef";
    *out++ = '"';
    for (const char *at = value.begin; at < value.end; at++) {
        unsigned char c = (unsigned char)*at;
        if (c >= ' ' && c != '"' && c != '\\') {
            *out++ = *at;
        } else if (c < ' ') {
            memcpy(out, "\\u00", 4);
            out[4] = digits[c >> 4];
            out[5] = digits[c & 15];
            out += 6;
        } else {
            *out++ = '\\';
            *out++ = *at;
            at += value.doubled && c == '"';
        }
    }
    *out++ = '"';
    return out;
}

static field trimmed(field value)
{
    while (value.begin < value.end && *value.begin == ' ')
        value.begin++;
    while (value.begin < value.end && value.end[-1] == ' ')
        value.end--;
    return value;
}

static void put_field(buffer *to, const header *columns, Py_ssize_t column, field value)
{
    size_t size = (size_t)(value.end - value.begin);
    key key = columns->keys[column];
    if (!size || !make_room(to, key.size + 6 * size + 3))
        return;
    char *out = to->text + to->size;
    if (out[-1] != '{')
        *out++ = ',';
    memcpy(out, key.text, key.size);
    out += key.size;
    field number = columns->numbers[column] ? trimmed(value) : (field){0};
    if (number.begin && is_number(number.begin, number.end)) {
        memcpy(out, number.begin, (size_t)(number.end - number.begin));
        out += number.end - number.begin;
    } else {
        out = write_string(out, value);
    }
    to->size = (size_t)(out - to->text);
}

/* A field that begins with a quote; *at is set behind it. */
static outcome read_quoted(const char **at, const char *end, bool last, field *value)
{
    const char *from = *at + 1, *quote = from;
    *value = (field){.begin = from};
    for (;;) {
        quote = memchr(quote, '"', (size_t)(end - quote));
        if (!quote)
            return last ? MALFORMED : INCOMPLETE;
        if (quote + 1 == end && !last)
            return INCOMPLETE;
        if (quote + 1 == end || quote[1] != '"')
            break;
        value->doubled = true;
        quote += 2;
    }
    value->end = quote;
    *at = quote + 1;
    if (*at < end && **at == '\r') {
        if (*at + 1 == end && !last)
            return INCOMPLETE;
        *at += 1;
        return *at == end || **at == '\n' ? WHOLE : MALFORMED;
    }
    return *at == end || **at == ',' || **at == '\n' ? WHOLE : MALFORMED;
}

static outcome read_plain(const char **at, const char *end, bool last, field *value)
{
    const char *from = *at, *stop = from;
    while (stop < end && *stop != ',' && *stop != '\n' && *stop != '"')
        stop++;
    *at = stop;
    if (stop == end && !last)
        return INCOMPLETE;
    if (stop < end && *stop == '"')
        return MALFORMED;
    bool ends = stop == end || *stop == '\n';
    *value = (field){from, ends && stop > from && stop[-1] == '\r' ? stop - 1 : stop, false};
    return WHOLE;
}

/* Behind the newline that ends a record, whatever is in it: one that is not between quotes. */
static const char *behind_record(const char *at, const char *end, bool last)
{
    for (bool quoted = false; at < end; at++) {
        quoted ^= *at == '"';
        if (*at == '\n' && !quoted)
            return at + 1;
    }
    return last ? end : NULL;
}

/* One record; *at is set behind it if it is whole. */
static outcome read_record(const char **at, const char *end, bool last, const header *columns, buffer *to)
{
    put(to, "{", 1);
    for (Py_ssize_t column = 0;; column++) {
        field value;
        bool quoted = *at < end && **at == '"';
        outcome found = quoted ? read_quoted(at, end, last, &value) : read_plain(at, end, last, &value);
        if (found != WHOLE)
            return found;
        if (column == columns->count)
            return MALFORMED;
        put_field(to, columns, column, value);
        if (*at < end && **at == ',') {
            *at += 1;
            continue;
        }
        if (column + 1 != columns->count)
            return MALFORMED;
        *at += *at < end;
        put(to, "}", 1);
        return WHOLE;
    }
}

static bool is_blank(const char *at, const char *end)
{
    return at < end && (*at == '\n' || (*at == '\r' && at + 1 < end && at[1] == '\n'));
}

typedef struct {
    buffer text, starts, ends, begins;
} rows;

/* Behind a record that is longer than what is kept of one: it ends with the next newline, quoted or not. */
static const char *behind_large(const char *kept, const char *end, bool last)
{
    const char *newline = memchr(kept, '\n', (size_t)(end - kept));
    return newline ? newline + 1 : last ? end : NULL;
}

/* All whole records of a block; returns where the first one begins that is not. */
static const char *read_block(const char *begin, const char *end, bool last, const header *columns, rows *to)
{
    const char *at = begin;
    while (at < end && !to->text.failed) {
        if (is_blank(at, end)) {
            at += *at == '\r' ? 2 : 1;
            continue;
        }
        const char *record = at;
        size_t before = to->text.size;
        outcome found = read_record(&at, end, last, columns, &to->text);
        const char *behind = found == WHOLE ? at : NULL;
        if (found == MALFORMED)
            behind = behind_record(record, end, last);
        size_t size = (size_t)((behind ? behind : end) - record);
        bool large = size > columns->kept;
        if (large)
            behind = behind_large(record + columns->kept, end, last);
        if (large || found != WHOLE)
            to->text.size = before;
        if (!behind)
            return record;
        at = behind;
        if (large) {
            put(&to->text, record, columns->kept);
        } else if (found != WHOLE) {
            put(&to->text, "! ", 2);
            put(&to->text, record, size - (behind[-1] == '\n'));
        }
        put_number(&to->starts, before);
        put_number(&to->ends, to->text.size);
        put_number(&to->begins, (size_t)(record - begin));
    }
    return at;
}

static PyObject *bytes_of(const buffer *from)
{
    return PyBytes_FromStringAndSize(from->text, (Py_ssize_t)from->size);
}

static PyObject *result(const rows *from, Py_ssize_t consumed)
{
    if (from->text.failed || from->starts.failed || from->ends.failed || from->begins.failed)
        return PyErr_NoMemory();
    PyObject *text = PyByteArray_FromStringAndSize(from->text.text, (Py_ssize_t)from->text.size);
    PyObject *starts = bytes_of(&from->starts), *ends = bytes_of(&from->ends);
    PyObject *begins = bytes_of(&from->begins);
    PyObject *found = NULL;
    if (text && starts && ends && begins)
        found = Py_BuildValue("OOOOn", text, starts, ends, begins, consumed);
    Py_XDECREF(text);
    Py_XDECREF(starts);
    Py_XDECREF(ends);
    Py_XDECREF(begins);
    return found;
}

static PyObject *read_rows(const Py_buffer *block, bool last, const header *columns)
{
    rows to = {0};
    const char *begin = block->buf, *end = begin + block->len;
    const char *stop = read_block(begin, end, last, columns, &to);
    PyObject *found = result(&to, stop - begin);
    PyMem_Free(to.text.text);
    PyMem_Free(to.starts.text);
    PyMem_Free(to.ends.text);
    PyMem_Free(to.begins.text);
    return found;
}

static bool take_keys(PyObject *keys, header *columns)
{
    columns->keys = PyMem_Calloc((size_t)columns->count + 1, sizeof *columns->keys);
    if (!columns->keys)
        return PyErr_NoMemory(), false;
    for (Py_ssize_t i = 0; i < columns->count; i++) {
        char *text;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(keys, i), &text, &size) < 0)
            return false;
        columns->keys[i] = (key){text, (size_t)size};
    }
    return true;
}

static PyObject *csv_rows(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer block;
    PyObject *keys;
    const char *numbers;
    Py_ssize_t count, kept;
    int last;
    if (!PyArg_ParseTuple(args, "y*O!y#np:rows", &block, &PyTuple_Type, &keys, &numbers, &count, &kept, &last))
        return NULL;
    PyObject *found = NULL;
    header columns = {.numbers = numbers, .count = count, .kept = (size_t)kept};
    if (count != PyTuple_Size(keys) || kept < 1)
        PyErr_SetString(PyExc_ValueError, "a flag for each key, and a size");
    else if (take_keys(keys, &columns))
        found = read_rows(&block, last, &columns);
    PyMem_Free(columns.keys);
    PyBuffer_Release(&block);
    return found;
}

static PyMethodDef methods[] = {
    {"rows", csv_rows, METH_VARARGS,
     "rows(block, keys, numbers, kept, last)\n--\n\n"
     "The whole records of a block as JSON: their text; where each begins and ends in it, and begins in the "
     "block, as int64; and how much of the block that was."},
    {0},
};

static PyModuleDef_Slot slots[] = {{0}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "streamagg.sources.directory._csv",
    .m_doc = "CSV to JSON.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__csv(void)
{
    return PyModuleDef_Init(&module);
}
