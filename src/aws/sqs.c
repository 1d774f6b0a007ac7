/*
 * sqs.c - see sqs.h. Reference: the SQS API (2012-11-05) in its JSON form; the MD5 of attributes: "Calculating the MD5 message digest for
 * message attributes" of the developer guide.
 *
 * A queue's URL says where it is asked for: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME. The client is pointed there before each call,
 * which costs nothing where it points there already, unless an endpoint is configured: then that one is for all queues (it is how tests
 * and private endpoints work, and URLs they make are often not reachable ones).
 *
 * Delivery is at least once, so every doubt is decided for sending again.
 */
#include "aws/sqs.h"
#include "aws/aws_int.h"
#include "aws/call.h"
#include "aws/sqs_int.h"
#include "base/numbers.h"
#include "base/prng.h"
#include "base/utf8.h"
#include "codec/digest.h"
#include "os/clock.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { WAIT_S_MAX = 20, VISIBILITY_S_MAX = 43200, DELAY_S_MAX = 900, ROUNDS = 6, PAUSE_MS = 200, PAUSE_MS_MAX = 5000, NS_PER_MS = 1000000,
       FIFO_ID_CHARS = 128 };
static const char service[] = "SQS";
static const char reason_name[] = "Reason";

/* --- where a queue is --------------------------------------------------------------------------------------------------------- */

/* REGION of sqs.REGION.amazonaws.com, REGION.queue.amazonaws.com, sqs-fips.REGION..., X.sqs.REGION.vpce.amazonaws.com; else nothing. */
static struct af_slice region_of_host(struct af_slice host)
{
    struct af_slice before = { 0 };
    bool is_next = false;
    for (size_t at = 0; at < host.len;) {
        size_t len = 0;
        while (at + len < host.len && host.ptr[at + len] != '.' && host.ptr[at + len] != ':')
            len++;
        const struct af_slice label = { host.ptr + at, len };
        if (is_next)
            return label;
        if (af_slice_is(label, "queue") && before.len != 0)
            return before;
        is_next = af_slice_is(label, "sqs") || af_slice_is(label, "sqs-fips");
        before = label;
        at += len + 1;
    }
    return (struct af_slice){ 0 };
}

/* A name of AWS's own: others (localhost, an emulator) say nothing about regions. */
static bool is_aws_host(struct af_slice host)
{
    static const char *const suffixes[] = { ".amazonaws.com", ".amazonaws.com.cn", ".api.aws" };
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        const size_t len = strlen(suffixes[i]);
        if (host.len > len && memcmp(host.ptr + host.len - len, suffixes[i], len) == 0)
            return true;
    }
    return false;
}

enum af_status sqs_place(const char *queue, struct sqs_place *out, struct af_error *err)
{
    const char *scheme_end = strstr(queue, "://");
    const char *host = scheme_end != NULL ? scheme_end + 3 : queue;
    const char *path = strchr(host, '/');
    if (scheme_end == NULL || (strncmp(queue, "https://", 8) != 0 && strncmp(queue, "http://", 7) != 0) || path == NULL ||
        path == host || path[1] == '\0' || memchr(host, '@', (size_t)(path - host)) != NULL)
        return af_fail(err, AF_EINVAL, "\"%s\" is no URL of a queue: those look like https://sqs.eu-west-1.amazonaws.com/123456789012/name",
                       queue);
    const struct af_slice authority = { host, (size_t)(path - host) };
    const struct af_slice region = is_aws_host(authority) ? region_of_host(authority) : (struct af_slice){ 0 };
    if ((size_t)(path - queue) >= sizeof out->base || region.len >= sizeof out->region)
        return af_fail(err, AF_EINVAL, "the URL of a queue has a host of more than %zu bytes", sizeof out->base - 1);
    (void)snprintf(out->base, sizeof out->base, "%.*s", (int)(path - queue), queue);
    (void)snprintf(out->region, sizeof out->region, "%.*s", (int)region.len, region.len != 0 ? region.ptr : "");
    return AF_OK;
}

