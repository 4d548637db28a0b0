/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell/config_pool.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/shell/pool_link.h"
#include "agent/stratum/failover.h"
#include "proto/base/cleanup.h"
#include "proto/base/money.h"
#include "proto/base/text.h"

static int add_url(const char *text, size_t size, struct sl_failover_config *config,
                   struct sl_error *err) {
    char one[320];
    struct sl_pool_url url;
    if (config->url_count == SL_FAILOVER_URLS_MAX) {
        return sl_fail(err, SL_INVALID, "more than %d addresses", SL_FAILOVER_URLS_MAX);
    }
    if (size >= sizeof one) {
        return sl_fail(err, SL_INVALID, "an address of more than %zu characters", sizeof one - 1);
    }
    memcpy(one, text, size);
    one[size] = '\0';
    if (strchr(one, ',')) {
        return sl_fail(err, SL_INVALID, "addresses have spaces between them, not commas");
    }
    int rc = sl_pool_url_parse(one, &url, err);
    for (uint32_t i = 0; rc == SL_OK && i < config->url_count; i++) {
        if (sl_pool_url_same(&config->urls[i], &url)) {
            return sl_fail(err, SL_INVALID, "%s stands there twice", one);
        }
    }
    if (rc == SL_OK) {
        config->urls[config->url_count++] = url;
    }
    return rc;
}

static int read_urls(const struct sl_pool_options *options, const char *section,
                     struct sl_failover_config *config, struct sl_error *err) {
    int rc = add_url(options->url, strlen(options->url), config, err);
    if (rc) {
        return sl_wrap(err, "%s.url", section);
    }
    const char *p = options->fallback_urls + strspn(options->fallback_urls, " ");
    while (*p) {
        size_t size = strcspn(p, " ");
        if (add_url(p, size, config, err) != SL_OK) {
            return sl_wrap(err, "%s.fallback_urls", section);
        }
        p += size;
        p += strspn(p, " ");
    }
    return SL_OK;
}

static int read_link(const struct sl_pool_options *options, const char *section,
                     struct sl_pool_link_options *link, struct sl_error *err) {
    if (sl_pool_pins_parse(options->tls_pins, &link->pins, err) != SL_OK) {
        return sl_wrap(err, "%s.tls_pins", section);
    }
    if (options->proxy[0] && sl_pool_proxy_parse(options->proxy, &link->proxy, err) != SL_OK) {
        return sl_wrap(err, "%s.proxy", section);
    }
    if (!options->proxy[0] && (options->proxy_user[0] || options->proxy_password_file[0])) {
        return sl_fail(err, SL_INVALID, "%s.proxy is missing, though there is a user or password",
                       section);
    }
    if (!options->proxy_user[0] != !options->proxy_password_file[0]) {
        return sl_fail(err, SL_INVALID, "%s.proxy_user and %s.proxy_password_file only go together",
                       section, section);
    }
    sl_text_copy(link->proxy_user, sizeof link->proxy_user, options->proxy_user);
    sl_text_copy(link->ca_file, sizeof link->ca_file, options->tls_ca_file);
    return SL_OK;
}

/* With pins or an authority, a plain address would be protected by neither. */
static int check_plain(const struct sl_pool_options *options, const char *section,
                       const struct sl_failover_config *config, struct sl_error *err) {
    for (uint32_t i = 0; i < config->url_count; i++) {
        if (!config->urls[i].tls && (options->tls_pins[0] || options->tls_ca_file[0])) {
            return sl_fail(err, SL_INVALID,
                           "%s: tls_pins and tls_ca_file protect only stratum+ssl:// addresses, "
                           "and %s:%u is none",
                           section, config->urls[i].host, config->urls[i].port);
        }
    }
    return SL_OK;
}

bool sl_pool_options_auto(const struct sl_pool_options *options) {
    return strcmp(options->suggest, "auto") == 0;
}

