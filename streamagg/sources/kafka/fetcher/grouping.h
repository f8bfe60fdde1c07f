/* What was fetched, put together by partition. */
#ifndef STREAMAGG_GROUPING_H
#define STREAMAGG_GROUPING_H

#include "messages.h"

/* A list of one object of the type Messages for each partition that something has come of; NULL with an exception. */
PyObject *grouped(Fetched *fetched, PyTypeObject *type);

#endif
