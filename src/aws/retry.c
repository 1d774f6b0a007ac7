/*
 * retry.c - what a failure means, and whether it is worth another attempt.
 *
 * Source: "Retry behavior" of the SDK reference, in the form that AWS's SDK for Python has now: standard mode is a quota of 500 tokens
 * that a retry takes 14 from (5 after throttling), full jitter that begins at 50 ms (1 s after throttling) and doubles up to 20 s;
 * adaptive mode adds a rate that is cut by 30 % when the service throttles and grows back along a cubic.
 */
#include "aws/aws_int.h"
#include "base/calendar.h"
#include "os/clock.h"
#include <math.h>

enum { QUOTA = 500, COST = 14, COST_THROTTLED = 5, REFUND = 1, PAUSE_MAX_MS = 20000, PAUSE_FIRST_MS = 50, PAUSE_FIRST_THROTTLED_MS = 1000,
       PAUSE_ASKED_MS = 5000 /* more than our own at most */ };

static bool is_one_of(const char *code, const char *const *list)
{
    for (size_t i = 0; list[i] != NULL; i++)
        if (strcmp(code, list[i]) == 0)
            return true;
    return false;
}

static const char *const throttles[] = {
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "TooManyRequestsException",
    "ProvisionedThroughputExceededException", "TransactionInProgressException", "RequestLimitExceeded", "BandwidthLimitExceeded",
    "LimitExceededException", "RequestThrottled", "SlowDown", "PriorRequestNotComplete", "EC2ThrottledException", "KmsThrottled",
    "OverLimit", "RequestThrottledError", NULL };
static const char *const passing[] = { "RequestTimeout", "RequestTimeoutException", "InternalError", "InternalFailure",
                                       "InternalServerError",
    "InternalServerException", "ServiceUnavailable", "ServiceUnavailableException", "ModelNotReadyException", "KMSInternalException",
    "IDPCommunicationError", "InternalServiceError", NULL };
static const char *const expired[] = { "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", NULL };
static const char *const skewed[] = { "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "InvalidSignatureException",
    "SignatureDoesNotMatch", "AuthFailure", NULL };
static const char *const strangers[] = { "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId",
                                         "InvalidSignatureException",
    "SignatureDoesNotMatch", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "ExpiredToken", "ExpiredTokenException",
    "IncompleteSignature", "IncompleteSignatureException", "AuthFailure", "InvalidToken", NULL };
static const char *const absent[] = { "NoSuchKey", "NoSuchBucket", "NoSuchUpload", "NoSuchVersion", "ResourceNotFoundException",
                                      "NotFoundException",
    "NotFound", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "ResourceNotFound", NULL };
static const char *const clashes[] = { "PreconditionFailed", "ConditionalRequestConflict", "ConflictException", "ResourceExistsException",
    "OperationAborted", NULL };

/* SQS says com.amazonaws.sqs#QueueDoesNotExist; codes come here without the namespace. */
enum aws_verdict aws_judge(int status, const char *code)
{
    if ((status >= 200 && status < 300) || status == 304)
        return AWS_DONE;
    if (is_one_of(code, expired))
        return AWS_EXPIRED;
    if (is_one_of(code, skewed))
        return AWS_SKEWED;
    if (is_one_of(code, throttles) || (status == 429 && strcmp(code, "ModelNotReadyException") != 0)) /* which Bedrock says with 429 */
        return AWS_THROTTLED;
    if (is_one_of(code, passing) || status == 500 || status == 502 || status == 503 || status == 504)
        return AWS_TRANSIENT;
    return AWS_FAILED;
}

enum af_status aws_status_of(int status, const char *code)
{
    if (is_one_of(code, strangers) || status == 401)
        return AF_EUNAUTH;
    if (is_one_of(code, throttles) || status == 429)
        return AF_EBUSY;
    if (is_one_of(code, absent) || status == 404 || status == 410)
        return AF_ENOTFOUND;
    if (is_one_of(code, clashes) || status == 409 || status == 412)
        return AF_ECONFLICT;
    if (status == 403 || strcmp(code, "AccessDenied") == 0 || strcmp(code, "AccessDeniedException") == 0)
        return AF_EDENIED;
    if (status >= 500 || status == 408 || is_one_of(code, passing))
        return AF_EIO;
    return AF_EINVAL;
}

/* --- standard ---------------------------------------------------------------------------------------------------------------- */

void aws_retry_init(struct aws_retry_state *retry, int64_t now_ns)
{
    *retry = (struct aws_retry_state){ .tokens = QUOTA, .rate = 1, .capacity = 1, .filled_at_ns = now_ns, .throttled_at_ns = now_ns,
                                       .measured_at = 2 * (now_ns / AF_NS_PER_S) };
}

