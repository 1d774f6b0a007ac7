/* commands.c - the table of commands. What an option means stands in args.c. */
#include "cli/cli.h"

#define TARGET "bucket org token token-file user password-file influx-version ca-file insecure timeout "
#define COMMON "config json quiet verbose help"
#define S3 "profile region endpoint-url requester-pays "
#define BACKUP_S3 "profile region endpoint-url "
#define SOURCES "dataset mapping infer list-datasets measurement time-zone strict precision " S3

const struct af_cli_command af_cli_commands[] = {
    { "migrate", "SOURCE... --to TARGET", "move Parquet, ONS CSV or line protocol into InfluxDB or a directory and prove it arrived",
      "to create shard-duration " TARGET SOURCES "verify force-flux resume dry-run report workers lanes memory rate batch-lines "
      "batch-bytes dead-letters "
      "retry-dead-letters state no-spool spool-bytes patience retry-budget "
      "queue work run status dead-letter-queue attempts idle visibility " COMMON,
      "SOURCE is a file, a directory (read recursively), a quoted glob, a FIFO, an object or prefix of S3 (s3://bucket/prefix; docs/"
      "s3.md), "
      "or - for standard input: line protocol, or a table if "
      "--dataset or --mapping is given. The mapping of "
      "columns to measurement, tags, fields and time is found from the path and the columns, or given with --dataset or "
      "--mapping.\n\nRows that cannot be a point go to the dead letters, with file, row and reason, and the rest goes on. What the "
      "server cannot take now waits in a spool on disk. After any interruption, the same command with --resume goes on where it "
      "stopped; doing a part twice is harmless, because the same point overwrites itself.\n\nWith --retry-dead-letters, refused "
      "lines are sent "
      "once more and rejected rows go through the mapping once more (with --mapping or --dataset, through that one). What is refused "
      "again is in the new dead letters; the old files are renamed to *.retried.\n\nMany machines share one migration with a queue of SQS "
      "(docs/fleet.md): --queue with SOURCE in S3 makes a message of every object, --queue with --work loads what the messages name, in as "
      "many processes as you like, and --status sums up the journal that --run names. Exit status of --status: 0 all done, 3 done but "
      "something was refused or failed, 5 not done yet.\n\nFor example:\n"
      "afluxo migrate curva_carga_ho/ --to http://localhost:8086 --org ons-energy --create --verify",
      af_cli_migrate },
    { "convert", "SOURCE... [-o FILE]", "print sources as line protocol, without a server",
      "output " SOURCES "workers " COMMON,
      "What migrate would send, one point a line, in the order of the sources. Rows that cannot be a point are named on standard "
      "error, with file, row and reason.",
      af_cli_convert },
    { "verify", "SOURCE... --to TARGET", "prove that a server holds exactly what the sources say",
      "to " TARGET SOURCES "report workers dead-letters force-flux " COMMON,
      "Both sides are read whole. Per series and UTC day, the number of values and an order-independent digest over (time, field, "
      "value) are compared; where they differ, the values are compared one by one and examples are shown. Exit status 4 means "
      "differences.",
      af_cli_verify },
    { "write", "[FILE|-] --to TARGET --bucket B", "send line protocol",
      "to create shard-duration " TARGET S3 "precision strict workers lanes memory rate batch-lines batch-bytes dead-letters state "
      "no-spool "
      "spool-bytes patience retry-budget unsigned " COMMON,
      "Reads standard input unless FILE is given. Times are in --precision, nanoseconds unless given; lines without one get the "
      "time of the start.", af_cli_write },
    { "query", "TEXT|- --from TARGET", "ask a data directory or a server, in InfluxQL or Flux",
      "from lang format epoch explain analyze " TARGET COMMON,
      "A directory that nobody serves is opened, one that a server has is asked through it. --bucket is the database, or "
      "database/policy, of statements that name none; several statements stand between semicolons. Rows are printed as they come: "
      "as a table to read, as JSON lines, as CSV or as an Arrow IPC stream. Exit status 1 when a statement failed; its words are on "
      "standard error.\n\nFor example:\n"
      "afluxo query 'SELECT mean(demand_mw) FROM consumption_data GROUP BY region' --from ./demo-data --bucket energy_data",
      af_cli_query },
    { "inspect", "schema|stats|sample|mapping SOURCE", "show what is in a Parquet, CSV or line-protocol file",
      "rows dataset mapping infer precision " S3 COMMON,
      "schema: columns and types, for Parquet codec and encodings too. stats: rows, and nulls, least and greatest value of each column, by "
      "reading all of it. sample: the first --rows rows, a JSON object each. mapping: what would become measurement, tags, fields "
      "and time; as YAML, to be changed and given back with --mapping.",
      af_cli_inspect },
    { "generate", "ons --out DIR", "make ONS-shaped Parquet files, the same for the same seed",
      "out from to plants step seed codec bad-rows-every " COMMON, NULL, af_cli_generate },
    { "serve", "[--data DIR]", "be a server: InfluxDB's 1.x and 2.x APIs over a data directory",
      "data listen tls-cert tls-key no-auth memory max-body query-memory query-timeout query-rows query-points query-series query-windows "
      "max-queries " COMMON,
      "The first start makes an organisation, a bucket and an operator token, printed once and kept in DIR/operator-token, readable by the "
      "owner alone. SIGTERM and SIGINT end it after the requests at work.\n\nFor example:\nafluxo serve --data ./demo-data --listen "
      "127.0.0.1:8086",
      af_cli_serve },
    { "backup", "DIR|s3://BUCKET/PREFIX --from TARGET", "copy buckets into a backup directory or S3",
      "from form " TARGET BACKUP_S3 COMMON,
      "Each bucket is copied as of one moment, while writes go on, and every archive is read back before the manifest is written. The same "
      "directory can be restored here, with `influxd restore -portable` (1.x) and with `influx restore` (2.x). Without --bucket, all "
      "buckets.\n\nIn S3, archives go up one by one, in parts with checksums, and the manifest last: the directory that is backed up needs "
      "room for the largest archive.\n\nA running InfluxDB 2.x (--from http...) is asked through its backup API, with an operator token: "
      "without users and tokens, deletes applied, each shard as of when it was asked for.\n\nFor example:\n"
      "afluxo backup /backups/monday --from ./demo-data\n"
      "afluxo backup s3://backups/influx --from ./demo-data",
      af_cli_backup },
    { "restore", "DIR|s3://BUCKET/PREFIX --to TARGET",
      "bring a backup, or the data directory of an InfluxDB, into a data directory or server",
      "to new-bucket rpc " TARGET BACKUP_S3 COMMON,
      "DIR is a backup of afluxo, a portable backup of InfluxDB 1.x, a backup of 2.x, or the data directory itself (1.x: the one with "
      "data, wal and meta; 2.x: the one with engine) of a server that is not running. All of a backup is checked before anything "
      "changes. A bucket that is there keeps its points; of equal ones those restored count. With --bucket only that one, with "
      "--new-bucket under another name. To a server, a backup goes as bulkload does. In S3, the newest manifest under the "
      "prefix counts, or the one that is named in full; into a data directory only.",
      af_cli_restore },
    { "bulkload", "DIR --to URL", "load whole shards into a running InfluxDB, faster than writes, and count them there",
      "to new-bucket rpc " TARGET COMMON,
      "DIR is a data directory of ours (afluxo tsm build makes one) or a backup. 2.x: through the restore API, which wants an operator "
      "token; 1.x: through its RPC port, into a database that is not there yet. Afterwards the values of every field in every shard are "
      "counted on the server and compared.",
      af_cli_bulkload },
    { "export", "--from TARGET --bucket B", "write points as line protocol or Parquet",
      "from measurement start stop format output codec force-flux " TARGET COMMON,
      "Line protocol goes to standard output or --output FILE (compressed if it ends in .gz). Parquet goes to --output: a file ending in "
      ".parquet for one measurement, else a directory with a file for each.\n\nFor example:\n"
      "afluxo export --from ./demo-data --bucket energy_data --start 2024-01-01 --format parquet -o january/",
      af_cli_export },
    { "tsm", "verify|dump|export|build PATH...", "check, show, unpack and build TSM files",
      "output repair shard-duration bucket org " SOURCES "unsigned dead-letters workers memory " COMMON,
      "verify: every block decoded, of files, directories, or a data directory of ours as a whole (with --repair: mended). dump: what "
      "is in a file, a line a key; with --verbose a line a block. export: line protocol out of files, tombstones applied. build: "
      "sources (as migrate takes them) into a new data directory, compacted, ready for bulkload.\n\nFor example:\n"
      "afluxo tsm build data/ -o ./built && afluxo bulkload ./built --to http://localhost:8086 --org ons-energy",
      af_cli_tsm },
    { "bucket", "create|list|delete [NAME]", "manage buckets of a data directory or a server",
      "to retention shard-duration description " TARGET COMMON, NULL, af_cli_bucket },
    { "user", "create|list|delete [NAME]", "manage users of a data directory or a server",
      "to admin org token token-file user password-file ca-file insecure timeout " COMMON,
      "create takes the new user's password from --password-file, or from INFLUX_PASSWORD; without one the user cannot sign in.",
      af_cli_user },
    { "token", "create|list|delete [ID]", "manage API tokens of a data directory or a server",
      "to read-bucket write-bucket all-access operator description org token token-file ca-file insecure timeout " COMMON,
      "create prints the token once: only its hash is kept. delete takes the id that list shows.", af_cli_token },
    { "aws", "whoami|influxdb|timestream|metrics|queue ...", "ask AWS: identity, Timestream, metrics, queues",
      "profile region endpoint-url wait every patience dimensions statistic start stop ca-file insecure timeout " COMMON,
      "whoami: whose credentials are in use, and where they come from. influxdb OPERATION [JSON|-]: one of the 24 operations of "
      "Timestream for "
      "InfluxDB; without one, all are listed with what each must be given. A JSON that holds a password is better given on standard input. "
      "timestream write|query OPERATION [JSON|-]: Timestream for LiveAnalytics, its endpoint found out. metrics put NAMESPACE "
      "NAME=NUMBER[:Unit]..., metrics get NAMESPACE NAME, metrics list NAMESPACE. queue depth|peek QUEUE: its URL, ARN or name; peek "
      "shows up to "
      "ten messages and leaves them there, though each counts as received once more.\n\nFor example:\n"
      "afluxo aws influxdb CreateDbInstance - --wait AVAILABLE < instance.json",
      af_cli_aws },
    { "costs", "[--tag KEY=VALUE] | --plan --class NAME --storage GIB", "what it costs in AWS, or what it would cost",
      "tag refresh namespace plan class tier storage multi-az points-per-day objects-per-day queries-per-day prices "
      "profile region endpoint-url ca-file insecure timeout " COMMON,
      "Last month, this month so far and the forecast of its end, as Cost Explorer has them: by class (instance hours, storage, backups, "
      "Lambda, SQS, S3, transfer, logs and metrics), by service and usage type, and per million points that the functions wrote. "
      "Asking costs 0.01 USD a request: the answer is kept for the day. It needs the actions ce:GetCostAndUsage, ce:GetCostForecast and "
      "ce:GetDimensionValues, and for the points cloudwatch:ListMetrics and cloudwatch:GetMetricData.\n\nWith --plan, nobody is asked: a "
      "month is reckoned from a dated table of prices. What is assumed in it is marked with a star (docs/costs.md).\n\nFor example:\n"
      "afluxo costs --plan --class db.influx.2xlarge --storage 400 --multi-az --points-per-day 50M --objects-per-day 2000",
      af_cli_costs },
    { "doctor", "[--from TARGET] [--aws]", "what is wrong with this set-up: this machine, a target, AWS",
      "from to aws instance queue write-test state " TARGET "profile region endpoint-url " COMMON,
      "A list of checks: ok, warning, failed, or not checked and why; each with what was seen and what to do. Nothing is changed, but for "
      "--write-test. Without a target, this machine alone. --aws: credentials, the instance of Timestream for InfluxDB and what it stands "
      "on, which metrics have data, a queue and its dead letters. A right that is missing is no failure: the check says which. What each "
      "check looks at, and its limits: docs/doctor.md. Exit status 1 when a check failed. --timeout: for each answer, 5s unless "
      "given.\n\nFor example:\nafluxo doctor --from https://influx.example:8086 --org ons-energy --bucket energy_data --aws",
      af_cli_doctor },
    { "lambda", "loader|monitor|query|scaler|provision|backup [--once [EVENT]]", "be a function of AWS Lambda, on the custom runtime",
      "once " COMMON,
      "Takes invocations from AWS_LAMBDA_RUNTIME_API. loader: the objects of an event of S3, SQS, SNS or EventBridge go into InfluxDB. "
      "monitor: connects, writes a point and reads it back, measures that and publishes it. query: the platform's direct queries "
      "behind API Gateway. scaler: the size of an instance follows its load. provision: what Terraform cannot make of one. backup: "
      "backups, tests that they can be restored, and the last one. All are configured by their environment (docs/lambda.md). "
      "function.zip, which make lambda builds, is the same in one static file.\n\n"
      "With --once, outside of Lambda: one event, from the file EVENT (- is standard input), and its answer on standard output.\n\n"
      "For example:\n"
      "INFLUXDB_URL=http://localhost:8086 INFLUXDB_TOKEN=... afluxo lambda monitor --once",
      af_cli_lambda },
    { "completion", "bash|zsh|fish", "print a completion script for a shell", "help", NULL, af_cli_completion },
    { "man", "", "print the manual page (roff)", "help", NULL, af_cli_man },
    { NULL, NULL, NULL, NULL, NULL, NULL },
};
