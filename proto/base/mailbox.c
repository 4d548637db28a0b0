/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/mailbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/clock.h"

struct sl_mailbox {
    pthread_mutex_t lock;
    pthread_cond_t not_empty;
    pthread_cond_t not_full;
    size_t item_size;
    size_t capacity;
    size_t head;
    size_t count;
    bool closed;
    int fd;      /* -1 until somebody asks for it */
    char *items; /* [capacity][item_size] */
};

static int create_conds(struct sl_mailbox *box) {
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0) {
        return -SL_NOMEM;
    }
    /* Waits are spans; a step of the wall clock must not lengthen them. */
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int rc = pthread_cond_init(&box->not_empty, &attr) | pthread_cond_init(&box->not_full, &attr);
    pthread_condattr_destroy(&attr);
    return rc ? -SL_NOMEM : SL_OK;
}

int sl_mailbox_create(size_t item_size, size_t capacity, struct sl_mailbox **ret_box,
                      struct sl_error *err) {
    sl_assert(item_size > 0 && capacity > 0);
    struct sl_mailbox *box = calloc(1, sizeof *box);
    if (!box) {
        return sl_fail(err, SL_NOMEM, "no memory for a mailbox");
    }
    box->item_size = item_size;
    box->capacity = capacity;
    box->items = calloc(capacity, item_size);
    box->fd = -1;
    if (!box->items || pthread_mutex_init(&box->lock, NULL) != 0 || create_conds(box)) {
        free(box->items);
        free(box);
        return sl_fail(err, SL_NOMEM, "no memory for a mailbox");
    }
    *ret_box = box;
    return SL_OK;
}

void sl_mailbox_destroy(struct sl_mailbox *box) {
    if (!box) {
        return;
    }
    pthread_cond_destroy(&box->not_empty);
    pthread_cond_destroy(&box->not_full);
    pthread_mutex_destroy(&box->lock);
    if (box->fd >= 0) {
        close(box->fd);
    }
    free(box->items);
    free(box);
}

static void raise_fd(int fd) {
    if (fd < 0) {
        return;
    }
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof one);
    (void)n; /* only fails when the counter is saturated, and then it is readable anyway */
}

static void lower_fd(struct sl_mailbox *box) {
    if (box->fd < 0) {
        return;
    }
    uint64_t value;
    ssize_t n = read(box->fd, &value, sizeof value);
    (void)n;
}

/* Unlocks. The reader is woken only then: it may run at once, on this core, and would find the lock
 * held and sleep again. */
static void push_unlock(struct sl_mailbox *box, const void *item) {
    size_t at = (box->head + box->count) % box->capacity;
    memcpy(box->items + at * box->item_size, item, box->item_size);
    int fd = box->count++ == 0 ? box->fd : -1;
    pthread_mutex_unlock(&box->lock);
    raise_fd(fd);
    pthread_cond_signal(&box->not_empty);
}

int sl_mailbox_put(struct sl_mailbox *box, const void *item) {
    pthread_mutex_lock(&box->lock);
    if (!box->closed && box->count < box->capacity) {
        push_unlock(box, item);
        return SL_OK;
    }
    int rc = box->closed ? -SL_CLOSED : -SL_AGAIN;
    pthread_mutex_unlock(&box->lock);
    return rc;
}

int sl_mailbox_put_wait(struct sl_mailbox *box, const void *item) {
    pthread_mutex_lock(&box->lock);
    while (!box->closed && box->count == box->capacity) {
        pthread_cond_wait(&box->not_full, &box->lock);
    }
    if (!box->closed) {
        push_unlock(box, item);
        return SL_OK;
    }
    pthread_mutex_unlock(&box->lock);
    return -SL_CLOSED;
}

static bool pop_locked(struct sl_mailbox *box, void *ret_item) {
    if (box->count == 0) {
        if (!box->closed) {
            lower_fd(box); /* raised for an item that somebody took before that */
        }
        return false;
    }
    memcpy(ret_item, box->items + box->head * box->item_size, box->item_size);
    box->head = (box->head + 1) % box->capacity;
    if (--box->count == 0 && !box->closed) {
        lower_fd(box);
    }
    pthread_cond_signal(&box->not_full);
    return true;
}

bool sl_mailbox_take(struct sl_mailbox *box, void *ret_item) {
    pthread_mutex_lock(&box->lock);
    bool taken = pop_locked(box, ret_item);
    pthread_mutex_unlock(&box->lock);
    return taken;
}

static struct timespec deadline_after(int64_t timeout_ns) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t); /* tidy: allow clock (pthread wait) */
    int64_t ns = t.tv_nsec + timeout_ns % SL_NS_PER_S;
    t.tv_sec += timeout_ns / SL_NS_PER_S + ns / SL_NS_PER_S;
    t.tv_nsec = ns % SL_NS_PER_S;
    return t;
}

int sl_mailbox_take_wait(struct sl_mailbox *box, int64_t timeout_ns, void *ret_item) {
    struct timespec until = {0};
    if (timeout_ns >= 0) {
        until = deadline_after(timeout_ns);
    }
    int rc = SL_OK;
    pthread_mutex_lock(&box->lock);
    while (box->count == 0 && !box->closed && rc == SL_OK) {
        if (timeout_ns < 0) {
            pthread_cond_wait(&box->not_empty, &box->lock);
        } else if (pthread_cond_timedwait(&box->not_empty, &box->lock, &until) != 0) {
            rc = -SL_TIMEOUT;
        }
    }
    if (pop_locked(box, ret_item)) {
        rc = SL_OK;
    } else if (box->closed) {
        rc = -SL_CLOSED;
    }
    pthread_mutex_unlock(&box->lock);
    return rc;
}

void sl_mailbox_close(struct sl_mailbox *box) {
    pthread_mutex_lock(&box->lock);
    box->closed = true;
    raise_fd(box->fd);
    pthread_cond_broadcast(&box->not_empty);
    pthread_cond_broadcast(&box->not_full);
    pthread_mutex_unlock(&box->lock);
}

size_t sl_mailbox_count(struct sl_mailbox *box) {
    pthread_mutex_lock(&box->lock);
    size_t count = box->count;
    pthread_mutex_unlock(&box->lock);
    return count;
}

int sl_mailbox_fd(struct sl_mailbox *box) {
    pthread_mutex_lock(&box->lock);
    if (box->fd < 0) {
        box->fd = eventfd(box->count > 0 || box->closed, EFD_NONBLOCK | EFD_CLOEXEC);
    }
    int fd = box->fd;
    pthread_mutex_unlock(&box->lock);
    return fd;
}
