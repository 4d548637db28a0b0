/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/feeds/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/feeds/record.h"
#include "broker/feeds/series.h"
#include "broker/feeds/source.h"
#include "proto/base/log.h"
#include "proto/base/text.h"
#include "proto/base/thread.h"

/* An appended row must act within a second; a stat every tenth of one costs nothing. */
#define CSV_POLL_MS 100
/* Clocks of sources are not ours: so little ahead is now. What is further ahead the core refuses.
 */
#define AHEAD_MS 60000

struct sl_feed {
    uint32_t index;
    struct sl_feed_config config;
    struct sl_feed_unit unit;
    struct sl_mailbox *events;
    struct sl_mailbox *wake; /* closed to stop the thread; never holds an item */
    pthread_t thread;
    _Atomic bool stopping;
    /* What was last reported, so that only news is. */
    bool said_ok;
    int64_t said_value;
    int64_t said_recorded_ms;
    char said_text[SL_WHY_MAX];
    struct sl_feed_record *record; /* NULL: not recorded (any more) */
    /* HTTP */
    struct sl_feed_source *source;
    uint32_t failures; /* requests without an answer, one after another */
    /* CSV */
    struct sl_replay replay;
    bool have_replay;
    struct stat seen;
    bool tail_pending; /* the last line has no newline: read it if the file stays as it is */
};

static void say(struct sl_feed *feed, struct sl_feed_event *event) {
    event->feed = feed->index;
    feed->said_ok = event->ok;
    sl_mailbox_put_wait(feed->events, event);
}

/* After the news is out: a slow disk delays no decision. */
static void record(struct sl_feed *feed, const struct sl_feed_event *event) {
    struct sl_error err;
    if (feed->record && sl_feed_record_add(feed->record, event->as_of, event->value_nano, &err)) {
        sl_log(SL_LOG_WARN, "feed.record", "feed=%s %s; no more is recorded", feed->config.id,
               err.text);
        sl_feed_record_close(sl_take(&feed->record));
    }
}

static void open_record(struct sl_feed *feed) {
    char unit[SL_FEED_UNIT_MAX];
    struct sl_error err;
    if (feed->config.record_dir[0] &&
        sl_feed_record_open(feed->config.record_dir, feed->config.id,
                            sl_feed_unit_name(&feed->unit, unit), &feed->record, &err)) {
        sl_log(SL_LOG_WARN, "feed.record", "feed=%s %s", feed->config.id, err.text);
    }
}

/* A reason may quote what was answered, cut anywhere: it goes to logs and screens as clean text. */
static void clean(char *text) {
    bool valid = sl_utf8_valid(text, strlen(text));
    for (char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (c < 0x20 || c == 0x7F || (!valid && c >= 0x80)) {
            *at = '?';
        }
    }
}

static void say_failure(struct sl_feed *feed, const struct sl_error *why) {
    if (!feed->said_ok && strcmp(feed->said_text, why->text) == 0) {
        return;
    }
    bool http = feed->config.kind == SL_FEED_HTTP;
    /* A key that cannot be read: nobody was asked. */
    bool silent = why->status == -SL_IO || why->status == -SL_DENIED;
    struct sl_feed_event event = {.unreachable = http && silent, .read_ns = sl_clock_mono().ns};
    sl_text_copy(event.text, sizeof event.text, why->text);
    clean(event.text);
    sl_text_copy(feed->said_text, sizeof feed->said_text, why->text);
    say(feed, &event);
}

static void say_value(struct sl_feed *feed, int64_t value_nano, struct sl_wall as_of,
                      int64_t recorded_ms, int64_t read_ns, bool always) {
    struct sl_feed_event event = {
        .ok = true, .read_ns = read_ns, .value_nano = value_nano, .as_of = as_of};
    if (!always && feed->said_ok && feed->said_value == event.value_nano &&
        feed->said_recorded_ms == recorded_ms) {
        return;
    }
    feed->said_value = event.value_nano;
    feed->said_recorded_ms = recorded_ms;
    say(feed, &event);
    record(feed, &event);
}

/* ---- CSV ---- */

