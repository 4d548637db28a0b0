/* SPDX-License-Identifier: Apache-2.0
 * Launches of one device: enqueued ahead, waited for without burning a core. */
#include <string.h>

#include "agent/device/cl_device_internal.h"

/* Drivers spin while they wait for an event, so most of a launch is slept through instead. */
#define SLEEP_PART 0.8
/* Without a stop word the second launch is queued when this much of the first is over: whoever
 * wants the device waits for whatever is queued. */
#define JUST_IN_TIME_PART 0.7

static int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static bool has_room(const struct sl_cl_device *d, int64_t now_ns) {
    if (d->flight_count == 1 && d->flights[d->flight_first].launch.opening) {
        return false;
    }
    if (d->cl.stop_method != SL_STOP_NONE) {
        return d->flight_count < SL_FLIGHTS_MAX;
    }
    return d->flight_count == 0 ||
           (d->flight_count == 1 && sl_flights_wake_ns(d, now_ns) <= now_ns);
}

int sl_flights_fill(struct sl_cl_device *d, struct sl_error *err) {
    uint32_t before = d->flight_count;
    int64_t now_ns = sl_clock_mono().ns;
    while (has_room(d, now_ns)) {
        struct sl_flight *flight =
            &d->flights[(d->flight_first + d->flight_count) % SL_FLIGHTS_MAX];
        memset(flight, 0, sizeof *flight);
        int rc = d->now->ops->enqueue(d->now, &flight->launch, err);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            /* Only an empty queue is a lack of work; else the executor has enough in flight. */
            if (d->flight_count == 0) {
                d->starved = true;
            }
            break;
        }
        flight->enqueued_ns = now_ns;
        flight->follows = !d->starved && (d->last_end_ns != 0 || d->flight_count > 0);
        d->starved = false;
        d->flight_count++;
    }
    if (d->flight_count > before) {
        cl_int rc = clFlush(d->cl.queue);
        if (rc != CL_SUCCESS) {
            return sl_cl_fail(err, rc, "the device's queue is lost");
        }
    }
    return SL_OK;
}

/* The shortest of the last few: sleeping too long starves the device, too short costs little. */
static int64_t predict_ns(const struct sl_cl_device *d) {
    int64_t shortest = 0;
    uint32_t n = d->length_count < SL_PREDICT_OF ? d->length_count : SL_PREDICT_OF;
    for (uint32_t i = 0; i < n; i++) {
        if (shortest == 0 || d->lengths_ns[i] < shortest) {
            shortest = d->lengths_ns[i];
        }
    }
    return shortest;
}

int64_t sl_flights_wake_ns(const struct sl_cl_device *d, int64_t now_ns) {
    if (d->flight_count == 0) {
        return now_ns;
    }
    const struct sl_flight *oldest = &d->flights[d->flight_first];
    int64_t start = later(d->lane_end_ns[oldest->launch.lane], oldest->enqueued_ns);
    bool just_in_time = d->cl.stop_method == SL_STOP_NONE && d->flight_count == 1;
    double part = just_in_time ? JUST_IN_TIME_PART : SLEEP_PART;
    return start + (int64_t)((double)predict_ns(d) * part);
}

