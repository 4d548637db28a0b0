/* SPDX-License-Identifier: Apache-2.0
 * All that is paid for before a device is offered: programs, first launches, known answers, rates,
 * and what a switch between each pair of modes costs. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/device/cl_device_internal.h"
#include "proto/base/log.h"

#define PREPARE_LIMIT_NS (600 * SL_NS_PER_S) /* compilers may take minutes */
#define SAMPLES 5
#define RUN_NS (15 * SL_NS_PER_MS) /* how long the old mode runs before it is halted... */
#define RUN_STEP_NS                                                                                \
    (7 * SL_NS_PER_MS)              /* ...so much longer each time: other moments of a launch      \
                                     */
#define AFTER_NS (2 * SL_NS_PER_MS) /* and the new one, before it is cut */

static int compare_us(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void sl_switch_sample(struct sl_cl_device *d, enum sl_mode from, enum sl_mode to, int64_t ns) {
    struct sl_switch_samples *s = &d->samples[from][to];
    uint64_t sorted[SL_SWITCH_SAMPLES];
    uint64_t us = ns > 500 ? (uint64_t)(ns + 500) / 1000 : 1; /* 0 means "not measured" */
    s->us[s->count++ % SL_SWITCH_SAMPLES] = us;
    uint32_t n = s->count < SL_SWITCH_SAMPLES ? s->count : SL_SWITCH_SAMPLES;
    memcpy(sorted, s->us, sizeof sorted);
    qsort(sorted, n, sizeof sorted[0], compare_us);
    d->stats.switch_us[from][to] = sorted[n / 2];
}

static void nap(int64_t ns) {
    const struct timespec t = {ns / SL_NS_PER_S, ns % SL_NS_PER_S};
    nanosleep(&t, NULL);
}

static bool can_measure(const struct sl_cl_device *d, enum sl_mode mode) {
    return d->executors[mode] && d->executors[mode]->ops->synthetic;
}

/* Runs the mode that d->now stands for until `until_ns`, as service does. */
static int run_until(struct sl_cl_device *d, int64_t until_ns, struct sl_error *err) {
    int rc = sl_flights_fill(d, err);
    for (int64_t now = sl_clock_mono().ns; rc == SL_OK && now < until_ns;
         now = sl_clock_mono().ns) {
        int64_t wake = d->flight_count ? sl_flights_wake_ns(d, now) : until_ns;
        if (wake > now) {
            nap(wake < until_ns ? wake - now : until_ns - now);
            rc = sl_flights_fill(d, err);
            continue;
        }
        rc = sl_flights_complete(d, NULL, err);
        rc = rc == SL_OK ? sl_flights_fill(d, err) : rc;
    }
    return rc;
}

/* Stop, empty queue, clear; the executor decides what it would repeat. */
static int stop_queue(struct sl_cl_device *d, struct sl_error *err) {
    sl_cl_stop_set(&d->cl, true);
    int rc = sl_flights_drain(d, err);
    rc = rc == SL_OK ? d->now->ops->halted(d->now, err) : rc;
    sl_cl_stop_set(&d->cl, false);
    return rc;
}

/* One switch through the same path as in service. */
static int sample_switch(struct sl_cl_device *d, enum sl_mode from, enum sl_mode to, int run,
                         struct sl_error *err) {
    int64_t started = 0;
    d->now = d->executors[from];
    d->now->ops->synthetic(d->now, true);
    int rc = run_until(d, sl_clock_mono().ns + RUN_NS + run * RUN_STEP_NS, err);
    int64_t asked = sl_clock_mono().ns;
    rc = rc == SL_OK ? stop_queue(d, err) : rc;
    int64_t empty = sl_clock_mono().ns;
    if (rc != SL_OK) {
        return rc;
    }
    d->now->ops->synthetic(d->now, false);
    d->now = d->executors[to];
    d->now->ops->synthetic(d->now, true);
    rc = sl_flights_fill(d, err);
    if (rc == SL_OK && d->flight_count > 0) {
        nap(AFTER_NS);
        sl_cl_stop_set(&d->cl, true);
        rc = sl_flights_complete(d, &started, err);
        rc = rc == SL_OK ? stop_queue(d, err) : rc;
    }
    d->now->ops->synthetic(d->now, false);
    if (rc == SL_OK) {
        sl_switch_sample(d, from, to, (started ? started : empty) - asked);
        if (d->cl.stop_method == SL_STOP_NONE && from != SL_MODE_IDLE) {
            uint32_t us = (uint32_t)((empty - asked) / 1000);
            d->cl.stop_us_max = us > d->cl.stop_us_max ? us : d->cl.stop_us_max;
        }
    }
    return rc;
}

/* True when every pair is known from an earlier start. */
static bool recall_switches(struct sl_cl_device *d) {
    if (d->cl.figures.switch_method != (uint32_t)d->cl.stop_method) {
        return false;
    }
    for (enum sl_mode from = SL_MODE_IDLE; from < SL_MODE_COUNT; from++) {
        for (enum sl_mode to = SL_MODE_IDLE; to < SL_MODE_COUNT; to++) {
            bool wanted = from != to && can_measure(d, from) && can_measure(d, to);
            if (wanted && d->cl.figures.switch_us[from][to] == 0) {
                return false;
            }
        }
    }
    for (enum sl_mode from = SL_MODE_IDLE; from < SL_MODE_COUNT; from++) {
        for (enum sl_mode to = SL_MODE_IDLE; to < SL_MODE_COUNT; to++) {
            if (from != to && can_measure(d, from) && can_measure(d, to)) {
                sl_switch_sample(d, from, to, (int64_t)d->cl.figures.switch_us[from][to] * 1000);
            }
        }
    }
    return true;
}

static int measure_switches(struct sl_cl_device *d, struct sl_error *err) {
    int rc = SL_OK;
    if (recall_switches(d)) {
        return SL_OK;
    }
    for (enum sl_mode from = SL_MODE_IDLE; from < SL_MODE_COUNT; from++) {
        for (enum sl_mode to = SL_MODE_IDLE; to < SL_MODE_COUNT; to++) {
            bool measured = from != to && can_measure(d, from) && can_measure(d, to);
            for (int i = 0; rc == SL_OK && measured && i < SAMPLES; i++) {
                rc = sample_switch(d, from, to, i, err);
            }
        }
    }
    memcpy(d->cl.figures.switch_us, d->stats.switch_us, sizeof d->cl.figures.switch_us);
    d->cl.figures.switch_method = (uint32_t)d->cl.stop_method;
    d->cl.figures_new = true;
    if (d->cl.stop_method == SL_STOP_NONE) {
        /* No word to time: what halts took then. */
        d->cl.stop_us_p50 = (uint32_t)d->stats.switch_us[SL_MODE_HASH][SL_MODE_IDLE];
    }
    return rc;
}

static int prepare_executor(struct sl_cl_device *d, const struct sl_executor_factory *factory,
                            uint32_t launch_ms, struct sl_error *err) {
    struct sl_executor *ex = NULL;
    int rc = factory->create(&d->cl, launch_ms, factory->arg, &ex, err);
    if (rc != SL_OK) {
        return rc;
    }
    sl_assert(ex->ops->mode == factory->mode && !d->executors[factory->mode]);
    d->executors[factory->mode] = ex;
    rc = ex->ops->prepare(ex, err);
    return rc == SL_OK ? SL_OK : sl_wrap(err, "%s", ex->ops->name);
}

static void rate_watts(struct sl_cl_device *d) {
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        if (d->config.rated_mw[mode] > 0) {
            d->stats.watts[mode] = (struct sl_watts){SL_SOURCE_RATED, d->config.rated_mw[mode]};
        }
    }
    /* The counters are of whole packages, so a part of the CPU has no power of its own. */
    d->power_open = d->found->info.is_cpu && d->found->sub_count == 1 &&
                    sl_power_open(&d->power, d->sysfs_root, sl_clock_mono());
}

