/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stratum/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a terminal obeys or a reader is deceived by: control characters (C0, C1, DEL), marks of
 * direction, separators of lines, invisible ones (Unicode 15, chapter 23). */
static bool is_deceiving(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
           (c >= 0xe0000 && c <= 0xe007f);
}

/* The code point at text, of UTF-8; 0xfffd and one byte where it is none. */
static size_t read_point(const unsigned char *text, uint32_t *ret_point) {
    size_t size = *text < 0x80 ? 1 : *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : 4;
    uint32_t point = size == 1 ? *text : *text & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80) { /* the terminating zero too */
            *ret_point = 0xfffd;
            return 1;
        }
        point = point << 6 | (text[i] & 0x3f);
    }
    bool none = *text >= 0xf8 || (*text >= 0x80 && *text < 0xc0);
    *ret_point = none ? 0xfffd : point;
    return none ? 1 : size;
}

void sl_message_clean(const char *text, char *out, size_t out_size) {
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p && n + 1 < out_size;) {
        uint32_t point;
        size_t step = read_point(p, &point);
        if (point == 0xfffd || is_deceiving(point)) {
            out[n++] = '?';
        } else {
            if (n + step >= out_size) {
                break;
            }
            memcpy(out + n, p, step);
            n += step;
        }
        p += step;
    }
    out[n] = '\0';
}

static enum sl_message_type method_type(const char *method) {
    static const struct {
        const char *method;
        enum sl_message_type type;
    } table[] = {
        {"mining.notify", SL_MESSAGE_NOTIFY},
        {"mining.set_difficulty", SL_MESSAGE_SET_DIFFICULTY},
        {"mining.set_extranonce", SL_MESSAGE_SET_EXTRANONCE},
        {"mining.set_version_mask", SL_MESSAGE_SET_VERSION_MASK},
        {"client.reconnect", SL_MESSAGE_RECONNECT},
        {"client.show_message", SL_MESSAGE_SHOW},
        {"client.get_version", SL_MESSAGE_GET_VERSION},
        {"mining.ping", SL_MESSAGE_PING},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(method, table[i].method) == 0) {
            return table[i].type;
        }
    }
    return SL_MESSAGE_OTHER;
}

/* Pools in languages with one kind of number, or none, send 7.0 and "7" for 7. */
static bool read_whole(const json_t *value, int64_t *ret_number) {
    if (json_is_integer(value)) {
        *ret_number = json_integer_value(value);
        return true;
    }
    double real = json_real_value(value);
    if (json_is_real(value) && real > -1e15 && real < 1e15 && (double)(int64_t)real == real) {
        *ret_number = (int64_t)real;
        return true;
    }
    const char *text = json_string_value(value);
    size_t sign = text && text[0] == '-';
    size_t digits = text ? strspn(text + sign, "0123456789") : 0;
    if (digits == 0 || digits > 18 || text[sign + digits] != '\0') {
        return false;
    }
    *ret_number = strtoll(text, NULL, 10);
    return true;
}

static void read_code_and_text(const json_t *code, const json_t *text,
                               struct sl_message_error *out) {
    int64_t number;
    if (read_whole(code, &number)) {
        out->code = number > 1000000 ? 1000000 : number < -1000000 ? -1000000 : (int)number;
    }
    if (json_is_string(text)) {
        sl_message_clean(json_string_value(text), out->text, sizeof out->text);
    }
}

/* An empty string, list or object, false and 0 say "no error" as null does; pools write them. */
static void read_error(const json_t *error, struct sl_message_error *out) {
    *out = (struct sl_message_error){0};
    if (json_is_array(error) && json_array_size(error) > 0) {
        out->present = true;
        read_code_and_text(json_array_get(error, 0), json_array_get(error, 1), out);
        if (!out->text[0] && json_is_string(json_array_get(error, 0))) {
            read_code_and_text(NULL, json_array_get(error, 0), out);
        }
    } else if (json_is_object(error) && json_object_size(error) > 0) {
        out->present = true;
        read_code_and_text(json_object_get(error, "code"), json_object_get(error, "message"), out);
    } else if (json_is_string(error) && json_string_length(error) > 0) {
        out->present = true;
        read_code_and_text(NULL, error, out);
    } else if (json_is_number(error) && json_number_value(error) != 0) {
        out->present = true;
        read_code_and_text(error, NULL, out);
    } else if (json_is_true(error)) {
        out->present = true;
    }
    if (out->present && !out->text[0]) {
        sl_text_copy(out->text, sizeof out->text, "no reason given");
    }
}

