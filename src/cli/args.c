/*
 * args.c - the table of options, and everything that is made from it: parsing, --config, the environment, --help, completions, the
 * manual page. A new option is one line here and its name in commands.c.
 *
 * What is said on the command line wins over --config, which wins over the environment. Secrets given as arguments are overwritten in
 * argv at once, so that `ps` does not show them for longer than the start takes.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "cli/cli.h"
#include "format/yaml/yaml.h"
#include "os/file.h"
#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

enum kind { FLAG, TEXT, SECRET, COUNT, SIZE, DURATION };

struct option {
    const char *name;
    char letter;             /* 0: none */
    enum kind kind;
    size_t offset;           /* in struct af_cli */
    const char *argument;    /* "FILE" */
    const char *help;
    const char *env;         /* names, space-separated, first set one wins; NULL */
};

#define AT(field) offsetof(struct af_cli, field)
static const struct option options[] = {
    { "to", 0, TEXT, AT(to), "TARGET", "a directory of ours, or a server: http(s)://host:port; else INFLUX_HOST", NULL },
    { "from", 0, TEXT, AT(from), "TARGET", "a directory of ours, or a server: http(s)://host:port; else INFLUX_HOST", NULL },
    { "bucket", 'b', TEXT, AT(bucket), "NAME", "bucket (2.x), or database or database/policy (1.x)", "INFLUX_BUCKET_NAME" },
    { "org", 'o', TEXT, AT(org), "NAME", "organisation (2.x)", "INFLUX_ORG INFLUXDB_V2_ORG" },
    { "token", 't', SECRET, AT(token), "TOKEN", "API token (2.x), better given by --token-file or INFLUX_TOKEN",
      "INFLUX_TOKEN INFLUXDB_V2_TOKEN" },
    { "token-file", 0, TEXT, AT(token_file), "FILE", "read the token from the first line of FILE, - for standard input", NULL },
    { "user", 'u', TEXT, AT(user), "NAME", "user (1.x)", "INFLUX_USERNAME" },
    { "password-file", 0, TEXT, AT(password_file), "FILE", "read the password (1.x) from the first line of FILE", NULL },
    { "influx-version", 0, TEXT, AT(influx_version), "1|2", "the server's generation; found out unless given", NULL },
    { "ca-file", 0, TEXT, AT(ca_file), "FILE", "certificate authorities to trust instead of the system's", NULL },
    { "insecure", 0, FLAG, AT(insecure), NULL, "accept any TLS certificate (not for production)", "INFLUX_SKIP_VERIFY" },
    { "create", 0, FLAG, AT(create), NULL, "make the bucket or database if it is not there", NULL },
    { "shard-duration", 0, DURATION, AT(shard_duration_ms), "TIME",
      "with --create: time one shard covers; 52w unless given, which suits history; 1w is the server's own", NULL },
    { "force-flux", 0, FLAG, AT(force_flux), NULL, "read 2.x servers with Flux even where InfluxQL would do", NULL },
    { "dataset", 'd', TEXT, AT(dataset), "NAME", "one of the built-in mappings; see --list-datasets", NULL },
    { "mapping", 'm', TEXT, AT(mapping), "FILE", "a mapping in YAML (docs/mapping.md)", NULL },
    { "infer", 0, FLAG, AT(infer), NULL, "guess a mapping where none is known, and print it", NULL },
    { "list-datasets", 0, FLAG, AT(list_datasets), NULL, "print the built-in mappings and stop", NULL },
    { "measurement", 0, TEXT, AT(measurement), "NAME", "use this measurement instead of the mapping's", NULL },
    { "time-zone", 0, TEXT, AT(time_zone), "ZONE",
      "how times without a zone are read: UTC, America/Sao_Paulo, -03:00; the mapping says unless given", NULL },
    { "strict", 0, FLAG, AT(strict), NULL, "stop at the first bad file or row", NULL },
    { "requester-pays", 0, FLAG, AT(requester_pays), NULL,
      "pay for reading from S3 where the bucket's owner does not; or AWS_REQUEST_PAYER=requester", NULL },
    { "precision", 'p', TEXT, AT(precision), "ns|us|ms|s", "precision of timestamps in line protocol", NULL },
    { "unsigned", 0, FLAG, AT(allow_unsigned), NULL, "take unsigned integers (12u) in line protocol", NULL },
    { "verify", 0, FLAG, AT(verify), NULL, "afterwards, prove that both sides are equal", NULL },
    { "resume", 0, FLAG, AT(resume), NULL, "go on where an interrupted run with this target stopped", NULL },
    { "dry-run", 'n', FLAG, AT(dry_run), NULL, "read and map everything, write nothing, say what would be written", NULL },
    { "report", 0, TEXT, AT(report), "FILE", "write the final JSON object there too", NULL },
    { "workers", 'w', COUNT, AT(workers), "N", "threads that map and encode; one a processor unless given", NULL },
    { "lanes", 0, COUNT, AT(lanes), "N", "connections to the server; 2 unless given", NULL },
    { "memory", 0, SIZE, AT(memory), "SIZE", "about how much memory to use; 128M unless given", NULL },
    { "rate", 0, COUNT, AT(rate), "N/s", "write at most so many lines a second", NULL },
    { "batch-lines", 0, COUNT, AT(batch_lines), "N", "lines of one request; 10,000 unless given", NULL },
    { "batch-bytes", 0, SIZE, AT(batch_bytes), "SIZE", "bytes of one request before compression; 4M unless given", NULL },
    { "dead-letters", 0, TEXT, AT(dead_letters), "DIR",
      "where rejected rows go; in the state directory unless given; for verify, those of the migration", NULL },
    { "retry-dead-letters", 0, FLAG, AT(retry_dead_letters), NULL,
      "try dead letters again: SOURCE is then their files, those of the state directory if none is named", NULL },
    { "state", 0, TEXT, AT(state), "DIR", "journal, spool and dead letters; below ~/.local/state/afluxo unless given", NULL },
    { "no-spool", 0, FLAG, AT(no_spool), NULL, "keep nothing on disk: fail when the server stays away", NULL },
    { "spool-bytes", 0, SIZE, AT(spool_bytes), "SIZE", "ceiling of the spool; 4G unless given", NULL },
    { "patience", 0, DURATION, AT(patience_ms), "TIME", "give up when nothing moves for so long; 10m unless given", NULL },
    { "timeout", 0, DURATION, AT(timeout_ms), "TIME", "give a request up when no byte moves for so long; 30s unless given", NULL },
    { "retry-budget", 0, DURATION, AT(retry_budget_ms), "TIME", "try a request so long before it is spooled; 1m unless given", NULL },
    { "output", 0, TEXT, AT(output), "FILE", "write there instead of standard output", NULL },
    { "rows", 0, COUNT, AT(rows), "N", "how many rows to show; 0 for all; 10 unless given", NULL },
    { "out", 0, TEXT, AT(out), "DIR", "where the files go", NULL },
    { "plants", 0, COUNT, AT(plants), "N", "power plants; 100 unless given", NULL },
    { "step", 0, DURATION, AT(step_ms), "TIME", "time between rows of a plant; 1h unless given", NULL },
    { "seed", 0, COUNT, AT(seed), "N", "another seed gives other values", NULL },
    { "codec", 0, TEXT, AT(codec), "NAME", "snappy (default), zstd, gzip, lz4, brotli or none", NULL },
    { "bad-rows-every", 0, COUNT, AT(bad_rows_every), "N", "make every Nth row one that cannot be a point", NULL },
    { "lang", 0, TEXT, AT(lang), "influxql|flux", "the query's language; influxql unless given", NULL },
    { "format", 0, TEXT, AT(format), "NAME",
      "of a query: table (unless given), json (an object a row), csv or arrow; of an export: lp or parquet", NULL },
    { "epoch", 0, TEXT, AT(epoch), "ns|us|ms|s|m|h", "times as numbers of these units since 1970 instead of text", NULL },
    { "explain", 0, FLAG, AT(explain), NULL, "show how the query would be carried out (EXPLAIN)", NULL },
    { "analyze", 0, FLAG, AT(analyze), NULL, "carry it out and show what each step did and took (EXPLAIN ANALYZE)", NULL },
    { "data", 0, TEXT, AT(data), "DIR", "the data directory; ./afluxo-data unless given", "AFLUXO_DATA" },
    { "listen", 0, TEXT, AT(listen), "ADDR:PORT", "where to listen; 127.0.0.1:8086 unless given; port 0: a free one",
      "AFLUXO_LISTEN" },
    { "tls-cert", 0, TEXT, AT(tls_cert), "FILE", "certificate (PEM) for TLS; needed where ADDR is not this machine alone", NULL },
    { "tls-key", 0, TEXT, AT(tls_key), "FILE", "its key (PEM)", NULL },
    { "no-auth", 0, FLAG, AT(no_auth), NULL, "everybody may do everything; only with a loopback address", NULL },
    { "max-body", 0, SIZE, AT(max_body), "SIZE", "largest body of a request, unpacked; 32M unless given", NULL },
    { "query-memory", 0, SIZE, AT(query_memory), "SIZE", "memory of one query; 512M unless given", NULL },
    { "query-timeout", 0, DURATION, AT(query_timeout_ms), "TIME", "end a query after so long; no limit unless given", NULL },
    { "query-rows", 0, COUNT, AT(query_rows), "N", "most rows of an answer that is not chunked; no limit unless given", NULL },
    { "query-points", 0, COUNT, AT(query_points), "N", "most values that a query may read; no limit unless given", NULL },
    { "query-series", 0, COUNT, AT(query_series), "N", "most series that a query may look at; no limit unless given", NULL },
    { "query-windows", 0, COUNT, AT(query_windows), "N", "most intervals of GROUP BY time() in a query; 16,777,216 unless given", NULL },
    { "max-queries", 0, COUNT, AT(max_queries), "N", "most queries at once; no limit unless given", NULL },
    { "start", 0, TEXT, AT(start), "TIME", "from this time on: 2024-01-31, 2024-01-31T12:00:00Z; the beginning unless given", NULL },
    { "stop", 0, TEXT, AT(stop), "TIME", "before this time; to the end unless given", NULL },
    { "new-bucket", 0, TEXT, AT(new_bucket), "NAME", "what --bucket shall be called there", NULL },
    { "rpc", 0, TEXT, AT(rpc), "HOST:PORT", "where a 1.x server takes shards; the URL's host, port 8088, unless given", NULL },
    { "form", 0, TEXT, AT(form), "1|2|both", "which InfluxDB shall be able to restore the backup; both unless given", NULL },
    { "repair", 0, FLAG, AT(repair), NULL, "put aside what is damaged and rebuild what can be rebuilt", NULL },
    { "description", 0, TEXT, AT(description), "TEXT", "what it is for", NULL },
    { "retention", 0, DURATION, AT(retention_ms), "TIME", "how long points are kept; for ever unless given", NULL },
    { "read-bucket", 0, TEXT, AT(read_bucket), "NAME", "the token may read this bucket", NULL },
    { "write-bucket", 0, TEXT, AT(write_bucket), "NAME", "the token may write this bucket", NULL },
    { "all-access", 0, FLAG, AT(all_access), NULL, "the token may do everything in its organisation", NULL },
    { "operator", 0, FLAG, AT(operator_token), NULL, "the token may do everything in all organisations", NULL },
    { "admin", 0, FLAG, AT(admin), NULL, "the user may do everything (1.x: WITH ALL PRIVILEGES)", NULL },
    { "profile", 0, TEXT, AT(profile), "NAME", "the profile of AWS's configuration to use; AWS_PROFILE or default unless given", NULL },
    { "region", 0, TEXT, AT(region), "NAME", "the AWS region; AWS_REGION or the profile's unless given", NULL },
    { "endpoint-url", 0, TEXT, AT(endpoint_url), "URL", "speak to this instead of AWS's own host; AWS_ENDPOINT_URL unless given", NULL },
    { "wait", 0, TEXT, AT(wait_status), "STATUS", "afterwards, wait until it is AVAILABLE, COMPLETED, DELETED ..., and show it then",
      NULL },
    { "dimensions", 0, TEXT, AT(dimensions), "NAME=VALUE,...", "dimensions of the metrics", NULL },
    { "statistic", 0, TEXT, AT(statistic), "NAME", "Average (unless given), Sum, Minimum, Maximum, SampleCount, p99 ...", NULL },
    { "once", 0, FLAG, AT(once), NULL, "handle one event here and print the answer", NULL },
    { "every", 0, DURATION, AT(every_ms), "TIME",
      "how often to ask while waiting, 10s unless given; of metrics, the time of one point, 1m unless given", NULL },
    { "queue", 0, TEXT, AT(queue), "URL",
      "a queue of SQS (its URL, ARN or name): migrate makes messages of the objects of SOURCE (docs/fleet.md), doctor looks at it", NULL },
    { "work", 0, FLAG, AT(work), NULL, "take messages of --queue and load their objects until it is empty", NULL },
    { "run", 0, TEXT, AT(run), "S3URL", "where a run of many workers keeps its journal: s3://bucket/prefix", NULL },
    { "status", 0, TEXT, AT(status_of), "S3URL", "say how far the run is that has its journal there", NULL },
    { "dead-letter-queue", 0, TEXT, AT(dead_letter_queue), "URL",
      "where messages go whose objects cannot be loaded; that of the queue's redrive policy unless given", NULL },
    { "attempts", 0, COUNT, AT(attempts), "N", "how often an object is tried before it has failed; 5 unless given", NULL },
    { "idle", 0, DURATION, AT(idle_ms), "TIME", "a worker ends when the queue was empty for so long; 1m unless given", NULL },
    { "visibility", 0, DURATION, AT(visibility_ms), "TIME",
      "after so long the message of a worker that died goes to another; 2m unless given", NULL },
    { "aws", 0, FLAG, AT(aws), NULL, "look at AWS, too: identity, Timestream for InfluxDB, metrics", NULL },
    { "instance", 0, TEXT, AT(instance), "NAME", "instance of Timestream for InfluxDB, by name or id; the only one unless given", NULL },
    { "write-test", 0, FLAG, AT(write_test), NULL, "write one point to measurement afluxo_doctor, and delete it", NULL },
    { "tag", 0, TEXT, AT(tag), "KEY=VALUE", "only what carries this cost allocation tag: project=afluxo", NULL },
    { "refresh", 0, FLAG, AT(refresh), NULL, "ask Cost Explorer again, though it was asked today (0.01 USD a request)", NULL },
    { "namespace", 0, TEXT, AT(name_space), "NAME", "of the metrics that the functions publish; Afluxo unless given", NULL },
    { "plan", 0, FLAG, AT(plan), NULL, "what a month would cost, from a table of prices, without asking AWS", NULL },
    { "class", 0, TEXT, AT(db_class), "NAME", "the instance's class: db.influx.medium ... db.influx.24xlarge", NULL },
    { "tier", 0, TEXT, AT(tier), "T1|T2|T3", "the storage's tier; T1 unless given", NULL },
    { "storage", 0, COUNT, AT(storage_gib), "GIB", "the storage, in GiB", NULL },
    { "multi-az", 0, FLAG, AT(multi_az), NULL, "with a standby in a second availability zone", NULL },
    { "points-per-day", 0, COUNT, AT(points_a_day), "N", "points that are loaded a day", NULL },
    { "objects-per-day", 0, COUNT, AT(objects_a_day), "N", "objects of S3 that bring them", NULL },
    { "queries-per-day", 0, COUNT, AT(queries_a_day), "N", "queries through the API a day", NULL },
    { "prices", 0, TEXT, AT(prices), "FILE", "prices in YAML that are known better than those built in (docs/costs.md)", NULL },
    { "config", 0, TEXT, AT(config), "FILE", "options as YAML: `bucket: energy_data`", "AFLUXO_CONFIG" },
    { "json", 0, FLAG, AT(json), NULL, "machine-readable result on standard output", NULL },
    { "quiet", 'q', FLAG, AT(quiet), NULL, "errors only", NULL },
    { "verbose", 'v', FLAG, AT(verbose), NULL, "say more", NULL },
    { "help", 'h', FLAG, AT(help), NULL, "show this", NULL },
    { "version", 'V', FLAG, AT(version), NULL, "print the version", NULL },
};
enum { OPTION_COUNT = sizeof options / sizeof options[0], SECRET_BYTES_MAX = 8192 };

