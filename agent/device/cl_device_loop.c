/* SPDX-License-Identifier: Apache-2.0
 * A device in service: commands, halts, switches, launches, reports. */
#include <stdlib.h>
#include <string.h>

#include "agent/device/cl_device_internal.h"
#include "agent/device/stop.h"

#define STATS_EVERY_NS SL_NS_PER_S
#define CLOCK_EVERY_NS (60 * SL_NS_PER_S)

void sl_cl_device_report(struct sl_cl_device *d, enum sl_device_event_kind kind) {
    struct sl_device_event event = {
        .kind = kind, .epoch = d->stats.epoch, .mode = d->stats.mode, .at = sl_clock_mono()};
    event.report = calloc(1, sizeof *event.report);
    if (!event.report) {
        return; /* the next one will do */
    }
    d->stats.stop_method = d->cl.stop_method;
    d->stats.stop_us_p50 = d->cl.stop_us_p50;
    d->stats.stop_us_max = d->cl.stop_us_max;
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        if (d->executors[mode]) {
            d->executors[mode]->ops->stats(d->executors[mode], &d->stats);
        }
    }
    event.report->info = d->found->info;
    event.report->stats = d->stats;
    sl_cl_emit(&d->cl, &event);
    d->stats_due_ns = event.at.ns + STATS_EVERY_NS;
}

static void emit_plain(struct sl_cl_device *d, enum sl_device_event_kind kind, int64_t at_ns) {
    struct sl_device_event event = {
        .kind = kind, .epoch = d->stats.epoch, .mode = d->stats.mode, .at = {at_ns}};
    sl_cl_emit(&d->cl, &event);
}

void sl_cl_device_dead(struct sl_cl_device *d, const struct sl_error *err) {
    struct sl_device_event event = {.kind = SL_DEVEV_FAILED,
                                    .epoch = d->stats.epoch,
                                    .mode = d->stats.mode,
                                    .at = sl_clock_mono()};
    sl_flights_abandon(d);
    d->state = SL_STATE_DEAD;
    pthread_mutex_lock(&d->lock);
    d->word_open = false;
    pthread_mutex_unlock(&d->lock);
    if (atomic_load(&d->hung)) {
        return; /* the watchdog has said so */
    }
    memcpy(event.text, err->text, sizeof event.text);
    /* A failed open leaves the cl closed, but what an event needs is in the device. */
    d->cl.index = d->base.index;
    d->cl.events = d->base.events;
    d->cl.closing = &d->closing;
    sl_cl_emit(&d->cl, &event);
}

/* The stop word is set, by a halt or here. Everything queued is completed and decided upon. */
static int empty_queue(struct sl_cl_device *d, struct sl_error *err) {
    int rc = sl_flights_drain(d, err);
    if (rc != SL_OK) {
        return rc;
    }
    d->now->cut = false;
    d->starved = true;
    return d->now->ops->halted(d->now, err);
}

static void set_word(struct sl_cl_device *d) {
    pthread_mutex_lock(&d->lock);
    sl_cl_stop_set(&d->cl, true);
    pthread_mutex_unlock(&d->lock);
}

bool sl_cl_device_halt_wanted(struct sl_cl_device *d) {
    pthread_mutex_lock(&d->lock);
    bool wanted = d->halts != d->halts_done;
    pthread_mutex_unlock(&d->lock);
    return wanted;
}

/* With the queue empty: all halts up to this moment are done, later ones set the word again. */
static void finish_halts(struct sl_cl_device *d, int64_t *ret_asked_ns, int64_t *ret_empty_ns) {
    pthread_mutex_lock(&d->lock);
    *ret_empty_ns = sl_clock_mono().ns;
    *ret_asked_ns = d->halts != d->halts_done ? d->halt_ns : 0;
    d->halts_done = d->halts;
    d->cuts_done = d->cuts;
    d->hashing = false; /* until a mode says so */
    sl_cl_stop_set(&d->cl, false);
    pthread_mutex_unlock(&d->lock);
}

static void set_hashing(struct sl_cl_device *d, bool hashing) {
    pthread_mutex_lock(&d->lock);
    d->hashing = hashing;
    pthread_mutex_unlock(&d->lock);
}

/* The loop has set the stop word because a new job makes the old one worthless. */
bool sl_cl_device_cut_wanted(struct sl_cl_device *d) {
    pthread_mutex_lock(&d->lock);
    bool wanted = d->cuts != d->cuts_done;
    pthread_mutex_unlock(&d->lock);
    return wanted;
}

static int do_halt(struct sl_cl_device *d, struct sl_error *err) {
    int64_t asked = 0;
    int64_t empty = 0;
    bool ran = d->state == SL_STATE_RUNNING;
    int rc = ran ? empty_queue(d, err) : SL_OK;
    if (rc != SL_OK) {
        return rc;
    }
    finish_halts(d, &asked, &empty);
    if (ran) {
        d->halt_span_ns = empty - asked;
    }
    d->state = SL_STATE_HALTED;
    emit_plain(d, SL_DEVEV_HALTED, empty);
    return SL_OK;
}

