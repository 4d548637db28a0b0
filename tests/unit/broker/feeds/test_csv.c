/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/feeds/csv.h"

static void lines_and_fields(void **state) {
    (void)state;
    static const char text[] = "time,usd,\r\n\na,,b\nlast";
    struct sl_csv csv = {.text = text, .size = strlen(text)};
    char field[SL_CSV_FIELD_MAX];
    assert_true(sl_csv_next(&csv));
    assert_int_equal(sl_csv_column(&csv, "usd"), 1);
    assert_int_equal(sl_csv_column(&csv, ""), 2);
    assert_int_equal(sl_csv_column(&csv, "us"), -1);
    assert_true(sl_csv_next(&csv) && csv.len == 0 && csv.number == 2);
    assert_true(sl_csv_next(&csv));
    assert_true(sl_csv_field(&csv, 1, field) && field[0] == '\0');
    assert_true(sl_csv_field(&csv, 2, field) && strcmp(field, "b") == 0);
    assert_false(sl_csv_field(&csv, 3, field));
    assert_true(sl_csv_next(&csv));
    assert_true(sl_csv_field(&csv, 0, field) && strcmp(field, "last") == 0);
    assert_int_equal(csv.number, 4);
    assert_false(sl_csv_next(&csv));
}

static void what_is_no_field(void **state) {
    (void)state;
    char text[SL_CSV_FIELD_MAX + 8];
    char field[SL_CSV_FIELD_MAX];
    memset(text, 'x', sizeof text);
    struct sl_csv csv = {.text = text, .size = SL_CSV_FIELD_MAX};
    assert_true(sl_csv_next(&csv));
    assert_false(sl_csv_field(&csv, 0, field)); /* one byte too long */
    csv = (struct sl_csv){.text = text, .size = SL_CSV_FIELD_MAX - 1};
    assert_true(sl_csv_next(&csv) && sl_csv_field(&csv, 0, field));
    csv = (struct sl_csv){.text = "a\0b", .size = 3};
    assert_true(sl_csv_next(&csv));
    assert_false(sl_csv_field(&csv, 0, field));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_fields),
        cmocka_unit_test(what_is_no_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
