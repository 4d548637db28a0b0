/* SPDX-License-Identifier: Apache-2.0
 * A recorded price series and its replay. The first bytes choose speed, loop, sign and how the file
 * grows; the rest is the file. The replay always stands on a row of the file, never goes back
 * without a loop, and says a next time that comes. */
#include "tests/fuzz/fuzz.h"

#include "broker/feeds/series.h"

static bool is_row(const struct sl_series *series, const struct sl_replay_point *point) {
    for (size_t i = 0; i < series->count; i++) {
        if (series->rows[i].at.ms == point->recorded.ms &&
            series->rows[i].value_nano == point->value_nano) {
            return true;
        }
    }
    return false;
}

static void check_rows(const struct sl_series *series, bool negative_ok) {
    fuzz_check(series->count > 0 && series->count <= SL_SERIES_ROWS_MAX);
    for (size_t i = 0; i < series->count; i++) {
        fuzz_check(i == 0 || series->rows[i].at.ms >= series->rows[i - 1].at.ms);
        fuzz_check(negative_ok || series->rows[i].value_nano >= 0);
    }
}

static void walk(struct sl_replay *replay, struct fuzz_input *in, struct sl_mono *now) {
    struct sl_wall last = {0};
    bool begun = false;
    for (int i = 0; i < 8; i++) {
        struct sl_replay_point point = {0};
        sl_replay_at(replay, *now, &point);
        fuzz_check(is_row(replay->series, &point));
        fuzz_check(point.age_ms >= 0);
        fuzz_check(replay->loop || !begun || point.recorded.ms >= last.ms);
        last = point.recorded;
        begun = true;
        /* Up to 13 years, or to where it says that something happens next. */
        int64_t pass = point.next_ms >= 0 && i % 2 ? point.next_ms : fuzz_u32(in) * INT64_C(100);
        *now = sl_mono_after_ms(*now, pass < UINT32_MAX * INT64_C(100) ? pass : 1000);
    }
}

static struct sl_series *parse(const char *text, size_t size, bool negative_ok) {
    struct sl_series *series = NULL;
    struct sl_error err = {0};
    const struct sl_series_format format = {
        .time_column = "time", .value_column = "usd", .scale = {1, 0}, .negative_ok = negative_ok};
    int rc = sl_series_parse("f.csv", text, size, &format, &series, &err);
    if (rc != SL_OK) {
        fuzz_check_error(rc, &err);
        fuzz_check(!series && strncmp(err.text, "f.csv", 5) == 0);
        return NULL;
    }
    check_rows(series, negative_ok);
    return series;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input in = {data, size};
    uint8_t how = fuzz_u8(&in);
    int64_t speed = 1 + (int64_t)fuzz_u32(&in) * 23; /* up to what the configuration allows */
    uint16_t cut = fuzz_u16(&in);
    struct fuzz_input passes = {in.at, in.left < 32 ? in.left : 32};
    char *text = (char *)fuzz_copy(in.at, in.left);
    size_t first = how & 4 ? cut % (in.left + 1) : in.left;
    struct sl_series *series = parse(text, first, how & 1);
    if (series) {
        struct sl_replay replay = {0};
        struct sl_now now = {{1000 * SL_NS_PER_S}, {1767225600000}};
        sl_replay_init(&replay, series, speed, (how & 2) != 0, 3600000, now);
        walk(&replay, &passes, &now.mono);
        struct sl_series *grown = parse(text, in.left, how & 1);
        if (grown) {
            sl_replay_update(&replay, grown, now.mono);
            walk(&replay, &passes, &now.mono);
        }
        sl_replay_fini(&replay);
    }
    free(text);
    return 0;
}
