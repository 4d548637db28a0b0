/* SPDX-License-Identifier: Apache-2.0
 * Bodies as clients of many kinds write them, in pieces of every size. */
#include "broker/http/parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/cleanup.h"
#include "proto/base/text.h"

/* What came: NAME(FILENAME)=DATA; for each part. */
static void on_begin(void *arg, const char *name, const char *filename) {
    struct sl_buf *trace = arg;
    sl_buf_printf(trace, "%s%s(%s)=", trace->len ? ";" : "", name ? name : "?", filename);
}

static void on_data(void *arg, const char *bytes, size_t n) {
    sl_buf_append(arg, bytes, n);
}

#define TYPE "multipart/form-data; boundary=XX"
#define PURPOSE "--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
#define END "--XX--\r\n"

static const struct {
    const char *why, *type, *body, *wanted; /* wanted NULL: refused */
} cases[] = {
    {"as most write it", TYPE,
     PURPOSE "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n"
             "Content-Type: application/octet-stream\r\n\r\n{}\n{}\n\r\n" END,
     "purpose()=batch;file(a.jsonl)={}\n{}\n"},
    {".NET's HttpClient: no quotes, the name twice, the boundary in quotes",
     "multipart/form-data; boundary=\"XX\"",
     "--XX\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; "
     "name=purpose\r\n\r\nbatch\r\n--XX\r\nContent-Disposition: form-data; name=file; "
     "filename=a.jsonl; filename*=utf-8''a.jsonl\r\n\r\n{}\r\n" END,
     "purpose()=batch;file(a.jsonl)={}"},
    {"Apache's HttpClient: a charset behind the boundary",
     "multipart/form-data; boundary=XX; charset=UTF-8", PURPOSE END, "purpose()=batch"},
    {"a charset before it", "multipart/form-data; charset=UTF-8; boundary=XX", PURPOSE END,
     "purpose()=batch"},
    {"capitals, and no blank", "Multipart/Form-Data;BOUNDARY=XX",
     "--XX\r\nCONTENT-DISPOSITION:Form-Data;NAME=\"purpose\"\r\n\r\nbatch\r\n" END,
     "purpose()=batch"},
    {"a boundary with blanks and colons", "multipart/form-data; boundary=\"a b:c\"",
     "--a b:c\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--a b:c--", "x()=1"},
    {"a boundary of one character", "multipart/form-data; boundary=X",
     "--X\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--X--", "x()=1"},
    {"preamble, epilogue, blanks behind boundaries", TYPE,
     "hello\r\n--X\r\n--XX \t\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--XX-- \r\nbye"
     "\r\n--XX\r\n",
     "x()=1"},
    {"a preamble of one empty line", TYPE,
     "\r\n--XX\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--XX--", "x()=1"},
    {"data that looks like the end", TYPE,
     "--XX\r\nContent-Disposition: form-data; "
     "name=x\r\n\r\n\r\r\n-\r\n--X\r\n\r\n--Y--XX--\r\n--XX--",
     "x()=\r\r\n-\r\n--X\r\n\r\n--Y--XX--"},
    {"parts without data", TYPE,
     "--XX\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n--XX\r\n"
     "Content-Disposition: form-data; name=y\r\n\r\n\r\n--XX--",
     "x()=;y()="},
    {"a part without headers, and one without a name", TYPE,
     "--XX\r\n\r\n1\r\n--XX\r\nContent-Type: text/plain\r\n\r\n2\r\n--XX--", "?()=1;?()=2"},
    {"a header that goes on in the next line", TYPE,
     "--XX\r\nContent-Disposition: form-data;\r\n "
     "name=\"x\";\r\n\tfilename=\"f\"\r\n\r\n1\r\n--XX--",
     "x(f)=1"},
    {"quotes and backslashes in names", TYPE,
     "--XX\r\nContent-Disposition: form-data; filename=\"C:\\a \\\"b\\\\; name=z\"; name=\"x\"\r\n"
     "Content-Transfer-Encoding: binary\r\n\r\n1\r\n--XX--",
     "x(C:\\a \"b\\; name=z)=1"},
    {"a name of another charset that was coded", TYPE,
     "--XX\r\nContent-Disposition: form-data; name=x; filename=\"=?utf-8?B?w6k=?=\"; "
     "filename*=UTF-8'de'%C3%A9%20x\r\n\r\n1\r\n--XX--",
     "x(\xc3\xa9 x)=1"},
    {"bytes that are no text", TYPE,
     "--XX\r\nContent-Disposition: form-data; name=x\r\n\r\n\xff\xfe\x01\r\n--XX--",
     "x()=\xff\xfe\x01"},
    {"another disposition", TYPE,
     "--XX\r\nContent-Disposition: attachment; name=x\r\n\r\n1\r\n--XX--", "?()=1"},
    {"a part of parts", TYPE,
     "--XX\r\nContent-Disposition: form-data; name=x\r\ncontent-type :\tMultipart/mixed; "
     "boundary=YY\r\n\r\n--YY--\r\n--XX--",
     NULL},
    {"data in base64", TYPE,
     "--XX\r\nContent-Disposition: form-data; name=x\r\nContent-Transfer-Encoding: BASE64\r\n\r\n"
     "MQ==\r\n--XX--",
     NULL},
    {"a boundary that goes on", TYPE, PURPOSE "--XXY\r\n\r\n" END, NULL},
    {"half an end", TYPE, PURPOSE "--XX-\r\n", NULL},
    {"no end", TYPE, PURPOSE, NULL},
    {"lines without CR", TYPE, "--XX\nContent-Disposition: form-data; name=x\n\n1\n--XX--\n", NULL},
    {"another boundary", TYPE, "--XY\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--XY--",
     NULL},
    {"nothing", TYPE, "", NULL},
};