/* --- values -------------------------------------------------------------------------------------------------------------- */

static bool split_number(const char *text, double *out, const char **out_unit)
{
    size_t n = strspn(text, "0123456789.");
    *out_unit = text + n;
    return n != 0 && af_f64_parse((struct af_slice){ text, n }, out);
}

struct unit {
    const char *name;
    double factor;
};

/* text = number + unit; the table ends with a NULL name. */
static bool scaled(const char *text, const struct unit *units, uint64_t *out)
{
    double value;
    const char *unit;
    if (!split_number(text, &value, &unit))
        return false;
    for (; units->name != NULL; units++) {
        if (strcmp(units->name, unit) != 0)
            continue;
        value *= units->factor;
        if (!(value >= 0 && value < 9e18))
            return false;
        *out = (uint64_t)value;
        return true;
    }
    return false;
}

bool af_cli_parse_size(const char *text, uint64_t *out)
{
    static const struct unit units[] = { { "", 1 },          { "B", 1 },           { "k", 0x1p10 },  { "K", 0x1p10 },
                                         { "KiB", 0x1p10 },  { "kB", 0x1p10 },     { "M", 0x1p20 },  { "MB", 0x1p20 },
                                         { "MiB", 0x1p20 },  { "G", 0x1p30 },      { "GB", 0x1p30 }, { "GiB", 0x1p30 },
                                         { "T", 0x1p40 },    { NULL, 0 } };
    return scaled(text, units, out);
}