/* Work of the same mode goes on; only what is queued is worthless. A halt that comes meanwhile
 * keeps the word set; a cut is done with, as the queue is empty. */
static int do_cut(struct sl_cl_device *d, struct sl_error *err) {
    set_word(d);
    int rc = empty_queue(d, err);
    pthread_mutex_lock(&d->lock);
    d->cuts_done = d->cuts;
    if (rc == SL_OK && d->halts == d->halts_done) {
        sl_cl_stop_set(&d->cl, false);
    }
    pthread_mutex_unlock(&d->lock);
    return rc;
}

static void note_power(struct sl_cl_device *d, int64_t now_ns, bool mode_ends);

static void started(struct sl_cl_device *d, int64_t at_ns) {
    enum sl_mode to = d->stats.mode;
    d->started_wanted = false;
    emit_plain(d, SL_DEVEV_STARTED, at_ns);
    d->stats_due_ns = 0; /* a change: report it now */
    if (d->sample_good && d->from_mode != to) {
        sl_switch_sample(d, d->from_mode, to, d->halt_span_ns + at_ns - d->mode_ns);
    }
}

static int do_mode(struct sl_cl_device *d, struct sl_error *err) {
    int64_t asked = 0;
    int64_t empty = 0;
    d->mode_ns = sl_clock_mono().ns;
    if (d->state == SL_STATE_RUNNING) {
        int64_t begin = d->mode_ns;
        set_word(d);
        int rc = empty_queue(d, err);
        if (rc != SL_OK) {
            return rc;
        }
        finish_halts(d, &asked, &empty);
        d->halt_span_ns = empty - begin;
        d->mode_ns = empty;
        if (asked) {
            /* Somebody asked while we were at it: the queue was empty just now. */
            emit_plain(d, SL_DEVEV_HALTED, empty);
        }
    }
    note_power(d, d->mode_ns, true);
    d->next_wanted = false;
    d->from_mode = d->stats.mode;
    d->stats.mode = d->next_mode;
    d->stats.epoch = d->next_epoch;
    d->now = d->executors[d->next_mode];
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        struct sl_device_cmd cmd = {
            .kind = SL_DEVCMD_MODE, .mode = d->next_mode, .epoch = d->next_epoch};
        if (d->executors[mode]) {
            d->executors[mode]->epoch = d->next_epoch;
            d->executors[mode]->ops->command(d->executors[mode], &cmd);
            d->executors[mode]->cut = false;
        }
    }
    d->state = SL_STATE_RUNNING;
    set_hashing(d, d->next_mode == SL_MODE_HASH);
    d->started_wanted = true;
    d->sample_good = true;
    if (d->next_mode == SL_MODE_IDLE) {
        started(d, d->mode_ns);
    }
    return SL_OK;
}

/* A device without that executor still owes an answer for every line. */
static void refuse_unit(struct sl_cl_device *d, const struct sl_device_unit *unit) {
    for (uint32_t i = 0; unit && i < unit->n_lines; i++) {
        struct sl_device_event event = {.kind = SL_DEVEV_LINE,
                                        .epoch = unit->epoch,
                                        .mode = SL_MODE_INFER,
                                        .unit_id = unit->unit_id,
                                        .at = sl_clock_mono()};
        event.line.unit_id = unit->unit_id;
        event.line.line = unit->lines[i].line;
        event.line.input = unit->lines[i].input;
        event.line.status = -SL_DEVICE;
        sl_cl_emit(&d->cl, &event);
    }
    if (unit) {
        struct sl_device_event done = {.kind = SL_DEVEV_UNIT_DONE,
                                       .epoch = unit->epoch,
                                       .mode = SL_MODE_INFER,
                                       .unit_id = unit->unit_id,
                                       .at = sl_clock_mono()};
        sl_cl_emit(&d->cl, &done);
    }
}

static void pass_on(struct sl_cl_device *d, enum sl_mode mode, struct sl_device_cmd *cmd) {
    struct sl_executor *ex = d->executors[mode];
    if (!ex) {
        if (cmd->kind == SL_DEVCMD_UNIT) {
            refuse_unit(d, cmd->unit);
        }
        return;
    }
    ex->ops->command(ex, cmd);
    /* With nothing queued there is nothing to cut. */
    if (ex != d->now || d->flight_count == 0) {
        ex->cut = false;
    }
}

static void take_command(struct sl_cl_device *d, struct sl_device_cmd *cmd) {
    bool dead = d->state == SL_STATE_DEAD;
    switch (cmd->kind) {
    case SL_DEVCMD_MODE:
        d->next_wanted = !dead;
        d->next_mode = cmd->mode;
        d->next_epoch = cmd->epoch;
        break;
    case SL_DEVCMD_JOB:
        if (!dead) {
            pass_on(d, SL_MODE_HASH, cmd);
        }
        break;
    case SL_DEVCMD_UNIT:
    case SL_DEVCMD_DROP:
        if (!dead) {
            pass_on(d, SL_MODE_INFER, cmd);
        }
        break;
    case SL_DEVCMD_CANARY:
        d->canary_wanted = !dead;
        break;
    case SL_DEVCMD_QUIT:
        d->quit = true;
        break;
    case SL_DEVCMD_INVALID: /* only wakes the thread */
        break;
    }
    sl_device_cmd_fini(cmd);
}

