/*
 * file.h - files and directories: the only door to the file system.
 *
 * Failures name the path and say what the system said (AF_ENOTFOUND, AF_EDENIED, AF_EFULL for ENOSPC and EDQUOT, else AF_EIO).
 * A failed fsync is final: the caller must treat what it wrote as lost and never sync again in hope.
 */
#ifndef AF_OS_FILE_H
#define AF_OS_FILE_H
#include "base/buf.h"
#include "base/reader.h"

/* A file to read at random with pread; closing frees it. Directories are refused with AF_EINVAL. The size is that at opening. */
AF_MUST_CHECK enum af_status af_file_reader_open(const char *path, struct af_reader **out, struct af_error *err);

/* The whole file appended to `out`; AF_ELIMIT past out->bytes_max. "-" is standard input. */
AF_MUST_CHECK enum af_status af_file_read_all(const char *path, struct af_buf *out, struct af_error *err);

/* Sequential bytes from a file, a FIFO or, for "-", standard input (for streams without a size). `read` gives 0 bytes at the end; it
 * waits for a silent pipe, until AF_ECANCELED: the process was interrupted. */
struct af_file_input;
AF_MUST_CHECK enum af_status af_file_input_open(const char *path, struct af_file_input **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_file_input_read(struct af_file_input *in, void *dst, size_t cap, size_t *out_len,
                                                struct af_error *err);
bool af_file_input_is_ready(const struct af_file_input *in); /* a read would not wait */
void af_file_input_close(struct af_file_input *in);

/* Replace `path` as a whole: temporary file beside it, fsync, rename, fsync of the directory. Mode 0600 if `is_secret`. */
AF_MUST_CHECK enum af_status af_file_write_atomic(const char *path, struct af_slice bytes, bool is_secret,
                                                  struct af_error *err);

/* A file that grows at its end. `path` "-" is standard output (sync and truncate do nothing then). */
struct af_file;
enum af_file_mode { AF_FILE_APPEND, AF_FILE_TRUNCATE, AF_FILE_NEW /* must not exist */ };
AF_MUST_CHECK enum af_status af_file_open(const char *path, enum af_file_mode mode, struct af_file **out,
                                          struct af_error *err);
AF_MUST_CHECK enum af_status af_file_write(struct af_file *file, struct af_slice bytes, struct af_error *err);
AF_MUST_CHECK enum af_status af_file_sync(struct af_file *file, struct af_error *err); /* fdatasync */
/* How many syncs of files and directories have failed in this process. */
uint64_t af_os_sync_failures(void);
uint64_t af_file_size(const struct af_file *file);
/* Cut to `size` bytes, as recovery of a torn tail and of a write that failed half way needs. */
AF_MUST_CHECK enum af_status af_file_truncate(struct af_file *file, uint64_t size, struct af_error *err);
/* Write the bytes from `from` to the end again as they are: what an earlier process left unsynced, or lost in a failed fsync while its
 * pages stayed readable, is on disk after the next sync. */
AF_MUST_CHECK enum af_status af_file_rewrite(struct af_file *file, uint64_t from, struct af_error *err);
void af_file_close(struct af_file *file); /* NULL is fine; says nothing about durability: sync first */

/* Random access for scratch files (external sorts): positions are the caller's business. */
/* unlinked at once */
AF_MUST_CHECK enum af_status af_file_open_scratch(const char *dir, struct af_file **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_file_pread(struct af_file *file, uint64_t offset, void *dst, size_t len,
                                           struct af_error *err);

/* Advisory lock on `path` (created): one owner per machine. Released by close or by the death of the process. AF_EBUSY: `path` is
 * taken; the message gives the pid found in it. */
AF_MUST_CHECK enum af_status af_file_lock(const char *path, struct af_file **out, struct af_error *err);

enum af_path_kind { AF_PATH_NONE, AF_PATH_FILE, AF_PATH_DIR, AF_PATH_OTHER };
enum af_path_kind af_path_kind(const char *path);
AF_MUST_CHECK enum af_status af_path_size(const char *path, uint64_t *out_bytes, int64_t *out_mtime_ns, struct af_error *err);
AF_MUST_CHECK enum af_status af_path_remove(const char *path, struct af_error *err); /* a file; absent is fine */
/* and fsync of the directory */
AF_MUST_CHECK enum af_status af_path_rename(const char *from, const char *to, struct af_error *err);
AF_MUST_CHECK enum af_status af_dir_make(const char *path, struct af_error *err);   /* parents too; existing is fine */
/* One that only its owner may enter, in a directory that is there. AF_ECONFLICT: something of the name is. */
AF_MUST_CHECK enum af_status af_dir_make_private(const char *path, struct af_error *err);
AF_MUST_CHECK enum af_status af_dir_sync(const char *path, struct af_error *err);

/* Every regular file below `path`, depth first, names in bytewise order, symbolic links to files followed, to directories not.
 * Names that begin with '.' or '_' are left out (Spark's _SUCCESS and _temporary, .crc files). A failing `each` stops the walk. */
typedef enum af_status (*af_dir_each)(void *ctx, const char *path, struct af_error *err);
AF_MUST_CHECK enum af_status af_dir_walk(const char *path, af_dir_each each, void *ctx, struct af_error *err);
/* The entries of one directory (files only), same order, all names. */
AF_MUST_CHECK enum af_status af_dir_list(const char *path, af_dir_each each, void *ctx, struct af_error *err);
/* Files that match a shell pattern; none is AF_ENOTFOUND. */
AF_MUST_CHECK enum af_status af_dir_glob(const char *pattern, af_dir_each each, void *ctx, struct af_error *err);
#endif