static int read_file(const char *path, struct sl_buf *out, struct stat *ret_stat,
                     struct sl_error *err) {
    /* O_NONBLOCK: a FIFO in a file's place must not keep the feed from ending. */
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return sl_fail_errno(err, "cannot read %s", path);
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return sl_fail(err, SL_INVALID, "%s is not a file", path);
    }
    if ((uint64_t)st.st_size > SL_SERIES_BYTES_MAX) {
        return sl_fail(err, SL_LIMIT, "%s is larger than 64 MiB", path);
    }
    char chunk[65536];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) > 0 && out->len <= SL_SERIES_BYTES_MAX) {
        sl_buf_append(out, chunk, (size_t)n);
    }
    if (n < 0 || out->failed) {
        return sl_fail_errno(err, "reading %s", path);
    }
    *ret_stat = st;
    return SL_OK;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int parse_csv(const struct sl_feed_config *config, const struct sl_feed_unit *unit,
                     const char *text, size_t size, struct sl_series **ret_series,
                     struct sl_error *err) {
    const struct sl_series_format format = {.time_column = config->time_column,
                                            .value_column = config->value_column,
                                            .filter_column = config->filter_column,
                                            .filter_value = config->filter_value,
                                            .scale = unit->scale,
                                            .negative_ok = unit->role == SL_FEED_POWER};
    return sl_series_parse(config->path, text ? text : "", size, &format, ret_series, err);
}

/* What of the text is whole lines. */
static size_t whole_lines(const char *text, size_t size) {
    while (size > 0 && text[size - 1] != '\n') {
        size--;
    }
    return size;
}

/* The header alone is no recording yet; it may be being written. */
static bool has_rows(const char *text, size_t size) {
    return size > 1 && memchr(text, '\n', size - 1);
}

static int reload_csv(struct sl_feed *feed, bool settled, struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf text = {0};
    struct stat st = {0};
    int rc = read_file(feed->config.path, &text, &st, err);
    if (rc) {
        return rc;
    }
    /* A last line without newline may be half-written: it is read once the file has settled. */
    size_t size = text.len;
    feed->tail_pending = size > 0 && text.data[size - 1] != '\n' && !settled;
    size = feed->tail_pending ? whole_lines(text.data, size) : size;
    feed->seen = st; /* a bad file is not read again until it changes */
    if (feed->tail_pending && !has_rows(text.data, size)) {
        return -SL_AGAIN; /* nothing whole but the header yet */
    }
    struct sl_series *series = NULL;
    rc = parse_csv(&feed->config, &feed->unit, text.data, size, &series, err);
    if (rc) {
        return rc;
    }
    struct sl_now now = sl_clock_now();
    if (feed->have_replay) {
        sl_replay_update(&feed->replay, series, now.mono);
    } else {
        sl_replay_init(&feed->replay, series, feed->config.speed_milli, feed->config.loop,
                       feed->config.age_max_ms, now);
        feed->have_replay = true;
    }
    return SL_OK;
}

/* One look at the file; returns how long to sleep. A bad file says so and stays out of force: the
 * core then holds, until the file is good again. */
static int64_t csv_turn(struct sl_feed *feed, bool *bad) {
    struct stat st = {0};
    struct sl_error err;
    bool changed = stat(feed->config.path, &st) != 0 || !same_file(&st, &feed->seen);
    bool settled = !changed && feed->tail_pending;
    if (changed || settled) {
        int rc = reload_csv(feed, settled, &err);
        if (rc == -SL_AGAIN) {
            return CSV_POLL_MS;
        }
        *bad = rc != SL_OK;
        if (*bad) {
            say_failure(feed, &err);
        }
    }
    if (*bad || !feed->have_replay) {
        return CSV_POLL_MS;
    }
    struct sl_replay_point point;
    struct sl_mono now = sl_clock_mono();
    sl_replay_at(&feed->replay, now, &point);
    struct sl_wall as_of = {sl_clock_wall().ms - point.age_ms};
    say_value(feed, point.value_nano, as_of, point.recorded.ms, now.ns, changed || settled);
    return point.next_ms >= 0 && point.next_ms < CSV_POLL_MS ? point.next_ms + 1 : CSV_POLL_MS;
}

/* ---- HTTP ---- */

/* One look; returns how long to sleep. What was answered and is wrong says nothing against asking
 * again soon; nobody answering does. */
