/* What a client tells that is of no partition: errors, which librdkafka has logged, and its statistics.
 *
 * librdkafka calls these functions while messages are taken, and while a client is closed: what it tells then
 * is of no interest to anybody. The interpreter is not needed here before take_news.
 */
#ifndef STREAMAGG_NEWS_H
#define STREAMAGG_NEWS_H

#include <stdlib.h>

#include "librdkafka.h"

#define MOST_ERRORS 256

struct news {
    int errors[MOST_ERRORS]; /* what comes beyond these before they are taken is not kept */
    int count;
    char *statistics; /* the latest, in JSON */
    size_t size;
};

/* Of the fetcher that is taking messages in this thread. */
static _Thread_local struct news *hearing;

static void hear_error(rd_kafka_t *client, int error, const char *reason, void *opaque)
{
    (void)client, (void)reason, (void)opaque;
    if (hearing && hearing->count < MOST_ERRORS)
        hearing->errors[hearing->count++] = error;
}

/* Keeps the text, which is then not librdkafka's any more. */
static int hear_statistics(rd_kafka_t *client, char *json, size_t size, void *opaque)
{
    (void)client, (void)opaque;
    if (!hearing)
        return 0;
    free(hearing->statistics);
    hearing->statistics = json;
    hearing->size = size;
    return 1;
}

static void forget_news(struct news *news)
{
    free(news->statistics);
    *news = (struct news){0};
}

/* Codes of errors and the statistics that have come since the last call, as a list; NULL with an exception. */
static PyObject *take_news(struct news *news)
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

#endif
