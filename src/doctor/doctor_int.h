/*
 * doctor_int.h - what the checks share: the context, the table's rows, judgements.
 */
#ifndef AF_DOCTOR_INT_H
#define AF_DOCTOR_INT_H
#include "aws/timestream.h"
#include "base/arena.h"
#include "doctor/doctor.h"
#include "net/url.h"

/* --- the table ------------------------------------------------------------------------------------------------------------ */

struct doctor;
struct doctor_row {
    const char *group, *name;
    const char *needs;                                  /* a check that must not have failed; NULL: none */
    bool (*applies)(const struct doctor *doctor);       /* NULL: always; else the row is left out */
    void (*run)(struct doctor *doctor, struct af_doctor_finding *finding);
};
/* Each ends with a row without a name. Names are unique over all of them. */
extern const struct doctor_row doctor_machine[], doctor_directory[], doctor_connection[], doctor_target[], doctor_account[],
    doctor_instance[], doctor_metrics[];

/* What a check says. `advise` comes after one of the others. */
void doctor_ok(struct af_doctor_finding *finding, const char *fmt, ...) AF_PRINTF(2, 3);
void doctor_warn(struct af_doctor_finding *finding, const char *fmt, ...) AF_PRINTF(2, 3);
void doctor_fail(struct af_doctor_finding *finding, const char *fmt, ...) AF_PRINTF(2, 3);
void doctor_skip(struct af_doctor_finding *finding, const char *fmt, ...) AF_PRINTF(2, 3);
void doctor_say(struct af_doctor_finding *finding, enum af_doctor_state state, const char *fmt, ...) AF_PRINTF(3, 4);
void doctor_advise(struct af_doctor_finding *finding, const char *fmt, ...) AF_PRINTF(2, 3);
/* The worse of the two; not checked is better than ok here: it says nothing. */
enum af_doctor_state doctor_worse(enum af_doctor_state a, enum af_doctor_state b);

/* --- the context ---------------------------------------------------------------------------------------------------------- */

enum doctor_kind { DOCTOR_NO_INFLUX, DOCTOR_INFLUX_1, DOCTOR_INFLUX_2, DOCTOR_INFLUX_3 };
enum { DOCTOR_CHECKS_MAX = 64, DOCTOR_RETENTION_UNKNOWN = -1 };

struct doctor_server {
    const char *url;               /* without a slash at its end; NULL: there is no server to look at */
    struct af_url parts;
    bool is_parsed, is_https, is_local;
    const char *token;
    struct af_http *http;
    struct af_http_answer answer;
    struct af_buf authorization;   /* the header; wiped */
    struct af_buf text;            /* of the request */
    /* the first request, which tells name, TCP, TLS and version apart */
    enum af_status first;
    struct af_error why;
    int status;
    uint64_t lookup_us, tls_us, connect_us;
    int64_t certificate_ends_ns, date_ns, asked_ns;   /* asked: our clock in the middle of it */
    char address[64], names[256], by[256];
    enum doctor_kind kind;         /* what it is spoken to as */
    char version[64];
    int64_t retention_s;           /* 0: for ever */
};

struct doctor_lookout {            /* what an instance stands on, for the likely reason */
    bool knows_room, knows_role, knows_groups, knows_quota;
    uint64_t least_free;           /* addresses of the subnet that has least */
    const char *least_subnet;
    size_t zone_count, subnet_count, missing_subnets, missing_groups;
    bool has_role;
    uint64_t instance_count;
};

struct doctor_cloud {
    struct af_aws *aws;
    struct af_aws_client *sts, *tfi, *ec2, *iam, *metrics, *sqs, *lambda;
    const char *region;
    char account[32];
    const struct af_json *instance;   /* of GetDbInstance; NULL: none was found */
    const char *id, *name, *status;
    struct doctor_lookout lookout;
    const char *queue_url, *queue_arn, *dead_arn;
};

