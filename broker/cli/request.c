/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/cli.h"

#define ANSWER_BYTES_MAX (64u * 1024 * 1024)
#define CONNECT_TIMEOUT_S 5L
#define ANSWER_TIMEOUT_S 120L /* a ledger's replay reads every posting */
#define STALLED_S 60L

struct call {
    const struct sl_cli *cli;
    CURL *curl;
    struct curl_slist *headers;
    struct sl_cli_answer *answer;
    FILE *file; /* where a good answer goes instead */
    struct sl_error *err;
};

static size_t on_body(char *data, size_t size, size_t count, void *arg) {
    struct call *call = arg;
    long status = 0;
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    if (call->file && status < 400) {
        return fwrite(data, size, count, call->file) * size;
    }
    struct sl_buf *out = &call->answer->body;
    if (out->len + size * count > ANSWER_BYTES_MAX) {
        return 0;
    }
    sl_buf_append(out, data, size * count);
    return out->failed ? 0 : size * count;
}

/* curl asks once a second also while nothing comes. */
static int on_progress(void *arg, curl_off_t to_get, curl_off_t got, curl_off_t to_send,
                       curl_off_t sent) {
    const struct call *call = arg;
    (void)to_get, (void)got, (void)to_send, (void)sent;
    return atomic_load(call->cli->cancel);
}

static bool is_loopback(const char *url) {
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    return strncmp(host, "127.", 4) == 0 || strncmp(host, "localhost", 9) == 0 ||
           strncmp(host, "[::1]", 5) == 0;
}

static void add_header(struct call *call, const char *text) {
    struct curl_slist *more = curl_slist_append(call->headers, text);
    call->headers = more ? more : call->headers;
}

static int begin(struct call *call, const char *path) {
    SL_AUTO_BUF struct sl_buf url = {0};
    SL_AUTO_BUF struct sl_buf bearer = {0};
    if (call->cli->key[0] == '\0') {
        return sl_fail(call->err, SL_DENIED, "%s", call->cli->key_trouble);
    }
    call->curl = curl_easy_init();
    sl_buf_printf(&url, "%s%s", call->cli->url, path);
    sl_buf_printf(&bearer, "Authorization: Bearer %s", call->cli->key);
    if (!call->curl || url.failed || bearer.failed) {
        return sl_fail(call->err, SL_NOMEM, "no memory for a request");
    }
    add_header(call, bearer.data);
    CURL *curl = call->curl;
    curl_easy_setopt(curl, CURLOPT_URL, url.data);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALLED_S);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    if (call->cli->cancel) {
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, call);
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    }
    if (is_loopback(call->cli->url)) {
        /* A key for this machine's broker is nothing for a proxy that the environment names. */
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    }
    return SL_OK;
}

/* The broker's own words, and what to do where only we know it. */
static int refused(const struct call *call) {
    const json_t *json = call->answer->json;
    long status = call->answer->status;
    SL_AUTO_BUF struct sl_buf message = {0};
    sl_cli_clean(&message, sl_cli_text(json, "error.message"));
    const char *code = sl_cli_text(json, "error.code");
    enum sl_status kind = status == 404                    ? SL_NOTFOUND
                          : status == 401 || status == 403 ? SL_DENIED
                          : status == 409                  ? SL_BADSTATE
                          : status == 503                  ? SL_AGAIN
                                                           : SL_INVALID;
    if (strcmp(code, "tenant_key_required") == 0) {
        return sl_fail(call->err, SL_DENIED,
                       "this is an operator's key, and batches belong to tenants: make a tenant's "
                       "key with `sluice keys new TENANT` and use it by --key-file or SLUICE_KEY");
    }
    if (strcmp(code, "operator_key_required") == 0) {
        return sl_fail(call->err, SL_DENIED,
                       "this is a tenant's key, and this verb is for operators: use the operator's "
                       "key (operator.key in the broker's data_dir) by --key-file or SLUICE_KEY");
    }
    if (message.len > 0) {
        return sl_fail(call->err, kind, "%s", message.data);
    }
    if (status == 414) { /* said before the broker has read what it is about */
        return sl_fail(call->err, SL_LIMIT,
                       "an argument is too long: no name or id has so many characters");
    }
    return sl_fail(call->err, kind, "%s answered with HTTP status %ld: is that a broker's address?",
                   call->cli->url, status);
}

