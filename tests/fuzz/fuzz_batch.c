/* SPDX-License-Identifier: Apache-2.0
 * A tenant's whole file, and the spool that a disk gives back. Byte 0, bit 0: the rest is the spool
 * of a batch, else the file; bit 1: the spool's sums are made right, which no damage does, so that
 * what stands behind them is reached. A file is accepted or its errors are listed, never our
 * trouble; what was accepted can be read line by line, and validating it again (as after a restart)
 * gives the same. A damaged spool is never used, but made again from the file. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/batch/batch.h"
#include "broker/batch/spool_file.h"
#include "proto/base/text.h"

#define SOUND                                                                                      \
    "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":{\"model\":"     \
    "\"m\",\"input\":[\"x\",\"y\"]}}\n"

static char dir[64];
static bool forged; /* a spool with right sums, which says anything */

static void path_of(const char *folder, const char *id, char path[SL_BATCH_PATH_MAX]) {
    fuzz_check(sl_batch_path(dir, folder, id, path, NULL) == SL_OK);
}

static void remove_all(void) {
    static const char *const names[] = {"/files/in",    "/files", "/lines/b",
                                        "/lines/b.tmp", "/lines", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s%s", dir, names[i]);
        remove(path);
    }
}

static void prepare(void) {
    snprintf(dir, sizeof dir, "/dev/shm/sluice-fuzz-batch-%d", (int)getpid());
    fuzz_check(mkdir(dir, 0700) == 0);
    fuzz_check(sl_batch_make_dir(dir, SL_BATCH_FILES_DIR, NULL) == SL_OK);
    fuzz_check(sl_batch_make_dir(dir, SL_BATCH_SPOOL_DIR, NULL) == SL_OK);
    atexit(remove_all);
}

