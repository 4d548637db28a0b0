/* SPDX-License-Identifier: Apache-2.0
 * fuzz_seeds CORPUS: writes the beginnings of those corpora that no hand writes, by the encoders
 * that the product and its tests use. What it writes is committed; run it again after a format
 * changed. */
#include "tests/fuzz/fuzz.h"

#include <sys/stat.h>
#include <unistd.h>

#include "agent/journal/journal_internal.h"
#include "broker/batch/batch.h"
#include "proto/wire/codec.h"
#include "tests/unit/agent/models/tiny_bert.h"
#include "tests/unit/agent/models/vocab_gguf.h"
#include "tests/unit/proto/wire/random_msg.h"

static void save(const char *corpus, const char *target, const char *name,
                 const struct sl_buf *bytes) {
    char path[512];
    mkdir(corpus, 0755);
    snprintf(path, sizeof path, "%s/%s", corpus, target);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/%s/%s", corpus, target, name);
    FILE *file = fopen(path, "wbe");
    fuzz_check(file && fwrite(bytes->data, 1, bytes->len, file) == bytes->len);
    fuzz_check(fclose(file) == 0);
}

/* Two of a line's five vectors. */
static void seed_part(const char *corpus) {
    static const uint8_t data[8] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0x40};
    const struct sl_msg_vector vectors[] = {{2, 5, 2, data}, {3, 4, 2, data}};
    const struct sl_msg_result_line line = {.line = 7,
                                            .status = SL_LINE_OK,
                                            .tokens = 20,
                                            .vector_count = 2,
                                            .vectors = vectors,
                                            .inputs = 5};
    const struct sl_msg msg = {
        .version = SL_WIRE_VERSION,
        .kind = SL_MSG_RESULT,
        .result = {.result_id = 9, .unit_id = 5, .device = "d", .line_count = 1, .lines = &line}};
    SL_AUTO_BUF struct sl_buf bytes = {0};
    fuzz_check(sl_msg_encode(&msg, &bytes, NULL) == SL_OK);
    save(corpus, "wire", "result_part", &bytes);
}

/* The smallest of some random messages of each kind that says something. */
static void seed_wire(const char *corpus) {
    struct random_msg *r = random_msg_create(1);
    for (int kind = SL_MSG_HELLO; kind <= SL_MSG_GOODBYE; kind++) {
        SL_AUTO_BUF struct sl_buf best = {0};
        for (int i = 0; i < 40; i++) {
            SL_AUTO_BUF struct sl_buf bytes = {0};
            const struct sl_msg *msg = random_msg_next(r, (enum sl_msg_kind)kind, false);
            fuzz_check(sl_msg_encode(msg, &bytes, NULL) == SL_OK);
            if (bytes.len > 24 && (best.len == 0 || bytes.len < best.len)) {
                struct sl_buf last = best;
                best = bytes;
                bytes = last;
            }
        }
        save(corpus, "wire", sl_msg_kind_name((enum sl_msg_kind)kind), &best);
    }
    random_msg_destroy(r);
    static const uint32_t ids[] = {101, 2023, 102, SL_MSG_TOKEN_ID_MAX};
    const struct sl_msg_input inputs[] = {{.text = "", .id_count = 3, .ids = ids},
                                          {.text = "", .id_count = 1, .ids = ids + 3}};
    const struct sl_msg_unit_line line = {
        .line = 7, .input_count = 2, .inputs = inputs, .tokens = true};
    const struct sl_msg msg = {.version = SL_WIRE_VERSION,
                               .kind = SL_MSG_UNIT,
                               .unit = {.unit_id = 5,
                                        .device = "d",
                                        .epoch = 3,
                                        .model = "m",
                                        .line_count = 1,
                                        .lines = &line}};
    SL_AUTO_BUF struct sl_buf bytes = {0};
    fuzz_check(sl_msg_encode(&msg, &bytes, NULL) == SL_OK);
    save(corpus, "wire", "unit_tokens", &bytes);
    seed_part(corpus);
}

static void seed_gguf(const char *corpus) {
    struct sl_tiny_bert shape = sl_tiny_bert_default();
    SL_AUTO_BUF struct sl_buf vocab = {0};
    SL_AUTO_BUF struct sl_buf model = {0};
    shape.n_layer = 1;
    shape.n_embd = 4;
    shape.n_head = 2;
    shape.n_ff = 4;
    shape.n_vocab = SL_TINY_BERT_MIN_VOCAB;
    shape.n_ctx = 8;
    fuzz_check(sl_tiny_bert_bytes(&shape, &model, NULL) == SL_OK);
    fuzz_check(sl_test_vocab_gguf(SLUICE_FUZZ_DIR "/vocab.txt", &vocab, NULL) == SL_OK);
    save(corpus, "gguf", "tiny_bert", &model);
    save(corpus, "gguf", "vocabulary", &vocab);
    SL_AUTO_BUF struct sl_buf half = {0};
    SL_AUTO_BUF struct sl_buf blocks = {0};
    fuzz_check(sl_tiny_bert_bytes_as(&shape, SL_GGML_F16, &half, NULL) == SL_OK);
    save(corpus, "gguf", "tiny_bert_f16", &half);
    shape.n_embd = shape.n_ff = 32; /* a block of Q8_0 */
    shape.n_ctx = 2;
    fuzz_check(sl_tiny_bert_bytes_as(&shape, SL_GGML_Q8_0, &blocks, NULL) == SL_OK);
    save(corpus, "gguf", "tiny_bert_q8_0", &blocks);
}

