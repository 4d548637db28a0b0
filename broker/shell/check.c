/* SPDX-License-Identifier: Apache-2.0
 * --check-config: the files that the configuration names, read as the start reads them; whether
 * data_dir, the store in it and the sockets could be used. Nothing is made, opened for writing or
 * listened on. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/http/listen.h"
#include "broker/shell/broker.h"
#include "broker/store/file_check.h"
#include "proto/base/folder.h"
#include "proto/base/lock.h"

struct check {
    const struct sl_broker_config *config;
    sl_broker_bad_fn bad;
    void *context;
    uint32_t count;
};

/* option NULL: the text says by itself what it is about. */
static void judge(struct check *check, const char *option, int rc, struct sl_error *err) {
    if (rc) {
        if (option) {
            (void)sl_wrap(err, "%s", option);
        }
        check->bad(check->context, err);
        check->count++;
    }
}

/* True when a broker runs on it: then the sockets are its own. */
static bool check_data_dir(struct check *check) {
    static const char *const parts[] = {"files", "lines"};
    const char *dir = check->config->data_dir;
    char path[300];
    struct sl_error err;
    snprintf(path, sizeof path, "%s/store.db.lock", dir);
    bool running = sl_lock_is_held(path);
    /* data_dir itself may belong to somebody else while the store in it is ours. */
    int rc = sl_folder_check(dir, access(path, F_OK) != 0, "broker", &err);
    judge(check, "data_dir", rc, &err);
    for (size_t i = 0; rc == SL_OK && i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, parts[i]);
        if (access(path, F_OK) == 0) { /* else it is made in data_dir */
            judge(check, "data_dir", sl_folder_check(path, true, "broker", &err), &err);
        }
    }
    if (rc == SL_OK) {
        snprintf(path, sizeof path, "%s/store.db", dir);
        judge(check, "data_dir", sl_file_check_head(path, &err), &err);
    }
    return running;
}

static void check_sockets(struct check *check) {
    const struct sl_broker_config *config = check->config;
    struct sl_error err;
    judge(check, "agents.listen", sl_link_listen_check(config->agents_listen, false, &err), &err);
    if (config->join_listen[0] != '\0') {
        judge(check, "agents.join_listen", sl_link_listen_check(config->join_listen, true, &err),
              &err);
    }
    judge(check, NULL, sl_listen_check(config->http_listen, &err), &err);
}

uint32_t sl_broker_check_files(const struct sl_broker_config *config, sl_broker_bad_fn bad,
                               void *context) {
    struct check check = {.config = config, .bad = bad, .context = context};
    struct sl_link_keys keys;
    struct sl_error err;
    judge(&check, "agents.key_file", sl_link_keys_read(config->key_file, &keys, &err), &err);
    explicit_bzero(&keys, sizeof keys);
    judge(&check, "agents.allowed_file", sl_link_allowed_check(config->allowed_file, &err), &err);
    for (uint32_t i = 0; i < config->feed_count; i++) {
        char option[24];
        snprintf(option, sizeof option, "feeds[%u]", i);
        judge(&check, option, sl_feed_check_files(&config->feeds[i], &err), &err);
    }
    if (!check_data_dir(&check)) {
        check_sockets(&check);
    }
    return check.count;
}
