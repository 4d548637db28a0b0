/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/link/allow.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/text.h"
#include "proto/link/link.h"

#define FILE_BYTES_MAX ((off_t)16 * 1024 * 1024)
#define LOOK_INTERVAL_NS (200 * SL_NS_PER_MS)
/* Two changes within the same tick of the file system's clock look alike, so a file that changed
 * this recently is read again next time. */
#define SETTLED_MS 2000

typedef char allow_key[SL_LINK_KEY_MAX];

struct stamp {
    struct timespec mtime;
    off_t size;
    ino_t inode;
    dev_t device;
    bool settled;
};

struct key_set {
    allow_key *keys; /* [count], sorted */
    size_t count;
};

struct sl_allow {
    pthread_mutex_t lock;
    char *path;                       /* empty: no file */
    struct key_set admitted, refused; /* besides the file */
    struct stamp stamp;
    struct sl_mono looked;
    allow_key *keys; /* [count], sorted */
    size_t count;
    bool unreadable; /* said so in the log */
};

struct key_list {
    allow_key *keys;
    size_t count;
    size_t cap;
};

static int compare_keys(const void *a, const void *b) {
    return strcmp(a, b);
}

static struct stamp stamp_of(const struct stat *st) {
    int64_t mtime_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / SL_NS_PER_MS;
    struct stamp s = {st->st_mtim, st->st_size, st->st_ino, st->st_dev, false};
    s.settled = sl_clock_wall().ms - mtime_ms > SETTLED_MS;
    return s;
}

static bool stamp_same(const struct stamp *a, const struct stamp *b) {
    return a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
           a->size == b->size && a->inode == b->inode && a->device == b->device;
}

static int list_add(struct key_list *list, const char *key) {
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        allow_key *keys = realloc(list->keys, cap * sizeof *keys);
        if (!keys) {
            return -SL_NOMEM;
        }
        list->keys = keys;
        list->cap = cap;
    }
    memcpy(list->keys[list->count++], key, SL_LINK_KEY_MAX);
    return SL_OK;
}

/* '#' is a Z85 character too, but no key starts with it: it would make the first group exceed 2^32.
 */
static int parse_line(char *line, struct key_list *list, struct sl_error *err) {
    size_t n = strlen(line);
    while (n > 0 && strchr(" \t\r", line[n - 1])) {
        line[--n] = '\0';
    }
    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#') {
        return SL_OK;
    }
    char *key = strsep(&line, " \t");
    if (line && line[strspn(line, " \t")] != '#') {
        return sl_fail(err, SL_INVALID, "one key a line, then at most a # comment");
    }
    int rc = sl_link_key_check(key, err);
    if (rc == SL_OK && list_add(list, key) != SL_OK) {
        rc = sl_fail(err, SL_NOMEM, "no memory for the list of allowed keys");
    }
    return rc;
}

/* What a malformed line is: an error, or skipped; skipped loudly only when the file is new. */
enum parse_mode { PARSE_STRICT, PARSE_LOUD, PARSE_QUIET };

static int parse(const char *path, char *text, enum parse_mode mode, struct key_list *list,
                 struct sl_error *err) {
    char *rest = text;
    for (int number = 1; rest; number++) {
        struct sl_error local = {0};
        int rc = parse_line(strsep(&rest, "\n"), list, &local);
        if (rc && (mode == PARSE_STRICT || rc == -SL_NOMEM)) {
            return sl_fail(err, (enum sl_status) - rc, "%s:%d: %s", path, number, local.text);
        }
        if (rc && mode == PARSE_LOUD) {
            sl_log(SL_LOG_WARN, "link.allowed.bad_line", "file=%s line=%d problem=%s", path, number,
                   local.text);
        }
    }
    return SL_OK;
}

static int load(const char *path, struct stamp *ret_stamp, char **ret_text, struct sl_error *err) {
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return sl_fail_errno(err,
                             "cannot read the file of allowed agent keys %s (one public key "
                             "a line)",
                             path);
    }
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX) {
        return sl_fail(err, SL_INVALID, "%s is not a file of allowed agent keys", path);
    }
    size_t cap = (size_t)st.st_size + 1;
    SL_AUTO_FREE char *text = malloc(cap + 1);
    if (!text) {
        return sl_fail(err, SL_NOMEM, "no memory to read %s", path);
    }
    size_t n = 0;
    ssize_t got = 0;
    while (n < cap && (got = read(fd, text + n, cap - n)) > 0) {
        n += (size_t)got;
    }
    if (got < 0) {
        return sl_fail_errno(err, "cannot read %s", path);
    }
    text[n] = '\0';
    if (strlen(text) != n) {
        return sl_fail(err, SL_INVALID, "%s is not a text file", path);
    }
    *ret_stamp = stamp_of(&st);
    *ret_text = sl_take(&text);
    return SL_OK;
}