static int explain_curl(const struct call *call, CURLcode code) {
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR ||
        code == CURLE_SEND_ERROR) {
        return sl_fail(call->err, SL_CLOSED,
                       "no broker answers at %s: start sluice-broker, or give its address by --url "
                       "or SLUICE_URL",
                       call->cli->url);
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return sl_fail(call->err, SL_TIMEOUT,
                       "%s did not answer in time: see the broker's log, then try again",
                       call->cli->url);
    }
    if (code == CURLE_WRITE_ERROR && call->file) {
        return sl_fail_errno(call->err, "writing the answer");
    }
    return sl_fail(call->err, SL_IO, "%s: %s", call->cli->url, curl_easy_strerror(code));
}

static int perform(struct call *call) {
    curl_easy_setopt(call->curl, CURLOPT_HTTPHEADER, call->headers);
    CURLcode code = curl_easy_perform(call->curl);
    if (code != CURLE_OK) {
        return explain_curl(call, code);
    }
    struct sl_cli_answer *answer = call->answer;
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    if (answer->body.data) {
        answer->json = json_loadb(answer->body.data, answer->body.len, 0, NULL);
    }
    if (answer->body.data && !answer->json) {
        /* Sums of a large site do not fit the integers of this reader. */
        answer->json =
            json_loadb(answer->body.data, answer->body.len, JSON_DECODE_INT_AS_REAL, NULL);
    }
    if (answer->status >= 400) {
        return refused(call);
    }
    if (!call->file && !answer->json) {
        return sl_fail(call->err, SL_INVALID, "%s does not answer like a broker: check the address",
                       call->cli->url);
    }
    return SL_OK;
}

static int end(struct call *call, int rc) {
    curl_easy_cleanup(call->curl);
    curl_slist_free_all(call->headers);
    return rc;
}

int sl_cli_request(const struct sl_cli *cli, const char *method, const char *path, const char *body,
                   struct sl_cli_answer *ret_answer, struct sl_error *err) {
    struct call call = {.cli = cli, .answer = ret_answer, .err = err};
    *ret_answer = (struct sl_cli_answer){0};
    int rc = begin(&call, path);
    if (rc) {
        return end(&call, rc);
    }
    if (body) {
        add_header(&call, "Content-Type: application/json");
    }
    if (body || strcmp(method, "POST") == 0) {
        curl_easy_setopt(call.curl, CURLOPT_POSTFIELDS, body ? body : "");
    }
    curl_easy_setopt(call.curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(call.curl, CURLOPT_TIMEOUT, ANSWER_TIMEOUT_S);
    return end(&call, perform(&call));
}

int sl_cli_upload(const struct sl_cli *cli, const char *name, const struct sl_buf *content,
                  struct sl_cli_answer *ret_answer, struct sl_error *err) {
    struct call call = {.cli = cli, .answer = ret_answer, .err = err};
    *ret_answer = (struct sl_cli_answer){0};
    int rc = begin(&call, "/v1/files");
    if (rc) {
        return end(&call, rc);
    }
    add_header(&call, "Expect:"); /* the broker would not answer it before the body either */
    curl_mime *mime = curl_mime_init(call.curl);
    curl_mimepart *part = curl_mime_addpart(mime);
    curl_mime_name(part, "purpose");
    curl_mime_data(part, "batch", CURL_ZERO_TERMINATED);
    part = curl_mime_addpart(mime);
    curl_mime_name(part, "file");
    curl_mime_filename(part, name);
    curl_mime_type(part, "application/jsonl");
    curl_mime_data(part, content->data ? content->data : "", content->len);
    curl_easy_setopt(call.curl, CURLOPT_MIMEPOST, mime);
    rc = perform(&call);
    curl_mime_free(mime);
    return end(&call, rc);
}

/* Into a file beside it first: what stands under the name is whole. */
static int download_file(struct call *call, const char *to) {
    SL_AUTO_BUF struct sl_buf part = {0};
    sl_buf_printf(&part, "%s.part", to);
    call->file = part.failed ? NULL : fopen(part.data, "we");
    if (!call->file) {
        return sl_fail_errno(call->err, "cannot write %s", to);
    }
    int rc = perform(call);
    if (fclose(call->file) != 0 && rc == SL_OK) {
        rc = sl_fail_errno(call->err, "writing %s", to);
    }
    if (rc == SL_OK && rename(part.data, to) != 0) {
        rc = sl_fail_errno(call->err, "cannot write %s", to);
    }
    if (rc != SL_OK) {
        remove(part.data);
    }
    return rc;
}

int sl_cli_download(const struct sl_cli *cli, const char *path, const char *to,
                    struct sl_error *err) {
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    struct call call = {.cli = cli, .answer = &answer, .err = err};
    int rc = begin(&call, path);
    if (rc == SL_OK && to && strcmp(to, "-") != 0) {
        rc = download_file(&call, to);
    } else if (rc == SL_OK) {
        call.file = stdout;
        rc = perform(&call);
        if (fflush(stdout) != 0 && rc == SL_OK) {
            rc = sl_fail_errno(err, "writing the answer");
        }
    }
    return end(&call, rc);
}

void sl_cli_answer_fini(struct sl_cli_answer *answer) {
    json_decref(answer->json);
    sl_buf_fini(&answer->body);
    *answer = (struct sl_cli_answer){0};
}

void sl_cli_escape(struct sl_buf *out, const char *text) {
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || strchr("-_.~", *c);
        sl_buf_printf(out, plain ? "%c" : "%%%02X", *c);
    }
}