static void take_commands(struct sl_cl_device *d) {
    struct sl_device_cmd cmd;
    while (!d->quit && sl_mailbox_take(d->commands, &cmd)) {
        take_command(d, &cmd);
    }
}

/* Energy belongs to a mode only when it ran through the whole span. */
static void note_power(struct sl_cl_device *d, int64_t now_ns, bool mode_ends) {
    int64_t mw = 0;
    struct sl_watts *watts = &d->stats.watts[d->stats.mode];
    if (!d->power_open) {
        return;
    }
    if (sl_power_read(&d->power, (struct sl_mono){now_ns}, &mw)) {
        if (!d->power_mixed) {
            bool first = watts->source != SL_SOURCE_MEASURED;
            watts->mw = first ? mw : watts->mw + (mw - watts->mw) / 4;
            watts->source = SL_SOURCE_MEASURED;
        }
        d->power_mixed = false;
    } else if (mode_ends) {
        d->power_mixed = true;
    }
}

static int tick(struct sl_cl_device *d, int64_t now_ns, struct sl_error *err) {
    if (now_ns >= d->stats_due_ns) {
        note_power(d, now_ns, false);
        sl_cl_device_report(d, SL_DEVEV_STATS);
        if (d->cl.clock_event) {
            return sl_cl_clock_sync(&d->cl, d->flight_count == 0, err);
        }
    }
    if (now_ns >= d->clock_due_ns) {
        d->clock_due_ns = now_ns + CLOCK_EVERY_NS;
        return sl_cl_clock_sync(&d->cl, d->flight_count == 0, err);
    }
    return SL_OK;
}

/* Sleeps until something can have happened; a command or a halt ends it. */
static int wait_for_something(struct sl_cl_device *d, struct sl_error *err) {
    struct sl_device_cmd cmd;
    int64_t now_ns = sl_clock_mono().ns;
    bool running = d->state == SL_STATE_RUNNING;
    int64_t until = running && d->flight_count ? sl_flights_wake_ns(d, now_ns) : d->stats_due_ns;
    if (until > now_ns) {
        sl_watch_end(d);
        int got = sl_mailbox_take_wait(d->commands, until - now_ns, &cmd);
        sl_watch_alive(d);
        if (got == SL_OK) {
            take_command(d, &cmd);
        }
        d->quit = d->quit || got == -SL_CLOSED;
        return SL_OK;
    }
    /* Time to queue the second launch of a device without a stop word, before waiting. */
    int rc = running ? sl_flights_fill(d, err) : SL_OK;
    if (rc != SL_OK || d->flight_count == 0) {
        return rc;
    }
    int64_t start_ns = 0;
    rc = sl_flights_complete(d, &start_ns, err);
    if (rc == SL_OK && d->started_wanted) {
        started(d, start_ns);
    }
    return rc;
}

static int turn(struct sl_cl_device *d, struct sl_error *err) {
    take_commands(d);
    if (d->quit) {
        return SL_OK;
    }
    if (atomic_load(&d->hung)) {
        return sl_fail(err, SL_DEVICE, "the device was given up");
    }
    if (sl_cl_device_halt_wanted(d)) {
        return do_halt(d, err);
    }
    if (d->next_wanted) {
        return do_mode(d, err);
    }
    if (d->state == SL_STATE_RUNNING) {
        int tested = sl_cl_device_canary(d, err);
        if (tested != SL_OK || sl_cl_device_halt_wanted(d)) {
            return tested;
        }
        if (d->now->cut || sl_cl_device_cut_wanted(d)) {
            int rc = do_cut(d, err);
            if (rc != SL_OK || sl_cl_device_halt_wanted(d)) {
                return rc;
            }
        }
        int rc = sl_flights_fill(d, err);
        if (rc != SL_OK) {
            return rc;
        }
        if (d->started_wanted && d->flight_count == 0) {
            d->sample_good = false; /* what it waits for is work */
        }
    }
    int rc = tick(d, sl_clock_mono().ns, err);
    return rc == SL_OK ? wait_for_something(d, err) : rc;
}

static void wait_for_quit(struct sl_cl_device *d) {
    struct sl_device_cmd cmd;
    while (!d->quit && sl_mailbox_take_wait(d->commands, -1, &cmd) == SL_OK) {
        take_command(d, &cmd);
    }
}

void sl_cl_device_serve(struct sl_cl_device *d) {
    struct sl_error err = {0};
    while (!d->quit && d->state != SL_STATE_DEAD) {
        sl_watch_alive(d);
        if (turn(d, &err) != SL_OK) {
            sl_cl_device_dead(d, &err);
        }
    }
    if (d->state == SL_STATE_DEAD) {
        sl_watch_end(d);
        wait_for_quit(d);
        return;
    }
    /* Out of service: what is queued runs out at once. */
    set_word(d);
    sl_flights_drain(d, NULL);
    sl_cl_stop_set(&d->cl, false);
}
