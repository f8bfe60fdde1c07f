/* What a client tells that is of no partition: errors, which librdkafka has logged, and its statistics.
 *
 * librdkafka calls these functions while messages are taken, and while a client is closed: what it tells then
 * is of no interest to anybody. The interpreter is not needed here before take_news.
 */
#ifndef STREAMAGG_NEWS_H
#define STREAMAGG_NEWS_H

#include <Python.h>

#include "librdkafka.h"

/* A bound for what comes between two fetches. */
#define MOST_ERRORS 256

struct news {
    int errors[MOST_ERRORS]; /* what comes beyond these before they are taken is not kept */
    int count;
    char *statistics; /* the latest, in JSON */
    size_t size;
};

/* Of the fetcher that is taking messages in this thread. */
extern _Thread_local struct news *hearing;

/* Callbacks for errors and statistics. */
void hear_error(rd_kafka_t *client, int error, const char *reason, void *opaque);
int hear_statistics(rd_kafka_t *client, char *json, size_t size, void *opaque);

void forget_news(struct news *news);

/* Codes of errors and the statistics that have come since the last call, as a list; NULL with an exception. */
PyObject *take_news(struct news *news);

#endif
