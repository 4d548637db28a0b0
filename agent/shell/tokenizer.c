/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell/tokenizer.h"
#include "proto/base/thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* 64 devices with 32 units each are the most that the core holds. */
/* Longer than the other threads' of the agent: on the journal's core it took its 150 us before the
 * epoch was on its way to the disk, which takes longer still. */
#define SLICE_US 3000
#define WAITING_MAX 2048

struct sl_tokenizer {
    const struct sl_model_set *models;
    struct sl_mailbox *waiting; /* of struct sl_agent_tokens * */
    struct sl_mailbox *done;
    pthread_t thread;
    bool running;
};

/* The exact length of a text that is too long: no text has more tokens than bytes, and two. */
static int count_tokens(const struct sl_model *model, const char *text, size_t bytes,
                        uint32_t *ret_count, struct sl_error *err) {
    uint32_t room = (uint32_t)bytes + 2;
    int32_t *ids = malloc(room * sizeof *ids);
    if (!ids) {
        return sl_fail(err, SL_NOMEM, "no memory to count tokens");
    }
    struct sl_wordpiece_limit limit = {.max_tokens = room};
    int rc = sl_wordpiece_encode(model->tokenizer, text, bytes, limit, ids, ret_count, err);
    explicit_bzero(ids, room * sizeof *ids);
    free(ids);
    return rc;
}

int sl_tokenizer_encode(const struct sl_model_set *models, const char *model, const char *text,
                        size_t bytes, int32_t *ret_ids, uint32_t *ret_count, struct sl_error *err) {
    int rc = sl_model_set_tokenize(models, model, text, bytes, ret_ids, ret_count, err);
    if (rc != -SL_LIMIT) {
        return rc;
    }
    uint32_t count = 0;
    rc = count_tokens(sl_model_set_find(models, model), text, bytes, &count, err);
    if (rc == SL_OK) {
        *ret_count = count;
        rc = -SL_LIMIT;
    }
    return rc;
}

static int encode(void *context, const char *model, const struct sl_agent_text *input,
                  int32_t *ret_ids, uint32_t room, uint32_t *ret_count, struct sl_error *err) {
    (void)room; /* is the model's max_tokens, see work() */
    if (input->id_count > 0) {
        return sl_model_set_wrap(context, model, input->ids, input->id_count, ret_ids, ret_count,
                                 err);
    }
    return sl_tokenizer_encode(context, model, input->text, input->bytes, ret_ids, ret_count, err);
}

static void work(struct sl_tokenizer *tokenizer, struct sl_agent_tokens *tokens) {
    const struct sl_model *model = sl_model_set_find(tokenizer->models, tokens->model);
    struct sl_error err;
    int rc = model ? sl_agent_tokens_run(tokens, model->max_tokens, encode,
                                         (void *)tokenizer->models, &err)
                   : -SL_NOTFOUND;
    for (uint32_t i = 0; rc != SL_OK && i < tokens->text_count; i++) {
        tokens->texts[i].status = rc; /* the lines are handed back as failed */
    }
}

static void *tokenizer_main(void *context) {
    struct sl_tokenizer *tokenizer = context;
    struct sl_agent_tokens *tokens = NULL;
    sl_thread_name("tokenizer");
    sl_thread_prompt(SLICE_US);
    while (sl_mailbox_take_wait(tokenizer->waiting, -1, &tokens) == SL_OK) {
        work(tokenizer, tokens);
        if (sl_mailbox_put_wait(tokenizer->done, &tokens) != SL_OK) {
            sl_agent_tokens_free(tokens);
        }
    }
    return NULL;
}

int sl_tokenizer_start(const struct sl_model_set *models, struct sl_tokenizer **ret_tokenizer,
                       struct sl_error *err) {
    SL_AUTO(sl_tokenizer) tokenizer = calloc(1, sizeof *tokenizer);
    if (!tokenizer) {
        return sl_fail(err, SL_NOMEM, "no memory for the tokenizer");
    }
    tokenizer->models = models;
    int rc = sl_mailbox_create(sizeof(void *), WAITING_MAX, &tokenizer->waiting, err);
    rc = rc ? rc : sl_mailbox_create(sizeof(void *), WAITING_MAX, &tokenizer->done, err);
    if (rc) {
        return rc;
    }
    if (pthread_create(&tokenizer->thread, NULL, tokenizer_main, tokenizer) != 0) {
        return sl_fail(err, SL_NOMEM, "no thread for the tokenizer");
    }
    tokenizer->running = true;
    *ret_tokenizer = sl_take(&tokenizer);
    return SL_OK;
}

static void drain(struct sl_mailbox *box) {
    struct sl_agent_tokens *tokens = NULL;
    while (box && sl_mailbox_take(box, &tokens)) {
        sl_agent_tokens_free(tokens);
    }
}

void sl_tokenizer_destroy(struct sl_tokenizer *tokenizer) {
    if (!tokenizer) {
        return;
    }
    if (tokenizer->running) {
        sl_mailbox_close(tokenizer->done); /* nobody reads it any more */
        sl_mailbox_close(tokenizer->waiting);
        drain(tokenizer->waiting);
        pthread_join(tokenizer->thread, NULL);
    }
    drain(tokenizer->waiting);
    drain(tokenizer->done);
    sl_mailbox_destroy(tokenizer->waiting);
    sl_mailbox_destroy(tokenizer->done);
    free(tokenizer);
}

int sl_tokenizer_put(struct sl_tokenizer *tokenizer, struct sl_agent_tokens *tokens) {
    return sl_mailbox_put(tokenizer->waiting, &tokens);
}

struct sl_mailbox *sl_tokenizer_done(struct sl_tokenizer *tokenizer) {
    return tokenizer->done;
}
