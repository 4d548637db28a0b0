/* SPDX-License-Identifier: Apache-2.0
 * CURVE keys and their files. Z85 (ZeroMQ RFC 32) writes 32 bytes as 40 characters. */
#include "proto/link/link.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/base/cleanup.h"
#include "proto/base/text.h"

#define FILE_BYTES_MAX 4096
#define KEY_BYTES 32

/* The pairs that zmq_curve(7) prints: everybody has their secrets. */
static const char *const published[] = {
    "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
    "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs",
    "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
    "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6",
};

int sl_link_key_check(const char *key, struct sl_error *err) {
    char copy[SL_LINK_KEY_MAX];
    uint8_t bytes[KEY_BYTES];
    if (strnlen(key, SL_LINK_KEY_MAX) != SL_LINK_KEY_MAX - 1) {
        return sl_fail(err, SL_INVALID, "a key has 40 characters (Z85), this has %zu",
                       strnlen(key, 1000));
    }
    memcpy(copy, key, sizeof copy);
    if (!zmq_z85_decode(bytes, copy)) {
        return sl_fail(err, SL_INVALID, "a key has 40 characters of Z85, this holds others");
    }
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        if (strcmp(key, published[i]) == 0) {
            return sl_fail(err, SL_DENIED,
                           "this is an example key from ZeroMQ's manual, whose secret everybody "
                           "knows; make one with `sluice-broker keygen` or `sluice-agent keygen`");
        }
    }
    static const uint8_t zero[KEY_BYTES];
    if (memcmp(bytes, zero, sizeof zero) == 0) {
        return sl_fail(err, SL_DENIED,
                       "an all-zero key protects nothing; make one with "
                       "`sluice-broker keygen` or `sluice-agent keygen`");
    }
    return SL_OK;
}

int sl_link_keys_generate(struct sl_link_keys *ret_keys, struct sl_error *err) {
    struct sl_link_keys keys;
    if (zmq_curve_keypair(keys.public_key, keys.secret_key) != 0) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "this libzmq was built without CURVE; install the distribution's libzmq5");
    }
    *ret_keys = keys;
    explicit_bzero(&keys, sizeof keys);
    return SL_OK;
}

static int write_all(int fd, const char *data, size_t n) {
    while (n > 0) {
        ssize_t written = write(fd, data, n);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return -1;
        }
        data += written;
        n -= (size_t)written;
    }
    return 0;
}

/* A new name is only durable when its directory is. */
static int sync_directory(const char *path) {
    char copy[PATH_MAX];
    if (!sl_text_copy(copy, sizeof copy, path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    SL_AUTO_FD int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -1 : fsync(fd);
}

int sl_link_keys_write(const char *path, const struct sl_link_keys *keys, struct sl_error *err) {
    SL_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        return sl_fail(err, SL_EXISTS, "%s exists already; move it away first if you want new keys",
                       path);
    }
    if (fd < 0) {
        return sl_fail_errno(err, "cannot create the key file %s", path);
    }
    char text[512];
    int n = snprintf(text, sizeof text,
                     "# CURVE keys of this host. Give away the public one only.\n"
                     "public %s\nsecret %s\n",
                     keys->public_key, keys->secret_key);
    int rc = write_all(fd, text, (size_t)n) || fsync(fd) || sync_directory(path);
    explicit_bzero(text, sizeof text);
    if (rc) {
        sl_fail_errno(err, "cannot write the key file %s", path);
        unlink(path);
        return -SL_IO;
    }
    return SL_OK;
}

/* The whole file into text[FILE_BYTES_MAX + 1]; its owner alone may read it. */
static int load(const char *path, char *text, struct sl_error *err) {
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return sl_fail(err, SL_NOTFOUND,
                       "there is no key file %s; make one with `sluice-broker keygen` or "
                       "`sluice-agent keygen`",
                       path);
    }
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return sl_fail_errno(err, "cannot read the key file %s", path);
    }
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX) {
        return sl_fail(err, SL_INVALID, "%s is not a key file", path);
    }
    if (st.st_mode & 077) {
        return sl_fail(err, SL_DENIED,
                       "others may read the key file %s; do `chmod 600 %s`, and "
                       "make new keys if somebody may have seen it",
                       path, path);
    }
    size_t n = 0;
    while (n < FILE_BYTES_MAX) {
        ssize_t got = read(fd, text + n, FILE_BYTES_MAX - n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return sl_fail_errno(err, "cannot read the key file %s", path);
        }
        if (got == 0) {
            break;
        }
        n += (size_t)got;
    }
    text[n] = '\0';
    return strlen(text) == n ? SL_OK : sl_fail(err, SL_INVALID, "%s is not a key file", path);
}

/* "public KEY" or "secret KEY". Never repeats the line: it may be the secret one. */
static int parse_line(const char *line, struct sl_link_keys *keys, struct sl_error *err) {
    bool is_public = strncmp(line, "public ", 7) == 0;
    if (!is_public && strncmp(line, "secret ", 7) != 0) {
        return sl_fail(err, SL_INVALID, "a line is `public KEY`, `secret KEY` or a # comment");
    }
    char *out = is_public ? keys->public_key : keys->secret_key;
    if (out[0]) {
        return sl_fail(err, SL_INVALID, "a second %s key", is_public ? "public" : "secret");
    }
    int rc = sl_link_key_check(line + 7, err);
    if (rc == SL_OK) {
        memcpy(out, line + 7, SL_LINK_KEY_MAX);
    }
    return rc;
}

static int parse(const char *path, char *text, struct sl_link_keys *keys, struct sl_error *err) {
    char *rest = text;
    for (int number = 1; rest && *rest; number++) {
        char *line = strsep(&rest, "\n");
        if (*line == '\0' || *line == '#') {
            continue;
        }
        int rc = parse_line(line, keys, err);
        if (rc) {
            sl_wrap(err, "%s:%d", path, number);
            return rc;
        }
    }
    if (!keys->public_key[0] || !keys->secret_key[0]) {
        return sl_fail(err, SL_INVALID, "%s lacks its `%s KEY` line", path,
                       keys->public_key[0] ? "secret" : "public");
    }
    char derived[SL_LINK_KEY_MAX];
    if (zmq_curve_public(derived, keys->secret_key) != 0 ||
        strcmp(derived, keys->public_key) != 0) {
        return sl_fail(err, SL_INVALID, "%s: the two keys are no pair", path);
    }
    return SL_OK;
}

int sl_link_keys_read(const char *path, struct sl_link_keys *ret_keys, struct sl_error *err) {
    char text[FILE_BYTES_MAX + 1] = "";
    struct sl_link_keys keys = {{0}, {0}};
    int rc = load(path, text, err);
    rc = rc ? rc : parse(path, text, &keys, err);
    if (rc == SL_OK) {
        *ret_keys = keys;
    }
    explicit_bzero(text, sizeof text);
    explicit_bzero(&keys, sizeof keys);
    return rc;
}