bool af_cli_parse_count(const char *text, uint64_t *out)
{
    static const struct unit units[] = { { "k", 1e3 }, { "M", 1e6 }, { "k/s", 1e3 }, { "M/s", 1e6 }, { "/s", 1 }, { NULL, 0 } };
    return af_u64_parse(af_slice_of(text), out) || scaled(text, units, out);
}

bool af_cli_parse_duration_ms(const char *text, uint64_t *out)
{
    static const struct unit units[] = { { "ms", 1 }, { "s", 1e3 }, { "m", 6e4 }, { "h", 36e5 }, { "d", 864e5 },
                                         { "w", 6048e5 }, { NULL, 0 } };
    return scaled(text, units, out);
}

static const char *const kind_words[] = { [COUNT] = "a number like 10000 or 10k", [SIZE] = "a size like 64M or 1G",
                                          [DURATION] = "a time like 30s, 5m or 1h" };

static bool set_number(const struct option *option, const char *text, uint64_t *out)
{
    switch (option->kind) {
    case COUNT:
        return af_cli_parse_count(text, out);
    case SIZE:
        return af_cli_parse_size(text, out);
    default:
        return af_cli_parse_duration_ms(text, out);
    }
}

static bool set(struct af_cli *cli, const struct option *option, const char *text)
{
    char *base = (char *)cli + option->offset;
    switch (option->kind) {
    case FLAG:
        *(bool *)(void *)base = true;
        return true;
    case TEXT:
    case SECRET:
        *(const char **)(void *)base = text;
        return true;
    default:
        return set_number(option, text, (uint64_t *)(void *)base);
    }
}

