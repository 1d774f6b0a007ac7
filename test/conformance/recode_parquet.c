/*
 * recode_parquet.c - a Parquet file read and written again with chosen options, for peers to read.
 *
 *     recode_parquet IN OUT [codec=N] [time=N] [rows=N] [page=N] [v2] [index] [crc] [legacy] [plain] [delta]
 *
 * Names are those of struct af_parquet_write_options; numbers those of its enums. Uses libafluxo as a program outside would.
 */
#include "format/parquet/parquet.h"
#include "os/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool take(struct af_parquet_write_options *o, const char *arg)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = { { "v2", &o->data_page_v2 },        { "index", &o->page_index },    { "crc", &o->page_crc },
                  { "legacy", &o->legacy_dictionary }, { "plain", &o->no_dictionary }, { "delta", &o->delta } };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(arg, flags[i].name) == 0)
            return *flags[i].flag = true;
    const char *equals = strchr(arg, '=');
    if (equals == NULL)
        return false;
    const unsigned long value = strtoul(equals + 1, NULL, 10);
    if (strncmp(arg, "codec=", 6) == 0)
        o->codec = (int)value;
    else if (strncmp(arg, "time=", 5) == 0)
        o->time_form = (enum af_parquet_time_form)value;
    else if (strncmp(arg, "rows=", 5) == 0)
        o->row_group_rows = value;
    else if (strncmp(arg, "page=", 5) == 0)
        o->page_rows = value;
    else
        return false;
    return true;
}

static enum af_status emit(void *ctx, struct af_slice bytes, struct af_error *err)
{
    return af_file_write(ctx, bytes, err);
}

static enum af_status copy(struct af_stream *from, struct af_parquet_writer *to, struct af_error *err)
{
    struct af_arena arena;
    struct af_batch *batch = NULL;
    enum af_status status;
    af_arena_init(&arena, (size_t)1 << 30);
    while ((status = af_stream_next(from, &arena, &batch, err)) == AF_OK && batch != NULL &&
           (status = af_parquet_writer_add(to, batch, err)) == AF_OK)
        af_arena_reset(&arena);
    af_arena_done(&arena);
    return status == AF_OK ? af_parquet_writer_finish(to, err) : status;
}

static enum af_status recode(const char *in, const char *out, const struct af_parquet_write_options *options, struct af_error *err)
{
    struct af_reader *reader = NULL;
    struct af_parquet *file = NULL;
    struct af_stream *stream = NULL;
    struct af_file *target = NULL;
    struct af_parquet_writer *writer = NULL;
    const struct af_parquet_scan scan = { 0 };
    enum af_status status = af_file_reader_open(in, &reader, err);
    if (status == AF_OK)
        status = af_parquet_open(reader, &file, err);
    if (status == AF_OK)
        status = af_parquet_scan(file, &scan, &stream, err);
    if (status == AF_OK)
        status = af_file_open(out, AF_FILE_TRUNCATE, &target, err);
    if (status == AF_OK)
        status = af_parquet_writer_new(stream->schema, options, emit, target, &writer, err);
    if (status == AF_OK)
        status = copy(stream, writer, err);
    if (writer != NULL)
        af_parquet_writer_free(writer);
    af_file_close(target);
    af_stream_close(stream);
    if (file != NULL)
        af_parquet_close(file);
    af_reader_close(reader);
    return status;
}

int main(int argc, char **argv)
{
    struct af_parquet_write_options options = { 0 };
    struct af_error err = { 0 };
    for (int i = 3; i < argc; i++)
        if (!take(&options, argv[i]))
            argc = 0;
    if (argc < 3) {
        fprintf(stderr, "usage: recode_parquet IN OUT [codec=N] [time=N] [rows=N] [page=N] [v2] [index] [crc] [legacy] [plain] [delta]\n");
        return 2;
    }
    if (recode(argv[1], argv[2], &options, &err) != AF_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return 0;
}
