/* The rules of core/partition_clock.py for records that are applied one by one: the same as _Pass does in Python.
 *
 * One call takes the records of a partition from the first on, until whole columns can be applied again. It
 * has no state of its own: that comes in with the call, and goes out with the result. What records carry
 * beside their times is so many bytes each, which are copied and never looked at.
 */
#include <Python.h>

#include <stddef.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian machines only; elsewhere Python does this work"
#endif

enum { MOST_WAITING = 64 };

/* A record set aside; `row` is what it carries, in memory of the caller. */
typedef struct {
    int64_t offset;
    int64_t time_ms;
    const char *row;
    int lead;
} waiting;

/* How core/ballot.py packs it: offset, time, row, lead. */
enum { PACKED_TIME = sizeof(int64_t), PACKED_ROW = 2 * sizeof(int64_t), PACKED_BESIDE_ROW = 2 * sizeof(int64_t) + 1 };

typedef struct {
    int64_t granularity_ms, offset_ms, closing_ms, max_jump_ms, past_ms;
    int lead, room;
} rules;

typedef struct {
    int has_clock;
    int64_t clock_ms;
    int agreement;
    int count;
    waiting waiting[MOST_WAITING];
} state;

/* Rows of equal width, one after the other. */
typedef struct {
    char *rows;
    size_t width, count, room;
} table;

typedef struct {
    rules rules;
    state now;
    state before;
    int64_t step_offset;
    int has_top;
    int64_t top_window;
    table taken;   /* offset, time, step offset, clock behind it */
    table carried; /* by these */
    table late;    /* offset, time, clock before it, step offset */
    table future; /* offset */
    table jumps; /* clock before it, time */
    PyObject *kept;
} pass;

static int append(table *table, const void *row)
{
    if (table->count == table->room) {
        size_t room = table->room ? 2 * table->room : 64;
        char *rows = PyMem_Realloc(table->rows, room * table->width);
        if (!rows)
            return PyErr_NoMemory(), 0;
        table->rows = rows;
        table->room = room;
    }
    memcpy(table->rows + table->count++ * table->width, row, table->width);
    return 1;
}

static PyObject *packed(const table *table)
{
    return PyBytes_FromStringAndSize(table->rows, (Py_ssize_t)(table->count * table->width));
}

static int64_t floor_divide(int64_t number, int64_t by)
{
    int64_t quotient = number / by;
    return number % by < 0 ? quotient - 1 : quotient;
}

static PyObject *clock_object(const state *state)
{
    return state->has_clock ? PyLong_FromLongLong(state->clock_ms) : Py_NewRef(Py_None);
}

/* What a record carries; 8 bytes, the usual, without a call. */
static void copy_row(char *to, const char *row, size_t width)
{
    if (width == sizeof(uint64_t))
        memcpy(to, row, sizeof(uint64_t));
    else
        memcpy(to, row, width);
}

static PyObject *waiting_object(const state *state, size_t width)
{
    PyObject *packed = PyBytes_FromStringAndSize(NULL, state->count * (Py_ssize_t)(PACKED_BESIDE_ROW + width));
    if (!packed)
        return NULL;
    char *at = PyBytes_AsString(packed);
    for (int i = 0; i < state->count; i++) {
        const waiting *record = &state->waiting[i];
        memcpy(at, &record->offset, sizeof(int64_t));
        memcpy(at + PACKED_TIME, &record->time_ms, sizeof(int64_t));
        copy_row(at + PACKED_ROW, record->row, width);
        at[PACKED_ROW + width] = (char)record->lead;
        at += PACKED_BESIDE_ROW + width;
    }
    return packed;
}

/* The state before this step, for the row that is applied next. */
static int keep(pass *pass)
{
    PyObject *moment = Py_BuildValue("nLNiN", (Py_ssize_t)pass->taken.count, (long long)pass->step_offset,
                                     clock_object(&pass->before), pass->before.agreement,
                                     waiting_object(&pass->before, pass->carried.width));
    if (!moment)
        return 0;
    int failed = PyList_Append(pass->kept, moment);
    Py_DECREF(moment);
    return !failed;
}

