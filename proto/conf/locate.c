/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/regular.h"
#include "proto/base/text.h"
#include "proto/conf/conf.h"
#include "proto/conf/tree.h"

#define FILE_BYTES_MAX ((size_t)1024 * 1024)

static const char part_letters[] = "abcdefghijklmnopqrstuvwxyz_0123456789";

static const yaml_node_pair_t *find_key(yaml_document_t *doc, const yaml_node_t *map,
                                        const char *name, size_t size) {
    const yaml_node_pair_t *end = map->data.mapping.pairs.top;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < end; p++) {
        const yaml_node_t *key = yaml_document_get_node(doc, p->key);
        if (key->type == YAML_SCALAR_NODE && key->data.scalar.length == size &&
            memcmp(key->data.scalar.value, name, size) == 0) {
            return p;
        }
    }
    return NULL;
}

/* As far as the path goes in the document; 0: its first part is not there. */
static int find_line(yaml_document_t *doc, const char *at) {
    const yaml_node_t *node = yaml_document_get_root_node(doc);
    int line = 0;
    while (node) {
        size_t size = strspn(at, part_letters);
        const yaml_node_pair_t *pair =
            node->type == YAML_MAPPING_NODE && size > 0 ? find_key(doc, node, at, size) : NULL;
        if (!pair) {
            break;
        }
        line = (int)yaml_document_get_node(doc, pair->key)->start_mark.line + 1;
        node = yaml_document_get_node(doc, pair->value);
        at += size;
        if (*at == '[') {
            char *end = NULL;
            unsigned long index = strtoul(at + 1, &end, 10);
            if (node->type != YAML_SEQUENCE_NODE || *end != ']' ||
                index >=
                    (size_t)(node->data.sequence.items.top - node->data.sequence.items.start)) {
                break;
            }
            node = yaml_document_get_node(doc, node->data.sequence.items.start[index]);
            line = (int)node->start_mark.line + 1;
            at = end + 1;
        }
        if (*at++ != '.') {
            break;
        }
    }
    return line;
}

static int line_in_file(const char *path, const char *option) {
    SL_AUTO_FILE FILE *file = NULL;
    SL_AUTO_FREE char *text = malloc(FILE_BYTES_MAX);
    if (!text || sl_regular_open(path, &file, NULL) != SL_OK) {
        return 0;
    }
    size_t size = fread(text, 1, FILE_BYTES_MAX, file);
    yaml_document_t doc;
    int line = 0;
    if (sl_conf_tree_load(path, text, size, &doc, NULL) == SL_OK) {
        line = find_line(&doc, option);
        yaml_document_delete(&doc);
    }
    explicit_bzero(text, size); /* may hold secrets */
    return line;
}

int sl_conf_locate(const char *path, struct sl_error *err) {
    int line = line_in_file(path, err->text);
    return line ? sl_wrap(err, "%s:%d", path, line) : sl_wrap(err, "%s", path);
}
