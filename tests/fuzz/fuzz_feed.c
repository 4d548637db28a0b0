/* SPDX-License-Identifier: Apache-2.0
 * The body of a price feed's HTTP answer. Input: the path, a NUL, the body. The path's length
 * chooses how rows are picked and what is looked for in them. A number is found or the error says
 * why; a found one, written out and read again, is the same. The path stands for a unit too. */
#include "tests/fuzz/fuzz.h"

#include "broker/feeds/config.h"
#include "broker/feeds/json.h"

static const struct sl_wall now = {INT64_C(1764330000000)};

static void check_unit(const char *text) {
    for (int role = SL_FEED_HASHPRICE; role <= SL_FEED_CARBON; role++) {
        struct sl_feed_unit unit = {0};
        struct sl_error err = {0};
        char name[SL_FEED_UNIT_MAX];
        int rc = sl_feed_unit_parse(text, (enum sl_feed_role)role, &unit, &err);
        if (rc != SL_OK) {
            fuzz_check_error(rc, &err);
            continue;
        }
        struct sl_feed_unit own = {0};
        fuzz_check(sl_feed_unit_parse(sl_feed_unit_name(&unit, name), (enum sl_feed_role)role, &own,
                                      &err) == SL_OK);
        fuzz_check(strcmp(own.currency, unit.currency) == 0);
        fuzz_check(sl_feed_number_compare(own.scale, sl_feed_number_of(1, 0)) == 0);
    }
}

static int find(const char *body, size_t size, const struct sl_feed_select *select,
                int64_t *ret_nano, struct sl_error *err) {
    struct sl_feed_found found = {0};
    int rc = sl_feed_json_find(body, size, select, now, &found, err);
    return rc ? rc : sl_feed_number_nano(found.value, ret_nano, err);
}

/* As a string with nine decimals, which loses nothing. */
static void check_again(int64_t value) {
    char text[64];
    int64_t again = 0;
    struct sl_error err = {0};
    const struct sl_feed_select select = {.value_path = "v"};
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    int n = snprintf(text, sizeof text, "{\"v\":\"%s%llu.%09llu\"}", value < 0 ? "-" : "",
                     (unsigned long long)(magnitude / 1000000000),
                     (unsigned long long)(magnitude % 1000000000));
    fuzz_check(find(text, (size_t)n, &select, &again, &err) == SL_OK);
    fuzz_check(again == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *nul = memchr(data, 0, size);
    size_t path_bytes = nul ? (size_t)(nul - data) : size < 8 ? size : 8;
    size_t body_at = nul ? path_bytes + 1 : path_bytes;
    char *path = fuzz_text(data, path_bytes);
    char *body = (char *)fuzz_copy(data + body_at, size - body_at);
    bool more = strpbrk(path, "*[") != NULL;
    const struct sl_feed_select select = {.value_path = path,
                                          .pick = (int)(path_bytes % (SL_FEED_PICK_NEWEST + 1)),
                                          .divide_by = more && path_bytes % 2 ? "n" : NULL,
                                          .time_path = more && path_bytes % 3 ? "t" : NULL,
                                          .valid_from = more ? "from" : NULL,
                                          .valid_to = more ? "to" : NULL,
                                          .skip_if = more ? "skip" : NULL};
    struct sl_error err = {0};
    int64_t value = 77;
    int rc = find(body, size - body_at, &select, &value, &err);
    if (rc != SL_OK) {
        fuzz_check_error(rc, &err);
        fuzz_check(value == 77);
    } else {
        check_again(value);
    }
    check_unit(path);
    free(body);
    free(path);
    return 0;
}
