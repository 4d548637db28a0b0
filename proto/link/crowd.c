/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/link/crowd.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

#include "proto/base/log.h"
#include "proto/base/text.h"
#include "proto/link/zmq_monitor.h"

struct sl_crowd {
    void *socket;
    void *monitor;
    uint32_t max;
    uint32_t count;
    int listener; /* libzmq's; -1: not known */
    bool shut;
    char endpoint[256];
};

int sl_crowd_create(void *context, void *socket, uint32_t max, struct sl_crowd **ret_crowd,
                    struct sl_error *err) {
    SL_AUTO(sl_crowd) crowd = calloc(1, sizeof *crowd);
    sl_assert(max > 0);
    if (!crowd) {
        return sl_fail(err, SL_NOMEM, "no memory to count connections");
    }
    crowd->max = max;
    crowd->listener = -1;
    int rc = sl_zmq_monitor_open(context, socket,
                                 ZMQ_EVENT_LISTENING | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED,
                                 &crowd->monitor, err);
    if (rc == SL_OK) {
        crowd->socket = socket;
        *ret_crowd = sl_take(&crowd);
    }
    return rc;
}

void sl_crowd_bound(struct sl_crowd *crowd, const char *endpoint) {
    sl_text_copy(crowd->endpoint, sizeof crowd->endpoint, endpoint);
    sl_crowd_mind(crowd);
}

int sl_crowd_fd(const struct sl_crowd *crowd) {
    int fd = -1;
    size_t size = sizeof fd;
    int rc = zmq_getsockopt(crowd->monitor, ZMQ_FD, &fd, &size);
    sl_assert(rc == 0);
    return fd;
}

/* Not by unbinding: that ends the connections that there are. A filter on the listening socket sees
 * only what is not of a connection yet. */
static void shut(struct sl_crowd *crowd) {
    struct sock_filter nothing[] = {{.code = BPF_RET | BPF_K, .k = 0}};
    const struct sock_fprog program = {.len = 1, .filter = nothing};
    crowd->shut = true;
    if (setsockopt(crowd->listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) {
        sl_log(SL_LOG_ERROR, "link.crowded",
               "connections=%u at %s, and others cannot be kept out: %s", crowd->count,
               crowd->endpoint, strerror(errno));
        return;
    }
    sl_log(SL_LOG_WARN, "link.crowded",
           "connections=%u at %s: nobody new is let in until some have gone. Are they agents? "
           "`ss -tn` shows whose they are; LimitNOFILE allows for more",
           crowd->count, crowd->endpoint);
}

static void open_again(struct sl_crowd *crowd) {
    int unused = 0;
    (void)setsockopt(crowd->listener, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
    crowd->shut = false;
    sl_log(SL_LOG_INFO, "link.crowded", "connections=%u at %s: there is room again", crowd->count,
           crowd->endpoint);
}

void sl_crowd_mind(struct sl_crowd *crowd) {
    uint32_t value = 0;
    uint16_t event = sl_zmq_monitor_next(crowd->monitor, &value);
    for (; event != 0; event = sl_zmq_monitor_next(crowd->monitor, &value)) {
        if (event == ZMQ_EVENT_LISTENING) {
            crowd->listener = (int)value;
        } else if (event == ZMQ_EVENT_ACCEPTED) {
            crowd->count++;
        } else if (crowd->count > 0) {
            crowd->count--;
        }
        if (!crowd->shut && crowd->count >= crowd->max) {
            shut(crowd); /* at once, not when all have been counted */
        }
    }
    if (crowd->shut && crowd->count <= crowd->max - crowd->max / 8 && crowd->count < crowd->max) {
        open_again(crowd);
    }
}

uint32_t sl_crowd_count(const struct sl_crowd *crowd) {
    return crowd->count;
}

void sl_crowd_destroy(struct sl_crowd *crowd) {
    if (crowd) {
        sl_zmq_monitor_close(crowd->socket, crowd->monitor);
        free(crowd);
    }
}
