/* Instances of the types of this module. */
#ifndef STREAMAGG_OBJECTS_H
#define STREAMAGG_OBJECTS_H

#include <Python.h>

static inline void *allocate(PyTypeObject *type)
{
    return ((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
}

static inline void release(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

#endif