/* Apply one record: clock, lateness, window. */
static int take(pass *pass, int64_t offset, int64_t time_ms, const char *carried, int moves)
{
    const rules *rules = &pass->rules;
    state *now = &pass->now;
    int64_t window = floor_divide(time_ms - rules->offset_ms, rules->granularity_ms);
    if (now->has_clock) {
        if (window < floor_divide(now->clock_ms - rules->closing_ms, rules->granularity_ms)) {
            int64_t row[] = {offset, time_ms, now->clock_ms, pass->step_offset};
            return append(&pass->late, row);
        }
        if (time_ms > now->clock_ms + rules->max_jump_ms) {
            int64_t row[] = {now->clock_ms, time_ms};
            if (!append(&pass->jumps, row))
                return 0;
        }
    }
    if (!now->has_clock || (moves && time_ms > now->clock_ms)) {
        now->has_clock = 1;
        now->clock_ms = time_ms;
    }
    if (!pass->has_top || window > pass->top_window) {
        pass->has_top = 1;
        pass->top_window = window;
        if (!keep(pass))
            return 0;
    }
    int64_t row[] = {offset, time_ms, pass->step_offset, now->clock_ms};
    return append(&pass->taken, row) && append(&pass->carried, carried);
}

/* What a record says of those set aside and of the clock. */
static void vote(pass *pass, int64_t time_ms)
{
    const rules *rules = &pass->rules;
    state *now = &pass->now;
    if (now->has_clock) {
        int64_t behind_ms = now->clock_ms - time_ms;
        if (behind_ms > rules->past_ms)
            return;
        if (behind_ms > rules->max_jump_ms / 2) {
            if (now->agreement > -rules->lead)
                now->agreement--;
        } else if (now->agreement < rules->lead) {
            now->agreement++;
        }
    }
    int64_t limit_ms = time_ms + rules->max_jump_ms;
    for (int i = 0; i < now->count; i++)
        now->waiting[i].lead += now->waiting[i].time_ms <= limit_ms ? 1 : -1;
}

static void forget(state *now, int at)
{
    now->count--;
    memmove(now->waiting + at, now->waiting + at + 1, (size_t)(now->count - at) * sizeof(waiting));
}

/* Of more than there is room for, the one furthest ahead is rejected, of equals the last. */
static int set_aside(pass *pass, int64_t offset, int64_t time_ms, const char *row)
{
    state *now = &pass->now;
    now->waiting[now->count++] = (waiting){offset, time_ms, row, 0};
    if (now->count <= pass->rules.room)
        return 1;
    int farthest = 0;
    for (int i = 1; i < now->count; i++)
        if (now->waiting[i].time_ms >= now->waiting[farthest].time_ms)
            farthest = i;
    int64_t rejected = now->waiting[farthest].offset;
    forget(now, farthest);
    return append(&pass->future, &rejected);
}

/* Apply, in offset order, what leads or is within reach since the clock moved; then reject what is refuted. */
static int decide(pass *pass)
{
    const rules *rules = &pass->rules;
    state *now = &pass->now;
    for (int i = 0; i < now->count;) {
        waiting record = now->waiting[i];
        int reached = now->has_clock && record.time_ms <= now->clock_ms + rules->max_jump_ms;
        if (!reached && record.lead < rules->lead) {
            i++;
            continue;
        }
        forget(now, i);
        if (!take(pass, record.offset, record.time_ms, record.row, !reached || now->agreement > 0))
            return 0;
        i = 0;
    }
    for (int i = 0; i < now->count;) {
        if (now->waiting[i].lead > -rules->lead) {
            i++;
            continue;
        }
        int64_t rejected = now->waiting[i].offset;
        forget(now, i);
        if (!append(&pass->future, &rejected))
            return 0;
    }
    return 1;
}

/* The state before a step: of what may be set aside only as much as is. */
static void remember(pass *pass)
{
    memcpy(&pass->before, &pass->now, offsetof(state, waiting) + (size_t)pass->now.count * sizeof(waiting));
}

/* One record; 1, or 0 with an error. */
static int step(pass *pass, int64_t offset, int64_t time_ms, const char *row, int reached, int live)
{
    remember(pass);
    pass->step_offset = offset;
    int moves = pass->now.agreement > 0 || !reached;
    vote(pass, time_ms);
    int done = reached || live ? take(pass, offset, time_ms, row, moves) : set_aside(pass, offset, time_ms, row);
    return done && decide(pass);
}

/* Rows until columns can be applied again; -1 with an error. `unknown`: whether one is live is needed and not known. */
static Py_ssize_t steps(pass *pass, const Py_buffer *times, const Py_buffer *carried, const Py_buffer *offsets,
                        const Py_buffer *live, int *unknown)
{
    const int64_t *time_ms = times->buf, *offset = offsets->buf;
    const char *rows_carried = carried->buf, *flags = live->buf;
    Py_ssize_t rows = times->len / (Py_ssize_t)sizeof(int64_t);
    for (Py_ssize_t row = 0; row < rows; row++) {
        state *now = &pass->now;
        int reached = now->has_clock && time_ms[row] <= now->clock_ms + pass->rules.max_jump_ms;
        if (reached && now->agreement > 0 && now->count == 0)
            return row;
        if (!reached && !flags) {
            *unknown = 1;
            return row;
        }
        if (!step(pass, offset[row], time_ms[row], rows_carried + (size_t)row * pass->carried.width, reached,
                   flags && flags[row]))
            return -1;
    }
    return rows;
}