static void test_bodies(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].body);
        for (size_t piece = 1; piece <= n + 1; piece++) {
            SL_AUTO_BUF struct sl_buf trace = {0};
            struct sl_parts parts;
            struct sl_error err = {0};
            struct sl_parts_sink sink = {&trace, on_begin, on_data};
            assert_int_equal(sl_parts_init(&parts, cases[i].type, sink, &err), SL_OK);
            int rc = SL_OK;
            for (size_t at = 0; at < n && rc == SL_OK; at += piece) {
                rc = sl_parts_feed(&parts, cases[i].body + at, n - at < piece ? n - at : piece,
                                   &err);
            }
            sl_buf_append(&trace, "", 1);
            bool good = rc == SL_OK && sl_parts_complete(&parts);
            if (good != (cases[i].wanted != NULL) ||
                (good && strcmp(trace.data, cases[i].wanted) != 0)) {
                fail_msg("%s, in pieces of %zu: %s %s", cases[i].why, piece, trace.data, err.text);
            }
        }
    }
}

static void on_count(void *arg, const char *bytes, size_t n) {
    (void)bytes;
    (void)n;
    ++*(size_t *)arg;
}

static void on_nothing(void *arg, const char *name, const char *filename) {
    (void)arg;
    (void)name;
    (void)filename;
}

/* Each piece of data is a write to a disk: a file of line ends is not thousands of them. */
static void test_pieces(void **state) {
    (void)state;
    static const char begin[] = "--XX\r\nContent-Disposition: form-data; name=x\r\n\r\n";
    SL_AUTO_BUF struct sl_buf body = {0};
    struct sl_parts parts;
    size_t pieces = 0;
    struct sl_parts_sink sink = {&pieces, on_nothing, on_count};
    for (int i = 0; i < 1000; i++) {
        sl_buf_printf(&body, "\r\n--X");
    }
    assert_int_equal(sl_parts_init(&parts, TYPE, sink, NULL), SL_OK);
    assert_int_equal(sl_parts_feed(&parts, begin, sizeof begin - 1, NULL), SL_OK);
    assert_int_equal(sl_parts_feed(&parts, body.data, body.len, NULL), SL_OK);
    assert_int_equal(pieces, 1);
    assert_int_equal(sl_parts_feed(&parts, body.data, body.len, NULL), SL_OK);
    assert_int_equal(pieces, 3); /* what was held back, and the rest */
    assert_int_equal(sl_parts_feed(&parts, "\r\n--XX--", 8, NULL), SL_OK);
    assert_true(sl_parts_complete(&parts));
}

static void test_types(void **state) {
    (void)state;
    char long_enough[160], too_long[160];
    char name[SL_PARTS_BOUNDARY_MAX + 2];
    memset(name, 'b', sizeof name);
    snprintf(long_enough, sizeof long_enough, "multipart/form-data; boundary=%.*s",
             SL_PARTS_BOUNDARY_MAX, name);
    snprintf(too_long, sizeof too_long, "multipart/form-data; boundary=%.*s",
             SL_PARTS_BOUNDARY_MAX + 1, name);
    const struct {
        const char *type;
        bool good;
    } rows[] = {
        {TYPE, true},
        {long_enough, true},
        {too_long, false},
        {NULL, false},
        {"", false},
        {"application/json", false},
        {"multipart/form-data", false},
        {"multipart/form-data; boundary", false},
        {"multipart/form-data; boundary=", false},
        {"multipart/form-data; boundary=\"\"", false},
        {"multipart/form-data; boundary=\"a\rb\"", false},
        {"multipart/form-data; xboundary=a", false},
        {"multipart/form-data2; boundary=a", false},
        {"multipart/mixed; boundary=a", false},
        {"application/json; a=multipart/form-data; boundary=a", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_parts parts;
        struct sl_error err = {0};
        int rc = sl_parts_init(&parts, rows[i].type, (struct sl_parts_sink){0}, &err);
        if (rc != (rows[i].good ? SL_OK : -SL_INVALID)) {
            fail_msg("%s: %d %s", rows[i].type, rc, err.text);
        }
    }
}

/* Headers have a limit, and a NUL byte does not end them early. */
static void test_headers(void **state) {
    (void)state;
    SL_AUTO_BUF struct sl_buf trace = {0};
    struct sl_parts parts;
    struct sl_error err = {0};
    struct sl_parts_sink sink = {&trace, on_begin, on_data};
    static const char nul[] = "--XX\r\nA: \0\r\n\r\n1\r\n--XX--";
    assert_int_equal(sl_parts_init(&parts, TYPE, sink, NULL), SL_OK);
    assert_int_equal(sl_parts_feed(&parts, nul, sizeof nul - 1, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "NUL"));
    assert_int_equal(sl_parts_feed(&parts, END, strlen(END), &err), -SL_INVALID);
    assert_int_equal(sl_parts_init(&parts, TYPE, sink, NULL), SL_OK);
    assert_int_equal(sl_parts_feed(&parts, "--XX\r\nA: ", 9, &err), SL_OK);
    int rc = SL_OK;
    size_t n = 3;
    for (; rc == SL_OK && n < 10000; n++) {
        rc = sl_parts_feed(&parts, "x", 1, &err);
    }
    assert_int_equal(rc, -SL_INVALID);
    assert_int_equal(n - 1, SL_PARTS_HEADERS_MAX);
    assert_non_null(strstr(err.text, "4096"));
    assert_int_equal(trace.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
