/* SPDX-License-Identifier: Apache-2.0
 * Everything that one pool needs, as it stands in the configuration: one struct, its rows of the
 * schema, one reader. The rows fit a section ("pool.url") as well as the items of a list ("url").
 *
 * Thread: any, no state. Passwords are in the results and nowhere else; never log a result. */
#ifndef SLUICE_AGENT_SHELL_CONFIG_POOL_H
#define SLUICE_AGENT_SHELL_CONFIG_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/error.h"
#include "proto/conf/conf.h"

#define SL_POOL_URLS_TEXT_MAX 2048

struct sl_pool_options {
    char url[320]; /* empty: no pool */
    char fallback_urls[SL_POOL_URLS_TEXT_MAX];
    char user[256];
    char password[256];
    char password_file[256];
    bool extranonce_subscribe;
    bool version_rolling;
    bool submit_stale;
    char suggest[32]; /* difficulty, "auto", or "0": none */
    char tls_pins[640];
    char tls_ca_file[256];
    char proxy[320]; /* empty: none */
    char proxy_user[256];
    char proxy_password_file[256];
    int64_t answer_timeout_ms, share_timeout_ms, job_timeout_ms, retry_primary_ms;
};

/* Rows of the schema. F(member) gives .offset and .size of a member of struct sl_pool_options. */
#define SL_POOL_OPTION_ROWS(PREFIX, F)                                                             \
    {PREFIX "url",                                                                                 \
     SL_CONF_TEXT,                                                                                 \
     F(url),                                                                                       \
     .min = 0,                                                                                     \
     .max = 300,                                                                                   \
     .fallback = "",                                                                               \
     .help = "stratum+tcp://HOST:PORT, or stratum+ssl://HOST:PORT for TLS; empty: no pool, "       \
             "devices never hash."},                                                               \
        {PREFIX "fallback_urls",                                                                   \
         SL_CONF_TEXT,                                                                             \
         F(fallback_urls),                                                                         \
         .min = 0,                                                                                 \
         .max = SL_POOL_URLS_TEXT_MAX - 1,                                                         \
         .fallback = "",                                                                           \
         .help = "Addresses for when the first does not serve, best first, with spaces between "   \
                 "them; same user."},                                                              \
        {PREFIX "user",                                                                            \
         SL_CONF_TEXT,                                                                             \
         F(user),                                                                                  \
         .min = 0,                                                                                 \
         .max = 255,                                                                               \
         .fallback = "",                                                                           \
         .help = "Account or address and worker, as the pool documents it."},                      \
        {PREFIX "password",                                                                        \
         SL_CONF_TEXT,                                                                             \
         F(password),                                                                              \
         .min = 0,                                                                                 \
         .max = 255,                                                                               \
         .fallback = "x",                                                                          \
         .help = "Most pools ignore it."},                                                         \
        {PREFIX "password_file",                                                                   \
         SL_CONF_TEXT,                                                                             \
         F(password_file),                                                                         \
         .min = 0,                                                                                 \
         .max = 255,                                                                               \
         .fallback = "",                                                                           \
         .help = "Its first line is the password; in place of password."},                         \
        {PREFIX "extranonce_subscribe", SL_CONF_BOOL, F(extranonce_subscribe), .fallback = "true", \
         .help = "Some pools drop the connection when asked for it: then false."},                 \
        {PREFIX "version_rolling", SL_CONF_BOOL, F(version_rolling), .fallback = "true",           \
         .help = "Ask for version rolling (BIP 310)."},                                            \
        {PREFIX "submit_stale", SL_CONF_BOOL, F(submit_stale), .fallback = "false",                \
         .help = "Send also shares of jobs that the pool has retired; a few pools pay for them."}, \
        {PREFIX "suggest_difficulty",                                                              \
         SL_CONF_TEXT,                                                                             \
         F(suggest),                                                                               \
         .min = 1,                                                                                 \
         .max = 31,                                                                                \
         .fallback = "0",                                                                          \
         .help = "Difficulty to ask the pool for; auto: about a share in 6 s at the measured "     \
                 "rate; 0: none."},                                                                \
        {PREFIX "tls_pins",                                                                        \
         SL_CONF_TEXT,                                                                             \
         F(tls_pins),                                                                              \
         .min = 0,                                                                                 \
         .max = 639,                                                                               \
         .fallback = "",                                                                           \
         .help = "Keys that the pool may have (`sluice-agent pool-pin URL` prints one), with "     \
                 "spaces between them; then no authority, name or date counts. Empty: the "        \
                 "system's authorities."},                                                         \
        {PREFIX "tls_ca_file",                                                                     \
         SL_CONF_TEXT,                                                                             \
         F(tls_ca_file),                                                                           \
         .min = 0,                                                                                 \
         .max = 255,                                                                               \
         .fallback = "",                                                                           \
         .help = "Authorities (PEM) in place of the system's."},                                   \
        {PREFIX "proxy",                                                                           \
         SL_CONF_TEXT,                                                                             \
         F(proxy),                                                                                 \
         .min = 0,                                                                                 \
         .max = 300,                                                                               \
         .fallback = "",                                                                           \
         .help = "socks5://HOST:PORT; the proxy resolves the pool's name. Empty: none."},          \
        {PREFIX "proxy_user",                                                                      \
         SL_CONF_TEXT,                                                                             \
         F(proxy_user),                                                                            \
         .min = 0,                                                                                 \
         .max = 255,                                                                               \
         .fallback = "",                                                                           \
         .help = "Where the proxy asks for one."},                                                 \
        {PREFIX "proxy_password_file",                                                             \
         SL_CONF_TEXT,                                                                             \
         F(proxy_password_file),                                                                   \
         .min = 0,                                                                                 \
         .max = 255,                                                                               \
         .fallback = "",                                                                           \
         .help = "Its first line is the proxy's password."},                                       \
        {PREFIX "answer_timeout",                                                                  \
         SL_CONF_SPAN_MS,                                                                          \
         F(answer_timeout_ms),                                                                     \
         .min = 500,                                                                               \
         .max = 120000,                                                                            \
         .fallback = "15s",                                                                        \
         .help = "For the connection, and for each answer until jobs come."},                      \
        {PREFIX "share_timeout",                                                                   \
         SL_CONF_SPAN_MS,                                                                          \
         F(share_timeout_ms),                                                                      \
         .min = 1000,                                                                              \
         .max = 600000,                                                                            \
         .fallback = "60s",                                                                        \
         .help = "A share without an answer for so long: the connection is given up."},            \
        {PREFIX "job_timeout",                                                                     \
         SL_CONF_SPAN_MS,                                                                          \
         F(job_timeout_ms),                                                                        \
         .min = 1000,                                                                              \
         .max = 3600000,                                                                           \
         .fallback = "300s",                                                                       \
         .help = "No new job for so long: the connection is given up."},                           \
    {                                                                                              \
        PREFIX "retry_primary", SL_CONF_SPAN_MS, F(retry_primary_ms),                              \
            .min = 1000, .max = 3600000, .fallback = "300s",                                       \
            .help = "While another address serves, a better one is tried "                         \
                    "again after this to twice this."                                              \
    }

struct sl_failover_config;
struct sl_pool_link_options;

/* section: "pool" or "pools[2]", for the texts. The pool is named by url: only where that is set.
 */
int sl_pool_options_check(const struct sl_pool_options *options, const char *section,
                          struct sl_error *err);
/* Whether a difficulty that suits the measured rate is to be suggested. */
bool sl_pool_options_auto(const struct sl_pool_options *options);
/* What the pool's state machine needs; reads the password file. */
int sl_pool_options_client(const struct sl_pool_options *options, const char *section,
                           struct sl_failover_config *ret_config, struct sl_error *err);
/* What its connections need: TLS and proxy; reads the proxy's password file. */
int sl_pool_options_link(const struct sl_pool_options *options, const char *section,
                         struct sl_pool_link_options *ret_options, struct sl_error *err);

#endif
