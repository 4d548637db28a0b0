/* SPDX-License-Identifier: Apache-2.0
 * How long a pool usually takes to answer, and when its silence is suspect.
 *
 * "Usually" is the longest answer of late: it rises at once and is forgotten over ten minutes, so
 * that it stands for about the 99th of a hundred and a pool that is slow now and then is waited
 * for. What came later than it was waited for doubles the patience, once for each silence: a pool
 * that is slow as a rule is suspected a few times and then no more, and one long outage does not
 * make us blind for the next. */
#include "agent/stratum/client_internal.h"
#include "proto/base/mutant.h"

#define LEAST_NS SL_NS_PER_S
#define TIMES 3
#define FORGOTTEN_US 600000000

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