static int reload(struct sl_allow *allow, enum parse_mode mode, struct sl_error *err) {
    SL_AUTO_FREE char *text = NULL;
    struct key_list list = {0};
    struct stamp stamp;
    int rc = load(allow->path, &stamp, &text, err);
    rc = rc ? rc : parse(allow->path, text, mode, &list, err);
    if (rc) {
        free(list.keys);
        return rc;
    }
    if (list.count) {
        qsort(list.keys, list.count, sizeof *list.keys, compare_keys);
    }
    free(allow->keys);
    allow->keys = list.keys;
    allow->count = list.count;
    allow->stamp = stamp;
    return SL_OK;
}

int sl_allow_create(const char *path, struct sl_allow **ret_allow, struct sl_error *err) {
    struct sl_allow *made = calloc(1, sizeof *made);
    char *copy = strdup(path ? path : "");
    if (!made || !copy || pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made);
        free(copy);
        return sl_fail(err, SL_NOMEM, "no memory for the list of allowed keys");
    }
    SL_AUTO(sl_allow) allow = made;
    allow->path = copy;
    int rc = copy[0] ? reload(allow, PARSE_STRICT, err) : SL_OK;
    if (rc) {
        return rc;
    }
    allow->looked = sl_clock_mono();
    *ret_allow = sl_take(&allow);
    return SL_OK;
}

int sl_link_allowed_check(const char *path, struct sl_error *err) {
    SL_AUTO(sl_allow) allow = NULL;
    return sl_allow_create(path, &allow, err);
}

void sl_allow_destroy(struct sl_allow *allow) {
    if (!allow) {
        return;
    }
    pthread_mutex_destroy(&allow->lock);
    free(allow->admitted.keys);
    free(allow->refused.keys);
    free(allow->keys);
    free(allow->path);
    free(allow);
}

/* Under the lock. A file that cannot be read lets nobody in: a lost list must not keep doors open.
 */
static void look(struct sl_allow *allow) {
    if (!allow->path[0]) {
        return;
    }
    struct stat st;
    struct sl_error err = {0};
    int rc = SL_OK;
    if (stat(allow->path, &st) != 0) {
        rc = sl_fail_errno(&err, "cannot read %s", allow->path);
    } else {
        struct stamp stamp = stamp_of(&st);
        bool same = !allow->unreadable && stamp_same(&allow->stamp, &stamp);
        if (same && allow->stamp.settled) {
            return;
        }
        rc = reload(allow, same ? PARSE_QUIET : PARSE_LOUD, &err);
    }
    if (rc) {
        if (!allow->unreadable) {
            sl_log(SL_LOG_ERROR, "link.allowed.unreadable",
                   "file=%s problem=%s effect=nobody_is_let_in", allow->path, err.text);
        }
        allow->count = 0;
    }
    allow->unreadable = rc != SL_OK;
}

static int copy_set(const char (*keys)[SL_LINK_KEY_MAX], size_t count, struct key_set *ret_set) {
    struct key_set set = {.count = count};
    if (count) {
        set.keys = calloc(count, sizeof *set.keys);
        if (!set.keys) {
            return -SL_NOMEM;
        }
        memcpy(set.keys, keys, count * sizeof *set.keys);
        qsort(set.keys, count, sizeof *set.keys, compare_keys);
    }
    *ret_set = set;
    return SL_OK;
}

int sl_allow_admit(struct sl_allow *allow, const struct sl_link_admission *admission,
                   struct sl_error *err) {
    struct key_set admitted = {0};
    struct key_set refused = {0};
    if (copy_set(admission->admitted, admission->admitted_count, &admitted) ||
        copy_set(admission->refused, admission->refused_count, &refused)) {
        free(admitted.keys);
        return sl_fail(err, SL_NOMEM, "no memory for the list of admitted keys");
    }
    pthread_mutex_lock(&allow->lock);
    struct key_set old[2] = {allow->admitted, allow->refused};
    allow->admitted = admitted;
    allow->refused = refused;
    pthread_mutex_unlock(&allow->lock);
    free(old[0].keys);
    free(old[1].keys);
    return SL_OK;
}

static bool set_has(const allow_key *keys, size_t count, const allow_key wanted) {
    return count && bsearch(wanted, keys, count, sizeof *keys, compare_keys) != NULL;
}

bool sl_allow_has(struct sl_allow *allow, const char *key, bool now) {
    allow_key wanted;
    if (!sl_text_copy(wanted, sizeof wanted, key)) {
        return false;
    }
    pthread_mutex_lock(&allow->lock);
    struct sl_mono t = sl_clock_mono();
    if (now || sl_mono_since_ns(t, allow->looked) > LOOK_INTERVAL_NS) {
        allow->looked = t;
        look(allow);
    }
    bool has = set_has(allow->keys, allow->count, wanted) ||
               set_has(allow->admitted.keys, allow->admitted.count, wanted);
    has = has && !set_has(allow->refused.keys, allow->refused.count, wanted);
    pthread_mutex_unlock(&allow->lock);
    return has;
}
