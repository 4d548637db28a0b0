/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "broker/feeds/feed.h"

static void write_file(const char *path, const char *mode, const char *text) {
    FILE *file = fopen(path, mode);
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct sl_feed_event next_event(struct sl_mailbox *events) {
    struct sl_feed_event event = {0};
    assert_int_equal(sl_mailbox_take_wait(events, 2 * SL_NS_PER_S, &event), 0);
    return event;
}

static void a_file_is_followed_as_it_changes(void **state) {
    (void)state;
    char dir[] = "/tmp/sluice-feed-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct sl_feed_config config = {.id = "hashprice",
                                    .role = SL_FEED_HASHPRICE - 1,
                                    .kind = SL_FEED_CSV,
                                    .unit = "usd_per_ph_day",
                                    .time_column = "timestamp",
                                    .value_column = "usd",
                                    .speed_milli = 1000};
    snprintf(config.path, sizeof config.path, "%s/h.csv", dir);
    write_file(config.path, "w", "timestamp,usd\n2025-01-01,1\n2025-01-02,2\n");
    struct sl_mailbox *events = NULL;
    struct sl_feed *feed = NULL;
    assert_int_equal(sl_mailbox_create(sizeof(struct sl_feed_event), 64, &events, NULL), 0);
    assert_int_equal(sl_feed_start(3, &config, events, &feed, NULL), 0);
    struct sl_feed_event event = next_event(events);
    assert_true(event.ok && event.feed == 3 && event.value_nano == 1000000000);
    write_file(config.path, "a", "2025-01-03,77\n");
    event = next_event(events);
    assert_true(event.ok && event.value_nano == INT64_C(77000000000));
    write_file(config.path, "a", "2025-01-04,rubbish\n");
    event = next_event(events);
    assert_true(!event.ok && strstr(event.text, "h.csv:5"));
    char other[300];
    snprintf(other, sizeof other, "%s.new", config.path);
    write_file(other, "w", "timestamp,usd\n2025-01-01,5"); /* no newline at its end */
    assert_int_equal(rename(other, config.path), 0);
    event = next_event(events);
    assert_true(event.ok && event.value_nano == INT64_C(5000000000));
    assert_int_equal(mkfifo(other, 0600), 0); /* nobody writes to it: the feed must still end */
    assert_int_equal(rename(other, config.path), 0);
    event = next_event(events);
    assert_true(!event.ok && strstr(event.text, "is not a file"));
    sl_feed_stop(feed);
    sl_mailbox_destroy(events);
    unlink(config.path);
    rmdir(dir);
}

/* A server that gives these answers, one a connection, then closes its door. */
struct answers {
    int door;
    const char *const *texts;
    size_t count;
};

static void *answer_main(void *arg) {
    const struct answers *answers = arg;
    for (size_t i = 0; i < answers->count; i++) {
        char request[2048];
        int fd = accept(answers->door, NULL, NULL);
        ssize_t got = fd >= 0 ? read(fd, request, sizeof request) : -1;
        ssize_t sent = got > 0 ? write(fd, answers->texts[i], strlen(answers->texts[i])) : -1;
        (void)sent; /* the feed says what it got */
        close(fd);
    }
    close(answers->door);
    return NULL;
}

