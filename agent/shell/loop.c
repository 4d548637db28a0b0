/* SPDX-License-Identifier: Apache-2.0
 * The turn of the loop: inputs, timers, one event of the core each, its commands at once. ZMQ_FD is
 * edge-triggered: the link is therefore read until it is empty before every sleep, not only when
 * its descriptor says so. */
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "agent/shell/agent.h"
#include "proto/base/log.h"
#include "proto/wire/codec.h"

/* So many of each kind a turn; then the others have theirs. */
#define PER_TURN 256
#define PER_BURST 8 /* messages, before what may wait is done */
#define TIMER_MS_MAX 1000
#define HELD_RETRY_MS 2
#define LAST_TURNS 200 /* of about a millisecond */

static void take_message(struct sl_agent *agent, struct sl_mono received, const uint8_t *data,
                         size_t size) {
    struct sl_error err;
    struct sl_msg msg;
    if (sl_msg_decode(data, size, agent->arena, &msg, &err) != SL_OK) {
        sl_log(SL_LOG_WARN, "wire.bad", "%s", err.text);
        return;
    }
    sl_agent_message(agent->core, sl_clock_now(), received, &msg);
    if (msg.kind == SL_MSG_WELCOME) {
        sl_agent_server_key_said(agent, msg.welcome.next_server_key);
    }
    sl_agent_carry_out(agent);
}

static bool read_message(struct sl_agent *agent) {
    struct sl_link_peer peer;
    const uint8_t *data = NULL;
    size_t size = 0;
    struct sl_mono received = sl_clock_mono();
    if (!agent->link || sl_link_recv(agent->link, &peer, &data, &size, NULL) != SL_OK) {
        return false;
    }
    if (!sl_msg_bundle_is(data, size)) {
        take_message(agent, received, data, size);
        return true;
    }
    /* What is answered meanwhile may cost us the link's own bytes. */
    agent->bundle.len = 0;
    sl_buf_append(&agent->bundle, data, size);
    const uint8_t *part = NULL;
    size_t at = 0;
    while (!agent->bundle.failed && sl_msg_bundle_next((const uint8_t *)agent->bundle.data,
                                                       agent->bundle.len, &at, &part, &size)) {
        take_message(agent, received, part, size);
    }
    return true;
}

/* True: there may be more. */
static bool read_messages(struct sl_agent *agent) {
    bool more = true;
    for (int i = 0; more && i < PER_TURN; i += PER_BURST) {
        sl_agent_burst_begin(agent);
        for (int k = 0; more && k < PER_BURST; k++) {
            more = read_message(agent);
        }
        sl_agent_burst_end(agent);
    }
    return more;
}

static void on_timer(uv_timer_t *timer) {
    struct sl_agent *agent = timer->data;
    sl_agent_fake_advance(agent);
    if (sl_agent_deadline(agent->core).ns <= sl_clock_mono().ns) {
        sl_agent_timer(agent->core, sl_clock_now());
        sl_agent_carry_out(agent);
    }
}

static void arm_timer(struct sl_agent *agent, bool more) {
    int64_t due_ns = sl_agent_deadline(agent->core).ns;
    int64_t fake_ns = sl_agent_fake_next_ns(agent);
    due_ns = fake_ns < due_ns ? fake_ns : due_ns;
    int64_t ns = due_ns - sl_clock_mono().ns;
    int64_t ms = more || ns <= 0 ? 0 : ns / SL_NS_PER_MS + 1;
    int64_t most = agent->held_count ? HELD_RETRY_MS : TIMER_MS_MAX;
    uv_update_time(&agent->loop);
    uv_timer_start(&agent->timer, on_timer, (uint64_t)(ms > most ? most : ms), 0);
}

static void on_prepare(uv_prepare_t *prepare) {
    struct sl_agent *agent = prepare->data;
    bool more = read_messages(agent);
    sl_agent_renew_link(agent);
    sl_agent_post_held(agent);
    arm_timer(agent, more);
}

static void on_link(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    (void)read_messages(poll->data); /* what is left is read before the next sleep */
}

static void on_device_events(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct sl_agent *agent = poll->data;
    struct sl_device_event event;
    for (int i = 0; i < PER_TURN && sl_mailbox_take(agent->events, &event); i++) {
        sl_agent_device(agent->core, sl_clock_now(), &event);
        sl_agent_carry_out(agent);
    }
}

