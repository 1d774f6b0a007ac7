/*
 * aws_int.h - what the files of aws.h share: the settings read, where services are, how failures are judged.
 *
 *     config.c       settings of environment and profile      profile.c       AWS's dialect of INI
 *     credentials.c  the chain, kept and refreshed            credentials_*.c one file a kind of source
 *     services.c     names, protocols, hosts of services      sign.c          signatures
 *     client.c       one request, its attempts                retry.c         whether, when and how often again
 *     protocol.c     JSON and query protocols
 */
#ifndef AF_AWS_INT_H
#define AF_AWS_INT_H
#include "aws/aws.h"
#include "os/thread.h"

/* --- profiles ------------------------------------------------------------------------------------------------------------ */

/* One `key = value`. Sections are named as the configuration file names them ("profile x" with "profile default" for default, "sso-session
 * x",
 * "services x"); keys are in lower case, one inside another's block is "outer.inner". */
struct aws_setting {
    const char *section, *key, *value;
    struct aws_setting *next;
};
/* Appended in front of *list (so the last of two equals is found first), in `arena`. `is_credentials`: sections are profiles' names. */
AF_MUST_CHECK enum af_status aws_profile_parse(const char *file, struct af_slice text, bool is_credentials, struct af_arena *arena,
                                               struct aws_setting **list, struct af_error *err);
const char *aws_setting(const struct af_aws *aws, const char *section, const char *key);          /* NULL: not there */
const char *aws_profile_setting(const struct af_aws *aws, const char *profile, const char *key);
bool aws_has_section(const struct af_aws *aws, const char *section);

/* --- what calls share ---------------------------------------------------------------------------------------------------- */

struct aws_retry_state {
    unsigned tokens;               /* of AWS's retry quota; 500 at the start */
    /* adaptive: a bucket filled at `rate` requests a second, cut when the service throttles */
    bool is_limited;
    double rate, capacity, filled, measured, last_max, window;
    int64_t filled_at_ns, throttled_at_ns, measured_at /* half a second */;
    unsigned counted;
};

struct af_aws {
    struct af_aws_options options;
    struct af_arena arena;         /* of the settings */
    struct aws_setting *settings;
    const char *profile;           /* that is used; never NULL */
    bool profile_was_asked;
    const char *region;            /* NULL: none found yet; set once, under the lock */
    bool region_was_asked;         /* of the instance's metadata */
    uint32_t max_attempts;
    enum af_aws_retry retry_mode;
    const char *ca_file, *user_agent;
    bool use_fips, use_dualstack;

    struct af_mutex lock;          /* of all below */
    struct af_cond changed;        /* a fetch of credentials has ended */
    struct af_aws_credentials credentials;
    bool has_credentials, is_fetching;
    uint64_t generation;           /* of the credentials: counts fetches */
    int64_t failed_at_ns;          /* when the last fetch failed, monotonic; 0: it did not */
    struct af_error why;           /* that it failed, for those who waited for it */
    int64_t skew_ns;               /* the services' clock less ours */
    struct aws_retry_state retry;
};
bool aws_flag(const struct af_aws *aws, const char *variable, const char *setting); /* true, 1, on */
const char *aws_either(const struct af_aws *aws, const char *variable, const char *setting); /* environment, then profile; NULL */
bool aws_is_region(const char *text);                /* it becomes part of a host's name */
const char *aws_known_region(struct af_aws *aws);    /* NULL: none was configured, nor found yet */
int64_t aws_skew_ns(struct af_aws *aws);
int64_t aws_now_ns(struct af_aws *aws);              /* as the services see it */
void aws_learn_skew(struct af_aws *aws, int64_t skew_ns);

/* --- credentials --------------------------------------------------------------------------------------------------------- */

/* AF_ENOTFOUND: this source is not configured, the words say what would. */
enum af_status aws_from_environment(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err);
enum af_status aws_from_profile(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err);
enum af_status aws_from_web_identity(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err);
enum af_status aws_from_container(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err);
enum af_status aws_from_metadata(struct af_aws *aws, struct af_aws_credentials *out, struct af_error *err);
enum af_status aws_from_process(struct af_aws *aws, const char *command, struct af_aws_credentials *out, struct af_error *err);
enum af_status aws_from_sso(struct af_aws *aws, const char *profile, struct af_aws_credentials *out, struct af_error *err);
/* A role with a token of a file. */
enum af_status aws_assume_web(struct af_aws *aws, const char *role_arn, const char *session, const char *token_file,
                              struct af_aws_credentials *out, struct af_error *err);
/* {"AccessKeyId", "SecretAccessKey", `token_name`, "Expiration"}: what processes, containers and IMDS answer. */
AF_MUST_CHECK enum af_status aws_credentials_of_json(struct af_slice text, const char *token_name, const char *who,
                                                     struct af_aws_credentials *out, struct af_error *err);
AF_MUST_CHECK enum af_status aws_credentials_put(struct af_aws_credentials *out, struct af_slice access, struct af_slice secret,
                                                 struct af_slice token, const char *who, struct af_error *err);
