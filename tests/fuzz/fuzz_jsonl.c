/* SPDX-License-Identifier: Apache-2.0
 * One line of a tenant's JSONL. It is fit to run, or answered with a 400 of its own, or fails its
 * batch: exactly one of the three, and within the limits. */
#include "tests/fuzz/fuzz.h"

#include <jansson.h>

#include "broker/batch/line.h"
#include "proto/base/text.h"

/* What the spool and the agent rely on. */
static void check_fit(const struct sl_batch_line *line) {
    size_t count = line->single ? 1 : json_array_size(line->input);
    uint64_t least = 0;
    fuzz_check(line->input && line->model && line->model[0] != '\0');
    fuzz_check(line->input_count == count && count > 0 && count <= SL_MSG_INPUTS_MAX);
    for (size_t i = 0; i < count; i++) {
        const json_t *input = line->single ? line->input : json_array_get(line->input, i);
        size_t n = line->tokens ? json_array_size(input) : json_string_length(input);
        fuzz_check(line->tokens ? json_is_array(input) : json_is_string(input));
        fuzz_check(n > 0 && n <= (line->tokens ? SL_MSG_TOKENS_MAX : SL_MSG_INPUT_BYTES_MAX));
        for (size_t k = 0; line->tokens && k < n; k++) {
            const json_t *id = json_array_get(input, k);
            fuzz_check(json_is_integer(id) && json_integer_value(id) >= 0 &&
                       json_integer_value(id) <= SL_MSG_TOKEN_ID_MAX);
        }
        least += n + 2;
    }
    fuzz_check(line->worst_tokens == least);
}

static void check_refusal(const struct sl_batch_line *line) {
    json_t *body = json_loads(line->refusal, 0, NULL);
    const json_t *error = json_object_get(body, "error");
    fuzz_check(json_is_string(json_object_get(error, "message")));
    fuzz_check(json_is_string(json_object_get(error, "type")));
    fuzz_check(!line->input && line->input_count == 0 && line->worst_tokens == 0);
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sl_batch_line line;
    struct sl_error err = {0};
    char *text = (char *)fuzz_copy(data, size);
    memset(&line, 0, sizeof line);
    int rc = sl_batch_line_check(text, size, "/v1/embeddings", &line, &err);
    fuzz_check(rc == SL_OK);
    if (line.code[0] != '\0') {
        fuzz_check(line.message[0] != '\0');
        fuzz_check(sl_utf8_valid(line.message, strlen(line.message)));
        fuzz_check(sl_utf8_valid(line.param, strlen(line.param)));
    } else {
        fuzz_check(json_is_string(line.custom_id));
        fuzz_check(json_string_length(line.custom_id) <= SL_BATCH_CUSTOM_ID_MAX);
        if (line.refusal) {
            check_refusal(&line);
        } else {
            check_fit(&line);
        }
    }
    sl_batch_line_fini(&line);
    free(text);
    return 0;
}
