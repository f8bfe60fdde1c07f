#include "group_text.h"

#include <Python.h>

#include <math.h>

#include "number.h"

static uint8_t *put_bytes(uint8_t *out, const void *text, size_t size)
{
    memcpy(out, text, size);
    return out + size;
}

/* Appends a byte of a JSON string, with an escape where it needs one, as orjson does. */
static uint8_t *put_escaped(uint8_t *out, uint8_t byte)
{
    static const char letters[] = "\"\"\\\\\bb\tt\nn\ff\rr", hexadecimal[] = "0123456789abcdef";
    if (byte > 0x1f && byte != '"' && byte != '\\') {
        *out = byte;
        return out + 1;
    }
    for (const char *letter = letters; *letter; letter += 2)
        if (byte == (uint8_t)*letter)
            return put_bytes(out, (const char[]){'\\', letter[1]}, 2);
    return put_bytes(out, (const char[]){'\\', 'u', '0', '0', hexadecimal[byte >> 4], hexadecimal[byte & 15]}, 6);
}

/* Appends what stands between the quotes of a string; one without escapes is its own JSON. */
static uint8_t *put_text(uint8_t *out, position first, position last)
{
    size_t size = (size_t)(last - first);
    if (!memchr(first, '\\', size))
        return size > LONGEST_PART ? NULL : put_bytes(out, first, size);
    uint8_t plain[LONGEST_PART + 4];
    size = unescape(first, last, plain, sizeof plain);
    if (size == 0 || size > LONGEST_PART)
        return NULL;
    for (size_t i = 0; i < size; i++)
        out = put_escaped(out, plain[i]);
    return out;
}

/* Appends a number: an integer as it is written, any other as Python writes it. */
static uint8_t *put_number(uint8_t *out, position first, position last)
{
    if (skip_integer(first) == last) {
        first += first[0] == '-' && first[1] == '0';
        return last - first > LONGEST_PART ? NULL : put_bytes(out, first, (size_t)(last - first));
    }
    double value;
    if (take_number(first, &value) != last || isinf(value))
        return NULL;
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (!text)
        return PyErr_Clear(), NULL;
    out = put_bytes(out, text, strlen(text));
    PyMem_Free(text);
    return out;
}

static uint8_t *put_part(uint8_t *out, part value)
{
    position first = value.first, last = value.last;
    if (!first || *first == 'n')
        return put_bytes(out, "null", 4);
    *out++ = '"';
    if (*first == '"')
        out = put_text(out, first + 1, last - 1);
    else if (*first == 't' || *first == 'f')
        out = put_bytes(out, first, (size_t)(last - first));
    else
        out = put_number(out, first, last);
    if (out)
        *out++ = '"';
    return out;
}

size_t put_group(const part *parts, unsigned count, uint8_t out[LONGEST_GROUP])
{
    uint8_t *p = out;
    for (unsigned i = 0; i < count; i++) {
        *p++ = i ? ',' : '[';
        p = put_part(p, parts[i]);
        if (!p)
            return 0;
    }
    *p++ = ']';
    return (size_t)(p - out);
}
