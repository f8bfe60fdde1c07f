/* How the client behind a consumer is found: this module is also a plugin of librdkafka, whose interceptor sees every
 * client that is made with it. */
#ifndef STREAMAGG_PLUGIN_H
#define STREAMAGG_PLUGIN_H

#include "librdkafka.h"

/* The client that this thread has made last, once; NULL if it has made none since. */
rd_kafka_t *take_newest_client(void);

#endif