static bool takes(const struct af_cli_command *command, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = command->options; (at = strstr(at, name)) != NULL; at += len)
        if ((at == command->options || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static const struct option *find(const char *name, size_t len)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
            return &options[i];
    return NULL;
}

static const struct option *find_letter(char letter)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (options[i].letter == letter)
            return &options[i];
    return NULL;
}

int af_cli_usage_error(const struct af_cli *cli, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fputs("afluxo: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fprintf(stderr, "\nTry: afluxo %s%s--help\n", cli->program_command != NULL ? cli->program_command : "",
                  cli->program_command != NULL ? " " : "");
    return AF_EXIT_USAGE;
}

/* --- what was meant ------------------------------------------------------------------------------------------------------ */

enum { WORD_MAX = 32 };

/* How many letters to put in, leave out or change; words longer than WORD_MAX are far from all. */
static size_t distance(const char *a, size_t a_len, const char *b)
{
    size_t b_len = strlen(b);
    size_t row[WORD_MAX + 1];
    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; i < a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j + 1] = diagonal + 1 < best ? diagonal + 1 : best;
        }
    }
    return row[b_len];
}

struct guess {
    const char *word;
    size_t len;
    const char *best;
    size_t best_distance; /* no further away is a guess */
};

static void consider(struct guess *guess, const char *name)
{
    size_t away = distance(guess->word, guess->len, name);
    if (away < guess->best_distance) {
        guess->best = name;
        guess->best_distance = away;
    }
}

