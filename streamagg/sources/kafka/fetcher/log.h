/* Lines that librdkafka's threads log, kept until the interpreter asks for them. */
#ifndef STREAMAGG_LOG_H
#define STREAMAGG_LOG_H

#include <pthread.h>
#include <stdio.h>

#include "librdkafka.h"

#define LOG_LINES 256
#define LOG_LINE_BYTES 512

typedef struct {
    int level;
    char text[LOG_LINE_BYTES];
} log_line;

static struct {
    pthread_mutex_t lock;
    log_line lines[LOG_LINES];
    int count;
    int dropped;
} kept_log = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void keep_line(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    pthread_mutex_lock(&kept_log.lock);
    if (kept_log.count < LOG_LINES) {
        log_line *line = &kept_log.lines[kept_log.count++];
        line->level = level;
        snprintf(line->text, sizeof line->text, "%s: %s", facility, text);
    } else {
        kept_log.dropped++;
    }
    pthread_mutex_unlock(&kept_log.lock);
}

#endif
