/* SPDX-License-Identifier: Apache-2.0
 * A feed as it is described: where a figure comes from, where in it the value stands, its unit, how
 * old it may be. Plain data, filled by broker/shell/config.c; texts that are not given are empty.
 * Thread: any; pure. */
#ifndef SLUICE_BROKER_FEEDS_CONFIG_H
#define SLUICE_BROKER_FEEDS_CONFIG_H

#include "broker/core/core.h"
#include "broker/feeds/unit.h"

#define SL_FEED_INPUTS_MAX 6

/* Orders of the config's choices. */
enum sl_feed_kind { SL_FEED_CSV = 0, SL_FEED_HTTP = 1 };
enum sl_feed_format { SL_FEED_FORMAT_JSON = 0, SL_FEED_FORMAT_CSV = 1 };
enum sl_feed_method { SL_FEED_GET = 0, SL_FEED_POST = 1 };
enum sl_feed_derive { SL_FEED_DERIVE_NONE = 0, SL_FEED_DERIVE_BITCOIN = 1 };
enum sl_feed_pick {
    SL_FEED_PICK_ONLY = 0, /* more than one value is an error */
    SL_FEED_PICK_FIRST,
    SL_FEED_PICK_LAST,
    SL_FEED_PICK_MIN,
    SL_FEED_PICK_MEDIAN, /* the lower of two in the middle */
    SL_FEED_PICK_MAX,
    SL_FEED_PICK_NEWEST, /* by time_path */
};
enum sl_feed_input_name {
    SL_FEED_IN_DIFFICULTY = 0,
    SL_FEED_IN_REWARD,
    SL_FEED_IN_FIRST_BLOCK,
    SL_FEED_IN_LAST_BLOCK,
    SL_FEED_IN_PRICE,
    SL_FEED_IN_COUNT,
};

/* Of a derived feed: one figure it needs. */
struct sl_feed_input {
    int64_t name; /* enum sl_feed_input_name */
    char resource[256];
    char value_path[128];
    char time_path[128];
};

struct sl_feed_config {
    char id[32];
    int64_t role; /* enum sl_feed_role - 1, as the config's choice */
    int64_t kind;
    char unit[SL_FEED_UNIT_MAX];
    char algorithm[16];
    char model[48];
    int64_t factor_e12; /* the source's figure is multiplied by this / 1e12; 0: by 1 */
    int64_t age_max_ms;
    char record_dir[300]; /* where its values are recorded (record.h); "": nowhere */
    /* CSV, from a file or by HTTP */
    char path[256];
    char time_column[64];
    char value_column[64];
    char filter_column[64]; /* only rows that have filter_value here */
    char filter_value[64];
    int64_t speed_milli;
    bool loop;
    /* HTTP */
    char url[256];
    char resource[384]; /* put behind url */
    int64_t format;
    int64_t method;
    char body[1024];
    char key_header[64];
    char key_prefix[32];
    char key_file[256];
    char ca_file[256];
    int64_t interval_ms;
    int64_t timeout_ms;
    int64_t connect_timeout_ms;
    /* JSON (json.h) */
    char value_path[128];
    int64_t pick;
    char divide_by[64];
    char time_path[128];
    char valid_from[64];
    char valid_to[64];
    char skip_if[64];
    /* several answers together */
    int64_t derive;
    struct sl_feed_input inputs[SL_FEED_INPUTS_MAX];
    uint32_t input_count;
};

/* SL_OK when all that is needed is there and fits together; text names what is wrong. */
int sl_feed_check(const struct sl_feed_config *config, struct sl_error *err);

/* The unit of a checked config, its scale with the factor in it: figure x scale is in the role's
 * unit. -SL_INVALID as sl_feed_check. */
int sl_feed_config_unit(const struct sl_feed_config *config, struct sl_feed_unit *ret_unit,
                        struct sl_error *err);

#endif
