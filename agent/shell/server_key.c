/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell/server_key.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/shell/agent.h"
#include "proto/base/log.h"
#include "proto/base/text.h"
#include "proto/wire/msg.h"

/* "NAME KEY", each line once and in this order; the last may be missing. */
static int parse(char *text, struct sl_server_keys *keys, struct sl_error *err) {
    const struct {
        const char *name;
        char *key;
    } lines[] = {{"configured ", keys->configured}, {"now ", keys->now}, {"next ", keys->next}};
    char *rest = text;
    size_t at = 0;
    while (rest && *rest) {
        const char *line = strsep(&rest, "\n");
        size_t n = at < sizeof lines / sizeof lines[0] ? strlen(lines[at].name) : 0;
        if (*line == '#') {
            continue;
        }
        if (n == 0 || strncmp(line, lines[at].name, n) != 0 ||
            sl_link_key_check(line + n, err) != SL_OK) {
            return sl_fail(err, SL_INVALID, "a line is no `%sKEY`",
                           n ? lines[at].name : "comment or ");
        }
        memcpy(lines[at++].key, line + n, SL_LINK_KEY_MAX);
    }
    return at >= 2 ? SL_OK : sl_fail(err, SL_INVALID, "it ends in the middle");
}

int sl_server_keys_read(const char *path, const char *configured, struct sl_server_keys *ret_keys,
                        struct sl_error *err) {
    char text[512];
    struct sl_server_keys plain = {{0}, {0}, {0}};
    struct sl_server_keys keys = {{0}, {0}, {0}};
    sl_text_copy(plain.configured, sizeof plain.configured, configured);
    sl_text_copy(plain.now, sizeof plain.now, configured);
    *ret_keys = plain;
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return SL_OK;
    }
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n < 0) {
        return sl_fail_errno(err, "cannot read %s", path);
    }
    text[n] = '\0';
    int rc = parse(text, &keys, err);
    if (rc) {
        return sl_wrap(err, "%s", path);
    }
    if (strcmp(keys.configured, configured) == 0) {
        *ret_keys = keys;
    }
    return SL_OK;
}

int sl_server_keys_write(const char *path, const struct sl_server_keys *keys,
                         struct sl_error *err) {
    char fresh[PATH_MAX];
    char folder[PATH_MAX];
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh) {
        return sl_fail(err, SL_LIMIT, "%s is too long", path);
    }
    sl_text_copy(folder, sizeof folder, path);
    FILE *file = fopen(fresh, "we");
    bool good = file &&
                fprintf(file,
                        "# The broker's public keys: in agent.yaml, now, and to come. Written by\n"
                        "# sluice-agent; it counts while agent.yaml says the same.\n"
                        "configured %s\nnow %s\n",
                        keys->configured, keys->now) > 0 &&
                (!keys->next[0] || fprintf(file, "next %s\n", keys->next) > 0) &&
                fflush(file) == 0 && fsync(fileno(file)) == 0;
    good = file && fclose(file) == 0 && good;
    SL_AUTO_FD int fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!good || rename(fresh, path) != 0 || fd < 0 || fsync(fd) != 0) {
        return sl_fail_errno(err, "cannot write %s", path);
    }
    return SL_OK;
}

bool sl_server_keys_said(struct sl_server_keys *keys, const char *used, const char *said) {
    struct sl_server_keys before = *keys;
    if (keys->next[0] && strcmp(used, keys->next) == 0) {
        memcpy(keys->now, keys->next, sizeof keys->now);
        keys->next[0] = '\0';
    }
    bool other = strcmp(said, keys->now) != 0;
    sl_text_copy(keys->next, sizeof keys->next, other ? said : "");
    return strcmp(before.now, keys->now) != 0 || strcmp(before.next, keys->next) != 0;
}

/* ---- the agent's ---- */

static void path_of(const struct sl_agent *agent, char path[300]) {
    snprintf(path, 300, "%s/broker-keys", agent->options.data_dir);
}

void sl_agent_server_keys_open(struct sl_agent *agent) {
    char path[300];
    struct sl_error err;
    path_of(agent, path);
    if (sl_server_keys_read(path, agent->options.broker_key, &agent->server_keys, &err) != SL_OK) {
        sl_log(SL_LOG_ERROR, "server.key",
               "%s; the key in agent.yaml is used. If the broker has another one by now, set "
               "broker.server_key",
               err.text);
    } else if (strcmp(agent->server_keys.now, agent->options.broker_key) != 0) {
        sl_log(SL_LOG_INFO, "server.key",
               "the broker has the key %s by now, as it announced; agent.yaml has an older one",
               agent->server_keys.now);
    }
}

void sl_agent_server_key_said(struct sl_agent *agent, const char *said) {
    char path[300];
    struct sl_error err;
    struct sl_server_keys keys = agent->server_keys;
    if (said[0] && sl_link_key_check(said, &err) != SL_OK) {
        sl_log(SL_LOG_WARN, "server.key", "the broker's next key is refused: %s", err.text);
        return;
    }
    if (sl_server_keys_said(&keys, sl_zmq_client_server_key(agent->link), said)) {
        path_of(agent, path);
        if (sl_server_keys_write(path, &keys, &err) != SL_OK) {
            sl_log(SL_LOG_ERROR, "server.key", "the broker's next key is not kept: %s", err.text);
            return;
        }
        agent->server_keys = keys;
        sl_zmq_client_expect(agent->link, keys.now, keys.next);
        sl_log(SL_LOG_INFO, "server.key", "the broker's key is %s%s%s", keys.now,
               keys.next[0] ? ", its next one " : "", keys.next);
    }
    sl_agent_server_key_kept(agent->core, sl_clock_now(), keys.next);
}