static enum af_status begin(struct aws_call *call, struct af_aws_client *client, const char *operation, const char *queue,
                            struct af_error *err)
{
    struct sqs_place place;
    AF_TRY(sqs_place(queue, &place, err));
    if (!aws_client_is_configured(client))
        AF_TRY(af_aws_client_point(client, place.base, place.region[0] != '\0' ? place.region : NULL, err));
    aws_call_begin(call, client, service, operation);
    aws_put_text(call, "QueueUrl", af_slice_of(queue));
    return AF_OK;
}

/* --- digests ------------------------------------------------------------------------------------------------------------------- */

static void hex_of(const uint8_t digest[AF_MD5_BYTES], char out[33])
{
    for (size_t i = 0; i < AF_MD5_BYTES; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* Is `hex` the MD5 of `bytes`? What cannot be said (no digest came, no MD5 here) is taken for yes. */
static bool has_md5(struct af_slice bytes, struct af_slice hex)
{
    uint8_t digest[AF_MD5_BYTES];
    char text[33];
    if (hex.ptr == NULL || !af_md5(bytes, digest))
        return true;
    hex_of(digest, text);
    return af_slice_is(hex, text);
}

static void put_counted(struct af_buf *out, struct af_slice text)
{
    const uint32_t len = (uint32_t)text.len;
    const uint8_t count[4] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };
    af_buf_append(out, count, 4);
    af_buf_append_slice(out, text);
}

/* What the service makes the digest of: name, type, 1 for text, value; each but the 1 behind its length. */
static bool has_reason_md5(struct af_slice reason, struct af_slice hex)
{
    struct af_buf form;
    if (hex.ptr == NULL)
        return true;
    af_buf_init(&form, AF_SQS_BODY_BYTES_MAX + 64);
    put_counted(&form, af_slice_of(reason_name));
    put_counted(&form, AF_SLICE_LIT("String"));
    af_buf_append_char(&form, 1);
    put_counted(&form, reason);
    const bool is_same = form.failed || has_md5(af_buf_slice(&form), hex);
    af_buf_done(&form);
    return is_same;
}

/* --- sending --------------------------------------------------------------------------------------------------------------------- */

/* Characters of XML 1.0, which is what a queue takes; returns how many bytes are fine. */
static size_t fine_prefix(struct af_slice text)
{
    size_t fine = af_utf8_valid_prefix(text.ptr, text.len);
    for (size_t i = 0; i < fine; i++) {
        const unsigned char c = (unsigned char)text.ptr[i];
        const bool is_control = c < 0x20 && c != '\t' && c != '\n' && c != '\r';
        const bool is_noncharacter = c == 0xef && i + 2 < fine && (unsigned char)text.ptr[i + 1] == 0xbf &&
                                     (unsigned char)text.ptr[i + 2] >= 0xbe;   /* U+FFFE, U+FFFF */
        if (is_control || is_noncharacter)
            return i;
    }
    return fine;
}

static size_t weight(const struct af_sqs_message *message)
{
    return message->body.len + (message->reason.ptr != NULL ? message->reason.len + sizeof reason_name + sizeof "String" : 0);
}

static enum af_status check_message(const struct af_sqs_message *message, size_t i, struct af_error *err)
{
    const struct af_slice texts[] = { message->body, message->reason };
    static const char *const names[] = { "body", "reason" };
    for (size_t t = 0; t < 2; t++) {
        if (texts[t].len == 0 && (t == 0 || texts[t].ptr != NULL))
            return af_fail(err, AF_EINVAL, "message %zu to a queue has an empty %s, which SQS refuses", i + 1, names[t]);
        const size_t fine = texts[t].len != 0 ? fine_prefix(texts[t]) : 0;
        if (fine != texts[t].len)
            return af_fail(err, AF_EINVAL, "the %s of message %zu has a byte at %zu that SQS does not take: it must be UTF-8 without "
                                           "control "
                                           "characters", names[t], i + 1, fine);
    }
    if (weight(message) > AF_SQS_BODY_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "message %zu to a queue has %zu bytes: SQS takes %d", i + 1, weight(message), AF_SQS_BODY_BYTES_MAX);
    return AF_OK;
}

/* --- FIFO queues ----------------------------------------------------------------------------------------------------------------- */

static bool is_fifo(const char *queue)
{
    const size_t len = strlen(queue);
    return len > 5 && strcmp(queue + len - 5, ".fifo") == 0;
}

/* 1 to 128 letters, digits and punctuation of ASCII. */
static bool is_fifo_id(struct af_slice id)
{
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] <= ' ' || id.ptr[i] > '~')
            return false;
    return id.len >= 1 && id.len <= FIFO_ID_CHARS;
}

