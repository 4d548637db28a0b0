/* SPDX-License-Identifier: Apache-2.0
 * The broker's configuration file: one schema table (config.c), one plain struct. */
#ifndef SLUICE_BROKER_SHELL_CONFIG_H
#define SLUICE_BROKER_SHELL_CONFIG_H

#include "broker/core/core.h"
#include "broker/feeds/feed.h"
#include "broker/policy/document.h"
#include "proto/conf/conf.h"

struct sl_tenant_config {
    char id[SL_TENANT_MAX];
    int64_t default_bid_nusd;
    int64_t budget_nusd; /* < 0: unlimited */
};

struct sl_catalogue_config {
    char id[SL_MSG_NAME_MAX];
    char input_prefix[256];
};

struct sl_tariff_config {
    char days[64];
    char from[8], to[8];
    int64_t price;
};

/* Values of sl_broker_config.tariff. */
enum { SL_TARIFF_UNKNOWN = 0, SL_TARIFF_FIXED, SL_TARIFF_FEED, SL_TARIFF_TIME_OF_DAY };

struct sl_broker_config {
    char data_dir[256];
    bool record_prices;
    bool log_decisions;
    int64_t log_level; /* enum sl_log_level - 1 */
    char agents_listen[128];
    char key_file[256];
    char next_key[48];      /* public key to come; empty: none */
    char allowed_file[256]; /* empty: none */
    char join_listen[128];  /* empty: nobody can join with a token */
    char advertise[128];    /* host that tokens name; empty: the one of listen */
    char http_listen[128];
    char http_host_name[128]; /* DNS name that browsers may use, besides loopback; empty: none */
    char http_port_file[256]; /* where the port really bound is written; empty: nowhere */
    int64_t lease_ttl_ms;
    int64_t report_ms;
    int64_t lost_ms;
    int64_t safe_mode; /* 0 idle, 1 hash */
    int64_t safe_mode_max_ms;
    int64_t hash_rate_max_ghs;
    char policy_file[256];              /* as written; empty: the values shipped */
    struct sl_policy_document document; /* what it says; read with the configuration */
    int64_t batch_life_ms;
    int64_t unit_lines;
    int64_t units_ahead;
    int64_t hash_factor_milli;
    int64_t tariff; /* SL_TARIFF_* */
    int64_t tariff_nusd_per_kwh;
    int64_t utc_offset_min;
    struct sl_tariff_config windows[SL_TARIFF_WINDOWS_MAX];
    uint32_t window_count;
    struct sl_feed_config feeds[SL_CORE_FEEDS_MAX];
    uint32_t feed_count;
    struct sl_tenant_config tenants[SL_CORE_TENANTS_MAX];
    uint32_t tenant_count;
    struct sl_catalogue_config models[SL_CORE_MODELS_MAX];
    uint32_t model_count;
};

extern const struct sl_conf_option sl_broker_schema[];

/* Reads and checks; -SL_INVALID texts name file and line where there is one. */
int sl_broker_config_read(const char *path, struct sl_broker_config *ret_config,
                          struct sl_error *err);
/* tariff.c: from the texts; zeroed where the tariff is of another kind. */
int sl_broker_tariff_fill(const struct sl_broker_config *config, struct sl_tariff *ret_tariff,
                          struct sl_error *err);
/* The part that the core works with. */
void sl_broker_config_core(const struct sl_broker_config *config, struct sl_core_config *ret_core);

#endif
