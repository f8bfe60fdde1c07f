/* The type Fetcher, and what instances find in the state of their module. */
#ifndef STREAMAGG_FETCHER_H
#define STREAMAGG_FETCHER_H

#include <Python.h>

typedef struct {
    PyTypeObject *fetched;
    PyTypeObject *messages;
} types;

extern PyType_Spec fetcher_spec;

#endif
