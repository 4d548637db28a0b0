/* SPDX-License-Identifier: Apache-2.0
 * Damage of every kind to the store's file: refused by name, or without any effect. */
#include "broker/store/file_check.h"

#include "tests/unit/broker/store/image.h"

#define LINES 40

/* A closed store of some pages, all in its file. */
static struct image closed_image(struct fixture *f) {
    for (uint32_t i = 0; i < LINES; i++) {
        commit_line(f, i);
    }
    sl_store_close(f->store);
    f->store = NULL;
    /* Most of the file was the room of the log, free pages; some of them are enough here. */
    sqlite3 *db = open_raw(f->path);
    assert_int_equal(sqlite3_exec(db,
                                  "VACUUM; CREATE TABLE t(x); INSERT INTO t "
                                  "VALUES(zeroblob(200000)); DROP TABLE t",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    struct image image = take_image(f, 0);
    assert_true(image.main.size > 100 * SL_PAGE_BYTES && image.main.size < 500 * SL_PAGE_BYTES);
    assert_int_equal(image.wal.size, 0);
    return image;
}

static void one_flipped_bit_anywhere_is_refused(void **state) {
    struct fixture *f = *state;
    struct image image = closed_image(f);
    struct sl_error err = {0};
    uint64_t seed = 1;
    assert_int_equal(check_image(f->path, &image, &err), SL_OK);
    size_t pages = image.main.size / SL_PAGE_BYTES;
    FILE *file = fopen(f->path, "r+b");
    assert_non_null(file);
    setvbuf(file, NULL, _IONBF, 0);
    uint32_t tried = 0;
    for (size_t page = 0; page < pages; page++) {
        for (int k = 0; k < 10; k++, tried++) {
            size_t at = page * SL_PAGE_BYTES + dice(&seed) % SL_PAGE_BYTES;
            uint8_t bit = (uint8_t)(1 << dice(&seed) % 8);
            struct sl_file_facts facts;
            fseek(file, (long)at, SEEK_SET);
            fputc(image.main.data[at] ^ bit, file);
            if (sl_file_check(NULL, f->path, &facts, &err) != -SL_CORRUPT ||
                !strstr(err.text, f->path) || !strstr(err.text, "at byte")) {
                fail_msg("bit %d of byte %zu: %s", bit, at, err.text);
            }
            fseek(file, (long)at, SEEK_SET);
            fputc(image.main.data[at], file);
        }
    }
    fclose(file);
    assert_true(tried > 1000);
    image_free(&image);
}

/* The head says what the rest is: each of its bits, in a small file. */
static void every_bit_of_the_head_is_refused(void **state) {
    struct fixture *f = *state;
    struct image image = closed_image(f);
    struct sl_error err = {0};
    put_image(f->path, &image);
    FILE *file = fopen(f->path, "r+b");
    assert_non_null(file);
    setvbuf(file, NULL, _IONBF, 0);
    for (size_t bit = 0; bit < 800; bit++) {
        struct sl_file_facts facts;
        fseek(file, (long)(bit / 8), SEEK_SET);
        fputc(image.main.data[bit / 8] ^ 1 << bit % 8, file);
        if (sl_file_check(NULL, f->path, &facts, &err) != -SL_CORRUPT) {
            fail_msg("bit %zu: %s", bit, err.text);
        }
        fseek(file, (long)(bit / 8), SEEK_SET);
        fputc(image.main.data[bit / 8], file);
    }
    fclose(file);
    image_free(&image);
}

static void a_store_that_was_cut_short_is_refused_at_every_length(void **state) {
    struct fixture *f = *state;
    struct image image = closed_image(f);
    struct sl_error err = {0};
    uint64_t seed = 5;
    for (int i = 0; i < 300; i++) {
        size_t size = i < 40 ? (size_t)i * 13 + 2 : 2 + dice(&seed) % (image.main.size - 2);
        put_image(f->path, &image);
        assert_int_equal(truncate(f->path, (off_t)size), 0);
        struct sl_file_facts facts;
        if (sl_file_check(NULL, f->path, &facts, &err) != -SL_CORRUPT ||
            !strstr(err.text, f->path)) {
            fail_msg("cut to %zu of %zu: %s", size, image.main.size, err.text);
        }
    }
    image_free(&image);
}

static void an_emptied_store_is_refused_a_missing_one_is_new(void **state) {
    struct fixture *f = *state;
    struct image image = closed_image(f);
    struct sl_error err;
    for (off_t size = 1; size >= 0; size--) { /* SQLite takes one byte for an empty file too */
        assert_int_equal(truncate(f->path, size), 0);
        assert_int_equal(open_again(f, &err), -SL_CORRUPT);
        assert_non_null(strstr(err.text, "is empty, but there was something in it"));
    }
    unlink(f->path);
    assert_int_equal(open_again(f, &err), SL_OK);
    image_free(&image);
}

static void what_is_no_store_is_refused_and_left_alone(void **state) {
    struct fixture *f = *state;
    char path[128];
    struct sl_error err;
    sl_store_close(f->store);
    f->store = NULL;
    snprintf(path, sizeof path, "%s/other.db", f->dir);
    const struct sl_store_config config = {.path = path, .fatal = on_fatal, .fatal_arg = f};
    static const char text[] = "Dear diary,\nthis is a text file, and longer than a hundred bytes: "
                               "a hundred are the head of a SQLite database.\n";
    struct bytes letter = {(uint8_t *)text, sizeof text - 1};
    save(path, &letter);
    assert_int_equal(sl_store_open(&config, &f->store, &err), -SL_CORRUPT);
    struct bytes after = load(path);
    assert_true(after.size == letter.size && memcmp(after.data, text, after.size) == 0);
    free(after.data);
    for (int version = 0; version < 3; version++) {
        char sql[128];
        sqlite3 *db = NULL;
        unlink(path);
        snprintf(sql, sizeof sql, "CREATE TABLE photos(x); PRAGMA user_version=%d", version);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        struct bytes before = load(path);
        assert_int_equal(sl_store_open(&config, &f->store, &err), -SL_CORRUPT);
        after = load(path);
        assert_true(after.size == before.size && memcmp(after.data, before.data, after.size) == 0);
        free(after.data);
        free(before.data);
    }
}

static void a_page_of_zeros_is_legal_only_where_nothing_is(void **state) {
    struct fixture *f = *state;
    struct image image = closed_image(f);
    struct sl_error err = {0};
    sqlite3 *db = open_raw(f->path);
    uint8_t *head = image.main.data;
    uint32_t trunk = (uint32_t)(head[32] << 24 | head[33] << 16 | head[34] << 8 | head[35]);
    sqlite3_close(db);
    assert_true(trunk > 1);
    const uint8_t *page = image.main.data + (size_t)(trunk - 1) * SL_PAGE_BYTES;
    uint32_t leaf = (uint32_t)(page[8] << 24 | page[9] << 16 | page[10] << 8 | page[11]);
    uint32_t used = 0;
    struct image hole = {copy_bytes(&image.main), {0}};
    memset(hole.main.data + (size_t)(leaf - 1) * SL_PAGE_BYTES, 0, SL_PAGE_BYTES);
    assert_int_equal(check_image(f->path, &hole, &err), SL_OK);
    image_free(&hole);
    for (uint32_t n = 2; n < 60; n++) {
        hole.main = copy_bytes(&image.main);
        memset(hole.main.data + (size_t)(n - 1) * SL_PAGE_BYTES, 0, SL_PAGE_BYTES);
        used += check_image(f->path, &hole, &err) == -SL_CORRUPT;
        image_free(&hole);
    }
    assert_true(used > 20);
    image_free(&image);
}

static void a_newer_schema_is_told_from_a_flipped_bit(void **state) {
    struct fixture *f = *state;
    sl_store_close(f->store);
    f->store = NULL;
    struct image image = take_image(f, 0);
    struct sl_error err = {0};
    image.main.data[63] ^= 4;
    assert_int_equal(check_image(f->path, &image, &err), -SL_CORRUPT);
    sl_page_seal(image.main.data, 1);
    assert_int_equal(check_image(f->path, &image, &err), -SL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "schema 7 and this program knows 3"));
    image_free(&image);
}

static void shared_memory_of_an_earlier_process_is_not_trusted(void **state) {
    struct fixture *f = *state;
    for (uint32_t i = 0; i < 5; i++) {
        commit_line(f, i);
    }
    struct image image = take_image(f, 100);
    char shm[128];
    snprintf(shm, sizeof shm, "%s-shm", f->path);
    struct bytes memory = load(shm);
    sl_store_close(f->store);
    f->store = NULL;
    put_image(f->path, &image);
    uint64_t want = contents(f->path);
    uint64_t seed = 9;
    for (int i = 0; i < 20; i++) {
        put_image(f->path, &image);
        for (int k = 0; k < 200; k++) {
            memory.data[dice(&seed) % (i < 10 ? 136 : memory.size)] = (uint8_t)dice(&seed);
        }
        save(shm, &memory);
        struct sl_file_facts facts;
        assert_int_equal(sl_file_check(NULL, f->path, &facts, NULL), SL_OK);
        assert_true(contents(f->path) == want);
    }
    free(memory.data);
    image_free(&image);
}

/* A store is killed; its log is then cut, at the end of a frame or anywhere, or left behind. */
static void a_log_that_is_not_all_there_is_refused(void **state) {
    struct fixture *f = *state;
    for (uint32_t i = 0; i < 5; i++) {
        commit_line(f, i);
    }
    char copy[128];
    char other[160];
    char command[400];
    snprintf(copy, sizeof copy, "%s/copy.db", f->dir);
    static const long cuts[] = {0, 32, 32 + 3 * FRAME_BYTES, 1000000};
    for (size_t i = 0; i <= sizeof cuts / sizeof cuts[0]; i++) {
        snprintf(command, sizeof command, "for x in '' -wal .lock; do cp %s$x %s$x; done", f->path,
                 copy);
        assert_int_equal(system(command), 0);
        snprintf(other, sizeof other, "%s-wal", copy);
        bool whole = i == sizeof cuts / sizeof cuts[0];
        assert_int_equal(whole ? 0 : truncate(other, cuts[i]), 0);
        struct sl_store *store = NULL;
        struct sl_error err;
        const struct sl_store_config config = {.path = copy, .fatal = on_fatal, .fatal_arg = f};
        int rc = sl_store_open(&config, &store, &err);
        assert_int_equal(rc, whole ? SL_OK : -SL_CORRUPT);
        if (!whole) {
            assert_non_null(strstr(err.text, "copy.db-wal was cut short or left behind"));
            snprintf(other, sizeof other, "%s.lock", copy);
            unlink(other); /* the operator's word that it is to go on */
            assert_int_equal(sl_store_open(&config, &store, &err), SL_OK);
        }
        sl_store_close(store);
        snprintf(command, sizeof command, "rm %s*", copy);
        assert_int_equal(system(command), 0);
    }
}

int main(void) {
#define CHECK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CHECK_TEST(one_flipped_bit_anywhere_is_refused),
        CHECK_TEST(every_bit_of_the_head_is_refused),
        CHECK_TEST(a_store_that_was_cut_short_is_refused_at_every_length),
        CHECK_TEST(an_emptied_store_is_refused_a_missing_one_is_new),
        CHECK_TEST(what_is_no_store_is_refused_and_left_alone),
        CHECK_TEST(a_page_of_zeros_is_legal_only_where_nothing_is),
        CHECK_TEST(a_newer_schema_is_told_from_a_flipped_bit),
        CHECK_TEST(shared_memory_of_an_earlier_process_is_not_trusted),
        CHECK_TEST(a_log_that_is_not_all_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
