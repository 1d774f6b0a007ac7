/*
 * source_int.h - between source.c (arguments, files, pipes, tables) and source_s3.c (objects of S3).
 */
#ifndef AF_INGEST_SOURCE_INT_H
#define AF_INGEST_SOURCE_INT_H
#include "base/reader.h"
#include "ingest/ingest.h"

/* A list on its way. */
struct af_source_collector {
    struct af_source_list *list;
    const struct af_source_from *from;
    struct af_s3 *s3; /* what `from` gave; NULL: not asked yet */
    size_t cap;
    bool any_format;  /* the file was named itself: its bytes decide */
};

/* source.c: with `reader`, which it takes, also when it fails; NULL: it opens one. */
AF_MUST_CHECK enum af_status af_table_open_from(const struct af_source *source, struct af_reader *reader, struct af_table **out,
                                                struct af_error *err);

/* `source->path` must live as long as the list. */
AF_MUST_CHECK enum af_status af_source_append(struct af_source_collector *c, const struct af_source *source, struct af_error *err);
bool af_source_format_by_name(const char *path, enum af_source_format *out);
enum af_source_format af_source_format_by_bytes(const char head[4]);

/* source_s3.c */
AF_MUST_CHECK enum af_status af_source_add_s3(struct af_source_collector *c, const char *arg, struct af_error *err);
AF_MUST_CHECK enum af_status af_source_s3_reader(const struct af_source *source, struct af_reader **out, struct af_error *err);
/* The source that is read now and those after it, opened before their turn: their first bytes are on their way meanwhile. */
enum { AF_SOURCES_AHEAD = 4 };
struct af_source_ahead {
    struct af_reader *readers[AF_SOURCES_AHEAD]; /* of source i at i % AF_SOURCES_AHEAD; NULL: not opened */
    size_t next;                                 /* the first source that was not looked at */
};
void af_source_ahead_look(struct af_source_ahead *ahead, const struct af_source_list *list, size_t now);
struct af_reader *af_source_ahead_take(struct af_source_ahead *ahead, size_t index); /* NULL: it was not opened before */
void af_source_ahead_done(struct af_source_ahead *ahead);
/* Does a shell pattern match all of `text`? * and ? stop at a slash, \ takes the next letter as it is. */
bool af_source_matches(const char *pattern, const char *text);
#endif