static enum af_status check_fifo(const char *queue, const struct af_sqs_message *messages, size_t count, struct af_error *err)
{
    for (size_t i = 0; i < count && is_fifo(queue); i++)
        if ((messages[i].group.ptr != NULL && !is_fifo_id(messages[i].group)) ||
            (messages[i].duplicate.ptr != NULL && !is_fifo_id(messages[i].duplicate)))
            return af_fail(err, AF_EINVAL, "the group and the deduplication id of message %zu to %s must be 1 to %d ASCII characters "
                                           "without spaces", i + 1, queue, FIFO_ID_CHARS);
    return AF_OK;
}

static void put_fifo_id(struct aws_call *call, const char *name, struct af_slice given, const uint64_t call_id[2], size_t i)
{
    char made[64];
    const int len = snprintf(made, sizeof made, "%016" PRIx64 "%016" PRIx64 "-%zu", call_id[0], call_id[1], i);
    aws_put_text(call, name, given.ptr != NULL ? given : af_slice_make(made, (size_t)len));
}

/* `call_id` is random: of one call of this file, through all its rounds. The last argument tells the messages of a batch apart. */
static void put_message(struct aws_call *call, const char *queue, const struct af_sqs_message *message, const uint64_t call_id[2], size_t i)
{
    aws_put_text(call, "MessageBody", message->body);
    if (is_fifo(queue)) {
        put_fifo_id(call, "MessageGroupId", message->group, call_id, i);
        put_fifo_id(call, "MessageDeduplicationId", message->duplicate, call_id, i);
    }
    if (message->reason.ptr == NULL)
        return;
    aws_put_name(call, "MessageAttributes");
    af_buf_printf(&call->body, "{\"%s\":{\"DataType\":\"String\",\"StringValue\":", reason_name);
    af_json_append_string(&call->body, message->reason);
    af_buf_append_str(&call->body, "}}");
}

/* --- one message ------------------------------------------------------------------------------------------------------------------ */

/* Did the service get what was meant? */
static bool is_intact(const struct af_json *sent, const struct af_sqs_message *message)
{
    return has_md5(message->body, af_json_string(sent, "MD5OfMessageBody")) &&
           (message->reason.ptr == NULL || has_reason_md5(message->reason, af_json_string(sent, "MD5OfMessageAttributes")));
}

static enum af_status send_one(struct aws_call *call, const char *queue, const struct af_sqs_message *message, uint32_t delay_s,
                               struct af_error *err)
{
    struct af_slice id;
    uint64_t call_id[2];
    af_random_bytes(call_id, sizeof call_id);
    put_message(call, queue, message, call_id, 0);
    if (delay_s != 0)
        aws_put_u64(call, "DelaySeconds", delay_s);
    AF_TRY(aws_call_send(call, err));
    AF_TRY(aws_need_text(call, call->answer, "MessageId", &id, err));
    if (!is_intact(call->answer, message))
        return aws_bad_answer(call, err, "has another MD5 than what was sent: the message was altered on the way");
    return AF_OK;
}