/* Some repeat our method in their answer, and some write all members into all messages: a job with
 * "result":null is a job. */
static bool is_request(const struct sl_message *message) {
    return !message->result || (json_is_null(message->result) && !message->error.present &&
                                method_type(message->method) != SL_MESSAGE_OTHER &&
                                json_is_array(json_object_get(message->root, "params")));
}

static bool needs_params(enum sl_message_type type) {
    return type == SL_MESSAGE_NOTIFY || type == SL_MESSAGE_SET_DIFFICULTY ||
           type == SL_MESSAGE_SET_EXTRANONCE || type == SL_MESSAGE_SET_VERSION_MASK ||
           type == SL_MESSAGE_RECONNECT;
}

static int read_request(struct sl_message *message, struct sl_error *err) {
    json_t *params = json_object_get(message->root, "params");
    message->type = method_type(message->method);
    message->params = json_is_array(params) ? params : NULL;
    if (params && !message->params && !json_is_null(params) && needs_params(message->type)) {
        return sl_fail(err, SL_INVALID, "the pool sent %s with params that are not a list",
                       message->method);
    }
    return SL_OK;
}

static int read_members(struct sl_message *message, struct sl_error *err) {
    if (!json_is_object(message->root)) {
        return sl_fail(err, SL_INVALID, "the pool sent JSON that is not an object");
    }
    json_t *id = json_object_get(message->root, "id");
    message->id = json_is_null(id) ? NULL : id;
    json_t *method = json_object_get(message->root, "method");
    message->result = json_object_get(message->root, "result");
    json_t *error = json_object_get(message->root, "error");
    read_error(error, &message->error);
    message->method = json_string_value(method);
    if (message->method && is_request(message)) {
        return read_request(message, err);
    }
    if (method && !json_is_null(method) && !json_is_string(method)) {
        return sl_fail(err, SL_INVALID, "the pool sent a method that is not a string");
    }
    message->type = SL_MESSAGE_RESPONSE;
    if (!message->result && !error) {
        return sl_fail(err, SL_INVALID, "the pool sent neither a method nor a result");
    }
    return SL_OK;
}

/* Four hex digits, or -1. */
static int32_t read_hex4(const char *digits) {
    char text[5] = {0};
    uint8_t bytes[2];
    memcpy(text, digits, 4);
    return sl_hex_decode(text, bytes, 2) < 0 ? -1 : bytes[0] << 8 | bytes[1];
}

/* \u0000 and half a surrogate are JSON to some writers, and no text; U+FFFD takes as many letters.
 * `size` bytes follow the backslash. Returns how many were read. */
static size_t mend_escape(char *at, size_t size) {
    static const char replacement[] = {'f', 'f', 'f', 'd'};
    int32_t value = size >= 5 && at[0] == 'u' ? read_hex4(at + 1) : -1;
    if (value >= 0xd800 && value < 0xdc00 && size >= 11 && at[5] == '\\' && at[6] == 'u') {
        int32_t low = read_hex4(at + 7);
        if (low >= 0xdc00 && low < 0xe000) {
            return 11;
        }
    }
    if (value == 0 || (value >= 0xd800 && value < 0xe000)) {
        memcpy(at + 1, replacement, sizeof replacement);
    }
    return value < 0 ? 1 : 5;
}

/* Texts for people come in whatever alphabet the pool's author had, and with characters that no
 * text has. Parsed once more with '?' for what is not ASCII where the line is not UTF-8, a space
 * for a control character and U+FFFD for an escape that means none; NULL: it is no JSON even so. */
static json_t *parse_mended(const char *line, size_t size, bool utf8) {
    char *copy = malloc(size + 1);
    if (!copy) {
        return NULL;
    }
    memcpy(copy, line, size);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)copy[i];
        if (c < 0x20) {
            copy[i] = ' ';
        } else if (c >= 0x80 && !utf8) {
            copy[i] = '?';
        } else if (c == '\\' && i + 1 < size) {
            i += mend_escape(copy + i + 1, size - i - 1);
        }
    }
    json_t *root = json_loadb(copy, size, JSON_DECODE_ANY, NULL);
    free(copy);
    return root;
}

