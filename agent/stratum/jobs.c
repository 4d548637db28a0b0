/* SPDX-License-Identifier: Apache-2.0
 * Jobs of a connection and the terms under which they hold. */
#include "agent/stratum/client_internal.h"
#include "proto/base/mutant.h"

#include <string.h>

static bool same_extranonce(const struct sl_job_terms *a, const struct sl_job_terms *b) {
    return a->extranonce1_size == b->extranonce1_size &&
           a->extranonce2_size == b->extranonce2_size &&
           memcmp(a->extranonce1, b->extranonce1, sizeof a->extranonce1) == 0;
}

void sl_stratum_forget_jobs(struct sl_stratum *client) {
    for (size_t i = 0; i < client->job_count; i++) {
        sl_job_unref(client->jobs[i].job);
    }
    client->job_count = 0;
    sl_job_unref(client->job);
    client->job = NULL;
}

void sl_stratum_agree(struct sl_stratum *client, const struct sl_job_terms *terms,
                      struct sl_mono now) {
    bool resumed = client->session_known && same_extranonce(&client->terms, terms);
    memcpy(client->terms.extranonce1, terms->extranonce1, sizeof client->terms.extranonce1);
    client->terms.extranonce1_size = terms->extranonce1_size;
    client->terms.extranonce2_size = terms->extranonce2_size;
    client->link.terms_known = true;
    if (!resumed) {
        client->session++;
        client->session_known = true;
        sl_stratum_forget_jobs(client);
        sl_stratum_close_waiting(client, false, "the pool did not resume the session");
    }
    if (client->link.early_notify) {
        struct sl_error err;
        json_t *params = client->link.early_notify;
        client->link.early_notify = NULL;
        if (sl_stratum_add_notify(client, params, now, &err) < 0) {
            sl_stratum_drop(client, err.text, now);
        }
        json_decref(params);
    }
}

struct sl_stratum_job_slot *sl_stratum_find_job(struct sl_stratum *client, uint64_t serial) {
    for (size_t i = client->job_count; i-- > 0;) {
        if (client->jobs[i].job->serial == serial) {
            return &client->jobs[i];
        }
    }
    return NULL;
}

static void emit(struct sl_stratum *client, struct sl_job *job) {
    client->emitted_serial = job->serial;
    sl_stratum_queue_job(client, job);
}

/* Whether the pool builds the same headers for both, whatever their difficulty and time. */
static bool same_headers(const struct sl_job *a, const struct sl_job *b) {
    return a->version == b->version && a->nbits == b->nbits &&
           memcmp(a->prevhash, b->prevhash, sizeof a->prevhash) == 0 &&
           same_extranonce(&a->terms, &b->terms) && a->coinb1_size == b->coinb1_size &&
           a->coinb2_size == b->coinb2_size && a->branch_count == b->branch_count &&
           memcmp(a->coinb1, b->coinb1, a->coinb1_size) == 0 &&
           memcmp(a->coinb2, b->coinb2, a->coinb2_size) == 0 &&
           memcmp(a->branches, b->branches, a->branch_count * sizeof a->branches[0]) == 0;
}

/* The same job, sent again: some pools repeat theirs, to keep a connection alive. */
static bool same_job(const struct sl_job *a, const struct sl_job *b) {
    return strcmp(a->id, b->id) == 0 && same_headers(a, b);
}

/* A job id that is given to another job: the pool can no longer tell what a share of the old one
 * was found in, and grades it as one of the new. */
static void note_replaced(struct sl_stratum *client, const struct sl_job *job) {
    for (size_t i = 0; i < client->job_count; i++) {
        struct sl_stratum_job_slot *slot = &client->jobs[i];
        slot->replaced = slot->replaced ||
                         (strcmp(slot->job->id, job->id) == 0 && !same_headers(slot->job, job));
    }
}

