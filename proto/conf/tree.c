/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/conf/tree.h"

#include <stdbool.h>
#include <string.h>

#include "proto/base/text.h"

/* A file of ours nests four deep and has a few hundred values. */
#define DEPTH_MAX 16
#define EVENTS_MAX 200000

static int check_text(const char *name, const char *text, size_t size, struct sl_error *err) {
    int line = 1;
    for (size_t start = 0; start < size; line++) {
        const char *end = memchr(text + start, '\n', size - start);
        size_t n = end ? (size_t)(end - text) + 1 - start : size - start;
        if (memchr(text + start, '\0', n)) {
            return sl_fail(err, SL_INVALID, "%s:%d: a NUL; is this a text file?", name, line);
        }
        if (!sl_utf8_valid(text + start, n)) {
            return sl_fail(err, SL_INVALID, "%s:%d: not UTF-8; save the file as UTF-8", name, line);
        }
        start += n;
    }
    return SL_OK;
}

/* True when that line (from 1) has a tab before its first other character. */
static bool indented_by_tab(const char *text, size_t size, size_t line) {
    const char *at = text;
    const char *end = text + size;
    while (--line > 0 && at < end) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        at = next ? next + 1 : end;
    }
    while (at < end && *at == ' ') {
        at++;
    }
    return at < end && *at == '\t';
}

static int fail_parser(const char *name, const char *text, size_t size, const yaml_parser_t *parser,
                       struct sl_error *err) {
    if (parser->error == YAML_MEMORY_ERROR) {
        return sl_fail(err, SL_NOMEM, "no memory to read %s", name);
    }
    size_t line = parser->problem_mark.line + 1;
    if (indented_by_tab(text, size, line)) {
        return sl_fail(err, SL_INVALID, "%s:%zu: a tab; YAML is indented with blanks", name, line);
    }
    return sl_fail(err, SL_INVALID, "%s:%zu: this is not YAML: %s", name, line,
                   parser->problem ? parser->problem : "unreadable");
}

/* NULL when the event is one that a configuration may have. */
static const char *objection(const yaml_event_t *event, int documents) {
    bool anchor = false;
    bool tag = false;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return "an alias (*name); write the values out";
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor != NULL;
        tag = event->data.scalar.tag != NULL;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor != NULL;
        tag = event->data.sequence_start.tag != NULL;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor != NULL;
        tag = event->data.mapping_start.tag != NULL;
        break;
    case YAML_DOCUMENT_START_EVENT:
        if (documents > 1) {
            return "a second document (---); a configuration is one";
        }
        if (event->data.document_start.version_directive ||
            event->data.document_start.tag_directives.start !=
                event->data.document_start.tag_directives.end) {
            return "a directive (%...); leave it out";
        }
        break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
    default:
        break;
    }
    if (anchor) {
        return "an anchor (&name); write the values out";
    }
    return tag ? "a tag (!type); write the plain value" : NULL;
}

/* Level after the event. */
static int depth_after(int depth, yaml_event_type_t type) {
    if (type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT) {
        return depth + 1;
    }
    return type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT ? depth - 1 : depth;
}

/* Anchors and tags are only seen in events: a document has them resolved already. */
static int check_events(const char *name, const char *text, size_t size, struct sl_error *err) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return sl_fail(err, SL_NOMEM, "no memory to read %s", name);
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    int rc = SL_OK;
    int depth = 0;
    int documents = 0;
    int events = 0;
    for (bool more = true; more && rc == SL_OK;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            rc = fail_parser(name, text, size, &parser, err);
            break;
        }
        documents += event.type == YAML_DOCUMENT_START_EVENT;
        depth = depth_after(depth, event.type);
        const char *problem = objection(&event, documents);
        size_t line = event.start_mark.line + 1;
        if (problem) {
            rc = sl_fail(err, SL_INVALID, "%s:%zu: %s", name, line, problem);
        } else if (depth > DEPTH_MAX || ++events > EVENTS_MAX) {
            rc = sl_fail(err, SL_LIMIT, "%s:%zu: %s", name, line,
                         depth > DEPTH_MAX ? "nested too deep" : "too many values");
        }
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return rc;
}

int sl_conf_tree_load(const char *name, const char *text, size_t size, yaml_document_t *ret_doc,
                      struct sl_error *err) {
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3; /* a byte order mark, which some editors write */
        size -= 3;
    }
    int rc = check_text(name, text, size, err);
    rc = rc ? rc : check_events(name, text, size, err);
    if (rc) {
        return rc;
    }
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return sl_fail(err, SL_NOMEM, "no memory to read %s", name);
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    yaml_document_t doc;
    if (yaml_parser_load(&parser, &doc)) {
        *ret_doc = doc;
    } else {
        rc = fail_parser(name, text, size, &parser, err);
    }
    yaml_parser_delete(&parser);
    return rc;
}