static void put(const char *folder, const char *id, const void *bytes, size_t n) {
    char path[SL_BATCH_PATH_MAX];
    path_of(folder, id, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    fuzz_check(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

static void check_errors(const struct sl_batch_validation *v) {
    json_t *errors = json_loads(v->errors, 0, NULL);
    fuzz_check(json_is_array(errors) && json_array_size(errors) > 0);
    fuzz_check(json_array_size(errors) <= SL_BATCH_ERRORS_MAX + 1);
    fuzz_check(v->lines.count == 0 && !v->lines.worst_tokens);
    json_decref(errors);
}

/* Reading what is not ours to read is left to the sanitizer to see. */
static void read_forged(struct sl_spool *spool) {
    static struct sl_msg_input inputs[SL_MSG_INPUTS_MAX];
    struct sl_spool_line line;
    volatile char sink = 0;
    for (uint32_t i = 0; i < sl_spool_count(spool) && i < 1000; i++) {
        if (sl_spool_line(spool, i, &line, NULL) != SL_OK ||
            sl_spool_inputs(spool, i, inputs, SL_MSG_INPUTS_MAX, NULL) != SL_OK) {
            continue;
        }
        for (uint32_t k = 0; k < line.input_count; k++) {
            sink = inputs[k].bytes > 0 ? inputs[k].text[inputs[k].bytes - 1] : '\0';
        }
        sink = line.custom_id_bytes > 0 ? line.custom_id[line.custom_id_bytes - 1] : '\0';
    }
    (void)sink;
}

static void make_sums_right(uint8_t *bytes, size_t size) {
    struct sl_spool_header head;
    struct sl_spool_entry entry;
    if (size < sizeof head) {
        return;
    }
    memcpy(&head, bytes, sizeof head);
    memcpy(head.magic, SL_SPOOL_MAGIC, sizeof head.magic);
    head.order = SL_SPOOL_ORDER;
    if (head.index_offset <= size) {
        uint64_t at = head.index_offset;
        for (; size - at >= sizeof entry; at += sizeof entry) {
            memcpy(&entry, bytes + at, sizeof entry);
            if (entry.offset <= size && entry.bytes <= size - entry.offset) {
                entry.crc = sl_spool_crc(0, bytes + entry.offset, entry.bytes);
            }
            memcpy(bytes + at, &entry, sizeof entry);
        }
        head.index_crc =
            sl_spool_crc(0, bytes + head.index_offset, size - (size_t)head.index_offset);
    }
    head.header_crc = sl_spool_crc(0, &head, offsetof(struct sl_spool_header, header_crc));
    memcpy(bytes, &head, sizeof head);
}

static void check_line(struct sl_spool *spool, uint32_t i, uint32_t worst_tokens) {
    static struct sl_msg_input inputs[SL_MSG_INPUTS_MAX];
    struct sl_spool_line line;
    fuzz_check(sl_spool_line(spool, i, &line, NULL) == SL_OK);
    fuzz_check(sl_utf8_valid(line.custom_id, line.custom_id_bytes));
    fuzz_check((line.refusal != NULL) == (line.input_count == 0));
    fuzz_check(line.worst_tokens == worst_tokens && line.input_count <= SL_MSG_INPUTS_MAX);
    if (!line.refusal) {
        fuzz_check(sl_spool_inputs(spool, i, inputs, SL_MSG_INPUTS_MAX, NULL) == SL_OK);
        for (uint32_t k = 0; k < line.input_count; k++) {
            fuzz_check(inputs[k].bytes > 0 && inputs[k].bytes <= SL_MSG_INPUT_BYTES_MAX);
            fuzz_check(sl_utf8_valid((const char *)inputs[k].text, inputs[k].bytes));
        }
    }
}

static void check_spool(const struct sl_batch_validation *v) {
    struct sl_spool *spool = NULL;
    fuzz_check(sl_spool_open(dir, "b", &spool, NULL) == SL_OK);
    fuzz_check(sl_spool_count(spool) == v->lines.count);
    if (forged) {
        read_forged(spool);
        sl_spool_close(spool);
        return;
    }
    for (uint32_t i = 0; i < v->lines.count; i++) {
        check_line(spool, i, v->lines.worst_tokens[i]);
    }
    struct sl_spool_line line;
    fuzz_check(sl_spool_line(spool, v->lines.count, &line, NULL) == -SL_NOTFOUND);
    sl_spool_close(spool);
}

static void validate(struct sl_batch_validation *v) {
    static const struct sl_batch_model models[] = {{"m", NULL}, {"n", "query: "}};
    struct sl_error err = {0};
    int rc = sl_batch_validate(dir, "b", "in", "/v1/embeddings", models, 2, v, &err);
    if (rc != SL_OK) {
        fuzz_broken(err.text, __FILE__, __LINE__);
    }
    fuzz_check(forged || (v->errors != NULL) == (v->lines.count == 0));
    if (v->errors) {
        check_errors(v);
    } else {
        check_spool(v);
    }
}

static bool same(const struct sl_batch_validation *a, const struct sl_batch_validation *b) {
    if (a->errors || b->errors) {
        return a->errors && b->errors && strcmp(a->errors, b->errors) == 0;
    }
    return a->lines.count == b->lines.count && strcmp(a->model, b->model) == 0 &&
           memcmp(a->lines.worst_tokens, b->lines.worst_tokens,
                  a->lines.count * sizeof a->lines.worst_tokens[0]) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input in = {data, size};
    struct sl_batch_validation first = {0};
    struct sl_batch_validation again = {0};
    uint8_t how = fuzz_u8(&in);
    if (dir[0] == '\0') {
        prepare();
    }
    sl_spool_delete(dir, "b");
    forged = (how & 3) == 3;
    if (how & 1) {
        uint8_t *spool = fuzz_copy(in.at, in.left);
        if (forged) {
            make_sums_right(spool, in.left);
        }
        put(SL_BATCH_FILES_DIR, "in", SOUND, strlen(SOUND));
        put(SL_BATCH_SPOOL_DIR, "b", spool, in.left);
        free(spool);
    } else {
        put(SL_BATCH_FILES_DIR, "in", in.at, in.left);
    }
    validate(&first);
    validate(&again);
    fuzz_check(same(&first, &again));
    sl_batch_validation_fini(&first);
    sl_batch_validation_fini(&again);
    return 0;
}
