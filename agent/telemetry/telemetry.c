/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/telemetry/telemetry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/telemetry/source.h"
#include "proto/base/log.h"
#include "proto/base/mailbox.h"
#include "proto/base/text.h"

#define THREADS 2
#define END_WAIT_NS SL_NS_PER_S
#define XID_FRESH_NS (60 * SL_NS_PER_S)

struct sl_telemetry {
    struct sl_hub *hub;
    pthread_t threads[THREADS];
    uint32_t thread_count;
};

static void free_hub(struct sl_hub *hub) {
    sl_mailbox_destroy(hub->wake);
    sl_mailbox_destroy(hub->ended);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

static void drop(struct sl_hub *hub) {
    if (atomic_fetch_sub(&hub->references, 1) == 1) {
        free_hub(hub);
    }
}

void sl_hub_release(struct sl_hub *hub) {
    const char one = 1;
    sl_assert(hub);
    atomic_fetch_sub(&hub->running, 1);
    (void)sl_mailbox_put(hub->ended, &one); /* full: there is enough to wake up for */
    drop(hub);
}

bool sl_hub_thread(struct sl_hub *hub, void *(*thread_main)(void *), void *arg) {
    pthread_t thread;
    pthread_attr_t attr;
    atomic_fetch_add(&hub->references, 1);
    atomic_fetch_add(&hub->running, 1);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    bool started = pthread_create(&thread, &attr, thread_main, arg) == 0;
    pthread_attr_destroy(&attr);
    if (!started) {
        sl_hub_release(hub);
    }
    return started;
}

bool sl_hub_sleep(struct sl_hub *hub, int64_t ms) {
    char nothing = 0;
    return sl_mailbox_take_wait(hub->wake, ms * SL_NS_PER_MS, &nothing) == -SL_TIMEOUT;
}

/* How long a condition has held, or that it does not. */
static void note_span(int64_t *since_ns, int64_t now_ns, bool holds, enum sl_figure figure,
                      struct sl_msg_telemetry *out) {
    *since_ns = !holds ? 0 : *since_ns ? *since_ns : now_ns;
    sl_telemetry_set(out, figure, holds ? (now_ns - *since_ns) / SL_NS_PER_MS : 0);
}

static void note_throttle(struct sl_sensor_slot *slot, int64_t now_ns, struct sl_msg_telemetry *t) {
    if (!sl_telemetry_has(t, SL_FIG_THROTTLE)) {
        slot->thermal_ns = slot->brake_ns = 0;
        return;
    }
    int64_t bits = t->figures[SL_FIG_THROTTLE];
    note_span(&slot->thermal_ns, now_ns, (bits & SL_THROTTLE_THERMAL) != 0, SL_FIG_THERMAL_MS, t);
    note_span(&slot->brake_ns, now_ns, (bits & (SL_THROTTLE_BRAKE | SL_THROTTLE_HARDWARE)) != 0,
              SL_FIG_BRAKE_MS, t);
}

/* Counters of a driver start anew with it: what is there then is new, too. */
static void note_ecc(struct sl_sensor_slot *slot, struct sl_msg_telemetry *t) {
    if (sl_telemetry_has(t, SL_FIG_ECC_UNCORRECTED)) {
        int64_t now = t->figures[SL_FIG_ECC_UNCORRECTED];
        if (slot->ecc_last >= 0) {
            slot->ecc_new += (uint64_t)(now >= slot->ecc_last ? now - slot->ecc_last : now);
        }
        slot->ecc_last = now;
    }
    if (slot->ecc_last >= 0) {
        sl_telemetry_set(t, SL_FIG_ECC_NEW, (int64_t)slot->ecc_new);
    }
}

void sl_hub_publish(struct sl_hub *hub, uint32_t device, struct sl_mono now,
                    const struct sl_msg_telemetry *reading) {
    struct sl_msg_telemetry t = *reading;
    uint32_t refused = sl_telemetry_bound(&t);
    if (sl_telemetry_has(reading, SL_FIG_POWER_MW) && !sl_telemetry_has(&t, SL_FIG_POWER_MW) &&
        !t.note[0]) {
        snprintf(t.note, sizeof t.note, "says %.1f W, which cannot be true",
                 (double)reading->figures[SL_FIG_POWER_MW] / 1000);
    }
    struct sl_sensor_slot *slot = &hub->slots[device];
    pthread_mutex_lock(&hub->lock);
    slot->refused += refused;
    note_throttle(slot, now.ns, &t);
    note_ecc(slot, &t);
    slot->newest = t;
    slot->read_ns = now.ns;
    pthread_mutex_unlock(&hub->lock);
}

/* Which one makes room: the oldest, unless it may not have been reported yet; then the first that
 * is there once more. */
static uint32_t least_xid(const struct sl_sensor_slot *slot, struct sl_mono now, uint16_t coming) {
    if (now.ns - slot->xid_ns[0] > XID_FRESH_NS) {
        return 0;
    }
    for (uint32_t i = 0; i < slot->xid_count; i++) {
        bool again = slot->xids[i] == coming;
        for (uint32_t k = i + 1; k < slot->xid_count && !again; k++) {
            again = slot->xids[k] == slot->xids[i];
        }
        if (again) {
            return i;
        }
    }
    return 0;
}

static bool worth_a_line(struct sl_sensor_slot *slot, struct sl_mono now) {
    if (slot->log_count == 0 || now.ns - slot->log_ns >= SL_NS_PER_S) {
        slot->log_ns = now.ns;
        slot->log_count = 0;
    }
    slot->log_count += slot->log_count <= SL_MSG_XIDS_MAX;
    return slot->log_count <= SL_MSG_XIDS_MAX;
}

bool sl_hub_xid(struct sl_hub *hub, uint32_t device, struct sl_mono now, uint32_t xid) {
    struct sl_sensor_slot *slot = &hub->slots[device];
    uint16_t number = (uint16_t)(xid < UINT16_MAX ? xid : UINT16_MAX);
    pthread_mutex_lock(&hub->lock);
    slot->xid_total++;
    if (slot->xid_count == SL_MSG_XIDS_MAX) {
        uint32_t at = least_xid(slot, now, number);
        uint32_t behind = SL_MSG_XIDS_MAX - 1 - at;
        memmove(slot->xids + at, slot->xids + at + 1, behind * sizeof slot->xids[0]);
        memmove(slot->xid_ns + at, slot->xid_ns + at + 1, behind * sizeof slot->xid_ns[0]);
        slot->xid_count--;
    }
    slot->xids[slot->xid_count] = number;
    slot->xid_ns[slot->xid_count++] = now.ns;
    bool worth = worth_a_line(slot, now);
    pthread_mutex_unlock(&hub->lock);
    return worth;
}

void sl_hub_xids_known(struct sl_hub *hub, uint32_t device) {
    pthread_mutex_lock(&hub->lock);
    hub->slots[device].xids_known = true;
    pthread_mutex_unlock(&hub->lock);
}

static const char *why_nothing(const struct sl_device_info *info) {
    if (info->is_cpu) {
        return info->place.part ? "a part of a CPU has no sensors of its own"
                                : "no energy counter (RAPL) that can be read";
    }
    return info->place.pci.known || info->place.uuid[0]
               ? "no driver's sensors know this device"
               : "the OpenCL driver does not say where the device sits";
}

/* Facts that count stay true when the source falls silent. */
static void forget_readings(struct sl_msg_telemetry *t) {
    for (uint32_t i = 0; i < SL_FIG_COUNT; i++) {
        if (!sl_figure_info(i)->counts) {
            sl_telemetry_forget(t, (enum sl_figure)i);
        }
    }
}

void sl_telemetry_get(struct sl_telemetry *telemetry, uint32_t device,
                      struct sl_msg_telemetry *ret_telemetry) {
    struct sl_hub *hub = telemetry->hub;
    sl_assert(device < hub->count);
    struct sl_sensor_slot *slot = &hub->slots[device];
    int64_t now_ns = sl_clock_mono().ns;
    pthread_mutex_lock(&hub->lock);
    struct sl_msg_telemetry t = slot->newest;
    int64_t silent_ms = (now_ns - slot->read_ns) / SL_NS_PER_MS;
    if (slot->read_ns == 0 && !t.note[0]) {
        sl_text_copy(t.note, sizeof t.note, why_nothing(&slot->info));
    } else if (slot->read_ns != 0 && silent_ms >= hub->stale_ms) {
        forget_readings(&t);
        bool all = t.source == SL_TELEMETRY_NVML && atomic_load(&hub->nvml_hangs);
        snprintf(t.note, sizeof t.note, "%s has not answered for %lld s%s",
                 sl_telemetry_source_name(t.source), (long long)(silent_ms / 1000),
                 all ? "; no GPU can be read" : "");
    }
    if (t.source == SL_TELEMETRY_NVML && slot->xids_known) {
        sl_telemetry_set(&t, SL_FIG_XIDS, (int64_t)slot->xid_total);
        t.xid_count = slot->xid_count;
        memcpy(t.xids, slot->xids, sizeof t.xids);
    }
    if (slot->refused) {
        sl_telemetry_set(&t, SL_FIG_REFUSED, (int64_t)slot->refused);
    }
    pthread_mutex_unlock(&hub->lock);
    *ret_telemetry = t;
}

static int create_hub(const struct sl_telemetry_config *config,
                      const struct sl_device_info *const *infos, uint32_t count,
                      struct sl_hub **ret_hub, struct sl_error *err) {
    struct sl_hub *hub = calloc(1, sizeof *hub + count * sizeof hub->slots[0]);
    if (!hub) {
        return sl_fail(err, SL_NOMEM, "no memory for the devices' sensors");
    }
    hub->count = count;
    hub->interval_ms = config->interval_ms;
    hub->stale_ms = config->stale_ms;
    atomic_store(&hub->references, 1);
    for (uint32_t i = 0; i < count; i++) {
        hub->slots[i].info = *infos[i];
        hub->slots[i].ecc_last = -1;
    }
    pthread_mutex_init(&hub->lock, NULL);
    int rc = SL_OK;
    if (!sl_text_copy(hub->root, sizeof hub->root, config->root) ||
        !sl_text_copy(hub->nvml_library, sizeof hub->nvml_library, config->nvml_library)) {
        rc = sl_fail(err, SL_LIMIT, "the path of the sensors or of NVML is longer than %d bytes",
                     SL_SOURCE_TEXT_MAX - 1);
    }
    rc = rc ? rc : sl_mailbox_create(1, 1, &hub->wake, err);
    rc = rc ? rc : sl_mailbox_create(1, THREADS + 2, &hub->ended, err);
    if (rc) {
        free_hub(hub);
        return rc;
    }
    *ret_hub = hub;
    return SL_OK;
}

static int start(struct sl_telemetry *telemetry, void *(*thread_main)(void *),
                 struct sl_error *err) {
    struct sl_hub *hub = telemetry->hub;
    atomic_fetch_add(&hub->references, 1);
    atomic_fetch_add(&hub->running, 1);
    if (pthread_create(&telemetry->threads[telemetry->thread_count], NULL, thread_main, hub) != 0) {
        sl_hub_release(hub);
        return sl_fail(err, SL_NOMEM, "cannot start a thread for the devices' sensors");
    }
    telemetry->thread_count++;
    return SL_OK;
}

static bool has_gpu(const struct sl_hub *hub) {
    for (uint32_t i = 0; i < hub->count; i++) {
        if (hub->slots[i].info.place.pci.known || hub->slots[i].info.place.uuid[0]) {
            return true;
        }
    }
    return false;
}

int sl_telemetry_create(const struct sl_telemetry_config *config,
                        const struct sl_device_info *const *infos, uint32_t count,
                        struct sl_telemetry **ret_telemetry, struct sl_error *err) {
    sl_assert(count <= SL_TELEMETRY_DEVICES_MAX);
    SL_AUTO(sl_telemetry) telemetry = calloc(1, sizeof *telemetry);
    if (!telemetry) {
        return sl_fail(err, SL_NOMEM, "no memory for the devices' sensors");
    }
    int rc = create_hub(config, infos, count, &telemetry->hub, err);
    if (rc == SL_OK && config->interval_ms > 0) {
        rc = start(telemetry, sl_kernel_main, err);
        if (rc == SL_OK && telemetry->hub->nvml_library[0] && has_gpu(telemetry->hub)) {
            rc = start(telemetry, sl_nvml_main, err);
        }
    }
    if (rc == SL_OK) {
        *ret_telemetry = sl_take(&telemetry);
    }
    return rc;
}

/* True when all threads have ended in time. */
static bool wait_for_end(struct sl_hub *hub) {
    int64_t until_ns = sl_clock_mono().ns + END_WAIT_NS;
    while (atomic_load(&hub->running) > 0) {
        char one = 0;
        int64_t left_ns = until_ns - sl_clock_mono().ns;
        if (left_ns <= 0 || sl_mailbox_take_wait(hub->ended, left_ns, &one) != SL_OK) {
            break;
        }
    }
    return atomic_load(&hub->running) == 0;
}

void sl_telemetry_destroy(struct sl_telemetry *telemetry) {
    if (!telemetry) {
        return;
    }
    struct sl_hub *hub = telemetry->hub;
    if (hub) {
        atomic_store(&hub->closing, true);
        sl_mailbox_close(hub->wake);
        bool ended = wait_for_end(hub);
        for (uint32_t i = 0; i < telemetry->thread_count; i++) {
            if (ended) {
                pthread_join(telemetry->threads[i], NULL);
            } else {
                /* It is inside a driver that does not come back, and still uses the hub. */
                pthread_detach(telemetry->threads[i]);
            }
        }
        if (!ended) {
            sl_log(SL_LOG_WARN, "telemetry.left",
                   "a driver's sensors do not answer: their thread is left behind");
        }
        drop(hub);
    }
    free(telemetry);
}
