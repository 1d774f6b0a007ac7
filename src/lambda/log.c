/* log.c - JSON lines for Lambda's log. Source: "Using the JSON log format" of the Lambda guide. */
#include "base/calendar.h"
#include "base/limits.h"
#include "format/json/json.h"
#include "lambda/lambda.h"
#include "os/clock.h"
#include <stdarg.h>
#include <stdio.h>

enum { WORDS_MAX = 2048, LINE_BYTES_MAX = 64 << 10 };

void af_lambda_say(const struct af_lambda_log *log, enum af_lambda_level level, struct af_slice members, const char *fmt, ...)
{
    static const char *const levels[] = { "DEBUG", "INFO", "WARN", "ERROR" };
    char words[WORDS_MAX], time[40];
    va_list args;
    struct af_buf line;
    if ((int)level < log->level)
        return;
    va_start(args, fmt);
    (void)vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    *af_rfc3339_print(time, af_clock_now_ns(), 3) = '\0';
    af_buf_init(&line, LINE_BYTES_MAX);
    af_buf_printf(&line, "{\"timestamp\":\"%s\",\"level\":\"%s\"", time, levels[level]);
    if (log->request_id != NULL) {
        af_buf_append_str(&line, ",\"requestId\":");
        af_json_append_string(&line, af_slice_of(log->request_id));
    }
    af_buf_append_str(&line, ",\"message\":");
    af_json_append_string(&line, af_slice_of(words));
    if (members.len != 0) {
        af_buf_append_char(&line, ',');
        af_buf_append_slice(&line, members);
    }
    af_buf_append_str(&line, "}\n");
    if (!line.failed)
        log->write(log->ctx, af_buf_slice(&line));
    af_buf_done(&line);
}