static int wait_for(struct sl_cl_device *d, struct sl_launch *launch, struct sl_error *err) {
    cl_int status = CL_SUCCESS;
    int64_t start = 0;
    int64_t end = 0;
    sl_watch_alive(d);
    cl_int code = clWaitForEvents(1, &launch->last);
    sl_watch_alive(d);
    clGetEventInfo(launch->last, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
    int rc = SL_OK;
    if (code != CL_SUCCESS || status < 0) {
        rc = sl_cl_fail(err, status < 0 ? status : code, "a launch failed");
    }
    rc = rc == SL_OK ? sl_cl_event_times(&d->cl, launch->first, &launch->start_ns, &end, err) : rc;
    rc = rc == SL_OK ? sl_cl_event_times(&d->cl, launch->last, &start, &launch->end_ns, err) : rc;
    clReleaseEvent(launch->first);
    clReleaseEvent(launch->last);
    return rc;
}

void sl_flights_account(struct sl_cl_device *d, const struct sl_flight *flight) {
    const struct sl_launch *launch = &flight->launch;
    int64_t length = later(launch->end_ns - launch->start_ns, 0);
    int64_t gap = launch->start_ns - d->last_end_ns;
    int64_t busy = later(launch->end_ns - later(launch->start_ns, d->last_end_ns), 0);
    sl_assert(launch->lane < SL_LANES_MAX);
    /* Of two lanes' launches the one that is read later may have begun first. */
    int64_t covered = d->gap_end_ns - later(launch->start_ns, d->gap_start_ns);
    if (covered > 0) {
        d->gap_end_ns -= covered;
        d->stats.idle_gap_ns -= d->gap_counted ? (uint64_t)covered : 0;
        busy += covered;
    }
    if (d->last_end_ns != 0 && gap > 0) {
        d->gap_start_ns = d->last_end_ns;
        d->gap_end_ns = launch->start_ns;
        d->gap_counted = flight->follows;
        d->stats.idle_gap_ns += flight->follows ? (uint64_t)gap : 0;
    }
    d->stats.busy_ns[d->stats.mode] += (uint64_t)busy;
    d->stats.launches_total++;
    d->last_end_ns = later(d->last_end_ns, launch->end_ns);
    d->lane_end_ns[launch->lane] = launch->end_ns;
    if (!launch->opening) { /* short on purpose */
        d->lengths_ns[d->length_count++ % SL_PREDICT_OF] = length;
    }
}

/* The start of a launch, or of what another lane began before it: that one has most often ended. */
static int64_t first_start_ns(struct sl_cl_device *d, const struct sl_launch *launch) {
    int64_t first = launch->start_ns;
    for (uint32_t i = 0; i < d->flight_count; i++) {
        const struct sl_launch *other = &d->flights[(d->flight_first + i) % SL_FLIGHTS_MAX].launch;
        cl_int status = CL_QUEUED;
        int64_t start = 0, end = 0;
        if (other->lane != launch->lane &&
            clGetEventInfo(other->first, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status,
                           NULL) == CL_SUCCESS &&
            status == CL_COMPLETE &&
            sl_cl_event_times(&d->cl, other->first, &start, &end, NULL) == SL_OK && start < first) {
            first = start;
        }
    }
    return first;
}

int sl_flights_complete(struct sl_cl_device *d, int64_t *ret_start_ns, struct sl_error *err) {
    struct sl_flight flight = d->flights[d->flight_first];
    sl_assert(d->flight_count > 0);
    int rc = wait_for(d, &flight.launch, err);
    d->flight_first = (d->flight_first + 1) % SL_FLIGHTS_MAX;
    d->flight_count--;
    if (rc != SL_OK) {
        return rc;
    }
    sl_flights_account(d, &flight);
    if (ret_start_ns) {
        *ret_start_ns = first_start_ns(d, &flight.launch);
    }
    return d->now->ops->complete(d->now, &flight.launch, err);
}

/* One sleep for all that is queued. On a CPU device each wake-up takes the core from the worker
 * that has to run the rest out: launch by launch that was 10 us each, read-backs included. What
 * failed is seen when each is completed. */
static void wait_for_all(struct sl_cl_device *d) {
    cl_event events[SL_FLIGHTS_MAX];
    cl_uint count = 0;
    sl_watch_alive(d);
    clFinish(d->cl.queue);
    for (uint32_t i = 0; i < d->flight_count; i++) {
        struct sl_launch *launch = &d->flights[(d->flight_first + i) % SL_FLIGHTS_MAX].launch;
        if (launch->lane > 0) {
            events[count++] = launch->last;
        }
    }
    if (count > 0) {
        clWaitForEvents(count, events);
    }
    sl_watch_alive(d);
}

int sl_flights_drain(struct sl_cl_device *d, struct sl_error *err) {
    if (d->flight_count > 0) {
        wait_for_all(d);
    }
    while (d->flight_count > 0) {
        int rc = sl_flights_complete(d, NULL, err);
        if (rc != SL_OK) {
            return rc;
        }
    }
    /* What was cut short says nothing about the length of the next launches, and what follows a
     * stop is no gap. */
    d->last_end_ns = d->gap_start_ns = d->gap_end_ns = 0;
    memset(d->lane_end_ns, 0, sizeof d->lane_end_ns);
    d->length_count = 0;
    return SL_OK;
}

void sl_flights_abandon(struct sl_cl_device *d) {
    while (d->flight_count > 0) {
        struct sl_launch *launch = &d->flights[d->flight_first].launch;
        clReleaseEvent(launch->first);
        clReleaseEvent(launch->last);
        d->flight_first = (d->flight_first + 1) % SL_FLIGHTS_MAX;
        d->flight_count--;
    }
}
