#include "librdkafka.h"

struct functions librdkafka;

const char *find_functions(void *library, void *(*find)(void *, const char *))
{
    const struct {
        const char *name;
        void *place;
    } functions[] = {
        {"rd_kafka_queue_get_consumer", &librdkafka.queue_get_consumer},
        {"rd_kafka_queue_destroy", &librdkafka.queue_destroy},
        {"rd_kafka_consume_batch_queue", &librdkafka.consume_batch_queue},
        {"rd_kafka_queue_io_event_enable", &librdkafka.queue_io_event_enable},
        {"rd_kafka_message_destroy", &librdkafka.message_destroy},
        {"rd_kafka_message_timestamp", &librdkafka.message_timestamp},
        {"rd_kafka_conf_set_log_cb", &librdkafka.conf_set_log_cb},
        {"rd_kafka_conf_set_error_cb", &librdkafka.conf_set_error_cb},
        {"rd_kafka_conf_set_stats_cb", &librdkafka.conf_set_stats_cb},
        {"rd_kafka_conf_interceptor_add_on_new", &librdkafka.conf_interceptor_add_on_new},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *function = find(library, functions[i].name);
        if (!function)
            return functions[i].name;
        *(void **)functions[i].place = function;
    }
    return NULL;
}
