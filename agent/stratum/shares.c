/* SPDX-License-Identifier: Apache-2.0
 * Shares from submission to their one outcome. */
#include "agent/stratum/client_internal.h"
#include "proto/base/mutant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void sl_share_from_work(const struct sl_work *work, uint32_t nonce, uint64_t seq,
                        struct sl_share *ret_share) {
    *ret_share = (struct sl_share){.seq = seq,
                                   .job_serial = work->job_serial,
                                   .session = work->session,
                                   .ntime = work->ntime,
                                   .nonce = nonce,
                                   .version_bits = work->version_bits,
                                   .extranonce2_size = work->extranonce2_size};
    memcpy(ret_share->extranonce2, work->extranonce2, sizeof ret_share->extranonce2);
}

const char *sl_share_answer_text(enum sl_share_answer outcome) {
    switch (outcome) {
    case SL_ANSWER_ACCEPTED:
        return "accepted";
    case SL_ANSWER_STALE:
        return "stale";
    case SL_ANSWER_REJECTED:
        return "rejected";
    case SL_ANSWER_UNKNOWN:
        return "unknown";
    }
    return "invalid";
}

static struct sl_stratum_action *settle(struct sl_stratum *client, uint64_t seq,
                                        enum sl_share_answer outcome, const char *text) {
    struct sl_stratum_action *action = sl_stratum_queue(client, SL_STRATUM_SHARE);
    action->share_seq = seq;
    action->outcome = outcome;
    sl_text_copy(action->text, sizeof action->text, text);
    client->accepted += outcome == SL_ANSWER_ACCEPTED;
    client->stale += outcome == SL_ANSWER_STALE;
    client->rejected += outcome == SL_ANSWER_REJECTED;
    client->unknown += outcome == SL_ANSWER_UNKNOWN;
    return action;
}

/* The version bits to send so that the pool builds the header that was hashed (BIP 310), which it
 * does with all of its mask of now: neither the job's, nor the part of it that we roll. False when
 * no bits give that header. */
static bool present_bits(const struct sl_stratum *client, const struct sl_job *job,
                         const struct sl_share *share, uint32_t *ret_bits) {
    uint32_t hashed = sl_job_version(job, share->version_bits);
    uint32_t mask = client->terms.version_rolling ? client->link.pool_mask : 0;
    *ret_bits = hashed & mask;
    return (hashed & ~mask) == (job->version & ~mask);
}

static const char *why_stale(const struct sl_stratum *client,
                             const struct sl_stratum_job_slot *slot, const struct sl_share *share,
                             uint32_t *ret_bits) {
    if (share->session != client->session) {
        return "found in a session that the pool has ended";
    }
    if (!slot) {
        return "job too old";
    }
    if (slot->retired && !client->config.submit_stale) {
        return "job retired by a clean job";
    }
    if (slot->replaced) {
        return "the pool has given the job's id to another job";
    }
    if (!present_bits(client, slot->job, share, ret_bits)) {
        return "the pool has changed its version mask";
    }
    return NULL;
}

static json_t *submit_params(const struct sl_stratum *client, const struct sl_job *job,
                             const struct sl_share *share, uint32_t bits, uint32_t worker) {
    char extranonce2[2 * SL_EXTRANONCE2_MAX + 1];
    char ntime[9];
    char nonce[9];
    char rolled[9];
    sl_hex_encode(share->extranonce2, share->extranonce2_size, extranonce2);
    snprintf(ntime, sizeof ntime, "%08" PRIx32, share->ntime);
    snprintf(nonce, sizeof nonce, "%08" PRIx32, share->nonce);
    snprintf(rolled, sizeof rolled, "%08" PRIx32, bits);
    return json_pack("[s,s,s,s,s,s*]", sl_stratum_worker_user(client, worker), job->id, extranonce2,
                     ntime, nonce, client->terms.version_rolling ? rolled : NULL);
}

/* READY only. The share ends up among the open ones or is settled as stale. */
static void send_share(struct sl_stratum *client, const struct sl_share *share,
                       struct sl_mono now) {
    uint32_t bits = 0;
    const struct sl_stratum_job_slot *slot = sl_stratum_find_job(client, share->job_serial);
    const char *stale = why_stale(client, slot, share, &bits);
    if (stale) {
        settle(client, share->seq, SL_ANSWER_STALE, stale);
        return;
    }
    uint32_t worker = sl_stratum_worker_for(client, share->worker);
    int64_t id = sl_stratum_request(client, "mining.submit",
                                    submit_params(client, slot->job, share, bits, worker));
    client->open[client->open_count++] = (struct sl_stratum_open){
        .seq = share->seq, .worker = worker, .request_id = id, .sent_at = now};
}

