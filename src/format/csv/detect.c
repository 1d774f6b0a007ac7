/*
 * detect.c - what kind of text a file is, from its first bytes.
 *
 * Encoding: a BOM says it. Without one, a sample that is valid UTF-8 (a sequence cut by the sample's end is fine) is UTF-8, else
 * Windows-1252. This is what is reported; unless the caller named an encoding, each record is judged by itself (index.c).
 *
 * Separator: for each candidate, how many of the first records have as many cells as the first one, which must have two at
 * least. The most agreement wins, then the order `;` tab `|` `,`: the comma last, because names ("value, MW") and numbers (1,5)
 * have it too. Excel's first line `sep=;` is believed.
 *
 * Decimal comma: said to be there if some cells are numbers only when read with a comma (0,5 or 1.234,56) and none only with a
 * point (0.5, 1e-8). A cell like 1.234 is either and counts for neither.
 */
#include "base/utf8.h"
#include "format/csv/csv_int.h"
#include <assert.h>

enum { RECORDS_LOOKED_AT = 200, ORDER_MAX = 4 };

static const char candidates[ORDER_MAX] = { ';', '\t', '|', ',' };

/* --- what is no text --- */

static enum af_status refuse(const char *name, const char *what, struct af_error *err)
{
    return af_fail(err, AF_EINVAL, "%s: %s", name, what);
}

static enum af_status check_text(const char *name, struct af_slice sample, bool is_whole, struct af_error *err)
{
    static const struct { const char *magic; const char *what; } kinds[] = {
        { "\xFF\xFE", "UTF-16 text; save it as UTF-8" },
        { "\xFE\xFF", "UTF-16 text; save it as UTF-8" },
        { "PAR1", "a Parquet file, not CSV" },
        { "PK\x03\x04", "a ZIP archive or an Excel workbook; unpack it, or save the sheet as CSV" },
        { "\x1F\x8B", "compressed with gzip; unpack it first" },
        { "\x28\xB5\x2F\xFD", "compressed with zstd; unpack it first" },
        { "\xD0\xCF\x11\xE0", "an old Excel workbook; save the sheet as CSV" },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (af_slice_has_prefix(sample, kinds[i].magic))
            return refuse(name, kinds[i].what, err);
    if (sample.len != 0 && memchr(sample.ptr, '\0', sample.len) != NULL)
        return refuse(name, "binary: there is a NUL byte in the first 64 KiB, so this is no CSV", err);
    const char *cr = sample.len != 0 ? memchr(sample.ptr, '\r', sample.len) : NULL;
    bool has_line = sample.len != 0 && memchr(sample.ptr, '\n', sample.len) != NULL;
    bool cr_is_last = cr != NULL && is_whole && cr == sample.ptr + sample.len - 1;
    if (cr != NULL && !has_line && !cr_is_last)
        return refuse(name, "lines end with a carriage return alone; save it with LF or CRLF line ends", err);
    return AF_OK;
}

/* --- encoding --- */

static bool looks_utf8(struct af_slice sample, bool is_whole)
{
    size_t valid = af_utf8_valid_prefix(sample.ptr, sample.len);
    if (valid == sample.len)
        return true;
    /* A sequence of at most 4 bytes that the sample's end cuts. */
    return !is_whole && sample.len - valid < 4 && ((unsigned char)sample.ptr[valid] & 0xC0) == 0xC0;
}

/* --- separator --- */

/* The next record of the sample at *at that is not blank. False: none, or it is cut by the sample's end. */
static bool next_record(struct af_slice sample, bool is_whole, char separator, size_t *at, struct af_csv_cells *cells,
                        struct af_csv_record *out, bool *out_failed)
{
    while (*at < sample.len) {
        af_csv_cells_clear(cells);
        if (af_csv_read_record(sample.ptr, *at, sample.len, is_whole, separator, AF_CSV_COLUMNS_MAX, cells, out, NULL) !=
            AF_OK) {
            *out_failed = true;
            return false;
        }
        if (out->needs_more)
            return false;
        *at += out->len;
        if (out->raw_len != 0)
            return true;
    }
    return false;
}

/* Records that agree with the first one about the number of cells; 0 if that is 1. */
static size_t agreement(struct af_slice sample, bool is_whole, char separator, struct af_csv_cells *cells, bool *out_failed)
{
    struct af_csv_record record;
    size_t at = 0;
    size_t agree = 0;
    uint32_t first = 0;
    for (size_t n = 0; n < RECORDS_LOOKED_AT; n++) {
        if (!next_record(sample, is_whole, separator, &at, cells, &record, out_failed))
            break;
        if (record.fault == AF_CSV_FINE && n == 0)
            first = record.cell_count;
        agree += record.fault == AF_CSV_FINE && record.cell_count == first;
    }
    /* A header that the sample's end cuts still tells. */
    if (first == 0 && agree == 0 && sample.len != 0 && memchr(sample.ptr, separator, sample.len) != NULL)
        return 1;
    return first >= 2 ? agree : 0;
}

static char find_separator(struct af_slice sample, bool is_whole, struct af_csv_cells *cells, bool *out_failed)
{
    char best = candidates[0];
    size_t best_agree = 0;
    for (size_t i = 0; i < ORDER_MAX; i++) {
        size_t agree = agreement(sample, is_whole, candidates[i], cells, out_failed);
        if (agree > best_agree) {
            best = candidates[i];
            best_agree = agree;
        }
    }
    return best;
}

/* --- decimal comma --- */

static size_t digits(struct af_slice s, size_t at)
{
    size_t n = 0;
    while (at + n < s.len && s.ptr[at + n] >= '0' && s.ptr[at + n] <= '9')
        n++;
    return n;
}

/* An exponent and the end, or the end. */
static bool is_tail(struct af_slice s, size_t at)
{
    if (at == s.len)
        return true;
    if (s.ptr[at] != 'e' && s.ptr[at] != 'E')
        return false;
    at++;
    if (at < s.len && (s.ptr[at] == '-' || s.ptr[at] == '+'))
        at++;
    size_t n = digits(s, at);
    return n > 0 && at + n == s.len;
}

enum af_csv_number af_csv_number_style(struct af_slice cell)
{
    struct af_slice s = af_slice_trim(cell);
    size_t at = s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == '+');
    size_t whole = digits(s, at);
    if (whole == 0)
        return AF_CSV_NO_NUMBER;
    bool grouped = whole <= 3 && s.ptr[at] != '0';
    size_t groups = 0;
    at += whole;
    while (grouped && at < s.len && s.ptr[at] == '.' && digits(s, at + 1) == 3) {
        at += 4;
        groups++;
    }
    if (at < s.len && s.ptr[at] == ',') {
        size_t n = digits(s, at + 1);
        return n > 0 && is_tail(s, at + 1 + n) ? AF_CSV_COMMA : AF_CSV_NO_NUMBER;
    }
    if (groups == 1 && at == s.len)
        return AF_CSV_NO_NUMBER; /* 1.234: both */
    if (groups > 1)
        return at == s.len ? AF_CSV_COMMA : AF_CSV_NO_NUMBER; /* 1.234.567 */
    if (groups == 1)
        return is_tail(s, at) ? AF_CSV_POINT : AF_CSV_NO_NUMBER; /* 1.234e5 */
    if (at < s.len && s.ptr[at] == '.') {
        size_t n = digits(s, at + 1);
        return is_tail(s, at + 1 + n) ? AF_CSV_POINT : AF_CSV_NO_NUMBER;
    }
    return at < s.len && is_tail(s, at) ? AF_CSV_POINT : AF_CSV_NO_NUMBER;
}

