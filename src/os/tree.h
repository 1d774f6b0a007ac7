/*
 * tree.h - directories with what is in them, and hard links: what an engine needs beyond single files (file.h).
 */
#ifndef AF_OS_TREE_H
#define AF_OS_TREE_H
#include "os/file.h"

/* The directories in one directory (links to directories are none), names in bytewise order, hidden ones too. */
AF_MUST_CHECK enum af_status af_dir_dirs(const char *path, af_dir_each each, void *ctx, struct af_error *err);
/* A directory and all below it; links are removed, not followed. Absent is fine. */
AF_MUST_CHECK enum af_status af_dir_remove(const char *path, struct af_error *err);
/* A second name `to` for the file `from`; a copy of its bytes where there can be none (another file system). The bytes are on disk
 * when it returns, the name is when the directory is synced. AF_ECONFLICT: `to` is there. */
AF_MUST_CHECK enum af_status af_path_link(const char *from, const char *to, struct af_error *err);
#endif
