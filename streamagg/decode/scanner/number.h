/* Numbers in JSON to the nearest double, as Python makes it. */
#ifndef STREAMAGG_NUMBER_H
#define STREAMAGG_NUMBER_H

#include "json.h"

/* From the first byte of a number to behind it, or NULL; beyond all range *value is infinite. */
position take_number(position first, double *value);

#endif