static int unknown_option(const struct af_cli *cli, const struct af_cli_command *command, const char *word)
{
    size_t dashes = strspn(word, "-");
    struct guess guess = { word + dashes, strcspn(word + dashes, "="), NULL, dashes == 2 ? 3 : 0 };
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (takes(command, options[i].name))
            consider(&guess, options[i].name);
    if (guess.best != NULL)
        return af_cli_usage_error(cli, "%s has no option %s; did you mean --%s?", command->name, word, guess.best);
    return af_cli_usage_error(cli, "%s has no option %s", command->name, word);
}

static int unknown_command(const struct af_cli *cli, const char *word)
{
    struct guess guess = { word, strlen(word), NULL, 3 };
    for (const struct af_cli_command *c = af_cli_commands; c->name != NULL; c++)
        consider(&guess, c->name);
    if (guess.best != NULL)
        return af_cli_usage_error(cli, "there is no command \"%s\"; did you mean %s?", word, guess.best);
    return af_cli_usage_error(cli, "there is no command \"%s\"", word);
}

/* --- help ---------------------------------------------------------------------------------------------------------------- */

enum { HELP_COLUMNS = 100, HELP_LEFT = 35 };

/* Words of `text` in lines that begin at column `indent`, where the cursor is already. */
static void print_wrapped(const char *text, size_t indent)
{
    size_t at = indent;
    while (*text != '\0') {
        size_t len = strcspn(text, " \n");
        if (at > indent && at + 1 + len > HELP_COLUMNS) {
            (void)printf("\n%*s", (int)indent, "");
            at = indent;
        }
        at += (size_t)printf("%s%.*s", at > indent ? " " : "", (int)len, text);
        text += len;
        if (*text == '\n') {
            (void)printf("\n%*s", (int)indent, "");
            at = indent;
        }
        text += *text != '\0';
    }
    (void)putchar('\n');
}

/* -o FILE, as people expect of what makes files; elsewhere -o is --org. */
static bool has_output_letter(const struct af_cli_command *command)
{
    return strcmp(command->name, "convert") == 0 || strcmp(command->name, "export") == 0 || strcmp(command->name, "tsm") == 0;
}

