/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/store/page_sum.h"

#include "tests/unit/broker/store/rig.h"

static uint64_t next(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *state >> 11;
}

static void fill(uint8_t *page, uint64_t seed) {
    for (int i = 0; i < SL_PAGE_BYTES; i++) {
        page[i] = (uint8_t)next(&seed);
    }
}

static void every_flipped_bit_is_found(void **state) {
    (void)state;
    uint8_t page[SL_PAGE_BYTES];
    fill(page, 1);
    sl_page_seal(page, 7);
    assert_int_equal(sl_page_check(page, 7), SL_PAGE_GOOD);
    for (int bit = 0; bit < SL_PAGE_BYTES * 8; bit++) {
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(sl_page_check(page, 7), SL_PAGE_BAD);
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(sl_page_check(page, 7), SL_PAGE_GOOD);
}

static void a_page_in_another_place_is_found(void **state) {
    (void)state;
    uint8_t page[SL_PAGE_BYTES];
    fill(page, 2);
    sl_page_seal(page, 7);
    for (uint32_t number = 1; number < 1000; number++) {
        assert_int_equal(sl_page_check(page, number), number == 7 ? SL_PAGE_GOOD : SL_PAGE_BAD);
    }
}

static void lost_and_swapped_sectors_are_found(void **state) {
    (void)state;
    uint8_t page[SL_PAGE_BYTES];
    for (uint64_t seed = 3; seed < 300; seed++) {
        uint64_t dice = seed;
        fill(page, seed);
        sl_page_seal(page, 9);
        size_t at = next(&dice) % 8 * 512;
        size_t other = (at + 512 + next(&dice) % 7 * 512) % SL_PAGE_BYTES;
        if (seed % 2) {
            memset(page + at, 0, 512);
        } else {
            memcpy(page + at, page + other, 512);
        }
        assert_int_equal(sl_page_check(page, 9), SL_PAGE_BAD);
    }
}

static void zeros_are_told_from_a_page_of_zeros_that_was_written(void **state) {
    (void)state;
    uint8_t page[SL_PAGE_BYTES] = {0};
    assert_int_equal(sl_page_check(page, 3), SL_PAGE_EMPTY);
    sl_page_seal(page, 3);
    assert_int_equal(sl_page_check(page, 3), SL_PAGE_GOOD);
    assert_int_equal(sl_page_check(page, 4), SL_PAGE_BAD);
}

/* ---- the VFS ---- */

static void a_damaged_page_is_an_error_of_the_reader(void **state) {
    struct fixture *f = *state;
    struct sl_op ops[] = {batch_op(1000), line_op(0, 1000), transfer_op(1, "batch_1/0", 1000)};
    submit(f, ops, 3, 1);
    wait_for(f, 1);
    sl_store_close(f->store);
    f->store = NULL;
    sqlite3 *db = open_raw(f->path);
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT rootpage FROM sqlite_master WHERE name='transfers'",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int root = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    FILE *file = fopen(f->path, "r+b");
    assert_non_null(file);
    fseek(file, (long)root * SL_PAGE_BYTES - 40,
          SEEK_SET); /* inside the row, near the page's end */
    int c = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(c ^ 1, file);
    fclose(file);
    SL_AUTO(sl_reader) r = NULL;
    struct sl_error err;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), 0);
    int rows = 0;
    assert_int_equal(sl_reader_transfers(r, 0, 10, count_rows, &rows, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "checksum"));
}

static void other_programs_read_the_file_and_other_files_pass_through(void **state) {
    struct fixture *f = *state;
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA quick_check", -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    char path[128];
    snprintf(path, sizeof path, "%s/other.db", f->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK); /* without room for sums */
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(20000))",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    db = open_raw(path);
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE t SET x=randomblob(20000); SELECT sum(length(x)) FROM t",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA integrity_check", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(a_page_in_another_place_is_found),
        cmocka_unit_test(lost_and_swapped_sectors_are_found),
        cmocka_unit_test(zeros_are_told_from_a_page_of_zeros_that_was_written),
        cmocka_unit_test_setup_teardown(a_damaged_page_is_an_error_of_the_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(other_programs_read_the_file_and_other_files_pass_through,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