int sl_pool_options_check(const struct sl_pool_options *options, const char *section,
                          struct sl_error *err) {
    struct sl_failover_config config;
    struct sl_pool_link_options link = {0};
    sl_failover_config_defaults(&config);
    int rc = read_urls(options, section, &config, err);
    rc = rc ? rc : read_link(options, section, &link, err);
    rc = rc ? rc : check_plain(options, section, &config, err);
    int64_t micro = 0;
    if (rc == SL_OK && !sl_pool_options_auto(options) &&
        (sl_decimal_parse(options->suggest, 6, &micro, NULL) != SL_OK || micro < 0)) {
        rc = sl_fail(
            err, SL_INVALID,
            "%s.suggest_difficulty '%s' is neither a number from 0 with at most 6 decimals, as "
            "0.05, nor auto",
            section, options->suggest);
    }
    if (rc == SL_OK && !options->user[0]) {
        rc = sl_fail(err, SL_INVALID, "%s.user is missing: set it as the pool documents it",
                     section);
    }
    return rc;
}

static int read_password(const char *path, const char *section, const char *option, char *out,
                         size_t out_size, struct sl_error *err) {
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would hang us */
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return sl_fail_errno(err, "%s.%s %s", section, option, path);
    }
    if (!S_ISREG(st.st_mode)) {
        return sl_fail(err, SL_INVALID, "%s.%s %s is not a file; its first line is the password",
                       section, option, path);
    }
    if (st.st_mode & 077) {
        return sl_fail(err, SL_DENIED, "%s.%s %s: others may read it; chmod 600 %s", section,
                       option, path, path);
    }
    SL_AUTO_FILE FILE *file = fdopen(fd, "r");
    if (!file) {
        return sl_fail_errno(err, "%s.%s %s", section, option, path);
    }
    /* The stream's now; its cleanup reads it. NOLINTNEXTLINE(clang-analyzer-deadcode.DeadStores) */
    fd = -1;
    if (!fgets(out, (int)out_size, file)) {
        return sl_fail(err, SL_INVALID, "%s.%s %s is empty", section, option, path);
    }
    size_t size = strcspn(out, "\r\n");
    if (out[size] == '\0' && fgetc(file) != EOF) {
        return sl_fail(err, SL_INVALID, "%s.%s %s: its first line has more than %zu characters",
                       section, option, path, out_size - 1);
    }
    out[size] = '\0';
    return SL_OK;
}

int sl_pool_options_client(const struct sl_pool_options *options, const char *section,
                           struct sl_failover_config *ret_config, struct sl_error *err) {
    struct sl_failover_config config;
    sl_failover_config_defaults(&config);
    struct sl_stratum_config *client = &config.client;
    int rc = read_urls(options, section, &config, err);
    sl_text_copy(client->user, sizeof client->user, options->user);
    sl_text_copy(client->password, sizeof client->password, options->password);
    if (rc == SL_OK && options->password_file[0]) {
        rc = read_password(options->password_file, section, "password_file", client->password,
                           sizeof client->password, err);
    }
    if (rc) {
        return rc;
    }
    client->extranonce_subscribe = options->extranonce_subscribe;
    client->submit_stale = options->submit_stale;
    int64_t micro = 0; /* checked before; "auto" is the core's */
    if (sl_decimal_parse(options->suggest, 6, &micro, NULL) == SL_OK) {
        client->suggest_difficulty = (double)micro / 1e6;
    }
    if (!options->version_rolling) {
        client->version_mask = 0;
    }
    client->answer_timeout_ms = options->answer_timeout_ms;
    client->submit_timeout_ms = options->share_timeout_ms;
    client->notify_timeout_ms = options->job_timeout_ms;
    config.retry_ms = options->retry_primary_ms;
    *ret_config = config;
    return SL_OK;
}

int sl_pool_options_link(const struct sl_pool_options *options, const char *section,
                         struct sl_pool_link_options *ret_options, struct sl_error *err) {
    struct sl_pool_link_options link = {0};
    int rc = read_link(options, section, &link, err);
    if (rc == SL_OK && options->proxy_password_file[0]) {
        rc = read_password(options->proxy_password_file, section, "proxy_password_file",
                           link.proxy_password, sizeof link.proxy_password, err);
    }
    if (rc == SL_OK && link.proxy_user[0] && !link.proxy_password[0]) {
        rc = sl_fail(err, SL_INVALID, "%s.proxy_password_file %s: its first line is empty", section,
                     options->proxy_password_file);
    }
    if (rc == SL_OK) {
        *ret_options = link;
    }
    return rc;
}