/* Shares of older jobs are worth nothing from now on. */
static void retire_others(struct sl_stratum *client, const struct sl_job *job) {
    for (size_t i = 0; i < client->job_count; i++) {
        struct sl_stratum_job_slot *slot = &client->jobs[i];
        bool other = !same_job(slot->job, job) && !SL_MUTANT(retired_job_submitted);
        slot->retired = slot->retired || other;
    }
}

/* Takes over the reference. */
static void keep_job(struct sl_stratum *client, struct sl_job *job) {
    if (client->job_count == SL_STRATUM_JOBS_MAX) {
        sl_job_unref(client->jobs[0].job);
        client->job_count--;
        memmove(client->jobs, client->jobs + 1, client->job_count * sizeof client->jobs[0]);
    }
    client->jobs[client->job_count++] = (struct sl_stratum_job_slot){.job = job};
    sl_job_unref(client->job);
    client->job = sl_job_ref(job);
    if (client->link.first_serial == 0) {
        client->link.first_serial = job->serial;
    }
    if (client->state == SL_STRATUM_READY) {
        emit(client, job);
    }
}

int sl_stratum_add_notify(struct sl_stratum *client, const json_t *params, struct sl_mono now,
                          struct sl_error *err) {
    struct sl_notify_store store = {0};
    struct sl_job draft = {
        .serial = client->last_serial + 1, .session = client->session, .terms = client->terms};
    struct sl_job *job = NULL;
    int rc = sl_message_read_notify(params, &store, &draft, err);
    if (rc == SL_OK) {
        const struct sl_job *before = client->job;
        /* Pools forget `clean_jobs` at a new block now and then, and after set_extranonce work for
         * the old one is lost even where the job keeps its id. */
        draft.clean = draft.clean || !before || client->link.extranonce_moved ||
                      memcmp(before->prevhash, draft.prevhash, sizeof draft.prevhash) != 0;
        rc = sl_job_create(&draft, &job, err);
        if (rc < 0) {
            sl_wrap(err, "the pool's job");
        }
    }
    sl_notify_store_fini(&store);
    if (!job) {
        return rc;
    }
    client->last_serial = job->serial;
    client->link.extranonce_moved = false;
    client->last_notify = now;
    if (job->clean) {
        retire_others(client, job);
        /* What devices have in flight for it is good. */
        job->clean = !client->job || !same_job(client->job, job);
    }
    note_replaced(client, job);
    keep_job(client, job);
    return SL_OK;
}

void sl_stratum_reissue(struct sl_stratum *client, bool regraded) {
    struct sl_job *job = NULL;
    if (!client->job || client->link.first_serial == 0 ||
        client->job->serial < client->link.first_serial) {
        return; /* a job of an earlier connection: the next one brings the new terms */
    }
    struct sl_job draft = *client->job;
    draft.serial = client->last_serial + 1;
    draft.clean = false;
    if (regraded) {
        draft.terms.difficulty = client->terms.difficulty;
    }
    draft.terms.version_rolling = client->terms.version_rolling;
    draft.terms.version_mask = client->terms.version_mask;
    int rc = sl_job_create(&draft, &job, NULL);
    sl_assert(rc == SL_OK); /* it passed once; else memory is out */
    client->last_serial = job->serial;
    keep_job(client, job);
}

/* Once for all that a read brings: a pool can name a thousand masks in it, and each job would cost
 * a slot of those whose shares are good, memory, and the devices' time. */
void sl_stratum_follow_mask(struct sl_stratum *client) {
    uint32_t mask = client->terms.version_rolling ? client->terms.version_mask : 0;
    if (client->job && client->job->terms.version_mask != mask) {
        sl_stratum_reissue(client, false);
    }
}

void sl_stratum_emit_jobs(struct sl_stratum *client) {
    for (size_t i = 0; i < client->job_count; i++) {
        if (client->jobs[i].job->serial > client->emitted_serial) {
            emit(client, client->jobs[i].job);
        }
    }
}
