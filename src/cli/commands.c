/* commands.c - the table of commands. What an option means stands in args.c. */
#include "cli/cli.h"

#define TARGET "bucket org token token-file user password-file influx-version ca-file insecure timeout "
#define COMMON "config json quiet verbose help"
#define SOURCES "dataset mapping infer list-datasets measurement time-zone strict precision "

const struct af_cli_command af_cli_commands[] = {
    { "migrate", "SOURCE... --to URL", "move Parquet, ONS CSV or line protocol into InfluxDB and prove it arrived",
      "to create shard-duration " TARGET SOURCES "verify force-flux resume dry-run report workers lanes memory rate batch-lines "
      "batch-bytes dead-letters "
      "retry-dead-letters state no-spool spool-bytes patience retry-budget " COMMON,
      "SOURCE is a file, a directory (read recursively), a quoted glob, a FIFO, or - for standard input: line protocol, or a table if "
      "--dataset or --mapping is given. The mapping of "
      "columns to measurement, tags, fields and time is found from the path and the columns, or given with --dataset or "
      "--mapping.\n\nRows that cannot be a point go to the dead letters, with file, row and reason, and the rest goes on. What the "
      "server cannot take now waits in a spool on disk. After any interruption, the same command with --resume goes on where it "
      "stopped; doing a part twice is harmless, because the same point overwrites itself.\n\nWith --retry-dead-letters, refused "
      "lines are sent "
      "once more and rejected rows go through the mapping once more (with --mapping or --dataset, through that one). What is refused "
      "again is in the new dead letters; the old files are renamed to *.retried.\n\nFor example:\n"
      "afluxo migrate curva_carga_ho/ --to http://localhost:8086 --org ons-energy --create --verify",
      af_cli_migrate },
    { "convert", "SOURCE... [-o FILE]", "print sources as line protocol, without a server",
      "output " SOURCES "workers " COMMON,
      "What migrate would send, one point a line, in the order of the sources. Rows that cannot be a point are named on standard "
      "error, with file, row and reason.",
      af_cli_convert },
    { "verify", "SOURCE... --to URL", "prove that a server holds exactly what the sources say",
      "to " TARGET SOURCES "report workers dead-letters force-flux " COMMON,
      "Both sides are read whole. Per series and UTC day, the number of values and an order-independent digest over (time, field, "
      "value) are compared; where they differ, the values are compared one by one and examples are shown. Exit status 4 means "
      "differences.",
      af_cli_verify },
    { "write", "[FILE|-] --to URL --bucket B", "send line protocol",
      "to create shard-duration " TARGET "precision strict workers lanes memory rate batch-lines batch-bytes dead-letters state "
      "no-spool "
      "spool-bytes patience retry-budget unsigned " COMMON,
      "Reads standard input unless FILE is given. Times are in --precision, nanoseconds unless given; lines without one get the "
      "time of the start.", af_cli_write },
    { "query", "TEXT|- --from URL", "send InfluxQL or Flux to the server as it is", "from lang format " TARGET COMMON,
      "The answer is printed as the server gives it. For example:\n"
      "afluxo query 'SELECT mean(demand_mw) FROM consumption_data GROUP BY region' --from http://localhost:8086 --bucket energy_data",
      af_cli_query },
    { "inspect", "schema|stats|sample|mapping SOURCE", "show what is in a Parquet, CSV or line-protocol file",
      "rows dataset mapping infer precision " COMMON,
      "schema: columns and types, for Parquet codec and encodings too. stats: rows, and nulls, least and greatest value of each column, by "
      "reading all of it. sample: the first --rows rows, a JSON object each. mapping: what would become measurement, tags, fields "
      "and time; as YAML, to be changed and given back with --mapping.",
      af_cli_inspect },
    { "generate", "ons --out DIR", "make ONS-shaped Parquet files, the same for the same seed",
      "out from to plants step seed codec bad-rows-every " COMMON, NULL, af_cli_generate },
    { "completion", "bash|zsh|fish", "print a completion script for a shell", "help", NULL, af_cli_completion },
    { "man", "", "print the manual page (roff)", "help", NULL, af_cli_man },
    { NULL, NULL, NULL, NULL, NULL, NULL },
};
