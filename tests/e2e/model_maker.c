/* SPDX-License-Identifier: Apache-2.0
 * Makes an encoder with random weights in any shape and type, and says what it must answer: a
 * float64 pass over the float32 weights, with no code of the engine.
 *
 *   model_maker OUT.gguf f32|f16|q8_0 LAYERS WIDTH HEADS FF VOCAB CONTEXT mean|cls SEED < LINES
 *
 * LINES: one input each, its token ids between blanks, [CLS] (2) and [SEP] (3) included. To stdout
 * for each: its vector. Vocabulary: tests/unit/agent/models/tiny_bert.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/agent/models/bert_ref64.h"
#include "tests/unit/agent/models/tiny_bert.h"

#define IDS_MAX 512
#define LINE_MAX_BYTES 8192

static int fail(const char *text) {
    fprintf(stderr, "model_maker: %s\n", text);
    return 1;
}

static bool number(const char *text, uint32_t *ret_value) {
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    *ret_value = (uint32_t)value;
    return end != text && *end == '\0' && value <= UINT32_MAX;
}

static bool read_shape(char **argv, struct sl_tiny_bert *shape, enum sl_ggml_type *type) {
    uint32_t seed = 0;
    *type = strcmp(argv[2], "f16") == 0
                ? SL_GGML_F16
                : (strcmp(argv[2], "q8_0") == 0 ? SL_GGML_Q8_0 : SL_GGML_F32);
    shape->pooling = strcmp(argv[9], "cls") == 0 ? SL_BERT_POOL_CLS : SL_BERT_POOL_MEAN;
    bool sound = number(argv[3], &shape->n_layer) && number(argv[4], &shape->n_embd) &&
                 number(argv[5], &shape->n_head) && number(argv[6], &shape->n_ff) &&
                 number(argv[7], &shape->n_vocab) && number(argv[8], &shape->n_ctx) &&
                 number(argv[10], &seed);
    shape->seed = seed;
    return sound;
}

static int answer(const struct sl_bert_model *model, char *line) {
    int32_t ids[IDS_MAX];
    uint32_t count = 0;
    char *save = NULL;
    for (char *at = strtok_r(line, " \n", &save); at; at = strtok_r(NULL, " \n", &save)) {
        if (count == IDS_MAX) {
            return fail("a line has too many ids");
        }
        ids[count++] = (int32_t)strtol(at, NULL, 10);
    }
    double *vector = malloc(model->config.n_embd * sizeof *vector);
    if (!vector || sl_ref64_embed(model, ids, count, vector) != 0) {
        free(vector);
        return fail("ids that the model does not take");
    }
    for (uint32_t i = 0; i < model->config.n_embd; i++) {
        printf("%s%.17g", i ? " " : "", vector[i]);
    }
    printf("\n");
    free(vector);
    return 0;
}

static int answer_all(const struct sl_tiny_bert *shape) {
    SL_AUTO_BUF struct sl_buf bytes = {0};
    SL_AUTO(sl_gguf) file = NULL;
    SL_AUTO(sl_bert_model) model = NULL;
    struct sl_error err = {0};
    char line[LINE_MAX_BYTES];
    if (sl_tiny_bert_bytes(shape, &bytes, &err) != SL_OK ||
        sl_gguf_open_memory(bytes.data, bytes.len, &file, &err) != SL_OK ||
        sl_bert_model_load(file, &model, &err) != SL_OK) {
        return fail(err.text);
    }
    int rc = 0;
    while (rc == 0 && fgets(line, sizeof line, stdin)) {
        rc = answer(model, line);
    }
    return rc;
}

int main(int argc, char **argv) {
    struct sl_tiny_bert shape = {0};
    enum sl_ggml_type type;
    SL_AUTO_BUF struct sl_buf bytes = {0};
    struct sl_error err = {0};
    if (argc != 11 || !read_shape(argv, &shape, &type)) {
        return fail("see the head of its source");
    }
    if (sl_tiny_bert_bytes_as(&shape, type, &bytes, &err) != SL_OK) {
        return fail(err.text);
    }
    FILE *out = fopen(argv[1], "w");
    if (!out || fwrite(bytes.data, 1, bytes.len, out) != bytes.len || fclose(out) != 0) {
        return fail("the file cannot be written");
    }
    return answer_all(&shape);
}