enum af_status af_sqs_send(struct af_aws_client *client, const char *queue, const struct af_sqs_message *message, uint32_t delay_s,
                           struct af_error *err)
{
    struct aws_call call;
    AF_TRY(check_fifo(queue, message, 1, err));
    AF_TRY(check_message(message, 0, err));
    if (delay_s != 0 && is_fifo(queue))
        return af_fail(err, AF_EINVAL, "%s is a FIFO queue, which delays all of its messages or none", queue);
    if (delay_s > DELAY_S_MAX)
        return af_fail(err, AF_EINVAL, "SQS delays a message by at most %d s, not %" PRIu32, DELAY_S_MAX, delay_s);
    AF_TRY(begin(&call, client, "SendMessage", queue, err));
    const enum af_status status = send_one(&call, queue, message, delay_s, err);
    aws_call_end(&call);
    return status;
}

/* --- a batch: rounds until nothing is left -------------------------------------------------------------------------------------- */

struct batch {
    struct af_aws_client *client;
    const char *queue;
    const struct af_sqs_message *messages;
    size_t count;
    uint64_t call_id[2];
    bool is_done[AF_SQS_BATCH_MAX];
    bool is_asked[AF_SQS_BATCH_MAX]; /* in this round */
    char why[200];                   /* of the last entry that the service did not take for its own fault */
    struct af_error refusal;         /* of the first that is the sender's fault: told when the others are through */
};

/* As many of what is left as fit into one request. */
static void put_entries(struct batch *batch, struct aws_call *call)
{
    size_t bytes = 0;
    bool is_first = true;
    aws_put_name(call, "Entries");
    af_buf_append_char(&call->body, '[');
    for (size_t i = 0; i < batch->count; i++) {
        const size_t more = weight(&batch->messages[i]);
        batch->is_asked[i] = !batch->is_done[i] && bytes + more <= AF_SQS_BODY_BYTES_MAX;
        if (!batch->is_asked[i])
            continue;
        bytes += more;
        af_buf_printf(&call->body, "%s{\"Id\":\"%zu\"", is_first ? "" : ",", i);
        is_first = false;
        put_message(call, batch->queue, &batch->messages[i], batch->call_id, i);
        af_buf_append_char(&call->body, '}');
    }
    af_buf_append_char(&call->body, ']');
}

static enum af_status entry_of(const struct batch *batch, const struct aws_call *call, const struct af_json *entry, size_t *out,
                               struct af_error *err)
{
    struct af_slice id;
    uint64_t i;
    AF_TRY(aws_need_text(call, entry, "Id", &id, err));
    if (!af_u64_parse(id, &i) || i >= batch->count || !batch->is_asked[i])
        return aws_bad_answer(call, err, "speaks of an entry that was not sent");
    *out = (size_t)i;
    return AF_OK;
}

static enum af_status take_successful(struct batch *batch, const struct aws_call *call, struct af_error *err)
{
    const struct af_json *entry;
    size_t i;
    AF_TRY(aws_take_list(call, call->answer, "Successful", &entry, err));
    for (; entry != NULL; entry = entry->next) {
        AF_TRY(entry_of(batch, call, entry, &i, err));
        batch->is_done[i] = is_intact(entry, &batch->messages[i]);
        if (!batch->is_done[i])
            (void)snprintf(batch->why, sizeof batch->why, "it arrived altered (another MD5)");
    }
    return AF_OK;
}

static void refuse(struct batch *batch, size_t i, const struct af_json *entry)
{
    const struct af_slice code = af_json_string(entry, "Code"), words = af_json_string(entry, "Message");
    const struct af_slice id = batch->messages[i].id;
    batch->is_done[i] = true;
    if (batch->refusal.status == AF_OK)
        (void)af_fail(&batch->refusal, AF_EINVAL, "%s refuses message %zu of a batch%s" AF_SLICE_FMT "%s: " AF_SLICE_FMT ": %.*s",
                      batch->queue,
                      i + 1, id.len != 0 ? " (" : "", AF_SLICE_ARG(id), id.len != 0 ? ")" : "", AF_SLICE_ARG(code),
                      (int)(words.len < 300 ? words.len : 300), words.len != 0 ? words.ptr : "");
}

