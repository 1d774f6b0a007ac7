/*
 * limits.h - every ceiling in one place; docs/limits.md is printed from it (tools/limits.awk).
 * One line each: name = value, and in the comment what it bounds. Sizes in bytes unless the name says otherwise.
 */
#ifndef AF_BASE_LIMITS_H
#define AF_BASE_LIMITS_H

enum af_limits {
    /* data */
    AF_BATCH_ROWS = 16384,                  /* rows a batch holds at most */
    AF_BATCH_TEXT_BYTES_MAX = 32 << 20,     /* bytes of text in one batch; a reader cuts the batch before */
    AF_COLUMNS_MAX = 10000,                 /* columns of one table */
    AF_STRING_BYTES_MAX = 16 << 20,         /* one string value */

    /* parquet */
    AF_PARQUET_FOOTER_BYTES_MAX = 256 << 20, /* footer of a file; also never more than the file */
    AF_PARQUET_PAGE_BYTES_MAX = 512 << 20,   /* one page, uncompressed */
    AF_PARQUET_DICT_BYTES_MAX = 128 << 20,   /* one dictionary page, uncompressed */
    AF_PARQUET_HEADER_BYTES_MAX = 1 << 20,   /* one page header */
    AF_PARQUET_SCRATCH_BYTES_MAX = 2047 << 20, /* page buffers of one stream, all columns together */
    AF_PARQUET_SCHEMA_DEPTH_MAX = 64,        /* nesting of a schema */
    AF_PARQUET_SCHEMA_NODES_MAX = 100000,    /* elements of a schema */

    /* csv */
    AF_CSV_LINE_BYTES_MAX = 4 << 20, /* one record, quoted line ends included */
    AF_CSV_COLUMNS_MAX = 4096,       /* cells of a record */

    /* line protocol and series */
    AF_LP_LINE_BYTES_MAX = 64 << 20, /* one line */
    AF_LP_KEY_BYTES_MAX = 65535,     /* series key + 4 + field name, InfluxDB's own limit */
    AF_SERIES_BYTES_MAX = 24 << 20,  /* keys a series set holds before it starts over */
    AF_TAGS_MAX = 256,               /* tags of one series */
    AF_FIELDS_MAX = 1024,            /* fields of one mapping */

    /* TSM and the engine */
    AF_TSM_BLOCK_POINTS_MAX = 1 << 20,     /* points of one block that is read */
    AF_TSM_BLOCK_BYTES_MAX = 256 << 20,    /* one block that is read, decompressed */
    AF_TSM_FILE_BYTES_MAX = 2047 << 20,    /* a TSM file that is written; then the next one begins */
    AF_TSM_INDEX_BYTES_MAX = 32 << 20,     /* index of a TSM file that is written; then the next one begins */
    AF_TSM_SERIES_MAX = 1 << 28,           /* series of one bucket */
    AF_TSM_SHARDS_MAX = 10000,             /* shards of one bucket; points that need another one are dropped */
    AF_TSM_NEW_SHARDS_MAX = 1000,          /* shards that one write makes; points that need another one are dropped */
    AF_TSM_BATCH_KEYS_BYTES_MAX = 256 << 20, /* keys with fields that one write brings, as TSM files repeat them; more is dropped */
    AF_TSM_WAL_SEGMENT_BYTES = 64 << 20,   /* a segment of the log; then the next one begins */
    AF_TSM_WAL_RECORD_BYTES_MAX = 256 << 20, /* one record of the log */
    AF_TSM_CACHE_BYTES = 64 << 20,         /* points in memory, by default; half of it full: it is written out */
    AF_TSM_STRING_BYTES_MAX = 1 << 20,     /* a string field, as in InfluxDB 2.x */
    AF_TSM_DIGEST_BYTES_MAX = 64 << 20,    /* places and statistics of blocks kept in memory between queries, of all TSM files */

    /* server */
    AF_SERVER_CONNECTIONS_MAX = 1024,      /* open connections */
    AF_SERVER_BODY_BYTES_MAX = 32 << 20,   /* body of a request, decompressed, by default */
    AF_SERVER_BODIES_BYTES_MAX = 96 << 20, /* bodies of all requests at once; more wait or get 503 */
    AF_SERVER_OPEN_BODY_BYTES_MAX = 64 << 10, /* body of a request that needs no credentials */
    AF_SERVER_TEXT_BYTES_MAX = 1 << 20,    /* JSON of a request, unpacked, and text of a 1.x query */
    AF_SERVER_STATEMENTS_MAX = 1000,       /* statements of one 1.x query */
    AF_SERVER_HEADER_BYTES_MAX = 64 << 10, /* request line and headers */
    AF_SERVER_NAME_BYTES_MAX = 1024,       /* name of a bucket, database, user, token description */
    AF_SERVER_BUCKETS_MAX = 100000,        /* buckets of one server */

