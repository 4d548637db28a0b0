/* SPDX-License-Identifier: Apache-2.0
 * One line of a tenant's JSONL. It is fit to run, or answered with a 400 of its own, or fails its
 * batch: exactly one of the three, and within the limits. */
#include "tests/fuzz/fuzz.h"

#include <jansson.h>

#include "broker/batch/line.h"
#include "proto/base/text.h"

/* What the spool and the agent rely on. */
static void check_fit(const struct sl_batch_line *line) {
    size_t count = json_is_array(line->input) ? json_array_size(line->input) : 1;
    fuzz_check(line->input && line->model && line->model[0] != '\0');
    fuzz_check(json_is_string(line->input) || json_is_array(line->input));
    fuzz_check(line->single == json_is_string(line->input));
    fuzz_check(line->input_count == count && count > 0 && count <= SL_MSG_INPUTS_MAX);
    fuzz_check(line->worst_tokens >= 2 * line->input_count);
    for (size_t i = 0; i < count; i++) {
        const json_t *text = line->single ? line->input : json_array_get(line->input, i);
        fuzz_check(json_is_string(text) && json_string_length(text) > 0);
    }
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