static enum af_status take_failed(struct batch *batch, const struct aws_call *call, struct af_error *err)
{
    const struct af_json *entry;
    size_t i;
    AF_TRY(aws_take_list(call, call->answer, "Failed", &entry, err));
    for (; entry != NULL; entry = entry->next) {
        const struct af_json *fault = af_json_get(entry, "SenderFault");
        const struct af_slice code = af_json_string(entry, "Code");
        AF_TRY(entry_of(batch, call, entry, &i, err));
        if (fault != NULL && fault->kind == AF_JSON_BOOL && fault->is_true)
            refuse(batch, i, entry);
        else
            (void)snprintf(batch->why, sizeof batch->why, "%.*s", (int)(code.len < 100 ? code.len : 100), code.len != 0 ? code.ptr : "");
    }
    return AF_OK;
}

static enum af_status send_round(struct batch *batch, struct af_error *err)
{
    struct aws_call call;
    AF_TRY(begin(&call, batch->client, "SendMessageBatch", batch->queue, err));
    put_entries(batch, &call);
    enum af_status status = aws_call_send(&call, err);
    if (status == AF_OK)
        status = take_successful(batch, &call, err);
    if (status == AF_OK)
        status = take_failed(batch, &call, err);
    aws_call_end(&call);
    return status;
}

static size_t count_left(const struct batch *batch)
{
    size_t left = 0;
    for (size_t i = 0; i < batch->count; i++)
        left += !batch->is_done[i];
    return left;
}

static bool asked_for_all_it_could(const struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (!batch->is_done[i] && batch->is_asked[i])
            return false;
    return true;
}

static void pause_before(unsigned failure)
{
    struct af_prng prng;
    const uint32_t ceiling = PAUSE_MS << failure < PAUSE_MS_MAX ? (uint32_t)PAUSE_MS << failure : PAUSE_MS_MAX;
    af_random_bytes(&prng.state, sizeof prng.state);
    af_clock_sleep_ms(ceiling / 2 + (uint32_t)af_prng_below(&prng, ceiling / 2 + 1));
}

enum af_status af_sqs_send_batch(struct af_aws_client *client, const char *queue, const struct af_sqs_message *messages, size_t count,
                                 struct af_error *err)
{
    struct batch batch = { .client = client, .queue = queue, .messages = messages, .count = count };
    if (count > AF_SQS_BATCH_MAX)
        return af_fail(err, AF_EINVAL, "a batch to a queue has at most %d messages, not %zu", AF_SQS_BATCH_MAX, count);
    AF_TRY(check_fifo(queue, messages, count, err));
    af_random_bytes(batch.call_id, sizeof batch.call_id);
    for (size_t i = 0; i < count; i++)
        AF_TRY(check_message(&messages[i], i, err));
    for (unsigned failures = 0; count_left(&batch) != 0;) {
        AF_TRY(send_round(&batch, err));
        if (asked_for_all_it_could(&batch))
            continue;
        if (++failures == ROUNDS)
            return af_fail(err, AF_EIO, "%s did not take %zu of %zu messages in %d rounds; the last time: %s", queue, count_left(&batch),
                           count,
                           ROUNDS, batch.why[0] != '\0' ? batch.why : "it said nothing about them");
        pause_before(failures - 1);
    }
    if (batch.refusal.status != AF_OK && err != NULL)
        *err = batch.refusal;
    return batch.refusal.status;
}

/* --- receiving ------------------------------------------------------------------------------------------------------------------ */

static enum af_status attribute(const struct aws_call *call, const struct af_json *attributes, const char *name, uint64_t *out,
                                struct af_error *err)
{
    const struct af_slice text = af_json_string(attributes, name);
    if (text.ptr != NULL && !af_u64_parse(text, out))
        return aws_bad_answer(call, err, "has a \"%s\" that is no number", name);
    return AF_OK;
}

