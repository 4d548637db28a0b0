/* SPDX-License-Identifier: Apache-2.0
 * Damage to the log is refused or without effect; whatever a power failure leaves is taken. */
#include "broker/store/wal_view.h"

#include "tests/unit/broker/store/image.h"

#define COMMITS 8

/* A store with COMMITS transactions in its log, and its files before the last of them and after. */
struct story {
    struct image before, after;
    uint64_t without_last, with_last;
    size_t frames_before, frames;
    char copy[128];
};

static size_t frames_in(const char *path) {
    struct sl_file_facts facts;
    struct sl_error err;
    if (sl_file_check(NULL, path, &facts, &err)) {
        fail_msg("%s", err.text);
    }
    return facts.wal_frames;
}

static void tell(struct fixture *f, struct story *story) {
    for (uint32_t i = 0; i + 1 < COMMITS; i++) {
        commit_line(f, i);
    }
    snprintf(story->copy, sizeof story->copy, "%s/copy.db", f->dir);
    story->before = take_image(f, 120);
    commit_line(f, COMMITS - 1);
    story->after = take_image(f, 120);
    put_image(story->copy, &story->before);
    story->frames_before = frames_in(story->copy);
    story->without_last = contents(story->copy);
    put_image(story->copy, &story->after);
    story->frames = frames_in(story->copy);
    story->with_last = contents(story->copy);
    assert_true(story->frames > story->frames_before + 3 && story->frames_before > 20);
    assert_true(story->with_last && story->without_last && story->with_last != story->without_last);
}

static void forget(struct story *story) {
    image_free(&story->before);
    image_free(&story->after);
}

static size_t frame_at(size_t frame) {
    return 32 + frame * FRAME_BYTES;
}

/* A bit of the last transaction: turned back, unless there is so little around it that it may as
 * well be a torn sector, or several bits would do. */
static void flip_last(struct story *story) {
    uint64_t seed = 3;
    uint32_t refused = 0;
    uint32_t mended = 0;
    size_t from = frame_at(story->frames_before);
    for (int i = 0; i < 400; i++) {
        size_t at = from + dice(&seed) % (frame_at(story->frames) - from);
        uint8_t bit = (uint8_t)(1 << dice(&seed) % 8);
        struct sl_error err;
        story->after.wal.data[at] ^= bit;
        int rc = check_image(story->copy, &story->after, &err);
        bool whole = rc == SL_OK && contents(story->copy) == story->with_last;
        if (rc ? !strstr(err.text, "is damaged at byte")
               : !whole && contents(story->copy) != story->without_last) {
            fail_msg("bit %d of byte %zu: %s", bit, at, rc ? err.text : "read wrongly");
        }
        refused += rc != 0;
        mended += whole;
        story->after.wal.data[at] ^= bit;
    }
    print_message("of 400 bits of the last transaction %u were turned back, %u refused\n", mended,
                  refused);
    assert_true(mended + refused > 300);
}

/* Refused, or everything is read. */
static bool refused_or_whole(struct story *story, const struct image *image) {
    struct sl_error err;
    int rc = check_image(story->copy, image, &err);
    if (rc == SL_OK) {
        return contents(story->copy) == story->with_last;
    }
    return rc == -SL_CORRUPT && strstr(err.text, "copy.db") && strstr(err.text, "at byte");
}

static void one_flipped_bit_of_the_log_is_refused_or_harmless(void **state) {
    struct story story;
    tell(*state, &story);
    uint64_t seed = 2;
    size_t in_use = frame_at(story.frames);
    uint32_t refused = 0;
    for (int i = 0; i < 1200; i++) {
        size_t at = dice(&seed) % frame_at(story.frames_before);
        if (i < 200) { /* heads of frames, where a bit says more */
            at = frame_at((size_t)i % story.frames_before) + dice(&seed) % 24;
        } else if (i < 290) { /* what lies behind it */
            at = in_use + dice(&seed) % (story.after.wal.size - in_use);
        }
        uint8_t bit = (uint8_t)(1 << dice(&seed) % 8);
        story.after.wal.data[at] ^= bit;
        if (!refused_or_whole(&story, &story.after)) {
            fail_msg("bit %d of byte %zu was not noticed", bit, at);
        }
        struct sl_file_facts facts;
        refused += sl_file_check(NULL, story.copy, &facts, NULL) != SL_OK;
        story.after.wal.data[at] ^= bit;
    }
    assert_true(refused > 1100);
    flip_last(&story);
    forget(&story);
}

