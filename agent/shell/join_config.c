/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell/join_config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/shell/config.h"
#include "proto/base/regular.h"

#define FILE_BYTES_MAX (1024 * 1024)

static const char *next_line(const char *line) {
    const char *end = strchr(line, '\n');
    return end ? end + 1 : line + strlen(line);
}

/* White space, then '#': without it the character is a part of the value. */
static bool begins_comment(const char *at) {
    return (*at == ' ' || *at == '\t') && at[strspn(at, " \t")] == '#';
}

/* "key: VALUE" at the beginning of the line; the value without quotes and comment. */
static bool value_of(const char *line, const char *key, char *out, size_t size) {
    size_t n = strlen(key);
    if (strncmp(line, key, n) != 0 || line[n] != ':') {
        return false;
    }
    line += n + 1;
    line += strspn(line, " \t");
    char quote = *line == '"' || *line == '\'' ? *line++ : '\0';
    size_t len = 0;
    while (line[len] && line[len] != '\n' && line[len] != '\r' &&
           (quote ? line[len] != quote : *line != '#' && !begins_comment(line + len))) {
        len++;
    }
    while (!quote && len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t')) {
        len--;
    }
    snprintf(out, size, "%.*s", (int)len, line);
    return true;
}

/* From "broker:" to the next line that begins a top-level key. */
static const char *section_of(const char *text, const char **ret_end) {
    for (const char *line = text; *line; line = next_line(line)) {
        if (strncmp(line, "broker:", 7) != 0) {
            continue;
        }
        const char *end = next_line(line);
        const char *last = end; /* comments before the next key belong to that */
        while (*end &&
               (*end == ' ' || *end == '\t' || *end == '#' || *end == '\n' || *end == '\r')) {
            bool inside = *end == ' ' || *end == '\t';
            end = next_line(end);
            last = inside ? end : last;
        }
        *ret_end = last;
        return line;
    }
    return NULL;
}

void sl_join_facts_read(const char *text, struct sl_join_facts *ret_facts) {
    memset(ret_facts, 0, sizeof *ret_facts);
    for (const char *line = text; *line; line = next_line(line)) {
        (void)value_of(line, "node", ret_facts->node, sizeof ret_facts->node);
        (void)value_of(line, "data_dir", ret_facts->data_dir, sizeof ret_facts->data_dir);
    }
    const char *end = NULL;
    const char *line = section_of(text, &end);
    for (; line && line < end; line = next_line(line)) {
        const char *from = line + strspn(line, " \t");
        (void)value_of(from, "server_key", ret_facts->server_key, sizeof ret_facts->server_key);
        (void)value_of(from, "key_file", ret_facts->key_file, sizeof ret_facts->key_file);
    }
}

void sl_join_config_edit(const char *text, const char *node, const char *section,
                         struct sl_buf *out) {
    struct sl_join_facts facts;
    const char *end = NULL;
    const char *begin = section_of(text, &end);
    sl_join_facts_read(text, &facts);
    if (!facts.node[0]) {
        sl_buf_printf(out, "node: %s\n", node);
    }
    size_t head = begin ? (size_t)(begin - text) : strlen(text);
    sl_buf_append(out, text, head);
    if (head && text[head - 1] != '\n') {
        sl_buf_append(out, "\n", 1);
    }
    sl_buf_append(out, section, strlen(section));
    if (begin) {
        sl_buf_append(out, end, strlen(end));
    }
}

