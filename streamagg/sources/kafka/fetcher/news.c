#include "news.h"

#include <stdlib.h>

_Thread_local struct news *hearing;

void hear_error(rd_kafka_t *client, int error, const char *reason, void *opaque)
{
    (void)client, (void)reason, (void)opaque;
    if (hearing && hearing->count < MOST_ERRORS)
        hearing->errors[hearing->count++] = error;
}

/* Keeps the text, which is then not librdkafka's any more. */
int hear_statistics(rd_kafka_t *client, char *json, size_t size, void *opaque)
{
    (void)client, (void)opaque;
    if (!hearing)
        return 0;
    free(hearing->statistics);
    hearing->statistics = json;
    hearing->size = size;
    return 1;
}

void forget_news(struct news *news)
{
    free(news->statistics);
    *news = (struct news){0};
}

PyObject *take_news(struct news *news)
{
    PyObject *list = PyList_New(0);
    for (int i = 0; list && i <= news->count; i++) {
        if (i == news->count && !news->statistics)
            break;
        PyObject *one = i < news->count ? PyLong_FromLong(news->errors[i])
                                        : PyUnicode_DecodeUTF8(news->statistics, (Py_ssize_t)news->size, "replace");
        if (!one || PyList_Append(list, one) < 0)
            Py_CLEAR(list);
        Py_XDECREF(one);
    }
    forget_news(news);
    return list;
}