    /* queries */
    AF_QUERY_BYTES_MAX = 512 << 20,        /* memory of one query, by default */
    AF_QUERY_WINDOWS_MAX = 1 << 24,        /* windows of one group, by default */
    AF_QUERY_ANSWER_BYTES_MAX = 256 << 20, /* of an answer that cannot be sent in pieces, or is not taken by the client */
    AF_QUERY_DEPTH_MAX = 500,              /* nesting of expressions and subqueries in a query's text */
    AF_REGEX_STEPS_MAX = 1000000,          /* steps of one match of a regular expression */
    AF_REGEX_BYTES_MAX = 32 << 10,         /* one regular expression */
    AF_WIRE_HOLD_BYTES = 1 << 20,          /* of an answer that are held back, in case its statement fails */
    AF_WIRE_CHUNK_ROWS = 10000,            /* rows of a chunk, by default */
    AF_PLATFORM_TEXT_BYTES_MAX = 256 << 10, /* a query at the platform's own paths */
    AF_PLATFORM_ROWS_MAX = 10000,          /* rows of an answer there, by default; more are cut */
    AF_PLATFORM_ANSWER_BYTES_MAX = 6080 << 10, /* such an answer, by default; rows past it are cut */
    AF_PLATFORM_TIMEOUT_MS = 30000,        /* milliseconds of such a query, by default */
    AF_HOLT_WINTERS_MSTEPS_MAX = 5000,     /* steps of one fit, in millions */

    /* mapping */
    AF_YAML_BYTES_MAX = 1 << 20, /* a mapping or configuration file */
    AF_YAML_DEPTH_MAX = 32,      /* nesting in it */
    AF_YAML_NODES_MAX = 100000,  /* nodes in it, aliases expanded */

    /* sink */
    AF_SINK_LANES_MAX = 64,          /* connections to a store */
    AF_SINK_BATCH_LINES = 10000,     /* lines of a request, by default */
    AF_SINK_BATCH_BYTES = 4 << 20,   /* bytes of a request before compression, by default */
    AF_SINK_QUEUE_BLOCKS = 4,        /* blocks waiting for one lane */
    AF_HTTP_ANSWER_BYTES_MAX = 8 << 20, /* an answer that is kept whole */
    AF_HTTP_HEADERS_BYTES_MAX = 64 << 10, /* headers of an answer that are kept */
    AF_HTTP_HEAD_BYTES_MAX = 1 << 20,     /* and all of them that are read, trailers and interim answers too */
    AF_AWS_SIGNED_BYTES_MAX = 1 << 20,    /* what is signed of one request to AWS: path, query, headers */
    AF_AWS_CONFIG_BYTES_MAX = 4 << 20,    /* a file of AWS profiles */
    AF_LAMBDA_ANSWER_BYTES_MAX = 6 << 20, /* what a Lambda function answers */
    AF_LAMBDA_ARENA_BYTES_MAX = 96 << 20, /* memory of one event, parsed: Lambda gives none larger than 6 MB */
    AF_AWS_ANSWER_BYTES_MAX = 64 << 10,   /* what a source of credentials answers */
    AF_S3_READ_BYTES_MIN = 256 << 10,   /* of an object, asked for at once where nothing was announced */
    AF_S3_WHOLE_BYTES = 1 << 20,        /* an object up to this is read with one request */
    AF_S3_GAP_BYTES = 256 << 10,        /* between two announced ranges that become one request */
    AF_S3_BLOCK_BYTES = 8 << 20,        /* one request for a part of an object */
    AF_S3_BLOCKS_MAX = 256,             /* parts of one object in memory or on their way */
    AF_REMOTE_WEEKS_MAX = 100000,    /* weeks whose first write a remote store remembers */
    AF_JSON_DEPTH_MAX = 64,          /* nesting of JSON read from others */
    AF_XML_DEPTH_MAX = 32,           /* nesting of XML read from others */

    /* other languages */
    AF_FFI_REJECTS_MAX = 100000,       /* rows refused that a converter keeps until it is asked for them; more are counted only */

    /* ingest and verify */
    AF_MEMORY_DEFAULT = 128 << 20,      /* what a run takes about, unless --memory says */
    AF_SOURCES_MAX = 1000000,           /* files of one run */
    AF_PATH_BYTES_MAX = 4096,           /* one path */
    AF_WORKERS_MAX = 64,                /* threads that map and encode */
    AF_UNIT_ROWS = 1 << 20,             /* rows of a text file that a journal entry stands for (Parquet: a row group) */
    AF_BATCH_ARENA_BYTES_MAX = 256 << 20, /* all memory of one batch on its way */
    AF_LETTER_BYTES_MAX = 400 << 20,    /* one dead letter: a line of the largest size, every byte escaped */
    AF_VERIFY_TABLE_ENTRIES = 65536,    /* series-days a worker holds before it writes a sorted run */
    AF_VERIFY_KEYS_MAX = 1 << 20,       /* series-days compared point by point in one round */
    AF_VERIFY_EXAMPLES = 20,            /* differences a report names */
};
#endif
