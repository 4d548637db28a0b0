/* SPDX-License-Identifier: Apache-2.0
 * The turn of the loop: inputs, timers, one step of the core each, outputs at once. ZMQ_FD is
 * edge-triggered: the link is therefore read until it is empty before every sleep, not only when
 * its descriptor says so. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "broker/http/views.h"
#include "broker/shell/broker.h"
#include "broker/shell/join.h"
#include "proto/base/log.h"

/* So many messages a turn; then the timers and mailboxes have theirs. */
#define MESSAGES_PER_TURN 256
#define TRIM_EVERY_NS (10 * SL_NS_PER_S)
#define TRIM_BYTES ((size_t)1024 * 1024)

void sl_broker_step(struct sl_broker *broker, struct sl_core_event *event) {
    sl_broker_core_step(broker->core, event, sl_clock_now());
    sl_broker_carry_out(broker);
}

static bool read_message(struct sl_broker *broker) {
    struct sl_link_peer peer;
    const uint8_t *data = NULL;
    size_t size = 0;
    struct sl_error err;
    if (sl_link_recv(broker->link, &peer, &data, &size, &err)) {
        return false;
    }
    int64_t read_ns = sl_clock_mono().ns;
    struct sl_msg msg;
    int rc = sl_msg_decode(data, size, broker->arena, &msg, &err);
    if (rc) {
        sl_log(SL_LOG_WARN, "wire.bad", "agent=%s %s", peer.key, err.text);
        if (rc == -SL_STALE) {
            sl_broker_refuse_version(broker, &peer);
        }
        return true;
    }
    if (msg.kind == SL_MSG_ROTATE_KEY && sl_link_key_check(msg.rotate_key.public_key, &err)) {
        sl_log(SL_LOG_WARN, "wire.bad", "agent=%s new key: %s", peer.key, err.text);
        return true;
    }
    struct sl_core_event event = {
        .kind = SL_CEV_MSG, .peer = peer, .msg = &msg, .read_ns = read_ns};
    sl_broker_step(broker, &event);
    return true;
}

static bool read_messages(struct sl_broker *broker) {
    int left = MESSAGES_PER_TURN;
    while (left > 0 && read_message(broker)) {
        left--;
    }
    if (left > 0) {
        broker->heard = sl_clock_mono();
    }
    return left == 0;
}

/* After a burst (a site that came back, a large batch) the heap keeps what was freed; where that is
 * much, the system gets it back. */
static void give_back_memory(struct sl_broker *broker) {
    int64_t now_ns = sl_clock_mono().ns;
    if (now_ns - broker->trimmed_ns > TRIM_EVERY_NS) {
        broker->trimmed_ns = now_ns;
        if (mallinfo2().fordblks > TRIM_BYTES) {
            malloc_trim(0);
        }
    }
}

/* What the link gave up because we were behind. */
static void count_dropped(struct sl_broker *broker) {
    uint64_t dropped = sl_zmq_server_dropped(broker->link);
    if (dropped != broker->dropped) {
        broker->dropped = dropped;
        struct sl_core_event event = {.kind = SL_CEV_BEHIND, .dropped = dropped};
        sl_broker_step(broker, &event);
    }
}

static void on_timer(uv_timer_t *timer) {
    struct sl_broker *broker = timer->data;
    give_back_memory(broker);
    sl_zmq_server_mind(broker->link);
    count_dropped(broker);
    read_messages(broker); /* before it is asked who was silent */
    sl_broker_count_refusals(broker);
    sl_broker_work_again(broker);
    struct sl_core_event event = {.kind = SL_CEV_TIMER, .heard = broker->heard};
    sl_broker_step(broker, &event);
}

static void arm_timer(struct sl_broker *broker, bool more) {
    int64_t ns = sl_broker_core_due(broker->core).ns - sl_clock_mono().ns;
    int64_t ms = ns <= 0 ? 0 : (ns + SL_NS_PER_MS - 1) / SL_NS_PER_MS;
    uv_update_time(&broker->loop);
    uv_timer_start(&broker->timer, on_timer, more ? 0 : (uint64_t)(ms > 1000 ? 1000 : ms), 0);
}

static void on_prepare(uv_prepare_t *prepare) {
    struct sl_broker *broker = prepare->data;
    broker->turn++;
    bool more = read_messages(broker);
    if (!broker->stopping) {
        arm_timer(broker, more);
    }
}

static void on_link(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    read_messages(poll->data);
}

static void on_crowd(uv_poll_t *poll, int status, int events) {
    const struct sl_broker *broker = poll->data;
    (void)status;
    (void)events;
    sl_zmq_server_mind(broker->link);
}

static void on_join(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    sl_broker_read_joins(poll->data);
}

static void on_durable_fd(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct sl_broker *broker = poll->data;
    uint64_t ticket = 0;
    uint64_t highest = 0;
    while (sl_mailbox_take(broker->durable, &ticket)) {
        highest = ticket > highest ? ticket : highest;
    }
    if (highest) {
        struct sl_core_event event = {.kind = SL_CEV_DURABLE, .ticket = highest};
        sl_broker_step(broker, &event);
    }
}

