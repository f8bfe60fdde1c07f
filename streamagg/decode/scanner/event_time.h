/* Times as producers write them, to milliseconds since the epoch, rounding down: docs/decoding.md.
 *
 * What is not certainly right is refused (-1), however valid: exponents, more digits than a double holds,
 * anything out of range.
 */
#ifndef STREAMAGG_EVENT_TIME_H
#define STREAMAGG_EVENT_TIME_H

#include <stdint.h>

#include "json.h"

#define REFUSED (-1)

enum unit { SECONDS, MILLISECONDS, MICROSECONDS, NANOSECONDS, ISO8601 };

/* Reads a time as a JSON value, from its first byte, and leaves *p behind it. */
int64_t take_time(position *p, enum unit unit);

#endif
