/* SPDX-License-Identifier: Apache-2.0
 * Programs are built once per device, driver, source and options, and kept on disk as binaries. A
 * file is: magic, payload size, sha256d of the payload, payload. Anything that does not fit is
 * treated as absent, and the program is built again from its source. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/device/cl.h"
#include "agent/stratum/sha256.h"
#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/regular.h"
#include "proto/base/text.h"

#define CACHE_MAGIC "SLCLBIN1"
#define CACHE_PAYLOAD_MAX ((uint64_t)64 << 20)
#define PATH_TEXT_MAX 512
#define OPTIONS_TEXT_MAX 512

struct cache_header {
    char magic[8];
    uint64_t size;
    uint8_t digest[32];
};

static bool cache_path(const struct sl_cl *cl, const char *name, const char *source,
                       const char *options, const char *ending, char ret_path[PATH_TEXT_MAX]) {
    uint8_t digest[32];
    char hex[65];
    SL_AUTO_BUF struct sl_buf key = {0};
    if (cl->cache_dir[0] == '\0') {
        return false;
    }
    /* Lengths in front of the parts, so that no two sets of parts read the same. */
    sl_buf_printf(&key, "%zu %zu %zu ", strlen(cl->cache_key), strlen(options), strlen(source));
    sl_buf_append(&key, cl->cache_key, strlen(cl->cache_key));
    sl_buf_append(&key, options, strlen(options));
    sl_buf_append(&key, source, strlen(source));
    if (key.failed) {
        return false;
    }
    sl_sha256d(key.data, key.len, digest);
    sl_hex_encode(digest, sizeof digest, hex);
    int n = snprintf(ret_path, PATH_TEXT_MAX, "%s/%s-%s.%s", cl->cache_dir, name, hex, ending);
    return n > 0 && n < PATH_TEXT_MAX;
}

/* NULL when there is no usable entry. An age of 0 is any. */
static uint8_t *cache_read(const char *path, int64_t age_max_s, size_t *ret_size) {
    struct cache_header header;
    struct stat info;
    uint8_t digest[32];
    SL_AUTO_FILE FILE *file = NULL;
    if (sl_regular_open(path, &file, NULL) != SL_OK || fstat(fileno(file), &info) != 0 ||
        info.st_uid != geteuid() || fread(&header, sizeof header, 1, file) != 1 ||
        memcmp(header.magic, CACHE_MAGIC, sizeof header.magic) != 0 || header.size == 0 ||
        header.size > CACHE_PAYLOAD_MAX) {
        return NULL;
    }
    uint8_t *payload = malloc(header.size);
    if (!payload || fread(payload, header.size, 1, file) != 1) {
        free(payload);
        return NULL;
    }
    /* From the future, where the clock was set back: as good as from the past. */
    int64_t age_s = llabs(sl_clock_wall().ms / 1000 - info.st_mtime);
    if (age_max_s > 0 && age_s > age_max_s) {
        free(payload);
        return NULL;
    }
    sl_sha256d(payload, header.size, digest);
    if (memcmp(digest, header.digest, sizeof digest) != 0) {
        free(payload);
        return NULL;
    }
    *ret_size = header.size;
    return payload;
}

/* Failing to write costs only time at the next start, so there is nothing to report. */
static void cache_write(const char *path, const char *dir, const uint8_t *payload, size_t size) {
    char temporary[PATH_TEXT_MAX + 16];
    struct cache_header header = {.size = size};
    memcpy(header.magic, CACHE_MAGIC, sizeof header.magic);
    sl_sha256d(payload, size, header.digest);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        return;
    }
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    FILE *file = fdopen(fd, "wb");
    if (!file) {
        close(fd);
        unlink(temporary);
        return;
    }
    bool ok = fwrite(&header, sizeof header, 1, file) == 1 && fwrite(payload, size, 1, file) == 1;
    ok = fclose(file) == 0 && ok;
    if (!ok || rename(temporary, path) != 0) {
        unlink(temporary);
    }
}

static void full_options(const char *options, char ret_text[OPTIONS_TEXT_MAX]) {
    snprintf(ret_text, OPTIONS_TEXT_MAX, "-cl-std=CL1.2%s%s", options[0] ? " " : "", options);
}