/* What would be wrong with a character changed: a job's id goes back to the pool. */
static bool is_text_for_people(const struct sl_message *message) {
    return message->type == SL_MESSAGE_RESPONSE || message->type == SL_MESSAGE_SHOW ||
           message->type == SL_MESSAGE_OTHER;
}

int sl_message_parse(const char *line, size_t size, struct sl_message *ret_message,
                     struct sl_error *err) {
    json_error_t why;
    struct sl_message message = {0};
    bool utf8 = true;
    message.root = json_loadb(line, size, JSON_DECODE_ANY, &why);
    if (!message.root) {
        utf8 = sl_utf8_valid(line, size);
        message.root = parse_mended(line, size, utf8);
        message.mended = message.root != NULL;
    }
    int rc = message.root ? read_members(&message, err) : SL_OK;
    bool fit = !message.mended || is_text_for_people(&message);
    if (rc == SL_OK && (!message.root || (!fit && !utf8))) {
        char clean[JSON_ERROR_TEXT_LENGTH];
        sl_message_clean(why.text, clean, sizeof clean);
        rc = sl_fail(err, SL_INVALID, "the pool sent a line that is not JSON: %.120s", clean);
    }
    if (rc < 0) {
        sl_message_fini(&message);
        return rc;
    }
    message.unfit = !fit;
    *ret_message = message;
    return SL_OK;
}

void sl_message_fini(struct sl_message *message) {
    json_decref(message->root);
    *message = (struct sl_message){0};
}

int64_t sl_message_id(const struct sl_message *message) {
    int64_t id;
    return read_whole(message->id, &id) ? id : -1;
}

bool sl_message_is_yes(const struct sl_message *message) {
    return !message->error.present && message->result && !json_is_null(message->result) &&
           !json_is_false(message->result);
}

static bool says(const struct sl_message *message, const char *const *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcasestr(message->error.text, texts[i])) {
            return true;
        }
    }
    return false;
}

static bool says_stale(const struct sl_message *message) {
    static const char *const texts[] = {"stale",       "job not found", "invalid job",
                                        "unknown job", "no such job",   "job expired",
                                        "old job"};
    return says(message, texts, sizeof texts / sizeof texts[0]);
}

/* Pools that answer with a text alone, or with 20 ("other") for everything. */
int sl_message_share_code(const struct sl_message *message) {
    static const char *const low[] = {"low diff", "low share", "low-diff", "above target",
                                      "difficulty too low"};
    static const char *const duplicate[] = {"duplicate"};
    static const char *const unauthorised[] = {"unauthori", "not authori"};
    static const char *const unsubscribed[] = {"not subscribed"};
    static const struct {
        int code;
        const char *const *texts;
        size_t count;
    } table[] = {{22, duplicate, 1},
                 {23, low, sizeof low / sizeof low[0]},
                 {24, unauthorised, 2},
                 {25, unsubscribed, 1}};
    int code = message->error.code;
    if (!message->error.present || (code >= 21 && code <= 25) || says_stale(message)) {
        return code;
    }
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (says(message, table[i].texts, table[i].count)) {
            return table[i].code;
        }
    }
    return code;
}

enum sl_share_answer sl_message_share_answer(const struct sl_message *message) {
    if (sl_message_is_yes(message)) {
        return SL_ANSWER_ACCEPTED;
    }
    if (message->error.code == 21) {
        return SL_ANSWER_STALE;
    }
    if (message->error.code >= 22 && message->error.code <= 25) {
        return SL_ANSWER_REJECTED;
    }
    return says_stale(message) ? SL_ANSWER_STALE : SL_ANSWER_REJECTED;
}

static char *dump_line(json_t *root, size_t *ret_size) {
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!text) {
        return NULL;
    }
    size_t size = strlen(text);
    char *line = realloc(text, size + 2);
    if (!line) {
        free(text);
        return NULL;
    }
    line[size] = '\n';
    line[size + 1] = '\0';
    *ret_size = size + 1;
    return line;
}

char *sl_message_write_request(int64_t id, const char *method, json_t *params, size_t *ret_size) {
    return dump_line(
        json_pack("{s:I,s:s,s:o}", "id", (json_int_t)id, "method", method, "params", params),
        ret_size);
}

char *sl_message_write_answer(json_t *id, json_t *result, json_t *error, size_t *ret_size) {
    return dump_line(json_pack("{s:o,s:o,s:o}", "id", id, "result", result, "error", error),
                     ret_size);
}
