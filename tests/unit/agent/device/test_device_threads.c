/* SPDX-License-Identifier: Apache-2.0
 * Threads that meet on the fake device and the link in memory, for ThreadSanitizer. Both have no
 * thread of their own and belong to one at a time; what a program with threads does with them is
 * this: each device lives on a thread of its own and shares one mailbox of events with the others,
 * and the two ends of a link are used by two threads, one at a time. Anything that they share in
 * secret is a race here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/device/fake_device.h"
#include "proto/link/link.h"

#define DEVICES 3
#define EPOCHS 40
#define WAIT_NS (20 * SL_NS_PER_S)

struct site {
    pthread_mutex_t lock; /* of the hub and both its links */
    struct sl_mem_hub *hub;
    struct sl_link *server; /* the broker's thread */
    struct sl_link *client; /* the agent's thread */
    struct sl_mailbox *events;
    struct sl_mailbox *commands[DEVICES];
    _Atomic bool stopping;
    _Atomic uint32_t lines;
    _Atomic uint32_t wrong;
};

struct device_arg {
    struct site *site;
    uint32_t index;
};

/* What crosses the link, both ways. */
struct note {
    uint32_t device;
    uint64_t epoch;
};

static const struct sl_fake_script script = {
    .info = {.key = "fake/0", .name = "fake", .is_cpu = true},
    .model_count = 1,
    .models = {{.id = "m", .tokens_per_s_milli = 1000 * 1000, .max_tokens = 16}},
    .dim = 8,
    .ready_us = 10,
    .halt_us = 10,
    .start_us = 10,
    .launch_us = 10,
};

static void *device_main(void *arg) {
    const struct device_arg *self = arg;
    struct site *site = self->site;
    struct sl_device *device = NULL;
    struct sl_mono now = {0};
    struct sl_device_cmd cmd;
    if (sl_fake_device_create(&script, self->index, site->events, now, &device, NULL) != SL_OK) {
        atomic_fetch_add(&site->wrong, 1);
        return NULL;
    }
    while (!atomic_load(&site->stopping)) {
        if (sl_mailbox_take_wait(site->commands[self->index], SL_NS_PER_MS, &cmd) == SL_OK) {
            if (cmd.kind == SL_DEVCMD_MODE) {
                sl_device_halt(device);
            }
            if (sl_device_post(device, &cmd) != SL_OK) {
                sl_device_cmd_fini(&cmd);
                atomic_fetch_add(&site->wrong, 1);
            }
        }
        now.ns += 10 * SL_NS_PER_MS;
        sl_fake_device_advance(device, now);
    }
    sl_device_destroy(device);
    return NULL;
}

static struct sl_device_unit *make_unit(uint64_t id, uint64_t epoch) {
    struct sl_device_unit *unit =
        calloc(1, sizeof *unit + sizeof(struct sl_unit_line) + 2 * sizeof(int32_t));
    assert_non_null(unit);
    int32_t *ids = (int32_t *)(unit->lines + 1);
    unit->unit_id = id;
    unit->epoch = epoch;
    strcpy(unit->model, "m");
    unit->n_lines = 1;
    ids[0] = (int32_t)id;
    ids[1] = (int32_t)epoch;
    unit->lines[0] = (struct sl_unit_line){0, 0, 2, ids};
    return unit;
}

/* The agent's end: a directive becomes two commands to that device's thread. */
static void obey(struct site *site) {
    struct sl_link_peer peer;
    const uint8_t *data = NULL;
    size_t size = 0;
    struct note note;
    pthread_mutex_lock(&site->lock);
    int rc = sl_link_recv(site->client, &peer, &data, &size, NULL);
    if (rc == SL_OK) {
        memcpy(&note, data, sizeof note);
    }
    pthread_mutex_unlock(&site->lock);
    if (rc != SL_OK) {
        return;
    }
    struct sl_device_cmd mode = {
        .kind = SL_DEVCMD_MODE, .mode = SL_MODE_INFER, .epoch = note.epoch};
    struct sl_device_cmd unit = {.kind = SL_DEVCMD_UNIT,
                                 .unit = make_unit(note.epoch * 10, note.epoch)};
    if (sl_mailbox_put(site->commands[note.device], &mode) != SL_OK ||
        sl_mailbox_put(site->commands[note.device], &unit) != SL_OK) {
        atomic_fetch_add(&site->wrong, 1);
    }
}

static void tell(struct site *site, const struct sl_device_event *event) {
    const struct note note = {event->device, event->epoch};
    pthread_mutex_lock(&site->lock);
    int rc = sl_link_send(site->client, NULL, (const uint8_t *)&note, sizeof note, NULL);
    pthread_mutex_unlock(&site->lock);
    atomic_fetch_add(&site->wrong, rc != SL_OK);
}

