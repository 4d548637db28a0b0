/* SPDX-License-Identifier: Apache-2.0
 * How long a pool usually takes to answer, and when its silence is suspect; whether it takes
 * shares.
 *
 * "Usually" is the longest answer of late: it rises at once and is forgotten over ten minutes, so
 * that it stands for about the 99th of a hundred and a pool that is slow now and then is waited
 * for. What came later than it was waited for doubles the patience, once for each silence: a pool
 * that is slow as a rule is suspected a few times and then no more, and one long outage does not
 * make us blind for the next.
 *
 * A pool that refuses ten shares in a row pays for none: it is left for a pause and then tried with
 * three. Stale and duplicate shares say nothing of that kind at first, for a new block can make
 * many at once; but one that has taken none of ten for a minute, whatever the reason, does not know
 * its own jobs. A refused user, and a pool that has forgotten us, end the connection or a worker by
 * themselves. */
#include "agent/stratum/client_internal.h"
#include "proto/base/mutant.h"

#define LEAST_NS SL_NS_PER_S
#define TIMES 3
#define FORGOTTEN_US 600000000
#define REFUSALS 10 /* in a row; the broker's `refusing` takes as many */
#define PROBE 3     /* of them, when its pause has ended */
#define UNPAID_NS (60 * SL_NS_PER_S)
#define DOUBLINGS 4 /* of the pause */

static int64_t patience_ns(const struct sl_stratum *client) {
    int64_t most_ns = client->config.submit_timeout_ms * SL_NS_PER_MS;
    int64_t ns = TIMES * client->usual_ns;
    ns = ns > LEAST_NS ? ns : LEAST_NS;
    return ns < most_ns ? ns : most_ns;
}

void sl_stratum_note_answer(struct sl_stratum *client, int64_t request_id, struct sl_mono asked_at,
                            struct sl_mono now) {
    int64_t took_ns = sl_mono_since_ns(now, asked_at);
    int64_t patience = patience_ns(client);
    int64_t since_us = sl_mono_since_ns(now, client->usual_at) / 1000;
    client->answered_id = request_id > client->answered_id ? request_id : client->answered_id;
    if (request_id < client->learned_id) {
        return; /* of a silence that has taught its lesson */
    }
    client->usual_at = now;
    if (took_ns > patience) {
        int64_t doubled_ns = 2 * patience / TIMES;
        client->usual_ns = took_ns < doubled_ns ? took_ns : doubled_ns;
        client->learned_id = client->next_id;
    } else if (took_ns >= client->usual_ns) {
        client->usual_ns = took_ns;
    } else {
        since_us = since_us < FORGOTTEN_US ? since_us : FORGOTTEN_US;
        /* At most 60 s by 600 s in microseconds: far from 2^63. */
        client->usual_ns -= (client->usual_ns - took_ns) / 1000 * since_us / FORGOTTEN_US * 1000;
    }
}

bool sl_stratum_suspect_at(const struct sl_stratum *client, struct sl_mono *ret_when) {
    for (size_t i = 0; i < client->open_count && !SL_MUTANT(silence_trusted); i++) {
        /* Pools answer in order: what was asked before the newest answer is not waited for. */
        if (client->open[i].request_id > client->answered_id) {
            ret_when->ns = client->open[i].sent_at.ns + patience_ns(client);
            return true;
        }
    }
    return false;
}

void sl_stratum_note_verdict(struct sl_stratum *client, enum sl_share_answer outcome, int code,
                             const char *text, struct sl_mono now) {
    if (outcome == SL_ANSWER_ACCEPTED) {
        if (client->refusing_times > 0) {
            sl_stratum_queue_log(client, SL_LOG_INFO, "the pool takes shares again");
        }
        client->refusing = false;
        client->refused_run = client->unpaid_run = client->refusing_times = 0;
        return;
    }
    client->unpaid_since = client->unpaid_run > 0 ? client->unpaid_since : now;
    client->unpaid_run += client->unpaid_run < REFUSALS;
    if (outcome == SL_ANSWER_REJECTED && code != 22 && code != 24 && code != 25) {
        client->refused_run += client->refused_run < REFUSALS;
    }
    if (client->unpaid_run == REFUSALS &&
        sl_mono_since_ns(now, client->unpaid_since) >= UNPAID_NS) {
        client->refused_run = REFUSALS;
    }
    sl_text_copy(client->refused_text, sizeof client->refused_text,
                 text[0] ? text : "no reason given");
}

bool sl_stratum_weigh_refusals(struct sl_stratum *client, int64_t retry_ms, struct sl_mono now) {
    if (client->refusing && now.ns >= client->refusing_until.ns) {
        client->refusing = false;
        client->refused_run = client->unpaid_run = REFUSALS - PROBE;
        return true;
    }
    if (!client->refusing && client->refused_run >= REFUSALS && !SL_MUTANT(refusals_borne)) {
        uint32_t doublings =
            client->refusing_times < DOUBLINGS ? client->refusing_times : DOUBLINGS;
        int64_t pause_ms = retry_ms << doublings;
        pause_ms += (int64_t)(sl_stratum_random(&client->random) % (uint64_t)(pause_ms + 1));
        client->refusing = true;
        client->refusing_until = sl_mono_after_ms(now, pause_ms);
        client->refusing_times++;
        sl_stratum_queue_log(client, SL_LOG_WARN,
                             "the pool refuses every share (%s): another address is better; next "
                             "attempt in %lld.%lld s",
                             client->refused_text, (long long)(pause_ms / 1000),
                             (long long)(pause_ms % 1000 / 100));
    }
    return false;
}
