/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/feeds/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/text.h"

#define KEY_MAX 1024
#define ETAG_MAX 200
#define TIMEOUT_MS 5000
#define CA_BYTES_MAX ((off_t)16 * 1024 * 1024)
#define RETRY_MAX_MS INT64_C(3600000)

struct sl_feed_http {
    const struct sl_feed_config *config;
    const _Atomic bool *stopping;
    CURL *curl;
    char
        url[sizeof((struct sl_feed_config *)0)->url + sizeof((struct sl_feed_config *)0)->resource];
    struct sl_buf body; /* of the last good answer */
    struct sl_buf next; /* of the running one */
    bool too_large;
    char etag[ETAG_MAX];      /* of body; "": none */
    char next_etag[ETAG_MAX]; /* of next */
    char why[CURL_ERROR_SIZE];
};

static size_t on_body(char *data, size_t size, size_t count, void *arg) {
    struct sl_feed_http *http = arg;
    http->too_large = http->too_large || http->next.len + size * count > SL_FEED_HTTP_BYTES_MAX;
    if (http->too_large) {
        return 0;
    }
    sl_buf_append(&http->next, data, size * count);
    return http->next.failed ? 0 : size * count;
}

/* Keeps the ETag, which comes back in If-None-Match; one that could break a header is left out. */
static size_t on_header(char *data, size_t size, size_t count, void *arg) {
    static const char name[] = "etag:";
    struct sl_feed_http *http = arg;
    size_t total = size * count;
    size_t n = total;
    if (n < sizeof name || strncasecmp(data, name, sizeof name - 1) != 0) {
        return total;
    }
    const char *value = data + sizeof name - 1;
    n -= sizeof name - 1;
    while (n > 0 && *value == ' ') {
        value++;
        n--;
    }
    while (n > 0 && (value[n - 1] == '\r' || value[n - 1] == '\n' || value[n - 1] == ' ')) {
        n--;
    }
    bool clean = n > 0 && n < sizeof http->next_etag;
    for (size_t i = 0; i < n; i++) {
        clean = clean && value[i] > ' ' && value[i] < 0x7F;
    }
    memcpy(http->next_etag, value, clean ? n : 0);
    http->next_etag[clean ? n : 0] = '\0';
    return total;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    const struct sl_feed_http *http = arg;
    return atomic_load(http->stopping) ? 1 : 0;
}

static void set_options(struct sl_feed_http *http) {
    const struct sl_feed_config *config = http->config;
    int64_t timeout_ms = config->timeout_ms > 0 ? config->timeout_ms : TIMEOUT_MS;
    int64_t connect_ms = config->connect_timeout_ms > 0 ? config->connect_timeout_ms : timeout_ms;
    CURL *curl = http->curl;
    curl_easy_setopt(curl, CURLOPT_URL, http->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)SL_FEED_HTTP_BYTES_MAX);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, http);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, http);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, http);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->why);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sluice-broker/" SLUICE_VERSION);
    if (config->ca_file[0]) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, config->ca_file);
    }
    if (config->method == SL_FEED_POST) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, config->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(config->body));
    }
}

int sl_feed_http_create(const struct sl_feed_config *config, const char *resource,
                        const _Atomic bool *stopping, struct sl_feed_http **ret_http,
                        struct sl_error *err) {
    SL_AUTO(sl_feed_http) http = calloc(1, sizeof *http);
    if (!http || !(http->curl = curl_easy_init())) {
        return sl_fail(err, SL_NOMEM, "no memory for the requests of feed %s", config->id);
    }
    http->config = config;
    http->stopping = stopping;
    snprintf(http->url, sizeof http->url, "%s%s", config->url, resource);
    set_options(http);
    *ret_http = sl_take(&http);
    return SL_OK;
}

void sl_feed_http_destroy(struct sl_feed_http *http) {
    if (http) {
        curl_easy_cleanup(http->curl);
        sl_buf_fini(&http->body);
        sl_buf_fini(&http->next);
        free(http);
    }
}

