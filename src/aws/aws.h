/*
 * aws.h - talking to AWS: configuration, credentials, signed requests, retries. The services stand beside it, one header each.
 *
 *     struct af_aws *aws;                 what all threads share: region, credentials and their refresh, retry quota, clock skew
 *     struct af_aws_client *client;       one connection to one service, one thread at a time
 *     af_aws_send(client, &request, &answer, err)     sign, send, judge, retry
 *
 * Configuration follows AWS's SDKs and CLI: AWS_PROFILE, AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, AWS_REGION, AWS_DEFAULT_REGION,
 * AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE> (also endpoint_url and [services ...] of the profile,
 * AWS_IGNORE_CONFIGURED_ENDPOINT_URLS),
 * AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT, AWS_MAX_ATTEMPTS, AWS_RETRY_MODE, AWS_CA_BUNDLE.
 *
 * Credentials, the first that has any: the environment; a role of the profile (role_arn with source_profile or credential_source);
 * AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN; what else the profile has (role_arn with web_identity_token_file, sso_session with its
 * cached token, keys, credential_process); the container's endpoint (ECS, EKS pod identity); IMDSv2. `options.profile` leaves the
 * environment's out. They are refreshed before they expire, by one thread while the others go on with the old ones as long as these last; a
 * service that says ExpiredToken makes them be fetched anew, once. No secret is ever in a message.
 *
 * Sources: the "SigV4 signing process" page and the aws-signing-test-suite (sign.c), "Retry behavior" of the SDK reference (retry.c),
 * "Instance metadata service" of the EC2 guide (credentials_http.c).
 */
#ifndef AF_AWS_AWS_H
#define AF_AWS_AWS_H
#include "base/arena.h"
#include "net/http.h"

/* --- what calls share ---------------------------------------------------------------------------------------------------- */

enum af_aws_retry { AF_AWS_RETRY_STANDARD, AF_AWS_RETRY_ADAPTIVE };
struct af_aws_options {          /* zeroed: everything from the environment and the profile */
    const char *profile;
    const char *region;
    const char *endpoint_url;    /* for every service (tests, private endpoints) */
    uint32_t max_attempts;       /* 0: as configured, else 3 */
    const char *user_agent;      /* added to ours; NULL: nothing */
    struct af_http_options http; /* of every client */
    /* Variables of the environment; NULL: the process's. (Tests, and programs that serve several.) */
    const char *(*variable)(void *ctx, const char *name);
    void *ctx;
};
struct af_aws;
/* Reads the configuration files; contacts nobody. AF_EINVAL names the file and line that cannot be understood, AF_ENOTFOUND a profile that
 * was asked for and is not there. */
AF_MUST_CHECK enum af_status af_aws_open(const struct af_aws_options *options, struct af_aws **out, struct af_error *err);
void af_aws_close(struct af_aws *aws); /* after all its clients; NULL is fine */
/* The region, or AF_EINVAL that says how to give one. */
AF_MUST_CHECK enum af_status af_aws_region(struct af_aws *aws, const char **out, struct af_error *err);
const char *af_aws_variable(const struct af_aws *aws, const char *name); /* NULL: not set or empty */

enum { AF_AWS_TOKEN_BYTES = 16384 };
struct af_aws_credentials {
    char access_key[160];
    char secret_key[256];
    char session_token[AF_AWS_TOKEN_BYTES]; /* "" if there is none */
    int64_t expires_ns;                     /* 0: never */
    char source[64];                        /* "environment", "profile x", "container", "instance metadata", ...: for messages */
};
/* A copy of those in use now, fetched or refreshed if need be. Any thread. AF_EUNAUTH lists what was tried and why each had none. Wipe
 * it. */
AF_MUST_CHECK enum af_status af_aws_credentials_get(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err);

/* --- signature version 4 ------------------------------------------------------------------------------------------------- */

/* One request as it will be on the wire. `path` as sent (already percent-encoded for S3); queries and headers unsorted. */
struct af_aws_pair {
    struct af_slice name, value;
};
struct af_aws_to_sign {
    struct af_slice method;
    struct af_slice path;
    const struct af_aws_pair *query;      /* decoded; they are encoded and sorted here */
    size_t query_count;
    const struct af_aws_pair *headers;    /* those to sign, host among them; of any case, repeated ones joined in order */
    size_t header_count;
    struct af_slice payload_hash;         /* hex of SHA-256 of the body, or UNSIGNED-PAYLOAD, STREAMING-... */
    const char *region, *service;
    const struct af_aws_credentials *credentials;
    int64_t now_ns;
    bool is_s3;                           /* the path is neither normalised nor encoded a second time */
    bool keep_path;                       /* not normalised */
};
struct af_aws_signed {
    struct af_buf canonical_request;      /* for messages of SignatureDoesNotMatch and for tests */
    struct af_buf string_to_sign;
    struct af_buf authorization;          /* the header's value */
    char signature[65];
    char date[17];                        /* 20150830T123600Z */
    uint8_t key[32];                      /* the derived signing key: chunks are signed with it. Wiped by done */
};
AF_MUST_CHECK enum af_status af_aws_sign(const struct af_aws_to_sign *request, struct af_aws_signed *out, struct af_error *err);
void af_aws_signed_done(struct af_aws_signed *done);
/* As a URL that carries the signature (X-Amz-...), valid for `expires_s`; appended to `out` with scheme://host given by `base`. */
AF_MUST_CHECK enum af_status af_aws_presign(const struct af_aws_to_sign *request, struct af_slice base, uint32_t expires_s,
                                            struct af_buf *out, struct af_error *err);
