/* report.c - the result of a verification, for machines and for people; report files. */
#include "base/calendar.h"
#include "base/json_escape.h"
#include "cli/cli.h"
#include "os/file.h"
#include <inttypes.h>

static void json_text(struct af_buf *out, const char *text)
{
    af_json_escape(out, af_slice_of(text));
}

static void json_time(struct af_buf *out, int64_t ns)
{
    char text[40];
    char *end = af_rfc3339_print(text, ns, 9);
    af_buf_append_char(out, '"');
    af_buf_append(out, text, (size_t)(end - text));
    af_buf_append_char(out, '"');
}

static void json_difference(struct af_buf *out, const struct af_difference *d)
{
    af_buf_append_str(out, "{\"kind\":");
    json_text(out, af_difference_name(d->kind));
    af_buf_append_str(out, ",\"series\":");
    json_text(out, d->series);
    af_buf_append_str(out, ",\"time\":");
    json_time(out, d->time_ns);
    af_buf_append_str(out, ",\"field\":");
    json_text(out, d->field);
    af_buf_append_str(out, ",\"source\":");
    json_text(out, d->source);
    af_buf_append_str(out, ",\"store\":");
    json_text(out, d->store);
    af_buf_append_char(out, '}');
}

void af_cli_json_verify(struct af_buf *out, const struct af_verify_result *r)
{
    af_buf_printf(out,
                  "{\"equal\":%s,\"series\":%" PRIu64 ",\"points\":%" PRIu64 ",\"values\":%" PRIu64 ",\"digest\":\"%s\","
                  "\"source_values\":%" PRIu64 ",\"doubles\":%" PRIu64 ",\"other_points\":%" PRIu64
                  ",\"differing_days\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"extra\":%" PRIu64 ",\"differing\":%" PRIu64
                  ",\"files_bad\":%" PRIu64 ",\"row_groups_lost\":%" PRIu64 ",\"differences\":[",
                  r->is_equal ? "true" : "false", r->series, r->points, r->values, r->digest, r->source_values,
                  r->source_doubles, r->other_points, r->differing_days, r->missing, r->extra, r->differing, r->source.files_bad,
                  r->source.parts_lost);
    for (size_t i = 0; i < r->difference_count; i++) {
        if (i != 0)
            af_buf_append_char(out, ',');
        json_difference(out, &r->differences[i]);
    }
    af_buf_append_str(out, "]}");
}

static void print_difference(const struct af_cli *cli, const struct af_difference *d)
{
    char time[40];
    char *end = af_rfc3339_print(time, d->time_ns, 9);
    *end = '\0';
    if (d->kind == AF_DIFF_VALUE)
        af_cli_say(cli, "  %s %s at %s: source %s, store %s", d->series, d->field, time, d->source, d->store);
    else
        af_cli_say(cli, "  %s %s at %s: %s (%s)", d->series, d->field, time, af_difference_name(d->kind),
                   d->kind == AF_DIFF_MISSING ? d->source : d->store);
}

void af_cli_print_verify(const struct af_cli *cli, const struct af_verify_result *r)
{
    char series[32], points[32], values[32];
    af_cli_print_count(series, sizeof series, r->series);
    af_cli_print_count(points, sizeof points, r->points);
    af_cli_print_count(values, sizeof values, r->values);
    if (r->is_equal) {
        af_cli_say(cli, "verified equal: %s series, %s points, %s values on both sides, digest %s", series, points, values,
                   r->digest);
    } else {
        af_cli_say(cli, "NOT equal: %" PRIu64 " series-days differ: %" PRIu64 " values missing in the store, %" PRIu64
                        " only there, %" PRIu64 " different", r->differing_days, r->missing, r->extra, r->differing);
        for (size_t i = 0; i < r->difference_count; i++)
            print_difference(cli, &r->differences[i]);
        if (r->missing != 0 && r->extra + r->differing == 0)
            af_cli_say(cli, "what is missing may be sent again: migrate is harmless twice. If it was sent and stays missing, restart the "
                            "server (docs/formats/influxdb-http.md, \"The first write of a shard\")");
    }
    if (r->source.files_bad + r->source.parts_lost != 0)
        af_cli_say(cli, "but %" PRIu64 " files and %" PRIu64 " row groups of the sources could not be read: nothing is said of those",
                   r->source.files_bad, r->source.parts_lost);
    if (r->source_doubles != 0)
        af_cli_say(cli, "%" PRIu64 " values of the sources were overwritten by a later row with the same series and time",
                   r->source_doubles);
}

enum af_status af_cli_write_report(const struct af_cli *cli, struct af_slice json, struct af_error *err)
{
    if (cli->report != NULL)
        AF_TRY(af_file_write_atomic(cli->report, json, false, err));
    return cli->json ? af_cli_out(json, err) : AF_OK;
}
