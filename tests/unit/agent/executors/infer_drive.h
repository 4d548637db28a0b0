/* SPDX-License-Identifier: Apache-2.0
 * Drives an inference executor as the device thread does, in the test's own thread, with stops at
 * chosen moments, and collects what it reports. */
#ifndef SLUICE_TESTS_INFER_DRIVE_H
#define SLUICE_TESTS_INFER_DRIVE_H

#include <time.h>
#include <unistd.h>

#include "agent/executors/infer_internal.h"
#include "tests/unit/agent/executors/infer_rig.h"

#define DRIVE_LAUNCHES 4u /* as many as the device thread queues: two for each of two lanes */
#define DRIVE_LINES_MAX 4096u

struct drive_line {
    bool seen;
    int status;
    uint32_t tokens;
    float *vector;
};

struct drive {
    struct sl_cl *cl;
    struct sl_executor *ex;
    struct sl_mailbox *events;
    struct sl_launch launches[DRIVE_LAUNCHES];
    uint32_t queued;
    /* What was reported; lines by their number. */
    struct drive_line lines[DRIVE_LINES_MAX];
    uint32_t lines_seen, units_done, asked;
    uint64_t last_done;
    /* Stops: set after a random pause of up to stop_us_max, until `stops` are spent. */
    uint32_t stops, stop_us_max;
    uint64_t seed;
};

static inline void drive_open(struct drive *d, struct sl_cl *cl, const struct sl_model_set *set,
                              uint32_t launch_ms) {
    struct sl_error err = {0};
    *d = (struct drive){.cl = cl, .seed = 11};
    assert_int_equal(sl_mailbox_create(sizeof(struct sl_device_event), 8192, &d->events, &err),
                     SL_OK);
    cl->events = d->events;
    assert_int_equal(sl_infer_executor_create(cl, set, launch_ms, &d->ex, &err), SL_OK);
    if (d->ex->ops->prepare(d->ex, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
}

static inline void drive_forget(struct drive *d) {
    for (size_t i = 0; i < DRIVE_LINES_MAX; i++) {
        free(d->lines[i].vector);
        d->lines[i] = (struct drive_line){0};
    }
    d->lines_seen = d->units_done = d->asked = 0;
    d->last_done = 0;
}

static inline void drive_close(struct drive *d) {
    drive_forget(d);
    d->ex->ops->destroy(d->ex);
    d->cl->events = NULL;
    sl_mailbox_destroy(d->events);
}

/* n_lines lines numbered from first_line; the ids are copied. */
static inline struct sl_device_unit *drive_unit(uint64_t unit_id, uint64_t epoch, const char *model,
                                                const struct sl_unit_line *lines,
                                                uint32_t n_lines) {
    size_t ids = 0;
    for (uint32_t i = 0; i < n_lines; i++) {
        ids += lines[i].n_ids;
    }
    struct sl_device_unit *u =
        calloc(1, sizeof *u + n_lines * sizeof *lines + ids * sizeof(int32_t));
    assert_non_null(u);
    u->unit_id = unit_id;
    u->epoch = epoch;
    u->n_lines = n_lines;
    snprintf(u->model, sizeof u->model, "%s", model);
    int32_t *at = (int32_t *)&u->lines[n_lines];
    for (uint32_t i = 0; i < n_lines; i++) {
        u->lines[i] = lines[i];
        u->lines[i].ids = at;
        if (lines[i].n_ids > 0) {
            memcpy(at, lines[i].ids, lines[i].n_ids * sizeof *at);
        }
        at += lines[i].n_ids;
    }
    return u;
}

static inline void drive_command(struct drive *d, struct sl_device_cmd cmd) {
    d->ex->ops->command(d->ex, &cmd);
    sl_device_cmd_fini(&cmd);
}

static inline void drive_add(struct drive *d, struct sl_device_unit *unit) {
    drive_command(
        d, (struct sl_device_cmd){.kind = SL_DEVCMD_UNIT, .epoch = unit->epoch, .unit = unit});
}

static inline void drive_collect(struct drive *d) {
    struct sl_device_event event;
    while (sl_mailbox_take(d->events, &event)) {
        if (event.kind == SL_DEVEV_LINE) {
            assert_true(event.line.line < DRIVE_LINES_MAX);
            struct drive_line *line = &d->lines[event.line.line];
            assert_false(line->seen); /* every line once */
            *line =
                (struct drive_line){true, event.line.status, event.line.tokens, event.line.vector};
            event.line.vector = NULL;
            d->lines_seen++;
        }
        if (event.kind == SL_DEVEV_UNIT_DONE) {
            d->units_done++;
            d->last_done = event.unit_id;
        }
        d->asked += event.kind == SL_DEVEV_NEED_WORK;
        sl_device_event_fini(&event);
    }
}

static inline void drive_wait_oldest(struct drive *d) {
    struct sl_launch launch = d->launches[0];
    struct sl_error err = {0};
    int64_t ignored = 0;
    assert_int_equal(clWaitForEvents(1, &launch.last), CL_SUCCESS);
    assert_int_equal(sl_cl_event_times(d->cl, launch.first, &launch.start_ns, &ignored, &err), 0);
    assert_int_equal(sl_cl_event_times(d->cl, launch.last, &ignored, &launch.end_ns, &err), 0);
    clReleaseEvent(launch.first);
    clReleaseEvent(launch.last);
    d->queued--;
    memmove(d->launches, d->launches + 1, d->queued * sizeof launch);
    if (d->ex->ops->complete(d->ex, &launch, &err) < 0) {
        fail_msg("%s", err.text);
    }
    drive_collect(d);
}

/* Stop word set, queue run out, executor told, word cleared. Returns the nanoseconds until the
 * queue was empty. */
static inline int64_t drive_stop(struct drive *d) {
    struct sl_error err = {0};
    int64_t begin = sl_clock_mono().ns;
    sl_cl_stop_set(d->cl, true);
    cl_event last = d->queued ? d->launches[d->queued - 1].last : NULL;
    if (last) {
        clWaitForEvents(1, &last);
    }
    int64_t empty = sl_clock_mono().ns;
    while (d->queued > 0) {
        drive_wait_oldest(d);
    }
    assert_int_equal(d->ex->ops->halted(d->ex, &err), SL_OK);
    sl_cl_stop_set(d->cl, false);
    return empty - begin;
}

/* One turn: fills the queue, then stops or waits. False when there was nothing to do. */
static inline bool drive_turn(struct drive *d) {
    struct sl_error err = {0};
    int rc = 1;
    while (d->queued < DRIVE_LAUNCHES && rc > 0) {
        rc = d->ex->ops->enqueue(d->ex, &d->launches[d->queued], &err);
        if (rc < 0) {
            fail_msg("%s", err.text);
        }
        d->queued += rc > 0;
    }
    drive_collect(d);
    if (d->queued == 0) {
        return false;
    }
    if (d->stops > 0) {
        d->stops--;
        usleep((useconds_t)(rig_random(&d->seed) % d->stop_us_max));
        drive_stop(d);
    } else {
        drive_wait_oldest(d);
    }
    return true;
}

static inline void drive_all(struct drive *d) {
    while (drive_turn(d)) {}
}

#endif