static int read_state(state *state, PyObject *clock, int agreement, const Py_buffer *set_aside, size_t width,
                      int room)
{
    Py_ssize_t count = set_aside->len / (Py_ssize_t)(PACKED_BESIDE_ROW + width);
    if (count > room || room >= MOST_WAITING)
        return PyErr_SetString(PyExc_ValueError, "too many records are set aside"), 0;
    state->has_clock = clock != Py_None;
    state->clock_ms = state->has_clock ? PyLong_AsLongLong(clock) : 0;
    state->agreement = agreement;
    state->count = (int)count;
    const char *at = set_aside->buf;
    for (int i = 0; i < state->count; i++) {
        waiting *record = &state->waiting[i];
        memcpy(&record->offset, at, sizeof(int64_t));
        memcpy(&record->time_ms, at + PACKED_TIME, sizeof(int64_t));
        record->row = at + PACKED_ROW;
        record->lead = (signed char)at[PACKED_ROW + width];
        at += PACKED_BESIDE_ROW + width;
    }
    return !PyErr_Occurred();
}

static PyObject *result_of(const pass *pass, Py_ssize_t rows, int unknown)
{
    return Py_BuildValue("niNiNNNNNNO", rows, unknown, clock_object(&pass->now), pass->now.agreement,
                         waiting_object(&pass->now, pass->carried.width), packed(&pass->taken),
                         packed(&pass->carried), packed(&pass->late), packed(&pass->future),
                         packed(&pass->jumps), pass->kept);
}

static PyObject *stepper_steps(PyObject *module, PyObject *arguments)
{
    (void)module;
    pass pass = {.taken = {.width = 4 * sizeof(int64_t)},
                 .late = {.width = 4 * sizeof(int64_t)},
                 .future = {.width = sizeof(int64_t)},
                 .jumps = {.width = 2 * sizeof(int64_t)}};
    rules *rules = &pass.rules;
    PyObject *clock, *result = NULL;
    long long granularity_ms, offset_ms, closing_ms, max_jump_ms, past_ms;
    int agreement, unknown = 0;
    Py_ssize_t width;
    Py_buffer set_aside, times, carried, offsets, live;
    if (!PyArg_ParseTuple(arguments, "(LLLLLii)Oiy*y*ny*y*z*:steps", &granularity_ms, &offset_ms, &closing_ms,
                          &max_jump_ms, &past_ms, &rules->lead, &rules->room, &clock, &agreement, &set_aside,
                          &times, &width, &carried, &offsets, &live))
        return NULL;
    rules->granularity_ms = granularity_ms;
    rules->offset_ms = offset_ms;
    rules->closing_ms = closing_ms;
    rules->max_jump_ms = max_jump_ms;
    rules->past_ms = past_ms;
    pass.carried.width = (size_t)width;
    pass.kept = PyList_New(0);
    if (pass.kept && read_state(&pass.now, clock, agreement, &set_aside, pass.carried.width, rules->room)) {
        Py_ssize_t rows = steps(&pass, &times, &carried, &offsets, &live, &unknown);
        if (rows >= 0)
            result = result_of(&pass, rows, unknown);
    }
    Py_XDECREF(pass.kept);
    PyMem_Free(pass.taken.rows);
    PyMem_Free(pass.carried.rows);
    PyMem_Free(pass.late.rows);
    PyMem_Free(pass.future.rows);
    PyMem_Free(pass.jumps.rows);
    PyBuffer_Release(&set_aside);
    PyBuffer_Release(&times);
    PyBuffer_Release(&carried);
    PyBuffer_Release(&offsets);
    if (live.obj)
        PyBuffer_Release(&live);
    return result;
}

static PyMethodDef methods[] = {
    {"steps", stepper_steps, METH_VARARGS,
     "steps(rules, clock_ms, agreement, set_aside, event_time_ms, width, carried, offset, live)\n--\n\n"
     "Apply records one by one until columns can be applied again; see partition_clock.py for what comes back."},
    {0},
};

static PyModuleDef_Slot slots[] = {
    {0},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "streamagg.core._stepper",
    .m_doc = "Records applied to the clock of a partition one by one.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__stepper(void)
{
    return PyModuleDef_Init(&definition);
}