int sl_stratum_submit(struct sl_stratum *client, const struct sl_share *share, struct sl_mono now,
                      struct sl_error *err) {
    const struct sl_stratum_job_slot *slot = sl_stratum_find_job(client, share->job_serial);
    if (client->state == SL_STRATUM_STOPPED) {
        return sl_fail(err, SL_BADSTATE, "the pool connection is stopped");
    }
    if (share->extranonce2_size == 0 || share->extranonce2_size > SL_EXTRANONCE2_MAX ||
        (slot && slot->job->terms.extranonce2_size != share->extranonce2_size)) {
        return sl_fail(err, SL_INVALID, "share with an extranonce2 of %u bytes",
                       share->extranonce2_size);
    }
    if (client->open_count == SL_STRATUM_SHARES_MAX ||
        client->waiting_count == SL_STRATUM_SHARES_MAX) {
        return sl_fail(err, SL_AGAIN,
                       "%d shares are without an answer: raise the pool's difficulty",
                       SL_STRATUM_SHARES_MAX);
    }
    if (client->state == SL_STRATUM_READY) {
        send_share(client, share, now);
    } else if (client->state == SL_STRATUM_REFUSED) {
        settle(client, share->seq, SL_ANSWER_STALE, "the pool refused the authorisation");
    } else if (share->session != client->session) {
        settle(client, share->seq, SL_ANSWER_STALE, "found in a session that the pool has ended");
    } else {
        client->waiting[client->waiting_count++] = *share;
    }
    return SL_OK;
}

void sl_stratum_send_waiting(struct sl_stratum *client, struct sl_mono now) {
    size_t count = client->waiting_count;
    client->waiting_count = 0;
    for (size_t i = 0; i < count; i++) {
        send_share(client, &client->waiting[i], now);
    }
}

/* The oldest ones become unknown. */
static void close_first(struct sl_stratum *client, size_t count, const char *why) {
    for (size_t i = 0; i < count; i++) {
        enum sl_share_answer answer =
            SL_MUTANT(unanswered_share_stale) ? SL_ANSWER_STALE : SL_ANSWER_UNKNOWN;
        struct sl_stratum_action *action = settle(client, client->open[i].seq, answer, why);
        action->sent = true;
    }
    client->open_count -= count;
    memmove(client->open, client->open + count, client->open_count * sizeof client->open[0]);
}

void sl_stratum_close_open(struct sl_stratum *client) {
    close_first(client, client->open_count, "the connection ended before the pool answered");
}

/* Pools answer in order: one that has answered to later shares lost an answer, and is there. */
bool sl_stratum_give_up_skipped(struct sl_stratum *client, struct sl_mono now) {
    int64_t most_ns = client->config.submit_timeout_ms * SL_NS_PER_MS;
    size_t skipped = 0;
    while (skipped < client->open_count &&
           sl_mono_since_ns(now, client->open[skipped].sent_at) >= most_ns) {
        if (client->open[skipped].request_id > client->answered_id) {
            return false;
        }
        skipped++;
    }
    if (skipped > 0) {
        sl_stratum_queue_chatter(client, SL_LOG_WARN,
                                 "the pool answers to later shares, and not to %zu: they count as "
                                 "unknown",
                                 skipped);
        close_first(client, skipped, "the pool answered to later shares only");
    }
    return true;
}

void sl_stratum_close_waiting(struct sl_stratum *client, bool all, const char *why) {
    size_t kept = 0;
    for (size_t i = 0; i < client->waiting_count; i++) {
        if (all || client->waiting[i].session != client->session) {
            settle(client, client->waiting[i].seq, SL_ANSWER_STALE, why);
        } else {
            client->waiting[kept++] = client->waiting[i];
        }
    }
    client->waiting_count = kept;
}

bool sl_stratum_share_answered(struct sl_stratum *client, const struct sl_message *message,
                               struct sl_mono now) {
    int64_t id = sl_message_id(message);
    size_t i = 0;
    while (i < client->open_count && client->open[i].request_id != id) {
        i++;
    }
    if (i == client->open_count) {
        return false;
    }
    enum sl_share_answer outcome = sl_message_share_answer(message);
    int code = sl_message_share_code(message);
    struct sl_stratum_action *action =
        settle(client, client->open[i].seq, outcome, message->error.text);
    action->sent = true;
    action->code = code;
    action->latency_us = sl_mono_since_ns(now, client->open[i].sent_at) / 1000;
    sl_stratum_note_answer(client, id, client->open[i].sent_at, now);
    sl_stratum_note_verdict(client, outcome, code, message->error.text, now);
    uint32_t worker = client->open[i].worker;
    client->open_count--;
    memmove(&client->open[i], &client->open[i + 1],
            (client->open_count - i) * sizeof client->open[0]);
    if (outcome == SL_ANSWER_ACCEPTED) {
        client->failures = 0;
        client->attempts = 0;
        client->refusals = 0;
        sl_stratum_trust_user(client);
    } else if (code == 24 && sl_stratum_worker_refused(client, worker)) {
        return true;
    } else if (code == 24) {
        sl_stratum_refuse(client, message->error.text, now);
    } else if (code == 25) {
        sl_stratum_drop(client, "the pool says that we are not subscribed", now);
    }
    sl_stratum_leave(client, now);
    return true;
}
