/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/cl_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "agent/device/bind.h"
#include "agent/device/cl_device_internal.h"
#include "proto/base/log.h"
#include "proto/base/text.h"
#include "proto/base/thread.h"

#define COMMANDS_MAX 256
#define HANG_MS 30000
#define WATCH_EVERY_NS (200 * SL_NS_PER_MS)
#define TIMER_SLACK_NS 1000ul
#define JOIN_STEP_NS (500 * SL_NS_PER_MS)

static struct sl_cl_device *of(struct sl_device *device) {
    return (struct sl_cl_device *)device;
}

void sl_watch_begin(struct sl_cl_device *d, int64_t limit_ns) {
    atomic_store(&d->limit_ns, limit_ns);
    atomic_store(&d->wait_ns, sl_clock_mono().ns);
}

void sl_watch_alive(struct sl_cl_device *d) {
    sl_watch_begin(d, (int64_t)d->config.hang_ms * SL_NS_PER_MS);
}

void sl_watch_end(struct sl_cl_device *d) {
    atomic_store(&d->wait_ns, 0);
}

static void report_hang(struct sl_cl_device *d) {
    struct sl_device_event event = {
        .kind = SL_DEVEV_FAILED, .device = d->base.index, .at = sl_clock_mono(), .hung = true};
    atomic_store(&d->hung, true);
    snprintf(event.text, sizeof event.text,
             "the device has not answered for %lld s: it or its driver hangs. Restart the agent; "
             "if that does not help, the machine",
             (long long)(atomic_load(&d->limit_ns) / SL_NS_PER_S));
    while (sl_mailbox_put(d->base.events, &event) == -SL_AGAIN && !atomic_load(&d->closing)) {
        const struct timespec nap = {0, SL_NS_PER_MS};
        nanosleep(&nap, NULL);
    }
}

/* A launch that never returns can only be noticed from outside: no OpenCL call takes a timeout.
 * Time is counted in the watchdog's own ticks, so that a process that was stopped or suspended as a
 * whole does not take the pause for a hung device. */
static void *watchdog_main(void *arg) {
    struct sl_cl_device *d = arg;
    char nothing = 0;
    int64_t watched = 0;
    int64_t waited_ns = 0;
    sl_thread_name("watchdog");
    while (sl_mailbox_take_wait(d->watchdog_end, WATCH_EVERY_NS, &nothing) == -SL_TIMEOUT) {
        int64_t since = atomic_load(&d->wait_ns);
        waited_ns = since != 0 && since == watched ? waited_ns + WATCH_EVERY_NS : 0;
        watched = since;
        if (waited_ns > atomic_load(&d->limit_ns)) {
            report_hang(d);
            break;
        }
    }
    return NULL;
}

static void release(struct sl_cl_device *d) {
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        if (d->executors[mode]) {
            d->executors[mode]->ops->destroy(d->executors[mode]);
            d->executors[mode] = NULL;
        }
    }
    if (d->cl_open) {
        sl_cl_close(&d->cl);
    }
}

static void *device_main(void *arg) {
    struct sl_cl_device *d = arg;
    struct sl_error err = {0};
    char name[16];
    snprintf(name, sizeof name, "device %u", d->base.index);
    sl_thread_name(name);
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    if (sl_bind_thread(d->found, &err) != SL_OK) {
        sl_log(SL_LOG_WARN, "device.bind", "device=%s: %s", d->found->info.key, err.text);
    }
    if (sl_cl_device_prepare(d, &err) != SL_OK) {
        sl_cl_device_dead(d, &err);
    } else {
        pthread_mutex_lock(&d->lock);
        d->word_open = true;
        pthread_mutex_unlock(&d->lock);
        sl_cl_device_report(d, SL_DEVEV_READY);
    }
    sl_cl_device_serve(d);
    pthread_mutex_lock(&d->lock);
    d->word_open = false;
    pthread_mutex_unlock(&d->lock);
    sl_watch_alive(d);
    release(d);
    sl_watch_end(d);
    sl_mailbox_close(d->thread_end);
    return NULL;
}

static void wake(struct sl_cl_device *d) {
    const struct sl_device_cmd nothing = {.kind = SL_DEVCMD_INVALID};
    /* Full means that there is something to wake up for. */
    (void)sl_mailbox_put(d->commands, &nothing);
}

static void cl_device_halt(struct sl_device *device) {
    struct sl_cl_device *d = of(device);
    pthread_mutex_lock(&d->lock);
    if (d->halts == d->halts_done) {
        d->halt_ns = sl_clock_mono().ns;
    }
    d->halts++;
    if (d->word_open) {
        sl_cl_stop_set(&d->cl, true);
    }
    pthread_mutex_unlock(&d->lock);
    wake(d);
}

static bool offers(const struct sl_cl_device *d, enum sl_mode mode) {
    for (uint32_t i = 0; i < d->config.factory_count; i++) {
        if (d->config.factories[i].mode == mode) {
            return true;
        }
    }
    return false;
}

/* What is queued for the job before is worthless with this one (as take_job in hash.c judges). */
static bool ends_job(const struct sl_cl_device *d, const struct sl_job *job) {
    return d->posted && (!job || job->clean || job->session != d->posted_session ||
                         memcmp(job->prevhash, d->posted_prevhash, sizeof job->prevhash) != 0);
}

static void note_job(struct sl_cl_device *d, const struct sl_job *job) {
    d->posted = job != NULL;
    if (job) {
        d->posted_session = job->session;
        memcpy(d->posted_prevhash, job->prevhash, sizeof d->posted_prevhash);
    }
}

