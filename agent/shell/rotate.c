/* SPDX-License-Identifier: Apache-2.0
 * Keys on the disk while they change, and the link that is opened anew with the new one.
 *
 * The new key stands beside the present one (KEY_FILE.next) until the broker has admitted it; then
 * it takes its place in one rename. A crash between any two steps leaves a key that is admitted:
 * the broker repeats what it wants at the next hello. */
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

static void next_path(const struct sl_agent *agent, char *out, size_t size) {
    snprintf(out, size, "%s.next", agent->options.key_file);
}

void sl_agent_make_key(struct sl_agent *agent, uint64_t rotation) {
    char path[PATH_MAX];
    struct sl_link_keys keys;
    struct sl_error err;
    next_path(agent, path, sizeof path);
    int rc = sl_link_keys_read(path, &keys, &err);
    if (rc == -SL_INVALID && unlink(path) == 0) { /* a crash or the disk spoilt it: nobody's key */
        rc = -SL_NOTFOUND;
    }
    if (rc == -SL_NOTFOUND) {
        rc = sl_link_keys_generate(&keys, &err);
        rc = rc ? rc : sl_link_keys_write(path, &keys, &err);
    }
    if (rc) {
        sl_log(SL_LOG_ERROR, "key.rotate",
               "the broker asks for a new key, but none can be made: %s; the folder of "
               "broker.key_file must be writable for this agent (data_dir is)",
               err.text);
        return;
    }
    sl_agent_key_made(agent->core, sl_clock_now(), rotation, keys.public_key);
    explicit_bzero(&keys, sizeof keys);
}

static int put_in_place(const char *from, const char *to, struct sl_error *err) {
    char copy[PATH_MAX];
    sl_text_copy(copy, sizeof copy, to);
    SL_AUTO_FD int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rename(from, to) != 0 || fd < 0 || fsync(fd) != 0) {
        return sl_fail_errno(err, "cannot put the new key into %s", to);
    }
    return SL_OK;
}

void sl_agent_use_key(struct sl_agent *agent, const char *public_key) {
    char path[PATH_MAX];
    struct sl_link_keys keys;
    struct sl_error err;
    next_path(agent, path, sizeof path);
    if (strcmp(agent->keys.public_key, public_key) == 0) {
        return; /* said twice */
    }
    int rc = sl_link_keys_read(path, &keys, &err);
    if (rc == SL_OK && strcmp(keys.public_key, public_key) != 0) {
        rc = sl_fail(&err, SL_INVALID, "%s holds another key than the broker has admitted", path);
    }
    rc = rc ? rc : put_in_place(path, agent->options.key_file, &err);
    if (rc) {
        sl_log(SL_LOG_ERROR, "key.rotate",
               "the new key cannot be used, the old one stays: %s. If the new key is lost, an "
               "operator orders another: `sluice agents rotate %s`",
               err.text, agent->options.node);
        return;
    }
    agent->keys = keys;
    explicit_bzero(&keys, sizeof keys);
    agent->renew_link = true; /* at the next turn: the present link is being read */
}

static void on_poll_closed(uv_handle_t *handle) {
    struct sl_agent *agent = handle->data;
    struct sl_error err;
    sl_link_destroy(agent->link);
    agent->link = NULL;
    int rc = sl_agent_open_link(agent, &err);
    rc = rc ? rc : sl_agent_watch_link(agent, &err);
    if (rc) {
        sl_agent_stop(agent->core, sl_clock_now(), 1, err.text);
    } else {
        sl_log(SL_LOG_INFO, "key.rotate", "the link is opened with the new key %s",
               agent->keys.public_key);
        sl_agent_link_renewed(agent->core, sl_clock_now());
    }
    agent->renewing = false;
    sl_agent_carry_out(agent);
}

void sl_agent_renew_link(struct sl_agent *agent) {
    if (!agent->renew_link || agent->renewing) {
        return;
    }
    agent->renew_link = false;
    agent->renewing = true;
    uv_close((uv_handle_t *)&agent->link_poll, on_poll_closed);
}
