/* SPDX-License-Identifier: Apache-2.0
 * GGUF v3 writer: header and descriptions are collected in memory, data is streamed. */
#include "agent/models/gguf_writer.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ALIGNMENT UINT64_C(32)
#define CHUNK_BYTES ((size_t)1 << 20)

struct pending {
    uint64_t bytes;
    struct sl_gguf_source source;
};

struct sl_gguf_writer {
    struct sl_buf keys;
    struct sl_buf infos;
    uint64_t n_keys;
    struct pending *tensors;
    size_t n_tensors;
    size_t cap_tensors;
    uint64_t data_bytes;
    struct sl_error failed; /* the first failure of a put */
};

/* Where the bytes go: a file or a buffer. */
struct sink {
    int fd; /* < 0: to buf */
    struct sl_buf *buf;
};

int sl_gguf_writer_create(struct sl_gguf_writer **ret_writer, struct sl_error *err) {
    struct sl_gguf_writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        return sl_fail(err, SL_NOMEM, "a GGUF writer");
    }
    *ret_writer = writer;
    return SL_OK;
}

void sl_gguf_writer_destroy(struct sl_gguf_writer *writer) {
    if (writer) {
        sl_buf_fini(&writer->keys);
        sl_buf_fini(&writer->infos);
        free(writer->tensors);
        free(writer);
    }
}

static void append_u32(struct sl_buf *buf, uint32_t value) {
    value = htole32(value);
    sl_buf_append(buf, &value, sizeof value);
}

static void append_u64(struct sl_buf *buf, uint64_t value) {
    value = htole64(value);
    sl_buf_append(buf, &value, sizeof value);
}

static void append_text(struct sl_buf *buf, struct sl_gguf_text text) {
    append_u64(buf, text.len);
    sl_buf_append(buf, text.bytes, text.len);
}

static void begin_key(struct sl_gguf_writer *writer, const char *key, enum sl_gguf_type type) {
    append_text(&writer->keys, (struct sl_gguf_text){key, strlen(key)});
    append_u32(&writer->keys, type);
    writer->n_keys++;
}

void sl_gguf_put_u32(struct sl_gguf_writer *writer, const char *key, uint32_t value) {
    begin_key(writer, key, SL_GGUF_UINT32);
    append_u32(&writer->keys, value);
}

void sl_gguf_put_f32(struct sl_gguf_writer *writer, const char *key, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    begin_key(writer, key, SL_GGUF_FLOAT32);
    append_u32(&writer->keys, bits);
}

void sl_gguf_put_bool(struct sl_gguf_writer *writer, const char *key, bool value) {
    uint8_t byte = value;
    begin_key(writer, key, SL_GGUF_BOOL);
    sl_buf_append(&writer->keys, &byte, 1);
}

void sl_gguf_put_text(struct sl_gguf_writer *writer, const char *key, struct sl_gguf_text value) {
    begin_key(writer, key, SL_GGUF_TEXT);
    append_text(&writer->keys, value);
}

void sl_gguf_put_texts(struct sl_gguf_writer *writer, const char *key,
                       const struct sl_gguf_text *items, size_t count) {
    begin_key(writer, key, SL_GGUF_ARRAY);
    append_u32(&writer->keys, SL_GGUF_TEXT);
    append_u64(&writer->keys, count);
    for (size_t i = 0; i < count; i++) {
        append_text(&writer->keys, items[i]);
    }
}

void sl_gguf_put_i32s(struct sl_gguf_writer *writer, const char *key, const int32_t *items,
                      size_t count) {
    begin_key(writer, key, SL_GGUF_ARRAY);
    append_u32(&writer->keys, SL_GGUF_INT32);
    append_u64(&writer->keys, count);
    for (size_t i = 0; i < count; i++) {
        append_u32(&writer->keys, (uint32_t)items[i]);
    }
}

static int add_pending(struct sl_gguf_writer *writer, uint64_t bytes,
                       struct sl_gguf_source source) {
    if (writer->n_tensors == writer->cap_tensors) {
        size_t cap = writer->cap_tensors ? 2 * writer->cap_tensors : 64;
        struct pending *grown = reallocarray(writer->tensors, cap, sizeof *grown);
        if (!grown) {
            return sl_fail(&writer->failed, SL_NOMEM, "the list of tensors");
        }
        writer->tensors = grown;
        writer->cap_tensors = cap;
    }
    writer->tensors[writer->n_tensors++] = (struct pending){bytes, source};
    return SL_OK;
}