static enum af_status take_message(const struct aws_call *call, const struct af_json *from, struct af_arena *arena,
                                   struct af_sqs_message *out, struct af_error *err)
{
    const struct af_json *attributes = af_json_get(from, "Attributes");
    const struct af_slice reason = af_json_string(af_json_get(af_json_get(from, "MessageAttributes"), reason_name), "StringValue");
    struct af_slice id, body, receipt;
    uint64_t receives = 1, sent_ms = 0;
    AF_TRY(aws_need_text(call, from, "MessageId", &id, err));
    AF_TRY(aws_need_text(call, from, "ReceiptHandle", &receipt, err));
    AF_TRY(aws_need_text(call, from, "Body", &body, err));
    AF_TRY(attribute(call, attributes, "ApproximateReceiveCount", &receives, err));
    AF_TRY(attribute(call, attributes, "SentTimestamp", &sent_ms, err));
    *out = (struct af_sqs_message){
        .id = aws_keep(arena, id),
        .body = aws_keep(arena, body),
        .receipt = aws_keep(arena, receipt),
        .reason = reason.ptr != NULL ? aws_keep(arena, reason) : (struct af_slice){ 0 },
        .receive_count = receives < UINT32_MAX ? (uint32_t)receives : UINT32_MAX,
        .sent_ns = sent_ms < (uint64_t)(INT64_MAX / NS_PER_MS) ? (int64_t)sent_ms * NS_PER_MS : INT64_MAX,
    };
    if (out->id.ptr == NULL || out->body.ptr == NULL || out->receipt.ptr == NULL || (reason.ptr != NULL && out->reason.ptr == NULL))
        return af_arena_fail(arena, body.len, "a message of a queue", err);
    return AF_OK;
}

/* What does not match its MD5 is left out: it comes again when its time is over. All of them: something is wrong. */
enum af_status sqs_take_messages(const struct aws_call *call, uint32_t max, struct af_arena *arena, struct af_sqs_message *out,
                                 size_t *out_count, struct af_error *err)
{
    const struct af_json *from;
    size_t count = 0, altered = 0;
    AF_TRY(aws_take_list(call, call->answer, "Messages", &from, err));
    for (; from != NULL; from = from->next) {
        if (count == max)
            return aws_bad_answer(call, err, "has more than the %" PRIu32 " messages that were asked for", max);
        AF_TRY(take_message(call, from, arena, &out[count], err));
        if (has_md5(out[count].body, af_json_string(from, "MD5OfBody")))
            count++;
        else
            altered++;
    }
    if (count == 0 && altered != 0)
        return aws_bad_answer(call, err, "has %zu messages, none of which matches its MD5: they were altered on the way", altered);
    *out_count = count;
    return AF_OK;
}

enum af_status af_sqs_receive(struct af_aws_client *client, const char *queue, uint32_t max, uint32_t wait_s, uint32_t visibility_s,
                              const bool *cancel, struct af_arena *arena, struct af_sqs_message *out, size_t *out_count,
                              struct af_error *err)
{
    struct aws_call call;
    if (max == 0 || max > AF_SQS_BATCH_MAX || wait_s > WAIT_S_MAX || visibility_s > VISIBILITY_S_MAX)
        return af_fail(err, AF_EINVAL, "SQS gives 1 to %d messages at once, waits at most %d s and hides them at most %d s",
                       AF_SQS_BATCH_MAX,
                       WAIT_S_MAX, VISIBILITY_S_MAX);
    AF_TRY(begin(&call, client, "ReceiveMessage", queue, err));
    aws_put_json(&call, "MessageSystemAttributeNames", AF_SLICE_LIT("[\"ApproximateReceiveCount\",\"SentTimestamp\"]"));
    aws_put_json(&call, "MessageAttributeNames", AF_SLICE_LIT("[\"Reason\"]"));
    aws_put_u64(&call, "MaxNumberOfMessages", max);
    aws_put_u64(&call, "VisibilityTimeout", visibility_s);
    aws_put_u64(&call, "WaitTimeSeconds", wait_s);
    call.cancel = cancel;
    enum af_status status = aws_call_send(&call, err);
    if (status == AF_OK)
        status = sqs_take_messages(&call, max, arena, out, out_count, err);
    aws_call_end(&call);
    return status;
}

