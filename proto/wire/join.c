/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wire/join.h"

#include <string.h>

#include "proto/base/text.h"
#include "proto/wire/check.h"
#include "sluice.pb-c.h"

/* What one request may unpack to; protobuf-c allocates a struct for each repeated item. */
#define POOL_BYTES 16384

struct pool {
    size_t used;
    _Alignas(16) uint8_t bytes[POOL_BYTES];
};

/* Zeroed, see arena.h. */
static void *pool_alloc(void *context, size_t size) {
    struct pool *pool = context;
    size_t rounded = (size + 15) / 16 * 16;
    if (size > POOL_BYTES || rounded > POOL_BYTES - pool->used) {
        return NULL;
    }
    void *at = pool->bytes + pool->used;
    pool->used += rounded;
    return memset(at, 0, rounded);
}

static void pool_free(void *context, void *pointer) {
    (void)context;
    (void)pointer;
}

static int check_text(const char *text, size_t n, const char *field, struct sl_error *err) {
    if (!sl_utf8_valid(text, n)) {
        return sl_fail(err, SL_INVALID, "%s is not UTF-8", field);
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\0' || !sl_msg_printable(text + i)) {
            return sl_fail(err, SL_INVALID, "%s holds a control character", field);
        }
    }
    return SL_OK;
}

static int get_text(ProtobufCBinaryData in, char *out, size_t size, const char *field,
                    struct sl_error *err) {
    if (in.len >= size) {
        return sl_fail(err, SL_INVALID, "%s is longer than %zu bytes", field, size - 1);
    }
    memset(out, 0, size);
    if (in.len) {
        memcpy(out, in.data, in.len);
    }
    return check_text(out, in.len, field, err);
}

#define TEXT(array) (array), sizeof(array)

static int check_request(const struct sl_join_request *r, struct sl_error *err) {
    if (r->node[0] == '\0') {
        return sl_fail(err, SL_INVALID, "the request names no node");
    }
    if (r->device_count > SL_JOIN_DEVICES_MAX) {
        return sl_fail(err, SL_INVALID, "%u kinds of devices, at most %d", r->device_count,
                       SL_JOIN_DEVICES_MAX);
    }
    for (uint32_t i = 0; i < r->device_count; i++) {
        const struct sl_join_device *d = &r->devices[i];
        if (d->name[0] == '\0' || d->count == 0 || d->count > SL_MSG_DEVICES_MAX ||
            d->memory_bytes > INT64_MAX) {
            return sl_fail(err, SL_INVALID, "device %u: no name, or figures out of range", i);
        }
    }
    return SL_OK;
}

static int check_version(uint32_t version, struct sl_error *err) {
    return version == SL_JOIN_VERSION
               ? SL_OK
               : sl_fail(err, SL_STALE,
                         "the other end joins by version %u, this program by %d: update the older",
                         version, SL_JOIN_VERSION);
}