static void append_batch(struct sl_buf *file, uint64_t number, const struct journal_record *records,
                         uint32_t count) {
    static const uint8_t head[JOURNAL_UNIT];
    SL_AUTO_BUF struct sl_buf batch = {0};
    sl_buf_append(&batch, head, sizeof head);
    for (uint32_t i = 0; i < count; i++) {
        journal_record_append(&batch, &records[i]);
    }
    journal_batch_seal(&batch, number, count);
    sl_buf_append(file, batch.data, batch.len);
}

static void seed_journal(const char *corpus) {
    static const uint8_t long_value[1200] = {7, 7, 7};
    const struct journal_record puts[] = {
        {JOURNAL_PUT, SL_JOURNAL_NODE, (const uint8_t *)"name", 4, (const uint8_t *)"n", 1},
        {JOURNAL_PUT, SL_JOURNAL_EPOCH, (const uint8_t *)"n/0", 3, (const uint8_t *)"12345678", 8},
        {JOURNAL_PUT, SL_JOURNAL_SHARE, (const uint8_t *)"s", 1, (const uint8_t *)"", 0}};
    const struct journal_record more[] = {
        {JOURNAL_DELETE, SL_JOURNAL_SHARE, (const uint8_t *)"s", 1, NULL, 0},
        {JOURNAL_PUT, SL_JOURNAL_EPOCH, (const uint8_t *)"n/0", 3, (const uint8_t *)"2", 1}};
    const struct journal_record large[] = {
        {JOURNAL_PUT, SL_JOURNAL_RESULT, (const uint8_t *)"r", 1, long_value, sizeof long_value}};
    uint8_t head[JOURNAL_UNIT];
    for (int how = 0; how < 4; how++) { /* the target's first two bytes */
        const char bytes[2] = {(char)how, (char)(how * 3)};
        static const char *const names[] = {"plain", "sums", "crash", "sums_and_crash"};
        SL_AUTO_BUF struct sl_buf file = {0};
        journal_file_head(head);
        sl_buf_append(&file, bytes, sizeof bytes);
        sl_buf_append(&file, head, sizeof head);
        append_batch(&file, 1, puts, 3);
        append_batch(&file, 2, more, 2);
        if (how != 1) {
            append_batch(&file, 3, large, 1);
        }
        save(corpus, "journal", names[how], &file);
        if (how == 2) { /* its last batch is cut by a power failure */
            memset(file.data + file.len - 700, 0, 700);
            save(corpus, "journal", "torn", &file);
        }
    }
}

/* A spool as the broker writes it: plain, and with sums that the target makes right. */
static void seed_spool(const char *corpus) {
    static const char lines[] =
        "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":"
        "{\"model\":\"m\",\"input\":[\"x\",\"yy\"]}}\n"
        "{\"custom_id\":\"ids\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":"
        "{\"model\":\"m\",\"input\":[[101,102],[4194303]]}}\n"
        "{\"custom_id\":\"b\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":"
        "{\"model\":\"m\",\"input\":\"z\",\"dimensions\":1}}\n";
    char dir[] = "/tmp/sluice-seeds-XXXXXX";
    char path[SL_BATCH_PATH_MAX];
    char bytes[4096] = "\1";
    struct sl_batch_validation v = {0};
    fuzz_check(mkdtemp(dir) && sl_batch_make_dir(dir, SL_BATCH_FILES_DIR, NULL) == SL_OK);
    fuzz_check(sl_batch_make_dir(dir, SL_BATCH_SPOOL_DIR, NULL) == SL_OK);
    fuzz_check(sl_batch_path(dir, SL_BATCH_FILES_DIR, "in", path, NULL) == SL_OK);
    FILE *file = fopen(path, "we");
    fuzz_check(file && fputs(lines, file) >= 0 && fclose(file) == 0);
    fuzz_check(sl_batch_validate(dir, "b", "in", "/v1/embeddings", NULL, 0, &v, NULL) == SL_OK);
    unlink(path);
    fuzz_check(sl_batch_path(dir, SL_BATCH_SPOOL_DIR, "b", path, NULL) == SL_OK);
    file = fopen(path, "re");
    fuzz_check(file);
    size_t n = fread(bytes + 1, 1, sizeof bytes - 1, file);
    fclose(file);
    const struct sl_buf all = {.data = bytes, .len = n + 1};
    save(corpus, "batch", "spool_tokens", &all);
    bytes[0] = 3;
    save(corpus, "batch", "spool_tokens_sums", &all);
    sl_batch_validation_fini(&v);
    sl_spool_delete(dir, "b");
    static const char *const folders[] = {"/files", "/lines", ""};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", dir, folders[i]);
        rmdir(path);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    seed_wire(argv[1]);
    seed_gguf(argv[1]);
    seed_journal(argv[1]);
    seed_spool(argv[1]);
    return 0;
}