/* --- what is done with one ------------------------------------------------------------------------------------------------------- */

/* The service's ways to say that a receipt is worth nothing any more. */
static enum af_status receipt_status(const struct aws_call *call, enum af_status status, struct af_error *err)
{
    const char *const code = call->code;
    if (status == AF_OK || (strstr(code, "MessageNotInflight") == NULL && strstr(code, "ReceiptHandleIsInvalid") == NULL))
        return status;
    if (err != NULL)
        err->status = AF_ENOTFOUND;
    return AF_ENOTFOUND;
}

enum af_status af_sqs_delete(struct af_aws_client *client, const char *queue, struct af_slice receipt, struct af_error *err)
{
    struct aws_call call;
    AF_TRY(begin(&call, client, "DeleteMessage", queue, err));
    aws_put_text(&call, "ReceiptHandle", receipt);
    enum af_status status = aws_call_send(&call, err);
    status = receipt_status(&call, status, err);
    aws_call_end(&call);
    return status;
}

enum af_status af_sqs_visibility(struct af_aws_client *client, const char *queue, struct af_slice receipt, uint32_t seconds,
                                 struct af_error *err)
{
    struct aws_call call;
    if (seconds > VISIBILITY_S_MAX)
        return af_fail(err, AF_EINVAL, "SQS hides a message for at most %d s, not %" PRIu32, VISIBILITY_S_MAX, seconds);
    AF_TRY(begin(&call, client, "ChangeMessageVisibility", queue, err));
    aws_put_text(&call, "ReceiptHandle", receipt);
    aws_put_u64(&call, "VisibilityTimeout", seconds);
    enum af_status status = aws_call_send(&call, err);
    status = receipt_status(&call, status, err);
    aws_call_end(&call);
    return status;
}

/* --- queues ----------------------------------------------------------------------------------------------------------------------- */

/* arn:aws:sqs:REGION:ACCOUNT:NAME */
static bool split_arn(const char *text, struct af_slice *out_account, struct af_slice *out_name)
{
    struct af_slice part[6];
    for (size_t i = 0; i < 6; i++) {
        const size_t len = i < 5 ? strcspn(text, ":") : strlen(text);
        part[i] = (struct af_slice){ text, len };
        if (i < 5 && text[len] == '\0')
            return false;
        text += len + (i < 5);
    }
    *out_account = part[4];
    *out_name = part[5];
    return af_slice_is(part[0], "arn") && af_slice_is(part[2], "sqs") && part[4].len != 0 && part[5].len != 0;
}

static enum af_status ask_url(struct aws_call *call, const char *name, struct af_arena *arena, const char **out, struct af_error *err)
{
    struct af_slice account, own_name = af_slice_of(name), url;
    struct sqs_place place;
    const bool is_arn = split_arn(name, &account, &own_name);
    aws_put_text(call, "QueueName", own_name);
    if (is_arn)
        aws_put_text(call, "QueueOwnerAWSAccountId", account);
    AF_TRY(aws_call_send(call, err));
    AF_TRY(aws_need_text(call, call->answer, "QueueUrl", &url, err));
    const char *kept = af_arena_copy(arena, url);
    if (kept == NULL)
        return af_arena_fail(arena, url.len, "the URL of a queue", err);
    if (sqs_place(kept, &place, NULL) != AF_OK)
        return aws_bad_answer(call, err, "has a \"QueueUrl\" that is none: \"%.200s\"", kept);
    *out = kept;
    return AF_OK;
}