static int build(struct sl_cl *cl, const char *name, cl_program program, const char *options,
                 struct sl_error *err) {
    cl_int rc = clBuildProgram(program, 1, &cl->device, options, NULL, NULL);
    if (rc == CL_SUCCESS) {
        return SL_OK;
    }
    size_t size = 0;
    clGetProgramBuildInfo(program, cl->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    SL_AUTO_FREE char *text = calloc(1, size + 1);
    if (text) {
        clGetProgramBuildInfo(program, cl->device, CL_PROGRAM_BUILD_LOG, size, text, NULL);
    }
    return sl_fail(err, SL_DEVICE,
                   "the device's compiler refuses program %s: %s (%d); update its OpenCL driver: "
                   "%.180s",
                   name, sl_cl_error_name(rc), (int)rc, text ? text : "");
}

/* True when the entry was usable. */
static bool build_from_cache(struct sl_cl *cl, const char *name, const char *path,
                             const char *options, cl_program *ret_program) {
    size_t size = 0;
    cl_int status = CL_SUCCESS;
    cl_int rc = CL_SUCCESS;
    SL_AUTO_FREE uint8_t *payload = cache_read(path, 0, &size);
    if (!payload) {
        return false;
    }
    const unsigned char *binary = payload;
    cl_program program =
        clCreateProgramWithBinary(cl->context, 1, &cl->device, &size, &binary, &status, &rc);
    if (rc != CL_SUCCESS || status != CL_SUCCESS) {
        if (rc == CL_SUCCESS) {
            clReleaseProgram(program);
        }
        return false;
    }
    if (build(cl, name, program, options, NULL) != SL_OK) {
        clReleaseProgram(program);
        return false;
    }
    *ret_program = program;
    return true;
}

int sl_cl_program(struct sl_cl *cl, const char *name, const char *source, const char *options,
                  cl_program *ret_program, struct sl_error *err) {
    char path[PATH_TEXT_MAX];
    char all_options[OPTIONS_TEXT_MAX];
    full_options(options, all_options);
    if (cache_path(cl, name, source, all_options, "clbin", path)) {
        if (build_from_cache(cl, name, path, all_options, ret_program)) {
            return SL_OK;
        }
    }
    cl_int code = CL_SUCCESS;
    cl_program program = clCreateProgramWithSource(cl->context, 1, &source, NULL, &code);
    if (code != CL_SUCCESS) {
        return sl_cl_fail(err, code, "cannot load a program");
    }
    int rc = build(cl, name, program, all_options, err);
    if (rc != SL_OK) {
        clReleaseProgram(program);
        return rc;
    }
    sl_cl_program_save(cl, name, source, options, program);
    *ret_program = program;
    return SL_OK;
}

void sl_cl_program_save(struct sl_cl *cl, const char *name, const char *source, const char *options,
                        cl_program program) {
    char path[PATH_TEXT_MAX];
    char all_options[OPTIONS_TEXT_MAX];
    size_t size = 0;
    full_options(options, all_options);
    if (!cache_path(cl, name, source, all_options, "clbin", path)) {
        return;
    }
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) !=
            CL_SUCCESS ||
        size == 0 || size > CACHE_PAYLOAD_MAX) {
        return;
    }
    SL_AUTO_FREE unsigned char *binary = malloc(size);
    if (binary && clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) ==
                      CL_SUCCESS) {
        cache_write(path, cl->cache_dir, binary, size);
    }
}

bool sl_cl_cache_read(const struct sl_cl *cl, const char *name, const char *key, int64_t age_max_s,
                      uint8_t **ret_data, size_t *ret_size) {
    char path[PATH_TEXT_MAX];
    size_t size = 0;
    uint8_t *data =
        cache_path(cl, name, "", key, "kept", path) ? cache_read(path, age_max_s, &size) : NULL;
    if (!data) {
        return false;
    }
    *ret_data = data;
    *ret_size = size;
    return true;
}

void sl_cl_cache_write(const struct sl_cl *cl, const char *name, const char *key,
                       const uint8_t *data, size_t size) {
    char path[PATH_TEXT_MAX];
    if (cache_path(cl, name, "", key, "kept", path)) {
        cache_write(path, cl->cache_dir, data, size);
    }
}