/* What some commands call differently. */
static struct option as_for(const struct option *option, const struct af_cli_command *command)
{
    struct option own = *option;
    if (strcmp(command->name, "generate") == 0 && option->offset == AT(from)) {
        own.argument = "DATE";
        own.help = "the first day";
    } else if (strcmp(command->name, "generate") == 0 && option->offset == AT(to)) {
        own.argument = "DATE";
        own.help = "the day after the last";
    } else if (has_output_letter(command) && option->offset == AT(output)) {
        own.letter = 'o';
    } else if (has_output_letter(command) && option->offset == AT(org)) {
        own.letter = 0;
    } else if (strcmp(command->name, "export") == 0 && option->offset == AT(format)) {
        own.argument = "lp|parquet";
        own.help = "what to write; by the ending of --output unless given, else lp";
    } else if (strcmp(command->name, "aws") == 0 && option->offset == AT(patience_ms)) {
        own.help = "stop waiting after so long; 1h unless given";
    } else if (strcmp(command->name, "aws") == 0 && option->offset == AT(start)) {
        own.help = "metrics from this time on; three hours ago unless given";
    } else if (strcmp(command->name, "aws") == 0 && option->offset == AT(stop)) {
        own.help = "metrics before this time; now unless given";
    }
    return own;
}

static void print_option(const struct option *option, const struct af_cli_command *command)
{
    const struct option own = as_for(option, command);
    const char letter[] = { '-', own.letter, ',', '\0' };
    char left[64];
    (void)snprintf(left, sizeof left, "  %3s --%s %s", own.letter != 0 ? letter : "", own.name,
                   own.argument != NULL ? own.argument : "");
    (void)printf("%-*s", HELP_LEFT, left);
    print_wrapped(own.help, HELP_LEFT);
}

static void print_command_help(const struct af_cli_command *command)
{
    (void)printf("afluxo %s %s\n\n%s.\n", command->name, command->synopsis, command->about);
    if (command->details != NULL) {
        (void)putchar('\n');
        print_wrapped(command->details, 0);
    }
    (void)puts("\nOptions:");
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (takes(command, options[i].name))
            print_option(&options[i], command);
}

static void print_help(FILE *to)
{
    (void)fputs("afluxo " AFLUXO_VERSION ": move grid data into InfluxDB, and prove that it arrived.\n\n", to);
    for (const struct af_cli_command *c = af_cli_commands; c->name != NULL; c++)
        (void)fprintf(to, "  %-11s %s\n", c->name, c->about);
    (void)fputs("\nafluxo COMMAND --help shows a command's options.\n"
                "Exit status: 0 done; 1 failed; 2 wrong usage; 3 done, but rows were rejected; 4 verification found differences;\n"
                "5 interrupted, go on with --resume.\n", to);
}

static const char *first_words(const struct option *option)
{
    return option->argument != NULL ? option->argument : "";
}

int af_cli_man(struct af_cli *cli)
{
    (void)cli;
    (void)printf(".TH AFLUXO 1 \"\" \"afluxo %s\"\n.SH NAME\nafluxo \\- move grid data into InfluxDB, and prove that it arrived\n"
                 ".SH SYNOPSIS\n.B afluxo\n.I COMMAND\n[options]\n.SH COMMANDS\n", AFLUXO_VERSION);
    for (const struct af_cli_command *c = af_cli_commands; c->name != NULL; c++) {
        (void)printf(".SS afluxo %s %s\n%s.\n", c->name, c->synopsis, c->about);
        if (c->details != NULL)
            (void)printf(".PP\n%s\n", c->details);
        (void)printf(".PP\nOptions: %s\n", c->options);
    }
    (void)puts(".SH OPTIONS");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options[i];
        (void)printf(".TP\n.B \\-\\-%s %s\n%s.", o->name, first_words(o), o->help);
        if (o->env != NULL)
            (void)printf(" Environment: %s.", o->env);
        (void)puts("");
    }
    (void)puts(".SH EXIT STATUS\n0 done; 1 failed; 2 wrong usage; 3 done, but rows were rejected (dead letters written); 4 "
               "verification found differences; 5 interrupted, resumable.");
    return AF_EXIT_DONE;
}

