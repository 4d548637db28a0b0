/* SPDX-License-Identifier: Apache-2.0
 * The body of a price feed's HTTP answer. Input: the dotted path, a NUL, the body. A number is
 * found or the error says why; a found one, written out and read again, is the same. */
#include "tests/fuzz/fuzz.h"

#include "broker/feeds/feed.h"

static void check_conversions(int64_t value) {
    for (int unit = SL_UNIT_USD_PER_PH_DAY; unit <= SL_UNIT_USD_PER_GPU_HOUR; unit++) {
        int64_t converted = 77;
        struct sl_error err = {0};
        int rc = sl_feed_convert((enum sl_feed_unit)unit, value, &converted, &err);
        if (rc != SL_OK) {
            fuzz_check_error(rc, &err);
            fuzz_check(converted == 77);
        } else {
            fuzz_check((converted > 0) <= (value > 0) && (converted < 0) <= (value < 0));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *nul = memchr(data, 0, size);
    size_t path_bytes = nul ? (size_t)(nul - data) : size < 8 ? size : 8;
    size_t body_at = nul ? path_bytes + 1 : path_bytes;
    char *path = fuzz_text(data, path_bytes);
    char *body = (char *)fuzz_copy(data + body_at, size - body_at);
    struct sl_error err = {0};
    int64_t value = 77;
    int rc = sl_feed_json_value(body, size - body_at, path, &value, &err);
    if (rc != SL_OK) {
        fuzz_check_error(rc, &err);
        fuzz_check(value == 77);
    } else {
        char text[64];
        int64_t again = 0;
        /* As a string with nine decimals, which loses nothing. */
        uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
        int n = snprintf(text, sizeof text, "{\"v\":\"%s%llu.%09llu\"}", value < 0 ? "-" : "",
                         (unsigned long long)(magnitude / 1000000000),
                         (unsigned long long)(magnitude % 1000000000));
        fuzz_check(sl_feed_json_value(text, (size_t)n, "v", &again, &err) == SL_OK);
        fuzz_check(again == value);
        check_conversions(value);
    }
    free(body);
    free(path);
    return 0;
}