void sl_cli_print_json(const struct sl_cli_answer *answer) {
    const char *text = answer->body.data ? answer->body.data : "";
    size_t len = answer->body.data ? answer->body.len : 0;
    fwrite(text, 1, len, stdout);
    if (len == 0 || text[len - 1] != '\n') {
        fputc('\n', stdout);
    }
}

/* The whole of it as if it had been one answer, for --json. */
static int write_again(struct sl_cli_answer *answer, struct sl_error *err) {
    json_object_set_new(answer->json, "next", json_null());
    SL_AUTO_FREE char *text = json_dumps(answer->json, JSON_COMPACT);
    sl_buf_fini(&answer->body);
    if (text) {
        sl_buf_append(&answer->body, text, strlen(text));
    }
    return text && !answer->body.failed ? SL_OK : sl_fail(err, SL_NOMEM, "no memory for the list");
}

int sl_cli_get_pages(const struct sl_cli *cli, const char *path, const char *member,
                     struct sl_cli_answer *ret_answer, struct sl_error *err) {
    int rc = sl_cli_get(cli, path, ret_answer, err);
    json_t *all = rc ? NULL : json_object_get(ret_answer->json, member);
    json_t *next = rc ? NULL : json_incref(json_object_get(ret_answer->json, "next"));
    bool several = json_is_string(next);
    while (rc == SL_OK && json_is_array(all) && json_is_string(next)) {
        SL_CLI_AUTO_ANSWER struct sl_cli_answer page = {0};
        SL_AUTO_BUF struct sl_buf address = {0};
        sl_buf_printf(&address, "%s?limit=1000&after=", path);
        sl_cli_escape(&address, json_string_value(next));
        json_decref(next);
        next = NULL;
        rc = address.failed ? sl_fail(err, SL_NOMEM, "no memory for an address")
                            : sl_cli_get(cli, address.data, &page, err);
        if (rc == SL_OK) {
            json_array_extend(all, json_object_get(page.json, member));
            next = json_incref(json_object_get(page.json, "next"));
        }
    }
    json_decref(next);
    return rc == SL_OK && several ? write_again(ret_answer, err) : rc;
}