static void every_bit_of_the_logs_head_is_refused(void **state) {
    struct story story;
    tell(*state, &story);
    for (size_t bit = 0; bit < 32 * 8; bit++) {
        story.after.wal.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(refused_or_whole(&story, &story.after));
        story.after.wal.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    memset(story.after.wal.data, 0, 32);
    assert_int_equal(check_image(story.copy, &story.after, NULL), -SL_CORRUPT);
    struct sl_error err = {0};
    memset(story.after.wal.data + frame_at(0), 0, 4);
    assert_int_equal(check_image(story.copy, &story.after, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "its page has no number"));
    forget(&story);
}

/* The whole log stands in the file already: a torn head (it begins anew) loses nothing. */
static void a_bad_head_of_a_log_that_is_checkpointed_is_harmless(void **state) {
    struct story story;
    struct fixture *f = *state;
    tell(f, &story);
    checkpoint_now(f->path);
    struct image image = take_image(f, 120);
    image.wal.data[12] ^= 1;
    assert_int_equal(check_image(story.copy, &image, NULL), SL_OK);
    assert_true(contents(story.copy) == story.with_last);
    memset(image.wal.data, 0, 32);
    assert_int_equal(check_image(story.copy, &image, NULL), SL_OK);
    assert_true(contents(story.copy) == story.with_last);
    image_free(&image);
    forget(&story);
}

static void lost_sectors_of_an_earlier_transaction_are_refused(void **state) {
    struct story story;
    tell(*state, &story);
    uint64_t seed = 4;
    for (int i = 0; i < 200; i++) {
        struct image image = {copy_bytes(&story.after.main), copy_bytes(&story.after.wal)};
        /* Not in the last but one: its end may look like one torn transaction with the last. */
        size_t at = 512 + dice(&seed) % (frame_at(story.frames_before * 3 / 4) - 1024);
        memset(image.wal.data + at / 512 * 512, i % 2 ? 0 : 0xa5, 512);
        assert_true(refused_or_whole(&story, &image));
        image_free(&image);
    }
    forget(&story);
}

/* Any sectors of the last transaction may be missing, and also halves of them. */
static void a_torn_last_transaction_is_dropped(void **state) {
    struct story story;
    tell(*state, &story);
    uint64_t seed = 6;
    uint32_t dropped = 0;
    size_t from = frame_at(story.frames_before) / 512;
    size_t to = (frame_at(story.frames) + 511) / 512;
    for (int i = 0; i < 1000; i++) {
        struct image image = {copy_bytes(&story.after.main), copy_bytes(&story.after.wal)};
        for (size_t sector = from; sector < to; sector++) {
            bool lost = i < (int)(to - from) ? sector == from + (size_t)i
                        : i < 500            ? dice(&seed) % 2 == 0
                                             : dice(&seed) % (to - from) < 2;
            size_t begin = i % 3 == 2 ? dice(&seed) % 512 : 0;
            size_t end = i % 3 == 1 ? dice(&seed) % 512 : 512;
            if (lost && begin < end) {
                memcpy(image.wal.data + sector * 512 + begin,
                       story.before.wal.data + sector * 512 + begin, end - begin);
            }
        }
        struct sl_error err;
        if (check_image(story.copy, &image, &err)) {
            fail_msg("round %d: %s", i, err.text);
        }
        uint64_t now = contents(story.copy);
        assert_true(now == story.without_last || now == story.with_last);
        dropped += now == story.without_last;
        image_free(&image);
    }
    assert_true(dropped > 600);
    forget(&story);
}

/* A checkpoint was cut off: pages of the file are old, new or both, but the log has them. */
static void a_torn_checkpoint_is_legal(void **state) {
    struct story story;
    struct fixture *f = *state;
    tell(f, &story);
    checkpoint_now(f->path);
    struct image done = take_image(f, 120);
    uint64_t seed = 8;
    for (int i = 0; i < 60; i++) {
        struct image image = {copy_bytes(&story.after.main), copy_bytes(&story.after.wal)};
        for (size_t at = 0; at + 512 <= image.main.size && at + 512 <= done.main.size; at += 512) {
            if (dice(&seed) % 2) {
                memcpy(image.main.data + at, done.main.data + at, 512);
            }
        }
        struct sl_error err;
        if (check_image(story.copy, &image, &err)) {
            fail_msg("round %d: %s", i, err.text);
        }
        assert_true(contents(story.copy) == story.with_last);
        image_free(&image);
    }
    image_free(&done);
    forget(&story);
}

int main(void) {
#define WAL_TEST(name) cmocka_unit_test_setup_teardown(name, setup_small, teardown)
    const struct CMUnitTest tests[] = {
        WAL_TEST(one_flipped_bit_of_the_log_is_refused_or_harmless),
        WAL_TEST(every_bit_of_the_logs_head_is_refused),
        WAL_TEST(a_bad_head_of_a_log_that_is_checkpointed_is_harmless),
        WAL_TEST(lost_sectors_of_an_earlier_transaction_are_refused),
        WAL_TEST(a_torn_last_transaction_is_dropped),
        WAL_TEST(a_torn_checkpoint_is_legal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