static int prepare(struct sl_cl_device *d, struct sl_error *err) {
    const struct sl_cl_spec spec = {.platform = d->found->platform,
                                    .device = d->found->device,
                                    .cache_dir = d->cache_dir,
                                    .figures = d->found->info.key,
                                    .launch_ms = d->config.launch_ms,
                                    .force_gpu_kernels = d->config.force_gpu_kernels,
                                    .force_no_stop_word = d->config.force_no_stop_word,
                                    .index = d->base.index,
                                    .events = d->base.events,
                                    .closing = &d->closing};
    int rc = sl_cl_open(&d->cl, &spec, err);
    d->cl_open = rc == SL_OK;
    uint32_t launch_ms =
        d->cl.stop_method == SL_STOP_NONE ? SL_DEVICE_LAUNCH_MS_NO_STOP : d->config.launch_ms;
    for (uint32_t i = 0; rc == SL_OK && i < d->config.factory_count; i++) {
        if (atomic_load(&d->closing)) {
            return sl_fail(err, SL_CLOSED, "the agent ends");
        }
        rc = prepare_executor(d, &d->config.factories[i], launch_ms, err);
    }
    rc = rc == SL_OK ? measure_switches(d, err) : rc;
    rc = rc == SL_OK ? sl_cl_clock_sync(&d->cl, true, err) : rc;
    if (rc != SL_OK) {
        return rc;
    }
    sl_figures_keep(&d->cl, d->found->info.key, d->config.launch_ms);
    if (sl_tuning_save(d->cl.tuning, err) != SL_OK) {
        sl_log(SL_LOG_WARN, "device.tuning",
               "device=%s: %s; it will be tuned again at the next start", d->found->info.key,
               err->text);
    }
    rate_watts(d);
    /* The measuring belongs to no mode. */
    memset(d->stats.busy_ns, 0, sizeof d->stats.busy_ns);
    d->stats.launches_total = 0;
    d->stats.idle_gap_ns = 0;
    d->starved = true;
    d->stats.mode = SL_MODE_IDLE;
    d->now = d->executors[SL_MODE_IDLE];
    d->state = SL_STATE_RUNNING;
    return SL_OK;
}

int sl_cl_device_prepare(struct sl_cl_device *d, struct sl_error *err) {
    sl_watch_begin(d, PREPARE_LIMIT_NS);
    int rc = prepare(d, err);
    sl_watch_end(d);
    return rc;
}
