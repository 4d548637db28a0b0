/* SPDX-License-Identifier: Apache-2.0
 * The broker's shell: the libuv loop around the core. It turns sockets, feeds, the store's answers
 * and HTTP requests into events, and carries out the core's commands. All members belong to the
 * loop's thread; other threads only put into the mailboxes. */
#ifndef SLUICE_BROKER_SHELL_BROKER_H
#define SLUICE_BROKER_SHELL_BROKER_H

#include <uv.h>

#include "broker/batch/batch.h"
#include "broker/core/core.h"
#include "broker/core/refusals.h"
#include "broker/core/view.h"
#include "broker/feeds/feed.h"
#include "broker/http/server.h"
#include "broker/shell/config.h"
#include "broker/store/store.h"
#include "proto/base/mailbox.h"
#include "proto/link/join.h"
#include "proto/link/link.h"
#include "proto/wire/codec.h"

#define SL_BROKER_SPOOLS_MAX 64

struct sl_open_spool {
    char batch[SL_ID_MAX];
    struct sl_spool *spool;
    uint64_t used; /* turn of the last use: the oldest is closed when the table is full */
};

/* Commands for which no device waits; in order. */
#define SL_BROKER_LATER_MAX 16
struct sl_broker_later {
    uint32_t count;
    struct sl_core_command commands[SL_BROKER_LATER_MAX];
};

struct sl_broker {
    struct sl_broker_config config;
    bool adopt_store; /* --adopt-store */
    char store_path[300];
    struct sl_link_keys keys;
    struct sl_broker_core *core;
    struct sl_store *store;
    struct sl_reader *reader; /* the loop's own: start-up */
    struct sl_link *link;
    struct sl_join_server *join; /* NULL: switched off */
    struct sl_refusals refusals; /* of the joining socket, told to the core */
    uint64_t dropped;            /* of the agents' socket, likewise */
    struct sl_mono heard;        /* the agents' socket was empty then */
    uint64_t joins_malformed;
    char join_endpoint[128], agents_endpoint[128]; /* as tokens name them; empty: unknown */
    struct sl_http *http;
    struct sl_msg_arena *arena;
    struct sl_buf outgoing;
    struct sl_buf bundle; /* [bundled] messages to bundle_peer that leave as one */
    uint32_t bundled;
    struct sl_link_peer bundle_peer;
    struct sl_broker_later later;
    struct sl_feed *feeds[SL_CORE_FEEDS_MAX];
    struct sl_mailbox *durable;     /* of uint64_t tickets */
    struct sl_mailbox *feed_events; /* of struct sl_feed_event */
    struct sl_mailbox *fatal;       /* of char[SL_ERROR_TEXT_MAX] */
    struct sl_open_spool spools[SL_BROKER_SPOOLS_MAX];
    FILE *decisions; /* their log, when it is wanted */
    struct sl_log_ring *log_ring;
    uint64_t turn;
    int64_t trimmed_ns;
    uv_loop_t loop;
    uv_timer_t timer;
    uv_timer_t later_timer;
    uv_prepare_t prepare;
    uv_poll_t link_poll;
    uv_poll_t crowd_poll;
    uv_poll_t join_poll;
    uv_poll_t durable_poll;
    uv_poll_t feed_poll;
    uv_poll_t fatal_poll;
    uv_poll_t http_poll;
    uv_signal_t signals[2];
    struct sl_broker_job *work_waiting; /* validations and outputs whose files failed them */
    bool stopping;
    int exit_code;
};

/* start.c: opens everything in order and restores the core; broker_fini undoes it in any state. */
int sl_broker_start(struct sl_broker *broker, struct sl_error *err);
void sl_broker_fini(struct sl_broker *broker);
/* check.c: for --check-config: reads the files of keys, prices and authorities that the
 * configuration names, as the start and its feeds do, looks at data_dir, the store and (unless a
 * broker runs on data_dir) the sockets, and changes nothing. `bad` hears of each that
 * cannot be used; returns how many. */
typedef void (*sl_broker_bad_fn)(void *context, const struct sl_error *why);
uint32_t sl_broker_check_files(const struct sl_broker_config *config, sl_broker_bad_fn bad,
                               void *context);
/* loop.c: runs until SIGTERM, SIGINT or a fatal error; returns the exit code. */
int sl_broker_loop_init(struct sl_broker *broker, struct sl_error *err);
int sl_broker_loop_run(struct sl_broker *broker);
/* commands.c: carries out everything the core wants done now. Where a device waits for some of it,
 * what no device waits for follows some milliseconds later. */
void sl_broker_carry_out(struct sl_broker *broker);
/* What is left of it: the loop has ended. */
void sl_broker_carry_out_rest(struct sl_broker *broker);
/* Says to an agent of a version that is not understood which ones are: one that is a version ahead
 * speaks ours then, any other logs that it has to be updated. */
void sl_broker_refuse_version(struct sl_broker *broker, const struct sl_link_peer *peer);
/* work.c: validations and outputs on worker threads; those that wait for room: tried again when it
 * is time (called every second or more often), or dropped. */
void sl_broker_validate(struct sl_broker *broker, const char *batch);
void sl_broker_finalize(struct sl_broker *broker, const char *batch);
void sl_broker_work_again(struct sl_broker *broker);
void sl_broker_work_drop(struct sl_broker *broker);
/* A step of the core with the present time, then its commands. Takes over what the event owns. */
void sl_broker_step(struct sl_broker *broker, struct sl_core_event *event);
/* Stores' callbacks; run on the store's thread. */
void sl_broker_on_durable(void *arg, uint64_t ticket);
void sl_broker_on_fatal(void *arg, const char *reason);
/* Ends the loop with an exit code after saying goodbye to all agents. */
void sl_broker_stop(struct sl_broker *broker, int exit_code);

#endif
