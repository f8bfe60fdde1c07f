#include "log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Kept until Python takes them, 128 KiB in all; more of them are counted, and reported as left out. */
#define LOG_LINES 256
#define LOG_LINE_BYTES 512

typedef struct line {
    struct line *next;
    int level;
    char text[LOG_LINE_BYTES];
} line;

/* No object is made, and none let go of, while the lock is held: that may run any code (garbage is collected), and so
 * give the interpreter to a thread that wants the lock, or wait for a client whose threads want it to log.
 */
static struct {
    pthread_mutex_t lock;
    line *first;
    line **end;
    int count;
    int dropped;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER, .end = &kept.first};

void keep_line(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    pthread_mutex_lock(&kept.lock);
    line *added = kept.count < LOG_LINES ? malloc(sizeof *added) : NULL;
    if (added) {
        added->next = NULL;
        added->level = level;
        snprintf(added->text, sizeof added->text, "%s: %s", facility, text);
        *kept.end = added;
        kept.end = &added->next;
        kept.count++;
    } else {
        kept.dropped++;
    }
    pthread_mutex_unlock(&kept.lock);
}

/* All lines that are kept, which then are the caller's. */
static line *detach(int *dropped)
{
    pthread_mutex_lock(&kept.lock);
    line *first = kept.first;
    *dropped = kept.dropped;
    kept.first = NULL;
    kept.end = &kept.first;
    kept.count = kept.dropped = 0;
    pthread_mutex_unlock(&kept.lock);
    return first;
}

static int append(PyObject *list, const line *taken)
{
    PyObject *text = PyUnicode_DecodeUTF8(taken->text, (Py_ssize_t)strlen(taken->text), "replace");
    PyObject *pair = Py_BuildValue("iN", taken->level, text);
    int failed = !pair || PyList_Append(list, pair) < 0;
    Py_XDECREF(pair);
    return !failed;
}

PyObject *take_lines(void)
{
    int dropped;
    line *taken = detach(&dropped);
    PyObject *list = PyList_New(0);
    while (taken) {
        line *next = taken->next;
        if (list && !append(list, taken))
            Py_CLEAR(list);
        free(taken);
        taken = next;
    }
    return list ? Py_BuildValue("Ni", list, dropped) : NULL;
}