/* The first line of the key's file. Nothing of it is in any text. */
static int read_key(const char *path, char key[KEY_MAX], struct sl_error *err) {
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        sl_fail_errno(err, "cannot read the key in %s", path);
        return err ? (err->status = -SL_DENIED) : -SL_DENIED;
    }
    if (!S_ISREG(st.st_mode)) {
        return sl_fail(err, SL_DENIED, "%s is not a file; it must hold the key", path);
    }
    if (st.st_mode & 077) {
        return sl_fail(err, SL_DENIED, "%s may be read by others: chmod 600 %s", path, path);
    }
    ssize_t n = read(fd, key, KEY_MAX - 1);
    size_t len = 0;
    while ((ssize_t)len < n && key[len] > ' ' && key[len] < 0x7F) {
        len++;
    }
    bool ends = len > 0 && ((ssize_t)len == n || key[len] == '\n' || key[len] == '\r');
    key[len] = '\0';
    if (!ends || len == KEY_MAX - 1) {
        explicit_bzero(key, KEY_MAX);
        return sl_fail(err, SL_DENIED, "the first line of %s is no key: printable, without blanks",
                       path);
    }
    return SL_OK;
}

/* libcurl looks at authorities only in a handshake. */
static int check_authorities(const char *path, struct sl_error *err) {
    SL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return sl_fail_errno(err, "cannot read the certificates in ca_file %s", path);
    }
    if (!S_ISREG(st.st_mode) || st.st_size > CA_BYTES_MAX) {
        return sl_fail(err, SL_INVALID, "ca_file %s is not a file of certificates", path);
    }
    SL_AUTO_FREE unsigned char *text = malloc((size_t)st.st_size + 1);
    ssize_t n = text ? read(fd, text, (size_t)st.st_size) : -1;
    if (n < 0) {
        return sl_fail_errno(err, "cannot read the certificates in ca_file %s", path);
    }
    text[n] = '\0';
    const gnutls_datum_t pem = {.data = text, .size = (unsigned)n};
    gnutls_x509_crt_t *list = NULL;
    unsigned count = 0;
    int rc = gnutls_x509_crt_list_import2(&list, &count, &pem, GNUTLS_X509_FMT_PEM, 0);
    for (unsigned i = 0; rc >= 0 && i < count; i++) {
        gnutls_x509_crt_deinit(list[i]);
    }
    gnutls_free(list);
    if (rc < 0 || count == 0) {
        return sl_fail(err, SL_INVALID, "ca_file %s holds no certificate (%s)", path,
                       rc < 0 ? gnutls_strerror(rc) : "PEM is expected");
    }
    return SL_OK;
}

int sl_feed_http_check_files(const struct sl_feed_config *config, struct sl_error *err) {
    int rc = SL_OK;
    if (config->key_file[0]) {
        char key[KEY_MAX];
        rc = read_key(config->key_file, key, err);
        explicit_bzero(key, sizeof key);
    }
    return rc || !config->ca_file[0] ? rc : check_authorities(config->ca_file, err);
}

/* NULL and rc: what is wrong. The list is the caller's. */
static int make_headers(const struct sl_feed_http *http, struct curl_slist **ret_list,
                        struct sl_error *err) {
    const struct sl_feed_config *config = http->config;
    char key[KEY_MAX] = "";
    char line[KEY_MAX + ETAG_MAX + 128];
    const char *accept = config->format == SL_FEED_FORMAT_CSV ? "Accept: text/csv, */*;q=0.5"
                                                              : "Accept: application/json";
    struct curl_slist *list = curl_slist_append(NULL, accept);
    int rc = SL_OK;
    if (config->method == SL_FEED_POST) {
        list = curl_slist_append(list, "Content-Type: application/json");
    }
    if (http->etag[0]) {
        snprintf(line, sizeof line, "If-None-Match: %s", http->etag);
        list = curl_slist_append(list, line);
    }
    if (config->key_file[0]) {
        rc = read_key(config->key_file, key, err);
        snprintf(line, sizeof line, "%s: %s%s", config->key_header, config->key_prefix, key);
        list = curl_slist_append(list, line);
        explicit_bzero(key, sizeof key);
        explicit_bzero(line, sizeof line);
    }
    if (rc == SL_OK && !list) {
        rc = sl_fail(err, SL_NOMEM, "no memory for a request");
    }
    if (rc) {
        curl_slist_free_all(list);
        return rc;
    }
    *ret_list = list;
    return SL_OK;
}

