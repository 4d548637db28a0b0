/* SPDX-License-Identifier: Apache-2.0
 * mining.submit: the share is checked, logged and answered, in this order. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pool/pool_internal.h"

#define NTIME_AHEAD_S 7200

struct judged {
    int code; /* 0: accepted */
    const char *text;
    int64_t difficulty;
    int64_t behind_ms; /* since the work was retired; negative: it is not */
};

/* So long after a change of terms, shares under the old ones are stale rather than wrong. */
#define GRACE_MS 2000

static struct judged verdict(int code, const char *text, int64_t difficulty) {
    return (struct judged){code, text, difficulty, -1};
}

static bool is_hex(const char *text, size_t digits) {
    return text && strlen(text) == digits && strspn(text, "0123456789abcdefABCDEF") == digits;
}

static uint32_t hex32(const char *text) {
    return (uint32_t)strtoul(text, NULL, 16);
}

/* Fields of [worker, job, extranonce2, ntime, nonce(, version_bits)]; NULL text when they are good.
 */
static const char *read_fields(const struct sl_tp_session *session, const json_t *params,
                               const struct sl_tp_job *job, struct sl_tp_submit *out) {
    const char *bits = json_string_value(json_array_get(params, 5));
    out->extranonce2 = json_string_value(json_array_get(params, 2));
    out->ntime = json_string_value(json_array_get(params, 3));
    out->nonce = json_string_value(json_array_get(params, 4));
    if (!is_hex(out->extranonce2, 2 * (size_t)session->pool->options.extranonce2_size)) {
        return "Invalid extranonce2";
    }
    if (!is_hex(out->ntime, 8) || !is_hex(out->nonce, 8)) {
        return "Invalid ntime or nonce";
    }
    uint32_t ntime = hex32(out->ntime);
    if (ntime < job->ntime_s || ntime - job->ntime_s > NTIME_AHEAD_S) {
        return "Ntime out of range";
    }
    if (session->rolling != (json_array_size(params) == 6)) {
        return session->rolling ? "Version bits missing" : "Version bits not negotiated";
    }
    if (session->rolling) {
        if (!is_hex(bits, 8) || (hex32(bits) & ~session->version_mask)) {
            return "Version bits outside the mask";
        }
        out->rolled = true;
        out->version_bits = hex32(bits);
        out->version_mask = session->version_mask;
    }
    return NULL;
}

static struct judged stale(const char *text, int64_t difficulty, struct sl_wall since,
                           struct sl_wall now) {
    return (struct judged){21, text, difficulty, now.ms - since.ms};
}

static bool changed_lately(const struct sl_tp_session *session, struct sl_wall now) {
    return session->moved_at.ms > 0 && now.ms - session->moved_at.ms < GRACE_MS;
}

static bool of_old_extranonce(const struct sl_tp_session *session, const struct sl_tp_job *job,
                              struct sl_tp_submit submit, int64_t difficulty, struct sl_wall now) {
    char extranonce1[2 * SL_TP_EXTRANONCE1_SIZE + 1];
    snprintf(extranonce1, sizeof extranonce1, "%08" PRIx32, session->before_extranonce1);
    submit.extranonce1 = extranonce1;
    return changed_lately(session, now) &&
           sl_tp_chain_check(session->pool->chain, job, &submit, difficulty) == SL_TP_GOOD;
}

static struct judged judge(struct sl_tp_session *session, const json_t *params,
                           struct sl_wall now) {
    const char *worker = json_string_value(json_array_get(params, 0));
    const char *job_id = json_string_value(json_array_get(params, 1));
    size_t count = json_array_size(params);
    int64_t difficulty = sl_tp_session_difficulty(session, UINT64_MAX);
    if (!session->subscribed) {
        return verdict(25, "Not subscribed", difficulty);
    }
    if (!worker || !sl_tp_session_knows(session, worker)) {
        return verdict(24, "Unauthorized worker", difficulty);
    }
    if (count < 5 || count > 6 || !job_id) {
        return verdict(20, "Invalid parameters", difficulty);
    }
    const struct sl_tp_job *job = sl_tp_chain_find(session->pool->chain, job_id);
    if (!job || job->number > session->last_job) {
        return verdict(21, "Job not found", difficulty);
    }
    difficulty = sl_tp_session_difficulty(session, job->number);
    if (job->retired) {
        return stale("Stale share", difficulty, job->retired_at, now);
    }
    if ((session->pool->options.behaviours & SL_TP_STALE_STORM) && job->number % 2 == 0) {
        return verdict(21, "Job not found", difficulty);
    }
    char extranonce1[2 * SL_TP_EXTRANONCE1_SIZE + 1];
    snprintf(extranonce1, sizeof extranonce1, "%08" PRIx32, session->extranonce1);
    struct sl_tp_submit submit = {.extranonce1 = extranonce1};
    const char *wrong = read_fields(session, params, job, &submit);
    if (wrong) {
        return changed_lately(session, now) && strstr(wrong, "mask")
                   ? stale("Stale version mask", difficulty, session->moved_at, now)
                   : verdict(20, wrong, difficulty);
    }
    switch (sl_tp_chain_check(session->pool->chain, job, &submit, difficulty)) {
    case SL_TP_LOW:
        return of_old_extranonce(session, job, submit, difficulty, now)
                   ? stale("Stale extranonce", difficulty, session->moved_at, now)
                   : verdict(23, "Low difficulty share", difficulty);
    case SL_TP_DUPLICATE:
        return verdict(22, "Duplicate share", difficulty);
    case SL_TP_GOOD:
        break;
    }
    if ((session->pool->options.behaviours & SL_TP_REFUSE_SHARES) &&
        session->pool->refused < session->pool->options.after) {
        session->pool->refused++;
        return verdict(20, "Not good enough", difficulty);
    }
    return verdict(0, NULL, difficulty);
}

void sl_tp_session_submit(struct sl_tp_session *session, json_t *id, const json_t *params,
                          struct sl_wall now) {
    const char *worker = json_string_value(json_array_get(params, 0));
    const char *job_id = json_string_value(json_array_get(params, 1));
    struct judged judged = judge(session, params, now);
    struct sl_tp_log_line line = {.worker = worker ? worker : "",
                                  .job = job_id ? job_id : "",
                                  .code = judged.code,
                                  .difficulty = judged.difficulty,
                                  .behind_ms = judged.behind_ms,
                                  .now = now};
    line.result = judged.code == 0 ? "accepted" : judged.code == 21 ? "stale" : "rejected";
    sl_tp_pool_log(session->pool, &line);
    /* In the odd shapes the result says no too: an error may be missing. */
    bool odd = session->pool->options.behaviours & SL_TP_ERROR_SHAPES;
    json_t *no = odd ? json_false() : json_null();
    sl_tp_mischief_answer(session, id, judged.code ? no : json_true(), judged.code, judged.text);
    if (judged.code == 0) {
        sl_tp_mischief_accepted(session);
    }
}
