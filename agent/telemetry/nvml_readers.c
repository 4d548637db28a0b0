/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/telemetry/nvml_internal.h"
#include "proto/base/log.h"
#include "proto/base/text.h"
#include "proto/base/thread.h"

#define LEFT_MAX 4
/* Of `stale`: so long may reading one GPU take, that the others do not become unknown by it. */
#define PATIENCE 5
#define CHECKS 4 /* in that time */
/* A GPU that is slow as a rule is not in the log each second. */
#define QUIET_NS (3600 * SL_NS_PER_S)

struct reader {
    struct nvml *n;
    uint64_t number;
};

/* A GPU of another maker is not found, and that is no news. */
static void say_not_found(struct sl_hub *hub, uint32_t device, int answer) {
    char text[SL_MSG_NOTE_MAX];
    snprintf(text, sizeof text, "NVML gives no access to it (error %d)", answer);
    sl_nvml_say_why(hub, device, answer == NVML_NOT_FOUND ? "" : sl_nvml_trouble(answer, text));
}

static void find_gpu(struct nvml *n, uint32_t i) {
    struct sl_nvml_gpu *gpu = &n->gpus[i];
    int answer = NVML_OK;
    void *handle = sl_nvml_find(&n->api, &n->hub->slots[i].info, &answer);
    pthread_mutex_lock(&n->lock);
    gpu->handle = handle;
    gpu->seen = gpu->seen || handle || answer == NVML_GPU_IS_LOST;
    n->generation += handle != NULL && !gpu->lost;
    pthread_mutex_unlock(&n->lock);
    if (!gpu->seen) {
        say_not_found(n->hub, i, answer);
    }
}

static void read_gpu(struct nvml *n, uint32_t i) {
    struct sl_nvml_gpu *gpu = &n->gpus[i];
    if (!gpu->handle) {
        find_gpu(n, i);
    }
    if (gpu->seen) {
        struct sl_msg_telemetry reading;
        struct sl_mono begun = sl_clock_mono();
        bool there = sl_nvml_read(&n->api, &n->hub->slots[i].info, gpu, &reading);
        struct sl_mono now = sl_clock_mono();
        if (sl_mono_since_ns(now, begun) < n->hub->stale_ms * SL_NS_PER_MS) {
            sl_hub_publish(n->hub, i, now, &reading); /* else its first figures are old ones */
        }
        pthread_mutex_lock(&n->lock);
        /* Once each way: while it is lost, others' events are not to be missed for it. */
        n->generation += gpu->lost != !there;
        gpu->lost = !there;
        if (!there) { /* looked for again: a driver that was reset gives it a new handle */
            gpu->handle = NULL;
        }
        pthread_mutex_unlock(&n->lock);
    }
}

/* What has a reader belongs to it, handle, seen and mismatch included. */
static bool begin_gpu(struct nvml *n, const struct reader *reader, uint32_t i, bool *ret_free) {
    pthread_mutex_lock(&n->lock);
    bool ours = n->reader == reader->number;
    *ret_free = ours && n->gpus[i].since_ns == 0;
    if (*ret_free) {
        n->gpus[i].since_ns = sl_clock_mono().ns;
        n->gpus[i].reader = reader->number;
    }
    pthread_mutex_unlock(&n->lock);
    return ours;
}

static bool end_gpu(struct nvml *n, const struct reader *reader, uint32_t i) {
    struct sl_nvml_gpu *gpu = &n->gpus[i];
    pthread_mutex_lock(&n->lock);
    bool was_left = n->reader != reader->number;
    gpu->since_ns = 0;
    gpu->read = true;
    gpu->broken = gpu->mismatch;
    n->left -= was_left;
    bool news = was_left && gpu->told;
    pthread_mutex_unlock(&n->lock);
    if (news) {
        sl_log(SL_LOG_INFO, "telemetry.back", "device=%s NVML answers again",
               n->hub->slots[i].info.key);
    }
    return !was_left;
}

/* False: it was left behind, and has come back. */
static bool read_round(struct nvml *n, const struct reader *reader) {
    for (uint32_t i = 0; i < n->hub->count && !atomic_load(&n->hub->closing); i++) {
        bool is_free = false;
        if (!sl_nvml_wants(&n->hub->slots[i])) {
            continue;
        }
        if (!begin_gpu(n, reader, i, &is_free)) {
            return false;
        }
        if (is_free) {
            read_gpu(n, i);
            if (!end_gpu(n, reader, i)) {
                return false;
            }
        }
    }
    return true;
}

/* The library says it of all GPUs, also of those that did not get as far. Devices of other makers
 * keep what their own source says. */
