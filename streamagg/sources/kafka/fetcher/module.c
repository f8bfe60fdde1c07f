/* Fetches messages without making an object of each.
 *
 * The consumer is confluent-kafka's, with all that it configures, assigns and closes. Only the batches are
 * taken from its queue here.
 */
#include <Python.h>

#include <dlfcn.h>

#include "fetcher.h"
#include "librdkafka.h"
#include "log.h"
#include "messages.h"

static PyObject *load(PyObject *module, PyObject *args)
{
    (void)module;
    const char *path;
    if (!PyArg_ParseTuple(args, "s:load", &path))
        return NULL;
    void *library = dlopen(path, RTLD_NOW);
    const char *missing = library ? find_functions(library, dlsym) : dlerror();
    if (missing)
        return PyErr_Format(PyExc_ImportError, "librdkafka cannot be used directly: %s", missing);
    return Py_NewRef(Py_None);
}

static PyObject *take_log(PyObject *module, PyObject *ignored)
{
    (void)module, (void)ignored;
    return take_lines();
}

static PyMethodDef module_methods[] = {
    {"load", load, METH_VARARGS,
     "load(path)\n--\n\nFind librdkafka behind a library that is loaded; raises ImportError."},
    {"take_log", take_log, METH_NOARGS,
     "take_log()\n--\n\nLines logged since the last call, as pairs of syslog level and text; how many more there were."},
    {0},
};

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type && PyModule_AddType(module, (PyTypeObject *)type) < 0)
        Py_CLEAR(type);
    return (PyTypeObject *)type;
}

/* What logs and counts clients' lines is of the process: two interpreters would take each other's. A slot that says
 * so is unknown to Python 3.11. */
static int refuse_others(void)
{
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) == 0)
        return 0;
    PyErr_SetString(PyExc_ImportError, "messages are fetched in the main interpreter only");
    return -1;
}

static int fill_module(PyObject *module)
{
    types *types = PyModule_GetState(module);
    if (refuse_others() < 0 || !(types->fetched = add_type(module, &fetched_spec)) ||
        !(types->messages = add_type(module, &messages_spec)))
        return -1;
    PyTypeObject *fetcher = add_type(module, &fetcher_spec);
    Py_XDECREF((PyObject *)fetcher);
    return fetcher ? 0 : -1;
}

static int visit_state(PyObject *module, visitproc visit, void *arg)
{
    types *types = PyModule_GetState(module);
    Py_VISIT((PyObject *)types->fetched);
    Py_VISIT((PyObject *)types->messages);
    return 0;
}

static int clear_state(PyObject *module)
{
    types *types = PyModule_GetState(module);
    Py_CLEAR(types->fetched);
    Py_CLEAR(types->messages);
    return 0;
}

static void free_state(void *module)
{
    clear_state(module);
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill_module}, {0}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "streamagg.sources.kafka._fetcher",
    .m_doc = "Fetches messages without making an object of each.",
    .m_size = sizeof(types),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = visit_state,
    .m_clear = clear_state,
    .m_free = free_state,
};

PyMODINIT_FUNC PyInit__fetcher(void)
{
    return PyModuleDef_Init(&definition);
}
