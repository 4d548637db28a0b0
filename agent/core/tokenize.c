/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/tokenize.h"

#include <stdlib.h>
#include <string.h>

struct encoded {
    int32_t *ids; /* [count], those of all texts one behind the other */
    size_t count, capacity;
};

static int make_room(struct encoded *encoded, size_t n, struct sl_error *err) {
    if (encoded->ids && encoded->capacity - encoded->count >= n) {
        return SL_OK;
    }
    size_t capacity = encoded->capacity * 2 + n + 1;
    int32_t *ids = realloc(encoded->ids, capacity * sizeof *ids);
    if (!ids) {
        return sl_fail(err, SL_NOMEM, "no memory to tokenise a unit");
    }
    encoded->ids = ids;
    encoded->capacity = capacity;
    return SL_OK;
}

static int encode_all(struct sl_agent_tokens *tokens, uint32_t max_tokens,
                      sl_agent_encode_fn encode, void *context, struct encoded *encoded,
                      struct sl_error *err) {
    for (uint32_t i = 0; i < tokens->text_count; i++) {
        struct sl_agent_text *text = &tokens->texts[i];
        int rc = make_room(encoded, max_tokens, err);
        if (rc) {
            return rc;
        }
        text->tokens = 0;
        text->status = encode(context, tokens->model, text, encoded->ids + encoded->count,
                              max_tokens, &text->tokens, err);
        if (text->status == -SL_NOMEM) {
            return -SL_NOMEM;
        }
        if (text->status == SL_OK) {
            encoded->count += text->tokens;
        }
    }
    return SL_OK;
}

/* End of the run of texts that belong to the line of texts[from]. */
static uint32_t line_end(const struct sl_agent_tokens *tokens, uint32_t from) {
    uint32_t end = from;
    while (end < tokens->text_count && tokens->texts[end].line == tokens->texts[from].line) {
        end++;
    }
    return end;
}

static bool line_is_fine(const struct sl_agent_tokens *tokens, uint32_t from, uint32_t end) {
    for (uint32_t i = from; i < end; i++) {
        if (tokens->texts[i].status != SL_OK) {
            return false;
        }
    }
    return true;
}

/* One block: the head, the lines, then their ids. */
static int build_unit(struct sl_agent_tokens *tokens, const struct encoded *encoded,
                      struct sl_error *err) {
    size_t line_count = 0;
    for (uint32_t i = 0; i < tokens->text_count;) {
        uint32_t end = line_end(tokens, i);
        line_count += line_is_fine(tokens, i, end) ? end - i : 0;
        i = end;
    }
    if (line_count == 0) {
        return SL_OK;
    }
    size_t head = sizeof(struct sl_device_unit) + line_count * sizeof(struct sl_unit_line);
    struct sl_device_unit *unit = calloc(1, head + encoded->count * sizeof(int32_t));
    if (!unit) {
        return sl_fail(err, SL_NOMEM, "no memory to tokenise a unit");
    }
    unit->unit_id = tokens->unit_id;
    unit->epoch = tokens->epoch;
    memcpy(unit->model, tokens->model, sizeof unit->model);
    int32_t *to = (int32_t *)(void *)((char *)unit + head);
    const int32_t *from = encoded->ids;
    sl_assert(from); /* a line is fine, so something was encoded */
    for (uint32_t i = 0; i < tokens->text_count;) {
        uint32_t end = line_end(tokens, i);
        bool fine = line_is_fine(tokens, i, end);
        for (; i < end; i++) {
            const struct sl_agent_text *text = &tokens->texts[i];
            uint32_t n = text->status == SL_OK ? text->tokens : 0;
            if (fine) {
                if (n > 0) {
                    memcpy(to, from, n * sizeof *to);
                }
                unit->lines[unit->n_lines++] = (struct sl_unit_line){
                    .line = text->line, .input = text->input, .n_ids = n, .ids = to};
                to += n;
            }
            from += n;
        }
    }
    tokens->unit = unit;
    return SL_OK;
}

int sl_agent_tokens_run(struct sl_agent_tokens *tokens, uint32_t max_tokens,
                        sl_agent_encode_fn encode, void *context, struct sl_error *err) {
    struct encoded encoded = {0};
    int rc = encode_all(tokens, max_tokens, encode, context, &encoded, err);
    if (rc == SL_OK) {
        rc = build_unit(tokens, &encoded, err);
    }
    if (encoded.ids) {
        explicit_bzero(encoded.ids, encoded.capacity * sizeof *encoded.ids);
        free(encoded.ids);
    }
    return rc;
}

void sl_agent_tokens_free(struct sl_agent_tokens *tokens) {
    if (!tokens) {
        return;
    }
    free(tokens->unit);
    explicit_bzero(tokens, tokens->block_bytes);
    free(tokens);
}
