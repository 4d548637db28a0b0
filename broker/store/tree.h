/* SPDX-License-Identifier: Apache-2.0
 * Files and folders for backups. Thread: any. */
#ifndef SLUICE_BROKER_STORE_TREE_H
#define SLUICE_BROKER_STORE_TREE_H

#include "proto/base/error.h"

#define SL_TREE_PATH_MAX 512

/* "DIR/NAME"; -SL_LIMIT: too long. */
int sl_tree_path(const char *dir, const char *name, char ret_path[SL_TREE_PATH_MAX],
                 struct sl_error *err);
/* 0700; there already is no failure. */
int sl_tree_make_dir(const char *path, struct sl_error *err);
/* A folder, the files in it and those in its folders; missing is no failure. */
int sl_tree_remove(const char *path, struct sl_error *err);
/* fsync of a file or folder. */
int sl_tree_sync(const char *path, struct sl_error *err);
/* fsync of the folder that holds the path. */
int sl_tree_sync_parent(const char *path, struct sl_error *err);
/* A new file, synced. */
int sl_tree_copy(const char *from, const char *to, struct sl_error *err);

#endif