static void say_broken(struct nvml *n) {
    bool seen[SL_TELEMETRY_DEVICES_MAX] = {false};
    bool broken = false;
    pthread_mutex_lock(&n->lock);
    for (uint32_t i = 0; i < n->hub->count; i++) {
        broken = broken || n->gpus[i].broken;
        seen[i] = n->gpus[i].since_ns == 0 && n->gpus[i].seen;
    }
    pthread_mutex_unlock(&n->lock);
    for (uint32_t i = 0; i < n->hub->count && broken; i++) {
        if (seen[i] && sl_nvml_wants(&n->hub->slots[i])) {
            struct sl_msg_telemetry reading = {.source = SL_TELEMETRY_NVML};
            sl_text_copy(reading.note, sizeof reading.note,
                         sl_nvml_trouble(NVML_VERSION_MISMATCH, ""));
            sl_hub_publish(n->hub, i, sl_clock_mono(), &reading);
        }
    }
}

static void *reader_main(void *arg) {
    struct reader *reader = arg;
    struct nvml *n = reader->n;
    sl_thread_name("nvml reader");
    while (read_round(n, reader)) {
        say_broken(n);
        if (!sl_hub_sleep(n->hub, n->hub->interval_ms)) {
            break;
        }
    }
    free(reader);
    sl_nvml_release(n);
    return NULL;
}

/* Under the lock, so that the one that is left learns of it before it takes another GPU. */
static bool start_reader(struct nvml *n) {
    struct reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        return false;
    }
    *reader = (struct reader){.n = n, .number = n->reader + 1};
    if (!sl_nvml_thread(n, reader_main, reader)) {
        free(reader);
        return false;
    }
    n->reader++;
    return true;
}

/* Whether it is for the log. */
static bool note_hung(struct sl_nvml_gpu *gpu, int64_t now_ns) {
    gpu->told = gpu->told_ns == 0 || now_ns - gpu->told_ns > QUIET_NS;
    gpu->told_ns = gpu->told ? now_ns : gpu->told_ns;
    return gpu->told;
}

/* Leaves the reader whose call does not come back, where that helps any other GPU. True: nobody
 * reads any more. */
static bool check_reader(struct nvml *n, int64_t patience_ns) {
    int64_t now_ns = sl_clock_mono().ns;
    uint32_t stuck = n->hub->count;
    uint32_t hung = 0;
    uint32_t wanted = 0;
    pthread_mutex_lock(&n->lock);
    for (uint32_t i = 0; i < n->hub->count; i++) {
        const struct sl_nvml_gpu *gpu = &n->gpus[i];
        bool hangs = gpu->since_ns && now_ns - gpu->since_ns > patience_ns;
        wanted += sl_nvml_wants(&n->hub->slots[i]) && (hangs || gpu->seen || !gpu->read);
        hung += hangs;
        stuck = hangs && gpu->reader == n->reader ? i : stuck;
    }
    bool leave = stuck < n->hub->count && hung < wanted && n->left < LEFT_MAX && start_reader(n);
    n->left += leave;
    bool news = leave && note_hung(&n->gpus[stuck], now_ns);
    pthread_mutex_unlock(&n->lock);
    if (news) {
        sl_log(SL_LOG_WARN, "telemetry.hung",
               "device=%s NVML does not answer; the other GPUs are read by another thread",
               n->hub->slots[stuck].info.key);
    }
    return hung > 0 && (hung == wanted || (stuck < n->hub->count && !leave));
}

/* All have been looked for once, or hang. */
static bool all_begun(struct nvml *n, int64_t patience_ns) {
    int64_t now_ns = sl_clock_mono().ns;
    bool all = true;
    pthread_mutex_lock(&n->lock);
    for (uint32_t i = 0; i < n->hub->count; i++) {
        const struct sl_nvml_gpu *gpu = &n->gpus[i];
        bool hangs = gpu->since_ns && now_ns - gpu->since_ns > patience_ns;
        all = all && (gpu->read || hangs || !sl_nvml_wants(&n->hub->slots[i]));
    }
    pthread_mutex_unlock(&n->lock);
    return all;
}

void sl_nvml_read_all(struct nvml *n, void (*begun)(struct nvml *)) {
    int64_t patience_ms = n->hub->stale_ms / PATIENCE;
    int64_t check_ms = patience_ms / CHECKS > 0 ? patience_ms / CHECKS : 1;
    bool told = false;
    pthread_mutex_lock(&n->lock);
    bool started = start_reader(n);
    pthread_mutex_unlock(&n->lock);
    if (!started) {
        sl_log(SL_LOG_ERROR, "telemetry.thread", "no thread to read GPUs by NVML: none are read");
        return;
    }
    do {
        atomic_store(&n->hub->nvml_hangs, check_reader(n, patience_ms * SL_NS_PER_MS));
        if (!told && all_begun(n, patience_ms * SL_NS_PER_MS)) {
            begun(n);
            told = true;
        }
    } while (sl_hub_sleep(n->hub, told ? check_ms : check_ms < 20 ? check_ms : 20));
}
