/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/feeds/feed.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/feeds/record.h"
#include "broker/feeds/series.h"
#include "proto/base/log.h"
#include "proto/base/text.h"
#include "proto/base/thread.h"

/* An appended row must act within a second; a stat every tenth of one costs nothing. */
#define CSV_POLL_MS 100
#define HTTP_BYTES_MAX (1024 * 1024)
#define HTTP_TIMEOUT_S 5

struct sl_feed {
    uint32_t index;
    struct sl_feed_config config;
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
    /* CSV */
    struct sl_replay replay;
    bool have_replay;
    struct stat seen;
    bool tail_pending; /* the last line has no newline: read it if the file stays as it is */
};

int sl_feed_check(const struct sl_feed_config *config, struct sl_error *err) {
    static const enum sl_feed_role role_of_unit[] = {
        SL_FEED_HASHPRICE, SL_FEED_HASHPRICE, SL_FEED_POWER, SL_FEED_POWER, SL_FEED_LEASE_REF};
    if ((int64_t)role_of_unit[config->unit] != config->role + 1) {
        return sl_fail(err, SL_INVALID, "feed %s: its unit does not fit its role", config->id);
    }
    if (config->kind == SL_FEED_CSV && (!config->path[0] || !config->value_column[0])) {
        return sl_fail(err, SL_INVALID, "feed %s: a csv feed needs path and column", config->id);
    }
    if (config->kind == SL_FEED_HTTP && (!config->url[0] || !config->dot_path[0])) {
        return sl_fail(err, SL_INVALID, "feed %s: an http feed needs url and value_path",
                       config->id);
    }
    return SL_OK;
}

int sl_feed_convert(enum sl_feed_unit unit, int64_t value_nano, int64_t *ret_value_nano,
                    struct sl_error *err) {
    int64_t value = value_nano;
    if (unit == SL_UNIT_USD_PER_TH_DAY && __builtin_mul_overflow(value_nano, 1000, &value)) {
        return sl_fail(err, SL_LIMIT, "the price is too large");
    }
    if (unit == SL_UNIT_USD_PER_MWH) {
        value = value_nano / 1000;
    }
    *ret_value_nano = value;
    return SL_OK;
}

static json_t *json_step(json_t *node, const char *key, size_t len) {
    char name[128];
    if (len == 0 || len >= sizeof name) {
        return NULL;
    }
    memcpy(name, key, len);
    name[len] = '\0';
    if (json_is_array(node)) {
        char *end = NULL;
        unsigned long index = strtoul(name, &end, 10);
        return *end == '\0' ? json_array_get(node, index) : NULL;
    }
    return json_object_get(node, name);
}

static int number_of(json_t *node, const char *dot_path, int64_t *ret_value_nano,
                     struct sl_error *err) {
    char text[64];
    if (json_is_string(node)) {
        return sl_decimal_parse_lenient(json_string_value(node), 9, ret_value_nano, err);
    }
    if (json_is_integer(node)) {
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(node));
    } else if (json_is_real(node)) {
        snprintf(text, sizeof text, "%.17g", json_real_value(node));
    } else {
        return sl_fail(err, SL_INVALID, "there is no number at '%s' in the answer", dot_path);
    }
    return sl_decimal_parse_lenient(text, 9, ret_value_nano, err);
}

int sl_feed_json_value(const char *text, size_t size, const char *dot_path, int64_t *ret_value_nano,
                       struct sl_error *err) {
    json_error_t why;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (!root) {
        return sl_fail(err, SL_INVALID, "the answer is not JSON: %s", why.text);
    }
    json_t *node = root;
    for (const char *at = dot_path; node;) {
        const char *dot = strchr(at, '.');
        node = json_step(node, at, dot ? (size_t)(dot - at) : strlen(at));
        if (!dot) {
            break;
        }
        at = dot + 1;
    }
    int rc = node ? number_of(node, dot_path, ret_value_nano, err)
                  : sl_fail(err, SL_INVALID, "there is no '%s' in the answer", dot_path);
    json_decref(root);
    return rc;
}

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
    static const char *const units[] = {[SL_FEED_HASHPRICE] = "usd_per_ph_day",
                                        [SL_FEED_POWER] = "usd_per_kwh",
                                        [SL_FEED_LEASE_REF] = "usd_per_gpu_hour"};
    struct sl_error err;
    if (feed->config.record_dir[0] &&
        sl_feed_record_open(feed->config.record_dir, feed->config.id, units[feed->config.role + 1],
                            &feed->record, &err)) {
        sl_log(SL_LOG_WARN, "feed.record", "feed=%s %s", feed->config.id, err.text);
    }
}