static void on_feed_fd(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct sl_broker *broker = poll->data;
    struct sl_feed_event from;
    while (sl_mailbox_take(broker->feed_events, &from)) {
        struct sl_core_event event = {
            .kind = SL_CEV_PRICE,
            .feed = from.feed,
            .price_ok = from.ok,
            .price_unreachable = from.unreachable,
            .value_nano = from.value_nano,
            .as_of = from.as_of,
            .read_ns = from.read_ns,
        };
        memcpy(event.text, from.text, sizeof event.text);
        sl_broker_step(broker, &event);
    }
}

static void on_fatal_fd(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct sl_broker *broker = poll->data;
    char reason[SL_ERROR_TEXT_MAX];
    if (sl_mailbox_take(broker->fatal, reason)) {
        sl_log(SL_LOG_ERROR, "store.failed", "%s", reason);
        sl_broker_stop(broker, 1);
    }
}

static void on_http_fd(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct sl_broker *broker = poll->data;
    struct sl_http_request request;
    while (sl_mailbox_take(sl_http_requests(broker->http), &request)) {
        if (request.kind == SL_HTTP_EVENT) {
            request.event.cookie = request.cookie;
            sl_broker_step(broker, &request.event);
        } else {
            sl_http_answer_view(broker->http, broker->core, sl_clock_now(), &request);
        }
    }
}

static void on_signal(uv_signal_t *handle, int signum) {
    struct sl_broker *broker = handle->data;
    sl_log(SL_LOG_INFO, "broker.stop", "signal=%d", signum);
    sl_broker_stop(broker, 0);
}

void sl_broker_stop(struct sl_broker *broker, int exit_code) {
    if (broker->stopping) {
        return;
    }
    broker->stopping = true;
    broker->exit_code = exit_code;
    if (exit_code == 0) {
        struct sl_core_event event = {.kind = SL_CEV_SHUTDOWN};
        sl_broker_step(broker, &event);
    }
    uv_stop(&broker->loop);
}

void sl_broker_on_durable(void *arg, uint64_t ticket) {
    struct sl_broker *broker = arg;
    sl_mailbox_put_wait(broker->durable, &ticket);
}

void sl_broker_on_fatal(void *arg, const char *reason) {
    struct sl_broker *broker = arg;
    char text[SL_ERROR_TEXT_MAX] = "";
    sl_text_copy(text, sizeof text, reason);
    sl_mailbox_put(broker->fatal, text);
}

static int watch(struct sl_broker *broker, uv_poll_t *poll, int fd, uv_poll_cb cb,
                 struct sl_error *err) {
    int rc = uv_poll_init(&broker->loop, poll, fd);
    if (rc == 0) {
        poll->data = broker;
        rc = uv_poll_start(poll, UV_READABLE, cb);
    }
    return rc ? sl_fail(err, SL_IO, "the event loop refused a descriptor: %s", uv_strerror(rc))
              : SL_OK;
}

int sl_broker_loop_init(struct sl_broker *broker, struct sl_error *err) {
    uv_timer_init(&broker->loop, &broker->timer);
    broker->timer.data = broker;
    uv_timer_init(&broker->loop, &broker->later_timer);
    broker->later_timer.data = broker;
    uv_prepare_init(&broker->loop, &broker->prepare);
    broker->prepare.data = broker;
    uv_prepare_start(&broker->prepare, on_prepare);
    static const int numbers[2] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        uv_signal_init(&broker->loop, &broker->signals[i]);
        broker->signals[i].data = broker;
        uv_signal_start(&broker->signals[i], on_signal, numbers[i]);
    }
    const struct {
        uv_poll_t *poll;
        int fd;
        uv_poll_cb cb;
    } watched[] = {
        {&broker->link_poll, sl_link_fd(broker->link), on_link},
        {&broker->crowd_poll, sl_zmq_server_crowd_fd(broker->link), on_crowd},
        {&broker->durable_poll, sl_mailbox_fd(broker->durable), on_durable_fd},
        {&broker->feed_poll, sl_mailbox_fd(broker->feed_events), on_feed_fd},
        {&broker->fatal_poll, sl_mailbox_fd(broker->fatal), on_fatal_fd},
        {&broker->http_poll, sl_mailbox_fd(sl_http_requests(broker->http)), on_http_fd},
    };
    for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++) {
        int rc = watch(broker, watched[i].poll, watched[i].fd, watched[i].cb, err);
        if (rc) {
            return rc;
        }
    }
    return broker->join
               ? watch(broker, &broker->join_poll, sl_join_server_fd(broker->join), on_join, err)
               : SL_OK;
}

int sl_broker_loop_run(struct sl_broker *broker) {
    uv_run(&broker->loop, UV_RUN_DEFAULT);
    sl_broker_carry_out_rest(broker);
    return broker->exit_code;
}