/* The thread may be waiting for a launch, so a job that ends the one before sets the stop word from
 * here. After the command is in the box: a cut without its job would only be a pause. */
static int post_job(struct sl_cl_device *d, struct sl_device_cmd *cmd) {
    struct sl_job *job = cmd->job;
    bool ends = ends_job(d, job);
    struct sl_job kept = job ? *job : (struct sl_job){0}; /* the thread may free it at once */
    pthread_mutex_lock(&d->lock);
    int rc = sl_mailbox_put(d->commands, cmd);
    if (rc == SL_OK && ends && d->word_open && d->hashing) {
        d->cuts++;
        sl_cl_stop_set(&d->cl, true);
    }
    pthread_mutex_unlock(&d->lock);
    if (rc == SL_OK) {
        note_job(d, job ? &kept : NULL);
    }
    return rc;
}

static int cl_device_post(struct sl_device *device, struct sl_device_cmd *cmd) {
    struct sl_cl_device *d = of(device);
    if (cmd->kind == SL_DEVCMD_INVALID) {
        return -SL_INVALID;
    }
    if (cmd->kind == SL_DEVCMD_MODE && !offers(d, cmd->mode)) {
        return -SL_UNSUPPORTED;
    }
    int rc = cmd->kind == SL_DEVCMD_JOB ? post_job(d, cmd) : sl_mailbox_put(d->commands, cmd);
    if (rc == SL_OK) {
        memset(cmd, 0, sizeof *cmd);
    }
    return rc;
}

static void free_device(struct sl_cl_device *d) {
    struct sl_device_cmd cmd;
    while (d->commands && sl_mailbox_take(d->commands, &cmd)) {
        sl_device_cmd_fini(&cmd);
    }
    sl_mailbox_destroy(d->commands);
    sl_mailbox_destroy(d->watchdog_end);
    sl_mailbox_destroy(d->thread_end);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static void end_watchdog(struct sl_cl_device *d) {
    sl_mailbox_close(d->watchdog_end);
    pthread_join(d->watchdog, NULL);
}

static void cl_device_destroy(struct sl_device *device) {
    struct sl_cl_device *d = of(device);
    char nothing = 0;
    bool ended = false;
    bool hung = false;
    atomic_store(&d->closing, true);
    cl_device_halt(device);
    /* Ends a wait for commands, however full the box is. */
    sl_mailbox_close(d->commands);
    /* Preparing may take long; only the watchdog says that there is nothing to wait for. */
    while (!ended && !hung) {
        hung = atomic_load(&d->hung);
        ended = sl_mailbox_take_wait(d->thread_end, JOIN_STEP_NS, &nothing) != -SL_TIMEOUT;
    }
    end_watchdog(d);
    if (!ended) {
        /* The thread is inside a driver that does not come back, and still uses this memory. */
        pthread_detach(d->thread);
        return;
    }
    pthread_join(d->thread, NULL);
    free_device(d);
}

static const struct sl_device_ops cl_device_ops = {cl_device_halt, cl_device_post,
                                                   cl_device_destroy};

static int check_config(const struct sl_cl_device *d, struct sl_error *err) {
    if (d->config.factory_count > SL_MODE_COUNT || !offers(d, SL_MODE_IDLE)) {
        return sl_fail(err, SL_INVALID, "a device needs an idle executor and at most %d in all",
                       SL_MODE_COUNT);
    }
    return SL_OK;
}

static int start_threads(struct sl_cl_device *d, struct sl_error *err) {
    if (pthread_create(&d->watchdog, NULL, watchdog_main, d) != 0) {
        return sl_fail(err, SL_NOMEM, "cannot start a device's watchdog");
    }
    if (pthread_create(&d->thread, NULL, device_main, d) != 0) {
        end_watchdog(d);
        return sl_fail(err, SL_NOMEM, "cannot start a device's thread");
    }
    return SL_OK;
}

int sl_cl_device_create(const struct sl_discovery *discovery, uint32_t which,
                        const struct sl_cl_device_config *config, uint32_t index,
                        struct sl_mailbox *events, struct sl_device **ret_device,
                        struct sl_error *err) {
    sl_assert(which < discovery->count);
    struct sl_cl_device *d = calloc(1, sizeof *d);
    if (!d) {
        return sl_fail(err, SL_NOMEM, "no memory for a device");
    }
    d->base = (struct sl_device){&cl_device_ops, index, events};
    d->found = &discovery->devices[which];
    d->config = *config;
    d->config.launch_ms = config->launch_ms ? config->launch_ms : SL_DEVICE_LAUNCH_MS;
    d->config.hang_ms = config->hang_ms ? config->hang_ms : HANG_MS;
    sl_text_copy(d->cache_dir, sizeof d->cache_dir, discovery->cache_dir);
    sl_text_copy(d->sysfs_root, sizeof d->sysfs_root,
                 config->sysfs_root ? config->sysfs_root : "/sys");
    d->config.sysfs_root = d->sysfs_root;
    pthread_mutex_init(&d->lock, NULL);
    int rc = sl_mailbox_create(sizeof(struct sl_device_cmd), COMMANDS_MAX, &d->commands, err);
    rc = rc == SL_OK ? sl_mailbox_create(1, 1, &d->watchdog_end, err) : rc;
    rc = rc == SL_OK ? sl_mailbox_create(1, 1, &d->thread_end, err) : rc;
    rc = rc == SL_OK ? check_config(d, err) : rc;
    rc = rc == SL_OK ? start_threads(d, err) : rc;
    if (rc != SL_OK) {
        free_device(d);
        return rc;
    }
    *ret_device = &d->base;
    return SL_OK;
}