struct doctor {
    const struct af_doctor_options *options;
    struct af_arena arena;
    uint32_t limit_ms;
    int64_t end_mono_ns;           /* of the run */
    int64_t check_end_ns;          /* of the check that runs, for walks over files */
    size_t count;                  /* checks that ran */
    const char *names[DOCTOR_CHECKS_MAX];
    enum af_doctor_state states[DOCTOR_CHECKS_MAX];
    struct doctor_server server;
    bool is_served;                /* the directory, by `server.url` */
    struct doctor_cloud cloud;
};
bool doctor_is_late(const struct doctor *doctor);   /* a walk must end */
bool doctor_has_server(const struct doctor *doctor);
bool doctor_has_directory(const struct doctor *doctor);
bool doctor_has_cloud(const struct doctor *doctor);
void doctor_server_done(struct doctor_server *server);
void doctor_cloud_done(struct doctor_cloud *cloud);

/* connection.c: a request to the server, with authorization; the answer is in server.answer. `text` is what follows the URL. */
AF_MUST_CHECK enum af_status doctor_ask(struct doctor *doctor, const char *method, const char *text, struct af_slice body,
                                        struct af_error *err);
/* `date_ns` is what somebody's header Date said when it was `asked_ns` here. */
void doctor_compare_clocks(struct af_doctor_finding *finding, int64_t asked_ns, int64_t date_ns, const char *whose);

/* account.c */
AF_MUST_CHECK enum af_status doctor_client(struct doctor *doctor, const char *service, struct af_aws_client **client, struct af_error *err);
/* A call failed: a right that is missing is not checked ("needs RIGHT"), nor is what was throttled; all else is a failure. */
void doctor_call_failed(struct af_doctor_finding *finding, const struct af_error *err, const char *right);

/* text of a JSON member, in the arena, "" if it is not there */
const char *doctor_text(struct doctor *doctor, const struct af_json *object, const char *name);

/* --- judge.c --------------------------------------------------------------------------------------------------------------- */

enum af_doctor_state doctor_judge_memory(uint64_t available);
enum af_doctor_state doctor_judge_room(uint64_t bytes_free, uint64_t bytes_all);
enum af_doctor_state doctor_judge_inodes(uint64_t free, uint64_t all);
enum af_doctor_state doctor_judge_files(uint64_t hard);
enum af_doctor_state doctor_judge_clock(int64_t skew_ns);
enum af_doctor_state doctor_judge_certificate(int64_t days);
enum af_doctor_state doctor_judge_connection(uint64_t us);
enum af_doctor_state doctor_judge_query(uint64_t ms);
enum af_doctor_state doctor_judge_series(uint64_t series, enum doctor_kind kind);
enum af_doctor_state doctor_judge_credentials(int64_t left_ns);
enum af_doctor_state doctor_judge_addresses(uint64_t free);
enum af_doctor_state doctor_judge_quota(uint64_t instances);
enum af_doctor_state doctor_judge_dead_letters(uint64_t messages);
enum af_doctor_state doctor_judge_age(uint64_t seconds);
enum af_doctor_state doctor_judge_log(uint64_t bytes);
enum af_doctor_state doctor_judge_instance(const char *status);
/* "1.8.10", "v2.7.1", "3.0.0", "" */
enum doctor_kind doctor_kind_of(const char *version);
int64_t doctor_days(int64_t from_ns, int64_t to_ns);  /* whole days, floored */
/* Which namespace has data, against what the modules take unless they are told: ok, or what to set. */
enum doctor_names { DOCTOR_NAMES_USUAL, DOCTOR_NAMES_OTHER, DOCTOR_NAMES_BOTH, DOCTOR_NAMES_NONE };
enum doctor_names doctor_judge_names(bool has_usual, bool has_other);

/* Printed short: "12.3 GB", "3 days", "52w". */
const char *doctor_bytes(char out[32], uint64_t bytes);
const char *doctor_span(char out[32], int64_t seconds);
#endif
