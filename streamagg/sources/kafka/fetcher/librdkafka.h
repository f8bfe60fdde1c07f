/* The few parts of librdkafka's interface that fetching needs, found in the library that is loaded already.
 *
 * Its headers are not at hand where streamagg is built. The interface is stable through all versions 2.x;
 * types that are only passed on are void here.
 */
#ifndef STREAMAGG_LIBRDKAFKA_H
#define STREAMAGG_LIBRDKAFKA_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PARTITION_EOF (-191)

typedef void rd_kafka_t;
typedef void rd_kafka_conf_t;
typedef void rd_kafka_queue_t;

typedef struct {
    int err;
    void *topic;
    int32_t partition;
    void *payload;
    size_t size;
    void *key;
    size_t key_size;
    int64_t offset;
    void *own;
} rd_kafka_message_t;

/* What kind of time a record bears: rd_kafka_timestamp_type_t. */
enum { LOG_APPEND_TIME = 2 };

typedef void log_function(const rd_kafka_t *client, int level, const char *facility, const char *text);
typedef void error_function(rd_kafka_t *client, int error, const char *reason, void *opaque);
typedef int statistics_function(rd_kafka_t *client, char *json, size_t size, void *opaque);
typedef int on_new_function(rd_kafka_t *client, const rd_kafka_conf_t *conf, void *opaque, char *error, size_t size);

/* The same in every interpreter, as there is one librdkafka in the process. */
struct functions {
    rd_kafka_queue_t *(*queue_get_consumer)(rd_kafka_t *);
    void (*queue_destroy)(rd_kafka_queue_t *);
    ssize_t (*consume_batch_queue)(rd_kafka_queue_t *, int timeout_ms, rd_kafka_message_t **messages, size_t size);
    void (*queue_io_event_enable)(rd_kafka_queue_t *, int file, const void *payload, size_t size);
    void (*message_destroy)(rd_kafka_message_t *);
    int64_t (*message_timestamp)(const rd_kafka_message_t *, int *type);
    void (*conf_set_log_cb)(rd_kafka_conf_t *, log_function *);
    void (*conf_set_error_cb)(rd_kafka_conf_t *, error_function *);
    void (*conf_set_stats_cb)(rd_kafka_conf_t *, statistics_function *);
    int (*conf_interceptor_add_on_new)(rd_kafka_conf_t *, const char *name, on_new_function *, void *opaque);
};
extern struct functions librdkafka;

/* Finds the functions in a loaded library or in those it was linked with; the name of a missing one, or NULL. */
const char *find_functions(void *library, void *(*find)(void *, const char *));

#endif
