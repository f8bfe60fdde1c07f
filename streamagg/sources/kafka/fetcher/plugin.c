#include "plugin.h"

#include <stdio.h>

#include "log.h"
#include "news.h"

static _Thread_local rd_kafka_t *newest_client;

/* Called with the client's own configuration, before it does anything.
 *
 * confluent-kafka has set a callback for errors after the plugin was loaded, and it may run inside calls of that
 * package only.
 */
static int on_new(rd_kafka_t *client, const rd_kafka_conf_t *conf, void *opaque, char *error, size_t size)
{
    (void)opaque, (void)error, (void)size;
    librdkafka.conf_set_error_cb((rd_kafka_conf_t *)conf, hear_error);
    librdkafka.conf_set_stats_cb((rd_kafka_conf_t *)conf, hear_statistics);
    newest_client = client;
    return 0;
}

/* librdkafka calls this when a client is configured with this module as its plugin. */
__attribute__((visibility("default"))) int conf_init(rd_kafka_conf_t *conf, void **opaque, char *error, size_t size)
{
    (void)opaque;
    if (!librdkafka.conf_set_log_cb) {
        snprintf(error, size, "the plugin must be loaded by streamagg first");
        return -1;
    }
    librdkafka.conf_set_log_cb(conf, keep_line);
    return librdkafka.conf_interceptor_add_on_new(conf, "streamagg", on_new, NULL);
}

rd_kafka_t *take_newest_client(void)
{
    rd_kafka_t *client = newest_client;
    newest_client = NULL;
    return client;
}