static const char *advice(long status) {
    if (status >= 300 && status < 400) {
        return ", elsewhere: redirects are not followed, put the new address into url";
    }
    switch (status) {
    case 400:
        return ": the source does not understand the request; check resource and body";
    case 401:
    case 403:
        return ": the source wants a key, or another one; see key_file";
    case 404:
    case 410:
        return ": there is nothing at this address; check url and resource";
    case 405:
        return ": check method";
    case 429:
        return ": asked too often; a longer interval helps";
    default:
        return status >= 500 ? ": the source is in trouble" : "";
    }
}

static int fail_transfer(const struct sl_feed_http *http, CURLcode code, struct sl_error *err) {
    int64_t timeout_ms = http->config->timeout_ms > 0 ? http->config->timeout_ms : TIMEOUT_MS;
    if (http->too_large || code == CURLE_FILESIZE_EXCEEDED) {
        return sl_fail(err, SL_LIMIT, "the answer is larger than 1 MiB");
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return sl_fail(err, SL_IO, "no whole answer within %lld ms", (long long)timeout_ms);
    }
    return sl_fail(err, SL_IO, "%s", http->why[0] ? http->why : curl_easy_strerror(code));
}

/* What a whole answer means: 200 is a body, 304 the last one again. */
static int take_answer(struct sl_feed_http *http, struct sl_error *err) {
    long status = 0;
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 304 && http->etag[0]) {
        return SL_OK;
    }
    if (status != 200) {
        return sl_fail(err, SL_IO, "HTTP %ld%s", status, advice(status));
    }
    struct sl_buf old = http->body;
    http->body = http->next;
    http->next = old;
    memcpy(http->etag, http->next_etag, sizeof http->etag);
    return SL_OK;
}

int sl_feed_http_get(struct sl_feed_http *http, const char **ret_text, size_t *ret_size,
                     int64_t *ret_retry_ms, struct sl_error *err) {
    struct curl_slist *headers = NULL;
    curl_off_t retry_s = 0;
    *ret_retry_ms = 0;
    int rc = make_headers(http, &headers, err);
    if (rc) {
        return rc;
    }
    http->next.len = 0;
    http->next_etag[0] = '\0';
    http->why[0] = '\0';
    http->too_large = false;
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(http->curl);
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
    for (struct curl_slist *line = headers; line; line = line->next) {
        explicit_bzero(line->data, strlen(line->data)); /* the key was in one of them */
    }
    curl_slist_free_all(headers);
    rc = code == CURLE_OK ? take_answer(http, err) : fail_transfer(http, code, err);
    if (rc) {
        if (curl_easy_getinfo(http->curl, CURLINFO_RETRY_AFTER, &retry_s) == CURLE_OK &&
            retry_s > 0) {
            *ret_retry_ms = retry_s < RETRY_MAX_MS / 1000 ? retry_s * 1000 : RETRY_MAX_MS;
        }
        return rc;
    }
    *ret_text = http->body.data ? http->body.data : "";
    *ret_size = http->body.len;
    return SL_OK;
}

int64_t sl_feed_back_off_ms(int64_t interval_ms, uint32_t failures, int64_t retry_ms) {
    int64_t limit = interval_ms > SL_FEED_BACK_OFF_MAX_MS ? interval_ms : SL_FEED_BACK_OFF_MAX_MS;
    int64_t wait = interval_ms;
    for (uint32_t i = 1; i < failures && wait < limit; i++) {
        wait *= 2;
    }
    wait = wait < limit ? wait : limit;
    return wait > retry_ms ? wait : retry_ms;
}