bool aws_retry_take(struct af_aws *aws, bool is_throttled, unsigned *cost)
{
    unsigned price = is_throttled ? COST_THROTTLED : COST;
    af_mutex_lock(&aws->lock);
    bool may = aws->retry.tokens >= price;
    if (may)
        aws->retry.tokens -= price;
    af_mutex_unlock(&aws->lock);
    if (may)
        *cost = price;
    return may;
}

void aws_retry_succeeded(struct af_aws *aws, unsigned cost)
{
    af_mutex_lock(&aws->lock);
    aws->retry.tokens += cost != 0 ? cost : REFUND;
    if (aws->retry.tokens > QUOTA)
        aws->retry.tokens = QUOTA;
    af_mutex_unlock(&aws->lock);
}

uint32_t aws_retry_pause_ms(unsigned attempt, bool is_throttled, uint64_t asked_ms)
{
    uint32_t random, most = is_throttled ? PAUSE_FIRST_THROTTLED_MS : PAUSE_FIRST_MS;
    for (unsigned i = 1; i < attempt && most < PAUSE_MAX_MS; i++)
        most *= 2;
    most = most < PAUSE_MAX_MS ? most : PAUSE_MAX_MS;
    af_random_bytes(&random, sizeof random);
    const uint32_t own = (uint32_t)(((uint64_t)random * most) >> 32), ceiling = own + PAUSE_ASKED_MS;
    return asked_ms <= own ? own : asked_ms < ceiling ? (uint32_t)asked_ms : ceiling;
}

/* --- adaptive ---------------------------------------------------------------------------------------------------------------- */

#define BETA 0.7
#define SCALE 0.4
#define SMOOTH 0.8
#define RATE_MIN 0.5

static void fill(struct aws_retry_state *r, int64_t now_ns)
{
    double past_s = (double)(now_ns - r->filled_at_ns) / 1e9;
    r->filled = fmin(r->capacity, r->filled + past_s * r->rate);
    r->filled_at_ns = now_ns;
}

/* A token is taken even where there is none: who comes next waits for that one, too. */
double aws_rate_wait_s(struct aws_retry_state *r, int64_t now_ns)
{
    if (!r->is_limited)
        return 0;
    fill(r, now_ns);
    r->filled -= 1;
    return r->filled < 0 ? -r->filled / r->rate : 0;
}

uint32_t aws_rate_wait_ms(struct af_aws *aws)
{
    if (aws->retry_mode != AF_AWS_RETRY_ADAPTIVE)
        return 0;
    af_mutex_lock(&aws->lock);
    double wait_s = aws_rate_wait_s(&aws->retry, af_clock_mono_ns());
    af_mutex_unlock(&aws->lock);
    return wait_s > PAUSE_MAX_MS / 1000.0 ? PAUSE_MAX_MS : (uint32_t)(wait_s * 1000);
}

/* Requests a second, smoothed over halves of a second. */
static void measure(struct aws_retry_state *r, int64_t now_ns)
{
    int64_t at = now_ns / (AF_NS_PER_S / 2);
    r->counted++;
    if (at <= r->measured_at)
        return;
    r->measured = 2.0 * r->counted / (double)(at - r->measured_at) * SMOOTH + r->measured * (1 - SMOOTH);
    r->counted = 0;
    r->measured_at = at;
}

void aws_rate_take(struct aws_retry_state *r, int64_t now_ns, bool was_throttled)
{
    double rate;
    measure(r, now_ns);
    if (was_throttled) {
        r->last_max = r->is_limited ? fmin(r->measured, r->rate) : r->measured;
        r->window = cbrt(r->last_max * (1 - BETA) / SCALE);
        r->throttled_at_ns = now_ns;
        r->is_limited = true;
        rate = r->last_max * BETA;
    } else {
        double since_s = (double)(now_ns - r->throttled_at_ns) / 1e9;
        rate = SCALE * pow(since_s - r->window, 3) + r->last_max;
    }
    fill(r, now_ns);
    rate = fmin(rate, 2 * r->measured);
    r->rate = fmax(rate, RATE_MIN);
    r->capacity = fmax(rate, 1);
    r->filled = fmin(r->filled, r->capacity);
}

void aws_rate_heard(struct af_aws *aws, bool was_throttled)
{
    if (aws->retry_mode != AF_AWS_RETRY_ADAPTIVE)
        return;
    af_mutex_lock(&aws->lock);
    aws_rate_take(&aws->retry, af_clock_mono_ns(), was_throttled);
    af_mutex_unlock(&aws->lock);
}
