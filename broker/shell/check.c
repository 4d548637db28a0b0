/* SPDX-License-Identifier: Apache-2.0
 * --check-config: the files that the configuration names, read as the start reads them. Nothing is
 * made, opened for writing or listened on. */
#include <string.h>

#include "broker/shell/broker.h"

uint32_t sl_broker_check_files(const struct sl_broker_config *config, sl_broker_bad_fn bad,
                               void *context) {
    struct sl_link_keys keys;
    struct sl_error err;
    uint32_t count = 0;
    if (sl_link_keys_read(config->key_file, &keys, &err)) {
        (void)sl_wrap(&err, "agents.key_file");
        bad(context, &err);
        count++;
    }
    explicit_bzero(&keys, sizeof keys);
    if (sl_link_allowed_check(config->allowed_file, &err)) {
        (void)sl_wrap(&err, "agents.allowed_file");
        bad(context, &err);
        count++;
    }
    for (uint32_t i = 0; i < config->feed_count; i++) {
        if (sl_feed_check_files(&config->feeds[i], &err)) {
            bad(context, &err);
            count++;
        }
    }
    return count;
}
