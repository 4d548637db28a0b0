/* SPDX-License-Identifier: Apache-2.0
 * Whole requests through libmicrohttpd, route table, keys and real handlers. Byte 0 says how the
 * core answers, byte 1 the size of the pieces; the rest is sent as it is, but for three bytes that
 * no request needs: 1 is a tenant's key, 2 the operator's, 3 the number of bytes behind the first
 * empty line. Nothing is our trouble, nobody waits for ever, no upload is left over. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/site.h"

static void expand(const uint8_t *data, size_t size, struct sl_buf *request) {
    const char *end = NULL;
    size_t body = 0;
    for (size_t i = 0; i + 4 <= size && !end; i++) {
        if (memcmp(data + i, "\r\n\r\n", 4) == 0) {
            end = (const char *)data + i + 4;
            body = size - i - 4;
        }
    }
    for (size_t i = 0; i < size; i++) {
        if (data[i] == 1) {
            sl_buf_printf(request, "%s", site_tenant_key());
        } else if (data[i] == 2) {
            sl_buf_printf(request, "%s", site_operator_key());
        } else if (data[i] == 3 && (!end || (const char *)data + i < end)) {
            sl_buf_printf(request, "%zu", body);
        } else {
            sl_buf_append(request, &data[i], 1);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input in = {data, size};
    SL_AUTO_BUF struct sl_buf request = {0};
    SL_AUTO_BUF struct sl_buf answer = {0};
    uint8_t core = fuzz_u8(&in);
    uint8_t piece = fuzz_u8(&in);
    expand(in.at, in.left, &request);
    site_talk(core, request.data ? request.data : "", request.len, piece, &answer);
    (void)site_check(&answer);
    fuzz_check(site_leftovers() == 0);
    return 0;
}
