/* SPDX-License-Identifier: Apache-2.0
 * NVIDIA's GPUs. Everything here runs on the source's own threads: any call may hang on a sick
 * GPU, or fail for reasons of its own at any time. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/telemetry/nvml_internal.h"
#include "proto/base/log.h"
#include "proto/base/text.h"
#include "proto/base/thread.h"

#define RETRY_MS 10000
#define EVENT_WAIT_MS 100

static void *symbol(void *library, const char *name, const char *fallback) {
    void *found = dlsym(library, name);
    return found || !fallback ? found : dlsym(library, fallback);
}

static bool load(struct nvml_api *api, const char *path, char *note, size_t size) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(note, size, "NVML is not installed (%s)", path);
        return false;
    }
    api->library = library;
    /* POSIX lets a pointer from dlsym be stored as a function's only this way. */
#define NVML_RESOLVE(member, type, name, fallback)                                                 \
    *(void **)&api->member = symbol(library, name, fallback);
    NVML_FUNCTIONS(NVML_RESOLVE)
#undef NVML_RESOLVE
    if (!api->init || (!api->by_pci && !api->by_uuid)) {
        snprintf(note, size, "%s is no NVML, or one that is too old", path);
        return false;
    }
    return true;
}

bool sl_nvml_wants(const struct sl_sensor_slot *slot) {
    return !slot->info.is_cpu && (slot->info.place.pci.known || slot->info.place.uuid[0]);
}

void sl_nvml_say_why(struct sl_hub *hub, uint32_t device, const char *note) {
    struct sl_sensor_slot *slot = &hub->slots[device];
    pthread_mutex_lock(&hub->lock);
    if (sl_nvml_wants(slot) && slot->read_ns == 0) {
        sl_text_copy(slot->newest.note, sizeof slot->newest.note, note);
    }
    pthread_mutex_unlock(&hub->lock);
}

static void say_never(struct sl_hub *hub, const char *note) {
    for (uint32_t i = 0; i < hub->count; i++) {
        sl_nvml_say_why(hub, i, note);
    }
}

void sl_nvml_release(struct nvml *n) {
    struct sl_hub *hub = n->hub;
    if (atomic_fetch_sub(&n->users, 1) == 1) {
        if (n->api.shutdown) {
            n->api.shutdown();
        }
        /* The library stays loaded: drivers leave threads and handlers behind. */
        pthread_mutex_destroy(&n->lock);
        free(n);
    }
    sl_hub_release(hub);
}

bool sl_nvml_thread(struct nvml *n, void *(*thread_main)(void *), void *arg) {
    atomic_fetch_add(&n->users, 1);
    bool started = sl_hub_thread(n->hub, thread_main, arg);
    if (!started) {
        atomic_fetch_sub(&n->users, 1); /* not the last: whoever asked is one */
    }
    return started;
}

/* ---- events ---- */

/* Registers every GPU that is there by now; NULL: the library has no events. A GPU that is lost
 * stays out: waiting may then fail for the whole set. */
static void *event_set(struct nvml *n, uint32_t *ret_generation) {
    void *set = NULL;
    void *handles[SL_TELEMETRY_DEVICES_MAX] = {NULL};
    const unsigned long long all = NVML_EVENT_XID_CRITICAL | NVML_EVENT_DOUBLE_BIT_ECC |
                                   NVML_EVENT_UNAVAILABLE | NVML_EVENT_RECOVERY;
    pthread_mutex_lock(&n->lock);
    *ret_generation = n->generation;
    for (uint32_t i = 0; i < n->hub->count; i++) {
        handles[i] = n->gpus[i].lost ? NULL : n->gpus[i].handle;
    }
    pthread_mutex_unlock(&n->lock);
    if (n->api.event_set(&set) != NVML_OK || !set) {
        return NULL;
    }
    for (uint32_t i = 0; i < n->hub->count; i++) {
        unsigned long long types = all;
        if (handles[i] && n->api.event_types && n->api.event_types(handles[i], &types) == NVML_OK) {
            types &= all;
        }
        if (handles[i] && types && n->api.event_register(handles[i], types, set) == NVML_OK &&
            (types & NVML_EVENT_XID_CRITICAL)) {
            sl_hub_xids_known(n->hub, i);
        }
    }
    return set;
}

static void take_event(struct nvml *n, const struct nvml_event *event) {
    for (uint32_t i = 0; i < n->hub->count; i++) {
        pthread_mutex_lock(&n->lock);
        bool of_this = n->gpus[i].handle && n->gpus[i].handle == event->device;
        pthread_mutex_unlock(&n->lock);
        if (of_this && event->type == NVML_EVENT_XID_CRITICAL) {
            unsigned xid = event->data < UINT16_MAX ? (unsigned)event->data : UINT16_MAX;
            if (sl_hub_xid(n->hub, i, sl_clock_mono(), xid)) {
                sl_log(SL_LOG_WARN, "telemetry.xid", "device=%s xid=%u", n->hub->slots[i].info.key,
                       xid);
            }
        } else if (of_this && event->type == NVML_EVENT_DOUBLE_BIT_ECC) {
            (void)sl_hub_xid(n->hub, i, sl_clock_mono(), 48); /* the same event by its number */
        }
    }
}

static void wait_for_events(struct nvml *n, void *set, uint32_t generation) {
    bool same = true;
    while (same && !atomic_load(&n->hub->closing)) {
        struct nvml_event event = {0};
        int rc = n->api.event_wait(set, &event, EVENT_WAIT_MS);
        if (rc == NVML_OK) {
            take_event(n, &event);
        } else if (rc != NVML_TIMED_OUT && !sl_hub_sleep(n->hub, EVENT_WAIT_MS)) {
            return;
        }
        pthread_mutex_lock(&n->lock);
        same = generation == n->generation;
        pthread_mutex_unlock(&n->lock);
    }
}

static void *events_main(void *arg) {
    struct nvml *n = arg;
    sl_thread_name("nvml events");
    while (!atomic_load(&n->hub->closing)) {
        uint32_t generation = 0;
        void *set = event_set(n, &generation);
        if (set) {
            wait_for_events(n, set, generation);
            if (n->api.event_free) {
                n->api.event_free(set);
            }
        } else if (!sl_hub_sleep(n->hub, RETRY_MS)) {
            break;
        }
    }
    sl_nvml_release(n);
    return NULL;
}

static void start_events(struct nvml *n) {
    if (n->api.event_set && n->api.event_wait && n->api.event_register) {
        (void)sl_nvml_thread(n, events_main, n);
    }
}

void *sl_nvml_main(void *arg) {
    struct sl_hub *hub = arg;
    char note[SL_MSG_NOTE_MAX] = "";
    struct nvml *n = calloc(1, sizeof *n + hub->count * sizeof n->gpus[0]);
    sl_thread_name("nvml");
    say_never(hub, "NVML has not answered yet"); /* whatever hangs from here on */
    if (!n || !load(&n->api, hub->nvml_library, note, sizeof note)) {
        say_never(hub, note);
        free(n);
        sl_hub_release(hub);
        return NULL;
    }
    n->hub = hub;
    atomic_store(&n->users, 1);
    pthread_mutex_init(&n->lock, NULL);
    int rc;
    while ((rc = n->api.init()) != NVML_OK) {
        say_never(hub, sl_nvml_trouble(rc, "NVML does not start"));
        if (!sl_hub_sleep(hub, RETRY_MS)) {
            n->api.shutdown = NULL;
            sl_nvml_release(n);
            return NULL;
        }
    }
    sl_nvml_read_all(n, start_events);
    sl_nvml_release(n);
    return NULL;
}
