/*
 * retry.c - what a failure means, and whether it is worth another attempt.
 *
 * Source: "Retry behavior" of the SDK reference: standard mode is a quota of 500 tokens that a retry takes 5 from (10 after a time-out),
 * full
 * jitter up to 20 s; adaptive mode adds a rate that is cut by 30 % when the service throttles and grows back along a cubic.
 */
#include "aws/aws_int.h"
#include "base/calendar.h"
#include "os/clock.h"
#include <math.h>

enum { QUOTA = 500, COST = 5, COST_TIMEOUT = 10, REFUND = 1, PAUSE_MAX_MS = 20000, PAUSE_FIRST_MS = 1000 };

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
    "IDPCommunicationError", "InternalServiceError", "ModelTimeoutException", NULL };
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
    if (is_one_of(code, throttles) || status == 429)
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
    if (status >= 500 || is_one_of(code, passing))
        return AF_EIO;
    return AF_EINVAL;
}

/* --- standard ---------------------------------------------------------------------------------------------------------------- */

void aws_retry_init(struct aws_retry_state *retry)
{
    *retry = (struct aws_retry_state){ .tokens = QUOTA };
}

bool aws_retry_take(struct af_aws *aws, bool is_timeout, unsigned *cost)
{
    unsigned price = is_timeout ? COST_TIMEOUT : COST;
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

uint32_t aws_retry_pause_ms(unsigned attempt)
{
    uint32_t random, most = PAUSE_FIRST_MS;
    for (unsigned i = 1; i < attempt && most < PAUSE_MAX_MS; i++)
        most *= 2;
    most = most < PAUSE_MAX_MS ? most : PAUSE_MAX_MS;
    af_random_bytes(&random, sizeof random);
    return (uint32_t)(((uint64_t)random * most) >> 32);
}

/* --- adaptive ---------------------------------------------------------------------------------------------------------------- */

#define BETA 0.7
#define SCALE 0.4
#define SMOOTH 0.8
#define RATE_MIN 0.5

static void fill(struct aws_retry_state *r, int64_t now_ns)
{
    double past_s = (double)(now_ns - r->filled_at_ns) / 1e9;
    if (r->filled_at_ns != 0 && past_s > 0)
        r->filled = fmin(r->capacity, r->filled + past_s * r->rate);
    r->filled_at_ns = now_ns;
}

uint32_t aws_rate_wait_ms(struct af_aws *aws)
{
    struct aws_retry_state *r = &aws->retry;
    double wait_s = 0;
    if (aws->retry_mode != AF_AWS_RETRY_ADAPTIVE)
        return 0;
    af_mutex_lock(&aws->lock);
    if (r->is_limited) {
        fill(r, af_clock_mono_ns());
        r->filled -= 1;
        if (r->filled < 0)
            wait_s = -r->filled / r->rate;
    }
    af_mutex_unlock(&aws->lock);
    return wait_s > PAUSE_MAX_MS / 1000.0 ? PAUSE_MAX_MS : (uint32_t)(wait_s * 1000);
}

/* Requests a second, smoothed over halves of a second. */
static void measure(struct aws_retry_state *r, int64_t now_ns)
{
    r->counted++;
    if (r->measured_at_ns == 0)
        r->measured_at_ns = now_ns;
    double past_s = (double)(now_ns - r->measured_at_ns) / 1e9;
    if (past_s < 0.5)
        return;
    r->measured = r->counted / past_s * SMOOTH + r->measured * (1 - SMOOTH);
    r->counted = 0;
    r->measured_at_ns = now_ns;
}

void aws_rate_heard(struct af_aws *aws, bool was_throttled)
{
    struct aws_retry_state *r = &aws->retry;
    if (aws->retry_mode != AF_AWS_RETRY_ADAPTIVE)
        return;
    int64_t now_ns = af_clock_mono_ns();
    af_mutex_lock(&aws->lock);
    measure(r, now_ns);
    double rate = 0;
    if (was_throttled) {
        double before = r->is_limited ? fmin(r->measured, r->rate) : r->measured;
        r->last_max = before;
        r->window = cbrt(before * (1 - BETA) / SCALE);
        r->throttled_at_ns = now_ns;
        rate = before * BETA;
        r->is_limited = true;
    } else if (r->is_limited) {
        double since_s = (double)(now_ns - r->throttled_at_ns) / 1e9;
        rate = SCALE * pow(since_s - r->window, 3) + r->last_max;
    }
    if (r->is_limited) {
        fill(r, now_ns);
        r->rate = fmax(fmin(rate, 2 * r->measured), RATE_MIN);
        r->capacity = fmax(r->rate, 1);
        r->filled = fmin(r->filled, r->capacity);
    }
    af_mutex_unlock(&aws->lock);
}