static int64_t http_turn(struct sl_feed *feed) {
    struct sl_error err = {0};
    struct sl_feed_value value = {0};
    int64_t retry_ms = 0;
    int rc = sl_feed_source_look(feed->source, &value, &retry_ms, &err);
    int64_t read_ns = sl_clock_mono().ns;
    if (rc == SL_OK) {
        /* Without a time of the source its age begins anew with each answer. */
        struct sl_wall now = sl_clock_wall();
        bool ahead = value.as_of.ms > now.ms && value.as_of.ms - now.ms <= AHEAD_MS;
        struct sl_wall as_of = value.has_time && !ahead ? value.as_of : now;
        say_value(feed, value.nano, as_of, read_ns, read_ns, true);
    } else {
        say_failure(feed, &err);
    }
    bool heard = rc == SL_OK || rc == -SL_INVALID;
    feed->failures = heard ? 0 : feed->failures + 1;
    return sl_feed_back_off_ms(feed->config.interval_ms, feed->failures, retry_ms);
}

static void *feed_main(void *arg) {
    struct sl_feed *feed = arg;
    bool bad = false;
    char unused;
    int64_t wait_ms = 0;
    sl_thread_name("feed");
    do {
        wait_ms = feed->config.kind == SL_FEED_HTTP ? http_turn(feed) : csv_turn(feed, &bad);
    } while (sl_mailbox_take_wait(feed->wake, wait_ms * SL_NS_PER_MS, &unused) != -SL_CLOSED);
    return NULL;
}

/* A last line without its end may be half-written, where there are others. */
static int check_csv(const struct sl_feed_config *config, struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf text = {0};
    SL_AUTO(sl_series) series = NULL;
    struct sl_feed_unit unit;
    struct stat st = {0};
    int rc = sl_feed_config_unit(config, &unit, err);
    rc = rc ? rc : read_file(config->path, &text, &st, err);
    size_t whole = whole_lines(text.data, text.len);
    size_t size = has_rows(text.data, whole) ? whole : text.len;
    return rc ? rc : parse_csv(config, &unit, text.data, size, &series, err);
}

int sl_feed_check_files(const struct sl_feed_config *config, struct sl_error *err) {
    int rc = config->kind == SL_FEED_HTTP ? sl_feed_http_check_files(config, err)
                                          : check_csv(config, err);
    return rc ? sl_wrap(err, "feed %s", config->id) : SL_OK;
}

int sl_feed_start(uint32_t index, const struct sl_feed_config *config, struct sl_mailbox *events,
                  struct sl_feed **ret_feed, struct sl_error *err) {
    int rc = sl_feed_check(config, err);
    if (rc) {
        return rc;
    }
    struct sl_feed *feed = calloc(1, sizeof *feed);
    if (!feed) {
        return sl_fail(err, SL_NOMEM, "no memory for feed %s", config->id);
    }
    feed->index = index;
    feed->config = *config;
    feed->events = events;
    rc = sl_feed_config_unit(config, &feed->unit, err);
    if (rc == SL_OK && config->kind == SL_FEED_HTTP) {
        rc = sl_feed_source_create(&feed->config, &feed->stopping, &feed->source, err);
    }
    rc = rc ? rc : sl_mailbox_create(1, 1, &feed->wake, err);
    if (rc == SL_OK) {
        open_record(feed);
    }
    if (rc == SL_OK && pthread_create(&feed->thread, NULL, feed_main, feed) != 0) {
        rc = sl_fail(err, SL_NOMEM, "cannot start the thread of feed %s", config->id);
    }
    if (rc) {
        sl_mailbox_destroy(feed->wake);
        sl_feed_record_close(feed->record);
        sl_feed_source_destroy(feed->source);
        free(feed);
        return rc;
    }
    *ret_feed = feed;
    return SL_OK;
}

void sl_feed_stop(struct sl_feed *feed) {
    if (!feed) {
        return;
    }
    atomic_store(&feed->stopping, true);
    sl_mailbox_close(feed->wake);
    pthread_join(feed->thread, NULL);
    sl_mailbox_destroy(feed->wake);
    sl_replay_fini(&feed->replay);
    sl_feed_source_destroy(feed->source);
    sl_feed_record_close(feed->record);
    free(feed);
}
