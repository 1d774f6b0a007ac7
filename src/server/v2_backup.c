/* v2_backup.c - InfluxDB 2.x's /api/v2/backup and /api/v2/restore; see server_int.h. */
#include "server/server_int.h"

const struct af_route af_routes_v2_backup[] = {
    { NULL, NULL, AF_API_V2, AF_ACCESS_TOKEN, NULL },
};