static void say_failure(struct sl_feed *feed, const struct sl_error *why) {
    if (!feed->said_ok && strcmp(feed->said_text, why->text) == 0) {
        return;
    }
    bool http = feed->config.kind == SL_FEED_HTTP;
    struct sl_feed_event event = {.unreachable = http && why->status == -SL_IO,
                                  .read_ns = sl_clock_mono().ns};
    sl_text_copy(event.text, sizeof event.text, why->text);
    sl_text_copy(feed->said_text, sizeof feed->said_text, why->text);
    say(feed, &event);
}

static void say_value(struct sl_feed *feed, int64_t raw_nano, int64_t age_ms, int64_t recorded_ms,
                      int64_t read_ns, bool always) {
    struct sl_feed_event event = {.ok = true, .read_ns = read_ns};
    struct sl_error err;
    if (sl_feed_convert((enum sl_feed_unit)feed->config.unit, raw_nano, &event.value_nano, &err)) {
        say_failure(feed, &err);
        return;
    }
    if (!always && feed->said_ok && feed->said_value == event.value_nano &&
        feed->said_recorded_ms == recorded_ms) {
        return;
    }
    event.as_of.ms = sl_clock_wall().ms - age_ms;
    feed->said_value = event.value_nano;
    feed->said_recorded_ms = recorded_ms;
    say(feed, &event);
    record(feed, &event);
}

/* ---- CSV ---- */

static int read_file(const char *path, struct sl_buf *out, struct stat *ret_stat,
                     struct sl_error *err) {
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
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
    while (feed->tail_pending && size > 0 && text.data[size - 1] != '\n') {
        size--;
    }
    feed->seen = st; /* a bad file is not read again until it changes */
    if (feed->tail_pending && !memchr(text.data, '\n', size ? size - 1 : 0)) {
        return -SL_AGAIN; /* nothing whole but the header yet */
    }
    struct sl_series *series = NULL;
    bool negative_ok = feed->config.role + 1 == SL_FEED_POWER;
    rc = sl_series_parse(feed->config.path, text.data ? text.data : "", size,
                         feed->config.time_column, feed->config.value_column, negative_ok, &series,
                         err);
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
    say_value(feed, point.value_nano, point.age_ms, point.recorded.ms, now.ns, changed || settled);
    return point.next_ms >= 0 && point.next_ms < CSV_POLL_MS ? point.next_ms + 1 : CSV_POLL_MS;
}

/* ---- HTTP ---- */

static size_t on_body(char *data, size_t size, size_t count, void *arg) {
    struct sl_buf *out = arg;
    if (out->len + size * count > HTTP_BYTES_MAX) {
        return 0;
    }
    sl_buf_append(out, data, size * count);
    return out->failed ? 0 : size * count;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return atomic_load(&((struct sl_feed *)arg)->stopping) ? 1 : 0;
}

static CURL *http_handle(struct sl_feed *feed, struct sl_buf *body) {
    CURL *curl = curl_easy_init();
    if (!curl) {
        return NULL;
    }
    curl_easy_setopt(curl, CURLOPT_URL, feed->config.url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)HTTP_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 3L);
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)HTTP_BYTES_MAX);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, feed);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sluice-broker/" SLUICE_VERSION);
    return curl;
}

static int fetch(struct sl_feed *feed, int64_t *ret_value, struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf body = {0};
    CURL *curl = http_handle(feed, &body);
    if (!curl) {
        return sl_fail(err, SL_NOMEM, "no memory for an HTTP request");
    }
    CURLcode code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK) {
        return sl_fail(err, SL_IO, "feed %s: %s", feed->config.id, curl_easy_strerror(code));
    }
    int64_t value = 0;
    int rc = sl_feed_json_value(body.data ? body.data : "", body.len, feed->config.dot_path, &value,
                                err);
    if (rc) {
        return rc;
    }
    if (value < 0 && feed->config.role + 1 != SL_FEED_POWER) {
        return sl_fail(err, SL_INVALID, "feed %s: a negative price was answered", feed->config.id);
    }
    *ret_value = value;
    return SL_OK;
}

static int64_t http_turn(struct sl_feed *feed) {
    struct sl_error err;
    int64_t value = 0;
    if (fetch(feed, &value, &err)) {
        say_failure(feed, &err);
    } else {
        int64_t read_ns = sl_clock_mono().ns;
        say_value(feed, value, 0, read_ns, read_ns, true); /* its age begins anew each time */
    }
    return feed->config.interval_ms;
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
    rc = sl_mailbox_create(1, 1, &feed->wake, err);
    if (rc == SL_OK) {
        open_record(feed);
    }
    if (rc == SL_OK && pthread_create(&feed->thread, NULL, feed_main, feed) != 0) {
        rc = sl_fail(err, SL_NOMEM, "cannot start the thread of feed %s", config->id);
    }
    if (rc) {
        sl_mailbox_destroy(feed->wake);
        sl_feed_record_close(feed->record);
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
    sl_feed_record_close(feed->record);
    free(feed);
}