static uint16_t open_door(struct answers *answers) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    answers->door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(answers->door >= 0);
    assert_int_equal(bind(answers->door, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(answers->door, 8), 0);
    assert_int_equal(getsockname(answers->door, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

/* A control character, and a character that is cut off when it is quoted. */
#define EUROS "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC"
#define STRANGE "{\"p\":[\"\\nx" EUROS EUROS EUROS "\"]}"
#define ANSWER(text) "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" text

/* Wrong and silent are told apart: the last price may go on only while nothing is said. */
static void an_http_source_is_asked_again_and_again(void **state) {
    (void)state;
    static const char *const texts[] = {ANSWER("{\"p\":[\"49.5\"]}"), ANSWER("<html>"),
                                        ANSWER("{\"p\":[-1]}"),       ANSWER(STRANGE),
                                        ANSWER("{\"q\":1}"),          "HTTP/1.0 503 Busy\r\n\r\n",
                                        ANSWER("{\"p\":[50]}")};
    static const struct {
        bool ok;
        bool unreachable;
        int64_t value_nano;
        const char *says;
    } wanted[] = {{true, false, INT64_C(49500000000), ""},
                  {false, false, 0, "a web page, not JSON"},
                  {false, false, 0, "negative price"},
                  {false, false, 0, "'p.0': '?x???"},
                  {false, false, 0, "no 'p.0'"},
                  {false, true, 0, "HTTP 503"},
                  {true, false, INT64_C(50000000000), ""},
                  {false, true, 0, "connect"}}; /* nobody is there any more */
    struct answers answers = {.texts = texts, .count = sizeof texts / sizeof texts[0]};
    struct sl_feed_config config = {.id = "hashprice",
                                    .role = SL_FEED_HASHPRICE - 1,
                                    .kind = SL_FEED_HTTP,
                                    .unit = "usd_per_ph_day",
                                    .value_path = "p.0",
                                    .interval_ms = 20};
    struct sl_mailbox *events = NULL;
    struct sl_feed *feed = NULL;
    pthread_t server;
    snprintf(config.url, sizeof config.url, "http://127.0.0.1:%d/price", (int)open_door(&answers));
    assert_int_equal(pthread_create(&server, NULL, answer_main, &answers), 0);
    assert_int_equal(sl_mailbox_create(sizeof(struct sl_feed_event), 64, &events, NULL), 0);
    assert_int_equal(sl_feed_start(1, &config, events, &feed, NULL), 0);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct sl_feed_event event = {0};
        assert_int_equal(sl_mailbox_take_wait(events, 20 * SL_NS_PER_S, &event), 0);
        if (event.ok != wanted[i].ok || event.unreachable != wanted[i].unreachable ||
            event.value_nano != wanted[i].value_nano || !strstr(event.text, wanted[i].says)) {
            fail_msg("answer %d: ok %d unreachable %d value %lld text '%s'", (int)i, event.ok,
                     event.unreachable, (long long)event.value_nano, event.text);
        }
    }
    pthread_join(server, NULL);
    sl_feed_stop(feed);
    sl_mailbox_destroy(events);
}

/* What a check of the files says of a feed; "" for nothing. */
static const char *checked(const struct sl_feed_config *config, struct sl_error *err) {
    return sl_feed_check_files(config, err) ? err->text : "";
}

static void a_recording_is_checked_without_a_start(void **state) {
    (void)state;
    struct sl_error err = {0};
    char dir[] = "/tmp/sluice-feed-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct sl_feed_config config = {.id = "hashprice",
                                    .role = SL_FEED_HASHPRICE - 1,
                                    .kind = SL_FEED_CSV,
                                    .unit = "usd_per_ph_day",
                                    .time_column = "timestamp",
                                    .value_column = "usd",
                                    .speed_milli = 1000};
    snprintf(config.path, sizeof config.path, "%s/h.csv", dir);
    assert_non_null(strstr(checked(&config, &err), "feed hashprice: cannot read"));
    assert_non_null(strstr(checked(&config, &err), "h.csv: No such file"));
    for (int fifo = 0; fifo < 2; fifo++) { /* nobody writes into it: must not wait */
        assert_int_equal(fifo ? mkfifo(config.path, 0600) : mkdir(config.path, 0700), 0);
        assert_non_null(strstr(checked(&config, &err), "h.csv is not a file"));
        assert_int_equal(remove(config.path), 0);
    }
    write_file(config.path, "w", "");
    assert_non_null(strstr(checked(&config, &err), "h.csv"));
    write_file(config.path, "w", "timestamp,eur\n2025-01-01,1\n");
    assert_non_null(strstr(checked(&config, &err), "usd"));
    write_file(config.path, "w", "timestamp,usd\n2025-01-01,x\n");
    assert_non_null(strstr(checked(&config, &err), "h.csv:2"));
    write_file(config.path, "w", "timestamp,usd\n2025-01-01,5"); /* as such a feed takes it */
    assert_string_equal(checked(&config, &err), "");
    write_file(config.path, "w", "timestamp,usd\n2025-01-01,1\n2025-01-0"); /* half-written */
    assert_string_equal(checked(&config, &err), "");
    unlink(config.path);
    rmdir(dir);
}

static void keys_and_authorities_are_checked_without_a_request(void **state) {
    (void)state;
    struct sl_error err = {0};
    char dir[] = "/tmp/sluice-feed-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct sl_feed_config config = {.id = "api", .kind = SL_FEED_HTTP};
    assert_string_equal(checked(&config, &err), "");
    snprintf(config.key_file, sizeof config.key_file, "%s/key", dir);
    assert_non_null(strstr(checked(&config, &err), "feed api: cannot read the key in"));
    write_file(config.key_file, "w", "s3cret\n");
    assert_int_equal(chmod(config.key_file, 0640), 0);
    assert_non_null(strstr(checked(&config, &err), "chmod 600"));
    assert_int_equal(chmod(config.key_file, 0600), 0);
    assert_string_equal(checked(&config, &err), "");
    snprintf(config.ca_file, sizeof config.ca_file, "%s/ca.pem", dir);
    assert_non_null(strstr(checked(&config, &err), "ca.pem: No such file"));
    for (int fifo = 0; fifo < 2; fifo++) {
        assert_int_equal(fifo ? mkfifo(config.ca_file, 0600) : mkdir(config.ca_file, 0700), 0);
        assert_non_null(strstr(checked(&config, &err), "ca.pem is not a file of certificates"));
        assert_int_equal(remove(config.ca_file), 0);
    }
    static const char *const bad[] = {
        "", "no certificate\n", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_file(config.ca_file, "w", bad[i]);
        assert_non_null(strstr(checked(&config, &err), "ca.pem holds no certificate"));
    }
    unlink(config.key_file);
    unlink(config.ca_file);
    rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_followed_as_it_changes),
        cmocka_unit_test(an_http_source_is_asked_again_and_again),
        cmocka_unit_test(a_recording_is_checked_without_a_start),
        cmocka_unit_test(keys_and_authorities_are_checked_without_a_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