void sl_gguf_put_tensor(struct sl_gguf_writer *writer, const char *name, enum sl_ggml_type type,
                        uint32_t n_dims, const uint64_t *dims, struct sl_gguf_source source) {
    uint64_t n = 1;
    uint64_t bytes = 0;
    if (writer->failed.status) {
        return;
    }
    bool sound = n_dims >= 1 && n_dims <= SL_GGUF_MAX_DIMS;
    for (uint32_t i = 0; sound && i < n_dims; i++) {
        sound = dims[i] > 0 && !__builtin_mul_overflow(n, dims[i], &n);
    }
    if (!sound || !sl_ggml_size(type, dims[0], n, &bytes) || bytes > UINT64_MAX / 4) {
        sl_fail(&writer->failed, SL_INVALID, "tensor %s: shape and type do not fit", name);
        return;
    }
    if (add_pending(writer, bytes, source)) {
        return;
    }
    append_text(&writer->infos, (struct sl_gguf_text){name, strlen(name)});
    append_u32(&writer->infos, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) {
        append_u64(&writer->infos, dims[i]);
    }
    append_u32(&writer->infos, type);
    append_u64(&writer->infos, writer->data_bytes);
    writer->data_bytes += (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

static void read_memory(const void *context, uint64_t offset, void *out, size_t n) {
    memcpy(out, (const uint8_t *)context + offset, n);
}

void sl_gguf_put_tensor_data(struct sl_gguf_writer *writer, const char *name,
                             enum sl_ggml_type type, uint32_t n_dims, const uint64_t *dims,
                             const void *data) {
    sl_gguf_put_tensor(writer, name, type, n_dims, dims,
                       (struct sl_gguf_source){read_memory, data});
}

static int put(struct sink *sink, const void *data, size_t n, struct sl_error *err) {
    const uint8_t *at = (const uint8_t *)data;
    if (sink->fd < 0) {
        sl_buf_append(sink->buf, data, n);
        return sink->buf->failed ? sl_fail(err, SL_NOMEM, "a GGUF file's bytes") : SL_OK;
    }
    while (n > 0) {
        ssize_t written = write(sink->fd, at, n);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return sl_fail_errno(err, "writing");
        }
        at += written;
        n -= (size_t)written;
    }
    return SL_OK;
}

static int pad(struct sink *sink, uint64_t n, struct sl_error *err) {
    static const uint8_t zeros[ALIGNMENT];
    return put(sink, zeros, (size_t)((ALIGNMENT - n % ALIGNMENT) % ALIGNMENT), err);
}

static int put_data(const struct pending *tensor, struct sink *sink, uint8_t *chunk,
                    struct sl_error *err) {
    for (uint64_t at = 0; at < tensor->bytes; at += CHUNK_BYTES) {
        size_t n = tensor->bytes - at < CHUNK_BYTES ? (size_t)(tensor->bytes - at) : CHUNK_BYTES;
        tensor->source.read(tensor->source.context, at, chunk, n);
        int rc = put(sink, chunk, n, err);
        if (rc) {
            return rc;
        }
    }
    return pad(sink, tensor->bytes, err);
}

static int emit(const struct sl_gguf_writer *writer, struct sink *sink, struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf head = {0};
    if (writer->failed.status) {
        if (err) {
            *err = writer->failed;
        }
        return writer->failed.status;
    }
    SL_AUTO_FREE uint8_t *chunk = malloc(CHUNK_BYTES);
    sl_buf_append(&head, "GGUF", 4);
    append_u32(&head, 3);
    append_u64(&head, writer->n_tensors);
    append_u64(&head, writer->n_keys);
    sl_buf_append(&head, writer->keys.data, writer->keys.len);
    sl_buf_append(&head, writer->infos.data, writer->infos.len);
    if (!chunk || head.failed || writer->keys.failed || writer->infos.failed) {
        return sl_fail(err, SL_NOMEM, "a GGUF file's header");
    }
    int rc = put(sink, head.data, head.len, err);
    if (rc == SL_OK) {
        rc = pad(sink, head.len, err);
    }
    for (size_t i = 0; i < writer->n_tensors && rc == SL_OK; i++) {
        rc = put_data(&writer->tensors[i], sink, chunk, err);
    }
    return rc;
}

int sl_gguf_writer_bytes(const struct sl_gguf_writer *writer, struct sl_buf *ret_bytes,
                         struct sl_error *err) {
    struct sl_buf bytes = {0};
    struct sink sink = {-1, &bytes};
    int rc = emit(writer, &sink, err);
    if (rc) {
        sl_buf_fini(&bytes);
        return rc;
    }
    *ret_bytes = bytes;
    return SL_OK;
}

/* A rename is durable once the folder is. */
static int sync_folder(const char *path, struct sl_error *err) {
    SL_AUTO_FREE char *copy = strdup(path);
    if (!copy) {
        return sl_fail(err, SL_NOMEM, "a path");
    }
    SL_AUTO_FD int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0) {
        return sl_fail_errno(err, "making %s's folder durable", path);
    }
    return SL_OK;
}

static int write_temporary(const struct sl_gguf_writer *writer, int fd, struct sl_error *err) {
    struct sink sink = {fd, NULL};
    int rc = emit(writer, &sink, err);
    if (rc) {
        return rc;
    }
    if (fchmod(fd, 0644) < 0 || fsync(fd) < 0) {
        return sl_fail_errno(err, "making the file durable");
    }
    return SL_OK;
}

int sl_gguf_writer_save(const struct sl_gguf_writer *writer, const char *path,
                        int (*check)(const char *path, struct sl_error *err),
                        struct sl_error *err) {
    SL_AUTO_FREE char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        return sl_fail(err, SL_NOMEM, "a path");
    }
    SL_AUTO_FD int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return sl_fail_errno(err, "cannot create a file beside %s", path);
    }
    int rc = write_temporary(writer, fd, err);
    if (rc == SL_OK && check) {
        rc = check(temporary, err);
    }
    if (rc == SL_OK && rename(temporary, path) < 0) {
        rc = sl_fail_errno(err, "renaming the finished file");
    }
    if (rc) {
        unlink(temporary);
        sl_wrap(err, "%s", path);
        return rc;
    }
    return sync_folder(path, err);
}
