/* SPDX-License-Identifier: Apache-2.0
 * vocab.txt -> GGUF, independent of sluice-convert. */
#include "tests/unit/agent/models/vocab_gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/models/gguf_writer.h"

#define MAX_PIECES 100000

struct table {
    struct sl_gguf_text pieces[MAX_PIECES];
    int32_t types[MAX_PIECES];
    size_t count;
};

static void add_line(struct table *table, struct sl_gguf_writer *w, char *line) {
    static const struct {
        const char *piece, *key;
    } specials[] = {{"[PAD]", "tokenizer.ggml.padding_token_id"},
                    {"[UNK]", "tokenizer.ggml.unknown_token_id"},
                    {"[CLS]", "tokenizer.ggml.cls_token_id"},
                    {"[SEP]", "tokenizer.ggml.seperator_token_id"},
                    {"[MASK]", "tokenizer.ggml.mask_token_id"}};
    char *piece = NULL;
    size_t id = table->count++;
    table->types[id] = 1;
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
        if (strcmp(line, specials[i].piece) == 0) {
            sl_gguf_put_u32(w, specials[i].key, (uint32_t)id);
            table->types[id] = 3;
        }
    }
    if (table->types[id] == 3) {
        piece = strdup(line);
    } else if (strncmp(line, "##", 2) == 0) {
        piece = strdup(line + 2);
    } else if (asprintf(&piece, "\xe2\x96\x81%s", line) < 0) {
        piece = NULL;
    }
    table->pieces[id] = (struct sl_gguf_text){piece, piece ? strlen(piece) : 0};
}

int sl_test_vocab_gguf(const char *path, struct sl_buf *ret_bytes, struct sl_error *err) {
    SL_AUTO(sl_gguf_writer) writer = NULL;
    SL_AUTO_FILE FILE *in = fopen(path, "re");
    SL_AUTO_FREE struct table *table = calloc(1, sizeof *table);
    SL_AUTO_FREE char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    if (!in || !table) {
        return sl_fail_errno(err, "%s", path);
    }
    int rc = sl_gguf_writer_create(&writer, err);
    if (rc) {
        return rc;
    }
    while ((n = getline(&line, &cap, in)) > 0 && table->count < MAX_PIECES) {
        line[n - 1] = '\0'; /* every line of vocab.txt ends with a newline */
        add_line(table, writer, line);
    }
    sl_gguf_put_text(writer, "tokenizer.ggml.model", (struct sl_gguf_text){"bert", 4});
    sl_gguf_put_texts(writer, "tokenizer.ggml.tokens", table->pieces, table->count);
    sl_gguf_put_i32s(writer, "tokenizer.ggml.token_type", table->types, table->count);
    rc = sl_gguf_writer_bytes(writer, ret_bytes, err);
    for (size_t i = 0; i < table->count; i++) {
        free((char *)(uintptr_t)table->pieces[i].bytes);
    }
    return rc;
}
