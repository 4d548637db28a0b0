/* SPDX-License-Identifier: Apache-2.0
 * The multipart body of an upload, boundary XX, within a request that is right otherwise; byte 0
 * is the size of the pieces in which it comes. It is taken or refused (never our trouble), the same
 * way however it is cut, and leaves no unfinished file. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/site.h"

static int upload(const uint8_t *body, size_t size, size_t piece) {
    SL_AUTO_BUF struct sl_buf request = {0};
    SL_AUTO_BUF struct sl_buf answer = {0};
    sl_buf_printf(&request,
                  "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                  "Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: %zu\r\n"
                  "Connection: close\r\n\r\n",
                  site_tenant_key(), size);
    if (size > 0) {
        sl_buf_append(&request, body, size);
    }
    site_talk(0, request.data, request.len, piece, &answer);
    int status = site_check(&answer);
    fuzz_check(status == 200 || status == 400 || status == 413);
    if (status == 200) {
        const char *bytes = strstr(answer.data, "\"bytes\":");
        fuzz_check(bytes && strtoull(bytes + 8, NULL, 10) <= size);
        fuzz_check(strstr(answer.data, "\"purpose\":\"batch\""));
    }
    fuzz_check(site_leftovers() == 0);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input in = {data, size};
    uint8_t piece = fuzz_u8(&in);
    int status = upload(in.at, in.left, piece);
    if (piece > 0) {
        fuzz_check(upload(in.at, in.left, 0) == status);
    }
    return 0;
}