int sl_join_config_load(const char *path, struct sl_buf *out, struct sl_error *err) {
    SL_AUTO_FILE FILE *file = NULL;
    struct stat st;
    int rc = sl_regular_open(path, &file, err);
    if (rc) {
        return rc;
    }
    if (fstat(fileno(file), &st) != 0) {
        return sl_fail_errno(err, "cannot read %s", path);
    }
    if (st.st_size > FILE_BYTES_MAX) {
        return sl_fail(err, SL_INVALID, "%s is no configuration file", path);
    }
    char chunk[4096];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0) {
        sl_buf_append(out, chunk, n);
    }
    sl_buf_append(out, "", 0);
    if (ferror(file) || out->failed) {
        return sl_fail_errno(err, "cannot read %s", path);
    }
    return out->data && strlen(out->data) != out->len
               ? sl_fail(err, SL_INVALID, "%s is not a text file", path)
               : SL_OK;
}

/* Owner and mode stay as they were: root joins, and the agent's own user reads the file. */
static int write_new(const char *path, const struct stat *like, const struct sl_buf *text,
                     struct sl_error *err) {
    struct stat st;
    unlink(path); /* of a run that was cut off */
    SL_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return sl_fail_errno(err, "cannot write %s", path);
    }
    if ((st.st_uid != like->st_uid || st.st_gid != like->st_gid) &&
        fchown(fd, like->st_uid, like->st_gid) != 0) {
        return sl_fail_errno(err, "cannot write %s with its owner %u and group %u: join as root",
                             path, (unsigned)like->st_uid, (unsigned)like->st_gid);
    }
    if (fchmod(fd, like->st_mode & 07777) != 0) {
        return sl_fail_errno(err, "cannot write %s", path);
    }
    size_t at = 0;
    while (at < text->len) {
        ssize_t n = write(fd, text->data + at, text->len - at);
        if (n < 0 && errno != EINTR) {
            return sl_fail_errno(err, "cannot write %s", path);
        }
        at += n > 0 ? (size_t)n : 0;
    }
    return fsync(fd) == 0 ? SL_OK : sl_fail_errno(err, "cannot write %s", path);
}

/* A new name is only durable when its directory is. */
static int sync_directory(const char *path, struct sl_error *err) {
    char copy[PATH_MAX];
    if (!sl_text_copy(copy, sizeof copy, path)) {
        return sl_fail(err, SL_INVALID, "%s: the path is too long", path);
    }
    SL_AUTO_FD int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? SL_OK : sl_fail_errno(err, "cannot sync %s", copy);
}

/* check: what would be written is judged, and thrown away. */
static int edit_file(const char *path, const char *node, const char *section, bool check,
                     struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf text = {0};
    SL_AUTO_BUF struct sl_buf edited = {0};
    char fresh[PATH_MAX];
    struct stat st;
    struct sl_agent_options *options = NULL;
    snprintf(fresh, sizeof fresh, "%s.join", path);
    int rc = sl_join_config_load(path, &text, err);
    rc = rc == -SL_NOTFOUND ? SL_OK : rc;
    if (stat(path, &st) != 0) {
        st = (struct stat){.st_mode = 0644, .st_uid = geteuid(), .st_gid = getegid()};
    }
    if (rc == SL_OK) {
        sl_join_config_edit(text.data ? text.data : "", node, section, &edited);
        options = calloc(1, sizeof *options);
        rc = edited.failed || !options ? sl_fail(err, SL_NOMEM, "no memory") : SL_OK;
    }
    rc = rc ? rc : write_new(fresh, &st, &edited, err);
    if (rc == SL_OK && sl_agent_options_read(fresh, options, err) != SL_OK) {
        rc = sl_wrap(err, "with its new broker section %s would not be good", path);
    }
    free(options);
    if (rc == SL_OK && !check && rename(fresh, path) != 0) {
        rc = sl_fail_errno(err, "cannot replace %s", path);
    }
    if (rc || check) {
        unlink(fresh);
        return rc;
    }
    return sync_directory(path, err);
}

int sl_join_config_check(const char *path, const char *node, const char *section,
                         struct sl_error *err) {
    return edit_file(path, node, section, true, err);
}

int sl_join_config_save(const char *path, const char *node, const char *section,
                        struct sl_error *err) {
    return edit_file(path, node, section, false, err);
}