static void on_durable(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct sl_agent *agent = poll->data;
    struct sl_journal_done done;
    while (sl_mailbox_take(agent->durable, &done)) {
        if (done.status != SL_OK) {
            sl_agent_stop(agent->core, sl_clock_now(), 1, done.text);
        } else {
            sl_agent_durable(agent->core, sl_clock_now(), done.ticket, done.at);
        }
        sl_agent_carry_out(agent);
    }
}

static void on_tokens(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct sl_agent *agent = poll->data;
    struct sl_agent_tokens *tokens = NULL;
    while (sl_mailbox_take(sl_tokenizer_done(agent->tokenizer), &tokens)) {
        sl_agent_tokenized(agent->core, sl_clock_now(), tokens);
        sl_agent_carry_out(agent);
    }
}

static void on_signal(uv_signal_t *handle, int signum) {
    struct sl_agent *agent = handle->data;
    if (agent->stop_asked) {
        sl_log(SL_LOG_WARN, "agent.stop", "second signal: leaving at once");
        _exit(1);
    }
    agent->stop_asked = true;
    sl_agent_stop(agent->core, sl_clock_now(), 0,
                  signum == SIGTERM ? "asked to stop (SIGTERM)" : "asked to stop (SIGINT)");
    sl_agent_carry_out(agent);
}

static int watch(struct sl_agent *agent, uv_poll_t *poll, int fd, uv_poll_cb cb,
                 struct sl_error *err) {
    int rc = uv_poll_init(&agent->loop, poll, fd);
    if (rc == 0) {
        poll->data = agent;
        rc = uv_poll_start(poll, UV_READABLE, cb);
    }
    return rc ? sl_fail(err, SL_IO, "the event loop refused a descriptor: %s", uv_strerror(rc))
              : SL_OK;
}

int sl_agent_watch_link(struct sl_agent *agent, struct sl_error *err) {
    return watch(agent, &agent->link_poll, sl_link_fd(agent->link), on_link, err);
}

int sl_agent_loop_init(struct sl_agent *agent, struct sl_error *err) {
    uv_timer_init(&agent->loop, &agent->timer);
    agent->timer.data = agent;
    uv_prepare_init(&agent->loop, &agent->prepare);
    agent->prepare.data = agent;
    uv_prepare_start(&agent->prepare, on_prepare);
    int rc = sl_agent_watch_link(agent, err);
    if (rc) {
        return rc;
    }
    const struct {
        uv_poll_t *poll;
        int fd;
        uv_poll_cb cb;
    } watched[] = {
        {&agent->events_poll, sl_mailbox_fd(agent->events), on_device_events},
        {&agent->durable_poll, sl_mailbox_fd(agent->durable), on_durable},
        {&agent->tokens_poll, sl_mailbox_fd(sl_tokenizer_done(agent->tokenizer)), on_tokens},
    };
    for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++) {
        rc = watch(agent, watched[i].poll, watched[i].fd, watched[i].cb, err);
        if (rc) {
            return rc;
        }
    }
    static const int numbers[2] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        uv_signal_init(&agent->loop, &agent->signals[i]);
        agent->signals[i].data = agent;
        rc = uv_signal_start(&agent->signals[i], on_signal, numbers[i]);
        if (rc) {
            return sl_fail(err, SL_IO, "cannot watch for signals: %s", uv_strerror(rc));
        }
    }
    return SL_OK;
}

int sl_agent_loop_run(struct sl_agent *agent) {
    uv_run(&agent->loop, UV_RUN_DEFAULT);
    return agent->exit_code;
}

static void close_handle(uv_handle_t *handle, void *arg) {
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void sl_agent_loop_fini(struct sl_agent *agent) {
    if (!agent->loop_open) {
        return;
    }
    agent->loop_open = false;
    for (uint32_t i = 0; i < SL_AGENT_POOLS_MAX * SL_AGENT_LINKS_MAX; i++) {
        sl_pool_link_close(&agent->pool_links[i].link);
    }
    uv_walk(&agent->loop, close_handle, NULL);
    int turns = LAST_TURNS;
    while (uv_run(&agent->loop, UV_RUN_NOWAIT) && turns-- > 0) {
        const struct timespec nap = {0, SL_NS_PER_MS};
        nanosleep(&nap, NULL);
    }
    /* A name whose resolver hangs is not waited for: that may take half a minute, and whoever stops
     * us would kill us by then. */
    agent->resolving = uv_loop_close(&agent->loop) != 0;
}