static void complete_bash(void)
{
    (void)puts("_afluxo() {\n  local cur=${COMP_WORDS[COMP_CWORD]}\n  if [ \"$COMP_CWORD\" = 1 ]; then");
    (void)printf("    COMPREPLY=($(compgen -W \"");
    for (const struct af_cli_command *c = af_cli_commands; c->name != NULL; c++)
        (void)printf("%s ", c->name);
    (void)puts("\" -- \"$cur\")); return\n  fi\n  case \"$cur\" in -*) ;; *) COMPREPLY=($(compgen -f -- \"$cur\")); return;; esac\n"
               "  case ${COMP_WORDS[1]} in");
    for (const struct af_cli_command *c = af_cli_commands; c->name != NULL; c++) {
        (void)printf("  %s) COMPREPLY=($(compgen -W \"", c->name);
        for (size_t i = 0; i < OPTION_COUNT; i++)
            if (takes(c, options[i].name))
                (void)printf("--%s ", options[i].name);
        (void)puts("\" -- \"$cur\"));;");
    }
    (void)puts("  esac\n}\ncomplete -o filenames -F _afluxo afluxo");
}

static void complete_fish(void)
{
    for (const struct af_cli_command *c = af_cli_commands; c->name != NULL; c++) {
        (void)printf("complete -c afluxo -n __fish_use_subcommand -f -a %s -d '%s'\n", c->name, c->about);
        for (size_t i = 0; i < OPTION_COUNT; i++)
            if (takes(c, options[i].name))
                (void)printf("complete -c afluxo -n '__fish_seen_subcommand_from %s' -l %s%s\n", c->name, options[i].name,
                             options[i].kind == FLAG ? "" : " -r");
    }
}

int af_cli_completion(struct af_cli *cli)
{
    struct af_slice shell = af_slice_of(cli->arg_count == 1 ? cli->args[0] : "");
    if (af_slice_is(shell, "zsh"))
        (void)puts("autoload -U +X bashcompinit && bashcompinit");
    if (af_slice_is(shell, "bash") || af_slice_is(shell, "zsh"))
        complete_bash();
    else if (af_slice_is(shell, "fish"))
        complete_fish();
    else
        return af_cli_usage_error(cli, "completion takes bash, zsh or fish");
    return AF_EXIT_DONE;
}

/* --- the environment and --config ------------------------------------------------------------------------------------------ */

static bool env_is_off(const struct option *option, const char *value)
{
    return option->kind == FLAG && (strcmp(value, "0") == 0 || strcmp(value, "false") == 0);
}

static void take_variable(struct af_cli *cli, const struct option *option)
{
    for (const char *at = option->env; *at != '\0';) {
        char name[64];
        size_t len = strcspn(at, " ");
        (void)snprintf(name, sizeof name, "%.*s", (int)len, at);
        const char *value = getenv(name);
        if (value != NULL && value[0] != '\0' && !env_is_off(option, value)) {
            (void)set(cli, option, value);
            return;
        }
        at += len + (at[len] == ' ');
    }
}

static void take_environment(struct af_cli *cli)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (options[i].env != NULL)
            take_variable(cli, &options[i]);
}

static struct af_arena config_arena; /* option texts live as long as the process */

static enum af_status take_member(struct af_cli *cli, const struct af_yaml *node, struct af_error *err)
{
    const struct option *option = find(node->key.ptr, node->key.len);
    if (option == NULL || strcmp(option->name, "config") == 0)
        return af_fail_at(err, AF_EINVAL, node->line, node->column, "%s:%u: there is no option \"" AF_SLICE_FMT "\"",
                          cli->config, node->line, AF_SLICE_ARG(node->key));
    bool on = true;
    if (option->kind == FLAG && !af_yaml_bool(node, &on))
        return af_fail(err, AF_EINVAL, "%s:%u: %s is true or false", cli->config, node->line, option->name);
    if (option->kind == FLAG && !on)
        return AF_OK;
    char *text = af_arena_copy(&config_arena, node->text);
    if (text == NULL)
        return af_fail_nomem(err, "the configuration");
    if (node->kind != AF_YAML_SCALAR || !set(cli, option, text))
        return af_fail(err, AF_EINVAL, "%s:%u: %s wants %s", cli->config, node->line, option->name,
                       option->kind >= COUNT ? kind_words[option->kind] : "a text");
    return AF_OK;
}

static enum af_status take_config(struct af_cli *cli, struct af_error *err)
{
    struct af_buf text;
    af_buf_init(&text, AF_YAML_BYTES_MAX);
    af_arena_init(&config_arena, (size_t)AF_YAML_BYTES_MAX * 64);
    struct af_yaml *root = NULL;
    enum af_status status = af_file_read_all(cli->config, &text, err);
    if (status == AF_OK)
        status = af_yaml_parse(cli->config, af_buf_slice(&text), &config_arena, &root, err);
    if (status == AF_OK && root != NULL && root->kind != AF_YAML_MAP)
        status = af_fail(err, AF_EINVAL, "%s: wants lines like `bucket: energy_data`", cli->config);
    for (const struct af_yaml *node = root != NULL ? root->first : NULL; node != NULL && status == AF_OK; node = node->next)
        status = take_member(cli, node, err);
    af_buf_done(&text);
    return status;
}