enum af_status af_sqs_url(struct af_aws_client *client, const char *name, struct af_arena *arena, const char **out, struct af_error *err)
{
    struct aws_call call;
    if (strstr(name, "://") != NULL) {
        const char *kept = af_arena_copy(arena, af_slice_of(name));
        if (kept == NULL)
            return af_arena_fail(arena, strlen(name), "the URL of a queue", err);
        *out = kept;
        return AF_OK;
    }
    aws_call_begin(&call, client, service, "GetQueueUrl");
    const enum af_status status = ask_url(&call, name, arena, out, err);
    aws_call_end(&call);
    return status;
}

/* {"deadLetterTargetArn":"arn...","maxReceiveCount":"5"} as text in a text; the number is one or a text, as whoever made it wrote it. */
static enum af_status take_redrive(struct aws_call *call, struct af_slice text, struct af_sqs_depth *out, struct af_error *err)
{
    const struct af_json *policy, *max;
    int64_t count = 0;
    if (text.len == 0)
        return AF_OK;
    const enum af_status status = aws_take_object(call, text, "RedrivePolicy", &policy, NULL);
    if (status == AF_ENOMEM)
        return af_fail_nomem(err, "an answer of SQS");
    if (status != AF_OK)
        return aws_bad_answer(call, err, "has a \"RedrivePolicy\" that is no JSON object");
    AF_TRY(aws_need_copy(call, policy, "deadLetterTargetArn", out->dead_letters, sizeof out->dead_letters, err));
    max = af_json_get(policy, "maxReceiveCount");
    if (max == NULL || !af_i64_parse(max->text, &count) || count < 1 || count > UINT32_MAX)
        return aws_bad_answer(call, err, "has a \"RedrivePolicy\" without a \"maxReceiveCount\"");
    out->max_receives = (uint32_t)count;
    return AF_OK;
}

enum af_status sqs_take_depth(struct aws_call *call, struct af_sqs_depth *out, struct af_error *err)
{
    const struct af_json *attributes = af_json_get(call->answer, "Attributes");
    uint64_t visibility = 0;
    if (attributes == NULL || attributes->kind != AF_JSON_OBJECT)
        return aws_bad_answer(call, err, "has no \"Attributes\"");
    AF_TRY(attribute(call, attributes, "ApproximateNumberOfMessages", &out->visible, err));
    AF_TRY(attribute(call, attributes, "ApproximateNumberOfMessagesNotVisible", &out->in_flight, err));
    AF_TRY(attribute(call, attributes, "ApproximateNumberOfMessagesDelayed", &out->delayed, err));
    AF_TRY(attribute(call, attributes, "VisibilityTimeout", &visibility, err));
    if (visibility > VISIBILITY_S_MAX)
        return aws_bad_answer(call, err, "has a \"VisibilityTimeout\" past %d s", VISIBILITY_S_MAX);
    out->visibility_s = (uint32_t)visibility;
    return take_redrive(call, af_json_string(attributes, "RedrivePolicy"), out, err);
}

enum af_status af_sqs_depth(struct af_aws_client *client, const char *queue, struct af_sqs_depth *out, struct af_error *err)
{
    struct aws_call call;
    struct af_sqs_depth depth = { 0 };
    AF_TRY(begin(&call, client, "GetQueueAttributes", queue, err));
    aws_put_json(&call, "AttributeNames",
                 AF_SLICE_LIT("[\"ApproximateNumberOfMessages\",\"ApproximateNumberOfMessagesNotVisible\","
                              "\"ApproximateNumberOfMessagesDelayed\",\"VisibilityTimeout\",\"RedrivePolicy\"]"));
    enum af_status status = aws_call_send(&call, err);
    if (status == AF_OK)
        status = sqs_take_depth(&call, &depth, err);
    aws_call_end(&call);
    if (status == AF_OK)
        *out = depth;
    return status;
}
