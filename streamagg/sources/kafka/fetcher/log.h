/* Lines that librdkafka's threads log, kept until an interpreter asks for them. */
#ifndef STREAMAGG_LOG_H
#define STREAMAGG_LOG_H

#include <Python.h>

#include "librdkafka.h"

/* Called by any thread of a client, without the interpreter. */
void keep_line(const rd_kafka_t *client, int level, const char *facility, const char *text);

/* A list of the lines since the last call, as pairs of level and text, and how many more there were; NULL with an
 * exception. */
PyObject *take_lines(void);

#endif