/* --- the command line -------------------------------------------------------------------------------------------------------- */

struct words {
    int argc;
    char **argv;
    int at;
    const char **args; /* positional */
    size_t arg_count;
};

static void wipe(char *text)
{
    for (; *text != '\0'; text++)
        *text = '*';
}

static int take_value(struct af_cli *cli, struct words *w, const struct option *option, char *value)
{
    if (option->kind == FLAG)
        return value == NULL ? (set(cli, option, NULL), -1)
                             : af_cli_usage_error(cli, "--%s takes no value", option->name);
    if (value == NULL && w->at + 1 < w->argc)
        value = w->argv[++w->at];
    if (value == NULL)
        return af_cli_usage_error(cli, "--%s wants %s", option->name, option->argument);
    if (option->kind == SECRET) {
        static char secret[SECRET_BYTES_MAX];
        size_t len = strlen(value);
        if (len >= sizeof secret)
            return af_cli_usage_error(cli, "--%s is longer than %d bytes", option->name, SECRET_BYTES_MAX - 1);
        memcpy(secret, value, len + 1);
        wipe(value);
        value = secret;
    }
    if (!set(cli, option, value))
        return af_cli_usage_error(cli, "--%s wants %s, not \"%s\"", option->name, kind_words[option->kind], value);
    return -1;
}

static int take_option(struct af_cli *cli, struct words *w, const struct af_cli_command *command)
{
    char *word = w->argv[w->at];
    const struct option *option;
    char *value = NULL;
    if (word[1] == '-') {
        char *name = word + 2;
        size_t len = strcspn(name, "=");
        option = find(name, len);
        value = name[len] == '=' ? name + len + 1 : NULL;
    } else {
        option = find_letter(word[1]);
        if (has_output_letter(command) && word[1] == 'o')
            option = find("output", 6);
        value = word[2] != '\0' ? word + 2 : NULL;
    }
    if (option == NULL || !takes(command, option->name))
        return unknown_option(cli, command, word);
    return take_value(cli, w, option, value);
}

static int take_words(struct af_cli *cli, struct words *w, const struct af_cli_command *command)
{
    bool only_args = false;
    for (w->at = 2; w->at < w->argc; w->at++) {
        char *word = w->argv[w->at];
        if (!only_args && strcmp(word, "--") == 0) {
            only_args = true;
        } else if (only_args || word[0] != '-' || word[1] == '\0') {
            w->args[w->arg_count++] = word;
        } else {
            int status = take_option(cli, w, command);
            if (status >= 0)
                return status;
        }
    }
    cli->args = w->args;
    cli->arg_count = w->arg_count;
    return -1;
}

static int early(int argc, char **argv, struct af_cli *cli, const struct af_cli_command **out_command)
{
    if (argc < 2) {
        print_help(stderr);
        return AF_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return AF_EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "version") == 0) {
        (void)puts("afluxo " AFLUXO_VERSION);
        return AF_EXIT_DONE;
    }
    for (const struct af_cli_command *c = af_cli_commands; c->name != NULL; c++) {
        if (strcmp(c->name, argv[1]) == 0) {
            *out_command = c;
            return -1;
        }
    }
    return unknown_command(cli, argv[1]);
}

static int parse_known(int argc, char **argv, struct af_cli *out, const struct af_cli_command *command)
{
    take_environment(out);
    const char **args = af_alloc_zero((size_t)argc, sizeof *args);
    if (args == NULL)
        return AF_EXIT_FAILED;
    out->own_args = args;
    /* --config first, wherever it stands: the rest is applied over it. */
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0)
            out->config = argv[i] + 9;
        else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            out->config = argv[i + 1];
    }
    struct af_error err;
    if (out->config != NULL && take_config(out, &err) != AF_OK)
        return af_cli_usage_error(out, "%s", err.message);
    struct words words = { .argc = argc, .argv = argv, .args = args };
    int status = take_words(out, &words, command);
    if (status < 0 && out->help) {
        print_command_help(command);
        status = AF_EXIT_DONE;
    }
    return status;
}

int af_cli_parse(int argc, char **argv, struct af_cli *out, const struct af_cli_command **out_command)
{
    *out = (struct af_cli){ .rows = 10, .plants = 100 };
    int status = early(argc, argv, out, out_command);
    if (status >= 0)
        return status;
    out->program_command = (*out_command)->name;
    return parse_known(argc, argv, out, *out_command);
}

void af_cli_done(struct af_cli *cli)
{
    af_free(cli->own_args);
    if (cli->config != NULL)
        af_arena_done(&config_arena);
    cli->own_args = NULL;
}
