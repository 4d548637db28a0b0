/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stratum/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define EXPECTED "expected stratum+tcp://HOST:PORT or stratum+ssl://HOST:PORT"

static bool has_prefix(const char *text, const char *prefix) {
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* What stands behind the scheme; NULL: it is none of ours. */
static const char *skip_scheme(const char *text, bool *ret_tls) {
    static const struct {
        const char *text;
        bool tls;
    } schemes[] = {
        {"stratum+tcp://", false}, {"stratum+ssl://", true}, {"stratum+tls://", true},
        {"stratums://", true},     {"ssl://", true},
    };
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (has_prefix(text, schemes[i].text)) {
            *ret_tls = schemes[i].tls;
            return text + strlen(schemes[i].text);
        }
    }
    return NULL;
}

static bool is_address(const char *host) {
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* Letters, digits, '-', '_' in labels of 1 to 63 between single dots. */
static bool is_name(const char *host) {
    size_t label = 0;
    for (const char *p = host; *p; p++) {
        if (*p == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        } else if (isalnum((unsigned char)*p) || *p == '-' || *p == '_') {
            if (++label > 63) {
                return false;
            }
        } else {
            return false;
        }
    }
    return label > 0;
}

static int read_port(const char *text, uint16_t *ret_port, const char **ret_end) {
    unsigned port = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        port = port * 10 + (unsigned)(*p - '0');
        if (port > 65535) {
            return -SL_INVALID;
        }
    }
    if (p == text || port == 0) {
        return -SL_INVALID;
    }
    *ret_port = (uint16_t)port;
    *ret_end = p;
    return SL_OK;
}

/* "HOST:PORT" with an optional '/'. what: "pool address" or "proxy"; expected: for the texts. */
static int read_host_port(const char *host, const char *what, const char *expected,
                          struct sl_pool_url *ret_url, struct sl_error *err) {
    const char *colon;
    struct sl_pool_url url = {0};
    size_t size;
    bool bracket = *host == '[';
    if (strchr(host, '@')) {
        return sl_fail(err, SL_INVALID, "%s: user and password have options of their own; %s", what,
                       expected);
    }
    if (bracket) {
        const char *close = strchr(host, ']');
        host++;
        if (!close || close[1] != ':') {
            return sl_fail(err, SL_INVALID, "%s: an IPv6 address needs [ ] and a port", what);
        }
        size = (size_t)(close - host);
        colon = close + 1;
    } else {
        colon = strchr(host, ':');
        if (!colon) {
            return sl_fail(err, SL_INVALID, "%s without a port: %s", what, expected);
        }
        if (strchr(colon + 1, ':')) {
            return sl_fail(err, SL_INVALID, "%s: an IPv6 address needs [ ] and a port", what);
        }
        size = (size_t)(colon - host);
    }
    if (size == 0 || size > SL_POOL_HOST_MAX) {
        return sl_fail(err, SL_INVALID, "%s without a host: %s", what, expected);
    }
    for (size_t i = 0; i < size; i++) {
        url.host[i] = (char)tolower((unsigned char)host[i]);
    }
    if (!(bracket ? is_address(url.host) : is_name(url.host))) {
        return sl_fail(err, SL_INVALID, "%s: the host is not a name or address; %s", what,
                       expected);
    }
    const char *end;
    if (read_port(colon + 1, &url.port, &end) < 0) {
        return sl_fail(err, SL_INVALID, "%s: the port must be 1 to 65535; %s", what, expected);
    }
    if (*end && strcmp(end, "/") != 0) {
        return sl_fail(err, SL_INVALID, "%s: nothing stands behind the port; %s", what, expected);
    }
    *ret_url = url;
    return SL_OK;
}

int sl_pool_url_parse(const char *text, struct sl_pool_url *ret_url, struct sl_error *err) {
    bool tls = false;
    const char *host = skip_scheme(text, &tls);
    if (!host) {
        return has_prefix(text, "stratum2+tcp://")
                   ? sl_fail(err, SL_UNSUPPORTED,
                             "pool address: Stratum V2 is not supported; use the pool's V1 "
                             "port, " EXPECTED)
                   : sl_fail(err, SL_INVALID, "pool address: " EXPECTED);
    }
    int rc = read_host_port(host, "pool address", EXPECTED, ret_url, err);
    if (rc == SL_OK) {
        ret_url->tls = tls;
    }
    return rc;
}

int sl_pool_proxy_parse(const char *text, struct sl_pool_url *ret_url, struct sl_error *err) {
    static const char expected[] = "expected socks5://HOST:PORT";
    const char *host = has_prefix(text, "socks5://")    ? text + strlen("socks5://")
                       : has_prefix(text, "socks5h://") ? text + strlen("socks5h://")
                                                        : NULL;
    return host ? read_host_port(host, "proxy", expected, ret_url, err)
                : sl_fail(err, SL_INVALID, "proxy: %s", expected);
}

void sl_pool_url_write(const struct sl_pool_url *url, char ret_text[SL_POOL_URL_TEXT_MAX]) {
    bool bracket = strchr(url->host, ':') != NULL;
    snprintf(ret_text, SL_POOL_URL_TEXT_MAX, "%s%s%s%s:%u",
             url->tls ? "stratum+ssl://" : "stratum+tcp://", bracket ? "[" : "", url->host,
             bracket ? "]" : "", url->port);
}

bool sl_pool_url_same(const struct sl_pool_url *a, const struct sl_pool_url *b) {
    return a->port == b->port && a->tls == b->tls && strcmp(a->host, b->host) == 0;
}

bool sl_pool_port_may_move(uint16_t home, uint16_t port) {
    return port == home || port >= 1024 || port == 80 || port == 443;
}

static bool ends_with_domain(const char *host, const char *domain) {
    size_t n = strlen(host);
    size_t m = strlen(domain);
    return n > m + 1 && host[n - m - 1] == '.' && strcasecmp(host + n - m, domain) == 0;
}

bool sl_pool_url_may_move(const char *home, const char *host) {
    if (strcasecmp(home, host) == 0) {
        return true;
    }
    if (is_address(home) || is_address(host) || !is_name(host) || strlen(host) > SL_POOL_HOST_MAX) {
        return false;
    }
    const char *dot = strchr(home, '.');
    if (!dot) {
        return false; /* a bare name has no domain of its own */
    }
    if (ends_with_domain(host, home)) {
        return true;
    }
    /* "eu.pool.example" may send to "us.pool.example". What is left without the first label must
     * belong to the pool alone: two labels, and the first of them no registry's ("co.uk"), which by
     * custom are of at most three letters. Refusing a short real name only ignores a request. */
    const char *domain = dot + 1;
    const char *next = strchr(domain, '.');
    if (!next || next - domain <= 3) {
        return false;
    }
    return ends_with_domain(host, domain) || strcasecmp(host, domain) == 0;
}