static bool has_decimal_comma(struct af_slice sample, bool is_whole, char separator, struct af_csv_cells *cells, bool *out_failed)
{
    struct af_csv_record record;
    size_t at = 0;
    size_t commas = 0;
    for (size_t n = 0; next_record(sample, is_whole, separator, &at, cells, &record, out_failed); n++) {
        for (size_t i = 0; i < cells->count && record.fault == AF_CSV_FINE; i++) {
            enum af_csv_number style = af_csv_number_style(af_csv_cell_text(cells, sample.ptr, i));
            if (style == AF_CSV_POINT)
                return false;
            commas += style == AF_CSV_COMMA;
        }
    }
    return commas != 0;
}

/* --- all of it --- */

/* "sep=;" and its line end: how many bytes, 0 if the text begins otherwise. */
static size_t sep_line(struct af_slice text, char *out_separator)
{
    if (!af_slice_has_prefix(text, "sep=") || text.len < 6 || text.ptr[4] == '\r' || text.ptr[4] == '\n')
        return 0;
    size_t at = 5;
    if (text.ptr[at] == '\r' && at + 1 < text.len)
        at++;
    if (text.ptr[at] != '\n')
        return 0;
    *out_separator = text.ptr[4];
    return at + 1;
}

enum af_status af_csv_detect(const char *name, struct af_slice sample, bool is_whole, const struct af_csv_options *options,
                             struct af_csv_format *out, struct af_error *err)
{
    struct af_csv_format format = { .separator = options->separator, .encoding = options->encoding };
    AF_TRY(check_text(name, sample, is_whole, err));
    if (af_slice_has_prefix(sample, "\xEF\xBB\xBF")) {
        format.has_bom = true;
        format.skip = 3;
    }
    struct af_slice rest = { sample.ptr + format.skip, sample.len - format.skip };
    char said = '\0';
    size_t line = sep_line(rest, &said);
    if (line != 0) {
        format.skip += line;
        format.skip_lines = 1;
        rest = (struct af_slice){ rest.ptr + line, rest.len - line };
        if (format.separator == '\0')
            format.separator = said;
    }
    format.is_strict = format.encoding != AF_CSV_AUTO;
    if (format.encoding == AF_CSV_AUTO)
        format.encoding = format.has_bom || looks_utf8(rest, is_whole) ? AF_CSV_UTF8 : AF_CSV_CP1252;
    struct af_csv_cells cells;
    af_csv_cells_init(&cells);
    bool failed = false;
    if (format.separator == '\0')
        format.separator = find_separator(rest, is_whole, &cells, &failed);
    format.has_decimal_comma = has_decimal_comma(rest, is_whole, format.separator, &cells, &failed);
    af_csv_cells_done(&cells);
    if (failed)
        return af_fail_nomem(err, "the first lines of a CSV file");
    if (format.separator == '"' || format.separator == '\n' || format.separator == '\r' || (format.separator & 0x80) != 0)
        return refuse(name, "the separator must be an ASCII character and neither a quote nor a line end", err);
    *out = format;
    return AF_OK;
}
