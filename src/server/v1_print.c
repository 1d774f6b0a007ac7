/* v1_print.c - series and rows of a 1.x answer, byte for byte as InfluxDB's Go prints them; see v1_query.h. */
#include "base/calendar.h"
#include "base/json_escape.h"
#include "base/utf8.h"
#include "server/v1_query.h"

/* --- text -------------------------------------------------------------------------------------------------------------------- */

/* Go hides what HTML would see: < > &, and the two line ends that JavaScript has and JSON has not. */
static const char *go_escape(const char *at, size_t len, size_t *out_len)
{
    *out_len = 1;
    switch (at[0]) {
    case '<': return "\\u003c";
    case '>': return "\\u003e";
    case '&': return "\\u0026";
    case '\b': return "\\u0008";
    case '\f': return "\\u000c";
    default: break;
    }
    *out_len = 3;
    if (len >= 3 && memcmp(at, "\xe2\x80\xa8", 3) == 0)
        return "\\u2028";
    return len >= 3 && memcmp(at, "\xe2\x80\xa9", 3) == 0 ? "\\u2029" : NULL;
}

void v1_text(struct af_buf *out, struct af_slice text)
{
    size_t from = 0, special = 1;
    af_buf_append_char(out, '"');
    for (size_t i = 0; i <= text.len; i++) {
        const char *escape = i < text.len ? go_escape(text.ptr + i, text.len - i, &special) : "";
        if (escape == NULL)
            continue;
        size_t mark = out->len; /* the run before it, without the quotes around */
        af_json_escape(out, (struct af_slice){ text.ptr + from, i - from });
        if (!out->failed) {
            memmove(out->ptr + mark, out->ptr + mark + 1, out->len - mark - 2);
            out->len -= 2;
        }
        if (i == text.len)
            break;
        af_buf_append_str(out, escape);
        i += special - 1;
        from = i + 1;
    }
    af_buf_append_char(out, '"');
}

/* --- series ------------------------------------------------------------------------------------------------------------------- */

void v1_series(struct v1_run *run, const char *name, size_t column_count, const char *const *columns)
{
    af_buf_append_str(run->out, run->series_count++ == 0 ? ",\"series\":[{" : ",{");
    if (name != NULL) {
        af_buf_append_str(run->out, "\"name\":");
        v1_text(run->out, af_slice_of(name));
        af_buf_append_char(run->out, ',');
    }
    af_buf_append_str(run->out, "\"columns\":[");
    for (size_t i = 0; i < column_count; i++) {
        if (i != 0)
            af_buf_append_char(run->out, ',');
        v1_text(run->out, af_slice_of(columns[i]));
    }
    af_buf_append_char(run->out, ']');
    run->row_count = 0;
}

void v1_row(struct v1_run *run)
{
    af_buf_append_str(run->out, run->row_count++ == 0 ? ",\"values\":[[" : ",[");
    run->cell_count = 0;
}

static void next_cell(struct v1_run *run)
{
    if (run->cell_count++ != 0)
        af_buf_append_char(run->out, ',');
}

void v1_cell_text(struct v1_run *run, struct af_slice text)
{
    next_cell(run);
    v1_text(run->out, text);
}

void v1_cell_int(struct v1_run *run, int64_t value)
{
    next_cell(run);
    af_buf_printf(run->out, "%lld", (long long)value);
}

void v1_cell_bool(struct v1_run *run, bool value)
{
    next_cell(run);
    af_buf_append_str(run->out, value ? "true" : "false");
}

void v1_row_end(struct v1_run *run)
{
    af_buf_append_char(run->out, ']');
}

void v1_series_end(struct v1_run *run)
{
    af_buf_append_str(run->out, run->row_count != 0 ? "]}" : "}");
}

/* --- pretty ------------------------------------------------------------------------------------------------------------------- */

static void new_line(struct af_buf *out, size_t depth)
{
    af_buf_append_char(out, '\n');
    for (size_t i = 0; i < depth; i++)
        af_buf_append_str(out, "    ");
}

void v1_prettify(struct af_slice json, struct af_buf *out)
{
    size_t depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < json.len; i++) {
        char c = json.ptr[i];
        bool is_empty = (c == '{' || c == '[') && i + 1 < json.len && (json.ptr[i + 1] == '}' || json.ptr[i + 1] == ']');
        if (c == '"')
            in_text = !in_text;
        if (!in_text && (c == '}' || c == ']'))
            new_line(out, depth = depth > 0 ? depth - 1 : 0);
        af_buf_append_char(out, c);
        if (in_text && c == '\\' && i + 1 < json.len) {
            af_buf_append_char(out, json.ptr[++i]);
        } else if (!in_text && is_empty) {
            af_buf_append_char(out, json.ptr[++i]);
        } else if (!in_text && (c == '{' || c == '[')) {
            new_line(out, ++depth);
        } else if (!in_text && c == ',') {
            new_line(out, depth);
        } else if (!in_text && c == ':') {
            af_buf_append_char(out, ' ');
        }
    }
}

const char *v1_duration_print(struct af_arena *arena, int64_t ns)
{
    int64_t s = ns / AF_NS_PER_S;
    long long hours = s / 3600, minutes = s / 60 % 60, seconds = s % 60;
    char fraction[16] = "";
    if (ns % AF_NS_PER_S != 0) {
        char *text = af_arena_printf(arena, ".%09lld", (long long)(ns % AF_NS_PER_S));
        if (text == NULL)
            return NULL;
        size_t len = strlen(text);
        while (len > 0 && text[len - 1] == '0')
            len--;
        memcpy(fraction, text, len);
    }
    if (hours != 0)
        return af_arena_printf(arena, "%lldh%lldm%lld%ss", hours, minutes, seconds, fraction);
    if (minutes != 0)
        return af_arena_printf(arena, "%lldm%lld%ss", minutes, seconds, fraction);
    return af_arena_printf(arena, "%lld%ss", seconds, fraction);
}