/* aws-chunked: the signature of one chunk, chained to the one before (`previous`, 64 hex); an empty chunk ends the body. */
AF_MUST_CHECK enum af_status af_aws_sign_chunk(const struct af_aws_to_sign *request, const uint8_t key[32], const char *previous,
                                               struct af_slice chunk, char out[65], struct af_error *err);

/* --- one request --------------------------------------------------------------------------------------------------------- */

struct af_aws_client;
/* `service` is the endpoint's name ("s3", "sqs", "timestream-influxdb"): a row of services.c, which knows signing name and protocol. */
AF_MUST_CHECK enum af_status af_aws_client_new(struct af_aws *aws, const char *service, struct af_aws_client **out, struct af_error *err);
void af_aws_client_free(struct af_aws_client *client);
/* Speak to this URL instead (a queue's own host, a discovered endpoint, a bucket's region). url NULL: to the service's own again; region
 * NULL: the configured one. */
AF_MUST_CHECK enum af_status af_aws_client_point(struct af_aws_client *client, const char *url, const char *region, struct af_error *err);

/* scheme://host[:port][/path] that it speaks to now; lives until the client is pointed elsewhere. */
const char *af_aws_client_url(const struct af_aws_client *client);
/* Is that AWS's own endpoint of the region? Then a bucket may stand in front of its host. */
bool af_aws_client_is_own(const struct af_aws_client *client);

struct af_aws_request {
    const char *method;                /* NULL: POST */
    const char *host_prefix;           /* "bucket." in front of the endpoint's host; NULL: none */
    struct af_slice path;              /* raw, it is encoded here; no memory: "/" */
    bool is_encoded;                   /* path is encoded already (a slash inside a segment) */
    const struct af_aws_pair *query;
    size_t query_count;
    const struct af_aws_pair *headers; /* all are signed */
    size_t header_count;
    const char *target;                /* JSON protocols: X-Amz-Target's operation ("SendMessage"); NULL: none */
    struct af_slice body;
    enum af_status (*on_body)(void *ctx, struct af_slice bytes, struct af_error *err);
    /* Called before each attempt but the first: forget what on_body was given. A request with on_body and without this is not retried
     * once bytes came. */
    void (*again)(void *ctx);
    void *ctx;
    bool once;                         /* never retried (the caller has its own way) */
    const bool *cancel;
    int64_t deadline_mono_ns;          /* no attempt begins that could not end before; 0: none */
};
struct af_aws_answer {
    struct af_http_answer http;        /* body: at most AF_HTTP_ANSWER_BYTES_MAX */
    char code[96];                     /* of a failure: "NoSuchKey", "ThrottlingException"; without namespace */
    char request_id[96];
    uint32_t attempts;
};
void af_aws_answer_init(struct af_aws_answer *answer);
void af_aws_answer_done(struct af_aws_answer *answer);
/*
 * AF_OK: 200..299 (and 304, which the caller asked for). Else, after the retries that AWS's rules allow:
 *   AF_ENOTFOUND  404, NoSuchKey, ResourceNotFound, QueueDoesNotExist ...      AF_EDENIED   403, AccessDenied
 *   AF_EUNAUTH    no or expired or wrong credentials                           AF_ECONFLICT 409, 412
 *   AF_EBUSY      throttled to the end                                         AF_EIO       no answer, 5xx to the end
 *   AF_EINVAL     the service says the request is wrong                        AF_ECANCELED, AF_ELIMIT (an answer too large)
 * The message names service, operation, code, what the service said and the request id. A skewed clock is corrected by the service's
 * Date and tried again once, for all clients of `aws`.
 */
AF_MUST_CHECK enum af_status af_aws_send(struct af_aws_client *client, const struct af_aws_request *request,
                                         struct af_aws_answer *answer, struct af_error *err);

/* The JSON protocols in one line: POST / with X-Amz-Target, `body` (no memory: "{}"), the answer as a tree in `arena`. */
struct af_json;
AF_MUST_CHECK enum af_status af_aws_json(struct af_aws_client *client, const char *operation, struct af_slice body, struct af_arena *arena,
                                         const struct af_json **out, struct af_error *err);
/* The query protocol (STS, SNS): Action, Version and `parameters` as a form; the answer's <ActionResult> as a tree in `arena`. */
struct af_xml;
AF_MUST_CHECK enum af_status af_aws_query(struct af_aws_client *client, const char *action, const struct af_aws_pair *parameters,
                                          size_t parameter_count, struct af_arena *arena, const struct af_xml **out, struct af_error *err);
/* Why the last call failed, when it did: the service's code, "" if no service said anything. */
const char *af_aws_last_code(const struct af_aws_client *client);
#endif
