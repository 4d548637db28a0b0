/* SPDX-License-Identifier: Apache-2.0
 * A configuration file under one of the programs' own schema tables, which the first byte chooses.
 * A refused one leaves the struct as it was and names file and line; an accepted one keeps every
 * bound, and printed and read back is the same (but for secrets, which are not printed). */
#include "tests/fuzz/fuzz.h"

#include "agent/shell/config.h"
#include "broker/shell/config.h"

#define CONFIG_BYTES (256 * 1024)

struct program {
    const struct sl_conf_option *schema;
    size_t size;
};

static void check_numbers(const struct sl_conf_option *schema, const void *config) {
    for (const struct sl_conf_option *o = schema; o->path; o++) {
        const char *field = (const char *)config + o->offset;
        int64_t number = 0;
        uint32_t count = 0;
        switch (o->type) {
        case SL_CONF_TEXT:
            fuzz_check(strnlen(field, o->size) < o->size);
            break;
        case SL_CONF_INT:
        case SL_CONF_SPAN_MS:
        case SL_CONF_DECIMAL:
            memcpy(&number, field, sizeof number);
            break;
        case SL_CONF_LIST:
            memcpy(&count, (const char *)config + o->count_offset, sizeof count);
            fuzz_check((int64_t)count <= o->max);
            for (uint32_t i = 0; i < count; i++) {
                check_numbers(o->item, field + i * o->size);
            }
            break;
        case SL_CONF_CHOICE:
        case SL_CONF_BOOL:
        case SL_CONF_BASE:
        case SL_CONF_INVALID:
        default:
            break;
        }
        /* A default may stand outside of the bounds, as "not set". */
        fuzz_check(number == 0 || number == -1 || o->type == SL_CONF_TEXT ||
                   (number >= o->min && number <= o->max) || o->fallback);
    }
}

/* The texts of secrets are left out of what is printed: they are emptied before comparing. */
static void drop_secrets(const struct sl_conf_option *schema, void *config) {
    static const char *const ends[] = {"secret", "password"};
    for (const struct sl_conf_option *o = schema; o->path; o++) {
        for (int i = 0; i < 2; i++) {
            size_t n = strlen(o->path);
            size_t m = strlen(ends[i]);
            if (o->type == SL_CONF_TEXT && n >= m && strcmp(o->path + n - m, ends[i]) == 0) {
                memset((char *)config + o->offset, 0, o->size);
            }
        }
    }
}

static void print_and_read_back(const struct program *program, void *config) {
    static _Alignas(16) char again[CONFIG_BYTES];
    struct sl_error err = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fuzz_check(out);
    drop_secrets(program->schema, config);
    sl_conf_print(out, program->schema, config);
    fclose(out);
    int rc = sl_conf_parse("printed", text, size, program->schema, again, program->size, &err);
    if (rc != SL_OK) {
        fprintf(stderr, "%s\n%s\n", err.text, text);
    }
    fuzz_check(rc == SL_OK);
    drop_secrets(program->schema, again);
    fuzz_check(memcmp(config, again, program->size) == 0);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static _Alignas(16) char config[CONFIG_BYTES];
    static char untouched[CONFIG_BYTES];
    const struct program programs[] = {{sl_broker_schema, sizeof(struct sl_broker_config)},
                                       {sl_agent_schema, sizeof(struct sl_agent_options)}};
    struct fuzz_input in = {data, size};
    const struct program *program = &programs[fuzz_u8(&in) & 1];
    struct sl_error err = {0};
    fuzz_check(program->size <= sizeof config);
    memset(config, 0x5A, program->size);
    memset(untouched, 0x5A, program->size);
    char *text = (char *)fuzz_copy(in.at, in.left);
    int rc = sl_conf_parse("f.yaml", text, in.left, program->schema, config, program->size, &err);
    if (rc == SL_OK) {
        check_numbers(program->schema, config);
        print_and_read_back(program, config);
    } else {
        fuzz_check_error(rc, &err);
        fuzz_check(rc == -SL_NOMEM || strncmp(err.text, "f.yaml", 6) == 0);
        fuzz_check(memcmp(config, untouched, program->size) == 0);
    }
    free(text);
    return 0;
}