static void *agent_main(void *arg) {
    struct site *site = arg;
    struct sl_device_event event;
    const struct note hello = {DEVICES, 0};
    pthread_mutex_lock(&site->lock);
    sl_link_send(site->client, NULL, (const uint8_t *)&hello, sizeof hello, NULL);
    pthread_mutex_unlock(&site->lock);
    while (!atomic_load(&site->stopping)) {
        obey(site);
        if (sl_mailbox_take_wait(site->events, SL_NS_PER_MS, &event) != SL_OK) {
            continue;
        }
        if (event.kind == SL_DEVEV_STARTED) {
            tell(site, &event);
        } else if (event.kind == SL_DEVEV_LINE) {
            const int32_t ids[2] = {(int32_t)event.line.unit_id, (int32_t)event.line.unit_id / 10};
            float want[8];
            sl_fake_vector(ids, 2, 8, want);
            bool same = event.line.vector && memcmp(want, event.line.vector, sizeof want) == 0;
            atomic_fetch_add(same ? &site->lines : &site->wrong, 1);
        }
        sl_device_event_fini(&event);
    }
    return NULL;
}

/* The broker's end. False: nothing now. */
static bool hear(struct site *site, struct sl_link_peer *peer, struct note *note) {
    const uint8_t *data = NULL;
    size_t size = 0;
    pthread_mutex_lock(&site->lock);
    int rc = sl_link_recv(site->server, peer, &data, &size, NULL);
    if (rc == SL_OK) {
        memcpy(note, data, sizeof *note);
    }
    pthread_mutex_unlock(&site->lock);
    return rc == SL_OK;
}

static void direct(struct site *site, const struct sl_link_peer *peer, uint32_t device,
                   uint64_t epoch) {
    const struct note note = {device, epoch};
    pthread_mutex_lock(&site->lock);
    int rc = sl_link_send(site->server, peer, (const uint8_t *)&note, sizeof note, NULL);
    pthread_mutex_unlock(&site->lock);
    assert_int_equal(rc, SL_OK);
}

/* Each device gets its next epoch when it has said that the last one runs. */
static void run_broker(struct site *site) {
    uint64_t epoch[DEVICES] = {0};
    uint32_t finished = 0;
    struct sl_link_peer peer;
    struct note note;
    int64_t until = sl_clock_mono().ns + WAIT_NS;
    while (finished < DEVICES) {
        if (sl_clock_mono().ns > until) {
            fail_msg("devices at %d %d %d of %d epochs, wrong: %d", (int)epoch[0], (int)epoch[1],
                     (int)epoch[2], EPOCHS, (int)atomic_load(&site->wrong));
        }
        if (!hear(site, &peer, &note)) {
            sched_yield();
            continue;
        }
        if (note.device == DEVICES) { /* the agent is there */
            for (uint32_t i = 0; i < DEVICES; i++) {
                direct(site, &peer, i, ++epoch[i]);
            }
            continue;
        }
        assert_int_equal(note.epoch, epoch[note.device]);
        if (epoch[note.device] == EPOCHS) {
            finished++;
        } else {
            direct(site, &peer, note.device, ++epoch[note.device]);
        }
    }
}

static void open_site(struct site *site) {
    memset(site, 0, sizeof *site);
    assert_int_equal(pthread_mutex_init(&site->lock, NULL), 0);
    assert_int_equal(sl_mem_hub_create(64, &site->hub, NULL), SL_OK);
    assert_int_equal(sl_mem_server_create(site->hub, &site->server, NULL), SL_OK);
    assert_int_equal(sl_mem_client_create(site->hub, "key", &site->client, NULL), SL_OK);
    assert_int_equal(sl_mailbox_create(sizeof(struct sl_device_event), 64, &site->events, NULL),
                     SL_OK);
    for (int i = 0; i < DEVICES; i++) {
        assert_int_equal(
            sl_mailbox_create(sizeof(struct sl_device_cmd), 16, &site->commands[i], NULL), SL_OK);
    }
}

static void close_site(struct site *site) {
    struct sl_device_event event;
    struct sl_device_cmd cmd;
    while (sl_mailbox_take(site->events, &event)) {
        sl_device_event_fini(&event);
    }
    for (int i = 0; i < DEVICES; i++) {
        while (sl_mailbox_take(site->commands[i], &cmd)) {
            sl_device_cmd_fini(&cmd);
        }
        sl_mailbox_destroy(site->commands[i]);
    }
    sl_mailbox_destroy(site->events);
    sl_link_destroy(site->client);
    sl_link_destroy(site->server);
    sl_mem_hub_destroy(site->hub);
    pthread_mutex_destroy(&site->lock);
}

static void devices_and_link_are_used_by_threads(void **state) {
    (void)state;
    static struct site site;
    struct device_arg args[DEVICES];
    pthread_t devices[DEVICES];
    pthread_t agent;
    open_site(&site);
    for (uint32_t i = 0; i < DEVICES; i++) {
        args[i] = (struct device_arg){&site, i};
        assert_int_equal(pthread_create(&devices[i], NULL, device_main, &args[i]), 0);
    }
    assert_int_equal(pthread_create(&agent, NULL, agent_main, &site), 0);
    run_broker(&site);
    atomic_store(&site.stopping, true);
    for (uint32_t i = 0; i < DEVICES; i++) {
        pthread_join(devices[i], NULL);
    }
    pthread_join(agent, NULL);
    assert_int_equal(atomic_load(&site.wrong), 0);
    assert_true(atomic_load(&site.lines) > 0);
    close_site(&site);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(devices_and_link_are_used_by_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