static ProtobufCBinaryData data_of(const char *text) {
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

int sl_join_request_encode(const struct sl_join_request *request, uint8_t out[SL_JOIN_MESSAGE_MAX],
                           size_t *ret_size, struct sl_error *err) {
    int rc = check_request(request, err);
    if (rc) {
        return rc;
    }
    Sluice__V1__JoinDevice devices[SL_JOIN_DEVICES_MAX];
    Sluice__V1__JoinDevice *pointers[SL_JOIN_DEVICES_MAX];
    for (uint32_t i = 0; i < request->device_count; i++) {
        const struct sl_join_device *from = &request->devices[i];
        pointers[i] = &devices[i];
        sluice__v1__join_device__init(&devices[i]);
        devices[i].name = data_of(from->name);
        devices[i].count = from->count;
        devices[i].is_cpu = from->is_cpu;
        devices[i].memory_bytes = from->memory_bytes;
    }
    Sluice__V1__JoinRequest message = SLUICE__V1__JOIN_REQUEST__INIT;
    message.version = SL_JOIN_VERSION;
    message.secret = (ProtobufCBinaryData){sizeof request->secret, (uint8_t *)request->secret};
    message.node = data_of(request->node);
    message.agent_version = data_of(request->agent_version);
    message.n_devices = request->device_count;
    message.devices = pointers;
    sl_assert(sluice__v1__join_request__get_packed_size(&message) <= SL_JOIN_MESSAGE_MAX);
    *ret_size = sluice__v1__join_request__pack(&message, out);
    return SL_OK;
}

static int fill_request(const Sluice__V1__JoinRequest *in, struct sl_join_request *r,
                        struct sl_error *err) {
    int rc = check_version(in->version, err);
    if (rc == SL_OK && in->secret.len != sizeof r->secret) {
        rc = sl_fail(err, SL_INVALID, "a secret has %zu bytes", sizeof r->secret);
    }
    if (rc == SL_OK && in->n_devices > SL_JOIN_DEVICES_MAX) {
        rc = sl_fail(err, SL_INVALID, "more than %d kinds of devices", SL_JOIN_DEVICES_MAX);
    }
    rc = rc ? rc : get_text(in->node, TEXT(r->node), "node", err);
    rc = rc ? rc : get_text(in->agent_version, TEXT(r->agent_version), "version", err);
    if (rc) {
        return rc;
    }
    memcpy(r->secret, in->secret.data, sizeof r->secret);
    r->device_count = (uint32_t)in->n_devices;
    for (uint32_t i = 0; i < r->device_count && rc == SL_OK; i++) {
        rc = get_text(in->devices[i]->name, TEXT(r->devices[i].name), "device", err);
        r->devices[i].count = in->devices[i]->count;
        r->devices[i].is_cpu = in->devices[i]->is_cpu;
        r->devices[i].memory_bytes = in->devices[i]->memory_bytes;
    }
    return rc ? rc : check_request(r, err);
}

int sl_join_request_decode(const uint8_t *data, size_t size, struct sl_join_request *ret_request,
                           struct sl_error *err) {
    struct pool pool = {.used = 0};
    ProtobufCAllocator allocator = {pool_alloc, pool_free, &pool};
    if (size > SL_JOIN_MESSAGE_MAX) {
        return sl_fail(err, SL_INVALID, "a request of %zu bytes, at most %d", size,
                       SL_JOIN_MESSAGE_MAX);
    }
    const Sluice__V1__JoinRequest *in = sluice__v1__join_request__unpack(&allocator, size, data);
    if (!in) {
        explicit_bzero(&pool, sizeof pool);
        return sl_fail(err, SL_CORRUPT, "a request of %zu bytes is damaged", size);
    }
    struct sl_join_request request = {0};
    int rc = fill_request(in, &request, err);
    if (rc == SL_OK) {
        *ret_request = request;
    }
    explicit_bzero(&request, sizeof request);
    explicit_bzero(&pool, sizeof pool);
    return rc;
}

static int check_reply(const struct sl_join_reply *r, struct sl_error *err) {
    return r->status > SL_JOIN_INVALID && r->status <= SL_JOIN_REFUSED
               ? SL_OK
               : sl_fail(err, SL_INVALID, "a reply of unknown kind %d", (int)r->status);
}

int sl_join_reply_encode(const struct sl_join_reply *reply, uint8_t out[SL_JOIN_MESSAGE_MAX],
                         size_t *ret_size, struct sl_error *err) {
    int rc = check_reply(reply, err);
    rc = rc ? rc : check_text(reply->text, strlen(reply->text), "text", err);
    if (rc) {
        return rc;
    }
    Sluice__V1__JoinReply message = SLUICE__V1__JOIN_REPLY__INIT;
    message.version = SL_JOIN_VERSION;
    message.status = (Sluice__V1__JoinStatus)reply->status;
    message.node = data_of(reply->node);
    message.text = data_of(reply->text);
    *ret_size = sluice__v1__join_reply__pack(&message, out);
    return SL_OK;
}

int sl_join_reply_decode(const uint8_t *data, size_t size, struct sl_join_reply *ret_reply,
                         struct sl_error *err) {
    struct pool pool = {.used = 0};
    ProtobufCAllocator allocator = {pool_alloc, pool_free, &pool};
    const Sluice__V1__JoinReply *in =
        size <= SL_JOIN_MESSAGE_MAX ? sluice__v1__join_reply__unpack(&allocator, size, data) : NULL;
    if (!in) {
        return sl_fail(err, SL_CORRUPT, "the broker's reply of %zu bytes is damaged", size);
    }
    struct sl_join_reply reply = {.status = (enum sl_join_status)in->status};
    int rc = check_version(in->version, err);
    rc = rc ? rc : get_text(in->node, TEXT(reply.node), "node", err);
    rc = rc ? rc : get_text(in->text, TEXT(reply.text), "text", err);
    rc = rc ? rc : check_reply(&reply, err);
    if (rc == SL_OK) {
        *ret_reply = reply;
    }
    return rc;
}
