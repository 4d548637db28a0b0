/* SPDX-License-Identifier: Apache-2.0
 * Inside of conf: text -> YAML document, with everything refused that makes a configuration mean
 * something else than it says: anchors, aliases, tags, directives, several documents. */
#ifndef SLUICE_PROTO_CONF_TREE_H
#define SLUICE_PROTO_CONF_TREE_H

#include <stddef.h>
#include <yaml.h>

#include "proto/base/error.h"

/* *ret_doc is to be deleted with yaml_document_delete. Error texts begin "NAME:LINE: ". */
int sl_conf_tree_load(const char *name, const char *text, size_t size, yaml_document_t *ret_doc,
                      struct sl_error *err);

#endif