/* Texts of a tree that may hold secrets, before its arena goes: of the node, what is in it, and its siblings. */
void aws_wipe_json(const struct af_json *node);
/* AF_ENOTFOUND of a source that is configured is AF_EUNAUTH: it must not look like one that is not. */
enum af_status aws_is_configured(enum af_status status, struct af_error *err);
/* Those with that generation are no good: fetched anew by whoever needs some next. */
void aws_credentials_refused(struct af_aws *aws, uint64_t generation);
AF_MUST_CHECK enum af_status aws_credentials_take(struct af_aws *aws, struct af_aws_credentials *out, uint64_t *out_generation,
                                                  struct af_error *err);
/* A small request to what gives credentials: few seconds and tries, and no proxy but for AWS_PLACE_NET. `headers` NULL-terminated
 * "Name: value". */
enum aws_place { AWS_PLACE_NET, AWS_PLACE_CONTAINER, AWS_PLACE_METADATA };
AF_MUST_CHECK enum af_status aws_small_request(struct af_aws *aws, const char *method, const char *url, const char *const *headers,
                                               struct af_slice body, enum aws_place place, int *out_status, struct af_buf *out,
                                               struct af_error *err);
/* The region of the instance, from IMDS. */
AF_MUST_CHECK enum af_status aws_metadata_region(struct af_aws *aws, char *out, size_t cap, struct af_error *err);

/* --- services ------------------------------------------------------------------------------------------------------------ */

enum aws_protocol { AWS_JSON_10, AWS_JSON_11, AWS_QUERY, AWS_REST };
struct aws_service {
    const char *name;          /* as af_aws_client_new takes it */
    const char *id;            /* in AWS_ENDPOINT_URL_<ID> and, in lower case, in [services] */
    const char *host;          /* in front of the region: "monitoring" */
    const char *signing;       /* "monitoring" */
    enum aws_protocol protocol;
    const char *target;        /* prefix of X-Amz-Target */
    const char *version;       /* of the query protocol */
    unsigned flags;            /* services.c */
};
const struct aws_service *aws_service_find(const char *name);
/* The one region of a service that is in one only; that of STS when `region` is NULL; else `region`. */
const char *aws_service_region(const struct aws_service *service, const char *region);
/* Where it is: the endpoint as configured, else AWS's own for the region. */
AF_MUST_CHECK enum af_status aws_endpoint(struct af_aws *aws, const struct aws_service *service, const char *region, struct af_buf *out,
                                          bool *out_is_own, struct af_error *err);
const char *aws_suffix(const char *region); /* "amazonaws.com" */

/* --- attempts ------------------------------------------------------------------------------------------------------------ */

enum aws_verdict { AWS_DONE, AWS_FAILED, AWS_TRANSIENT, AWS_THROTTLED, AWS_EXPIRED /* credentials */, AWS_SKEWED /* a clock */ };
/* What a complete answer means. `code` as in af_aws_answer. */
enum aws_verdict aws_judge(int status, const char *code);
enum af_status aws_status_of(int status, const char *code);
void aws_retry_init(struct aws_retry_state *retry, int64_t now_ns);
/* May this be tried again? Takes what it costs from the quota: *cost, to be given back by success. */
bool aws_retry_take(struct af_aws *aws, bool is_throttled, unsigned *cost);
void aws_retry_succeeded(struct af_aws *aws, unsigned cost);
/* After attempt 1, 2, ...: full jitter, 20 s at most; or what the service asked for, up to five seconds more than that. */
uint32_t aws_retry_pause_ms(unsigned attempt, bool is_throttled, uint64_t asked_ms);
/* adaptive: how long to wait before the next request may be sent; and what came of it. */
uint32_t aws_rate_wait_ms(struct af_aws *aws);
void aws_rate_heard(struct af_aws *aws, bool was_throttled);
/* The same of a state and a clock of one's own. */
double aws_rate_wait_s(struct aws_retry_state *retry, int64_t now_ns);
void aws_rate_take(struct aws_retry_state *retry, int64_t now_ns, bool was_throttled);

/* --- requests ------------------------------------------------------------------------------------------------------------ */

/* name=value&..., encoded and sorted as it is signed (sign.c), which is also how it is sent. */
AF_MUST_CHECK enum af_status aws_append_query(struct af_buf *out, const struct af_aws_pair *query, size_t count, struct af_error *err);

/* --- clients ------------------------------------------------------------------------------------------------------------- */

/* Signs with these, which live as long, instead of the chain's; without an access key not at all. NULL: the chain's again. */
void aws_client_use(struct af_aws_client *client, const struct af_aws_credentials *credentials);
const struct aws_service *aws_client_service(const struct af_aws_client *client);
/* sqs.c and timestream.c go to places that answers name, unless somebody configured an endpoint (option, variable or profile). */
bool aws_client_is_configured(const struct af_aws_client *client);
/* For timestream.c: until when the discovered endpoint that the client points to is good, monotonic; 0 at the start, kept for it. */
int64_t *aws_client_until(struct af_aws_client *client);
#endif
