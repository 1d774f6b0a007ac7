/*
 * zone.h - time zones by name, from the system's database (/usr/share/zoneinfo, package tzdata).
 */
#ifndef AF_OS_ZONE_H
#define AF_OS_ZONE_H
#include "base/calendar.h"

/* As af_zone_parse, and every name of the IANA database besides. Tables are read once and live as long as the process. AF_EINVAL: there is
 * no
 * such zone (names with "..", a leading slash or more than 64 bytes are none): "unknown time zone Mars/Base". "" and "UTC" are UTC. */
AF_MUST_CHECK enum af_status af_zone_find(struct af_slice name, struct af_zone *out, struct af_error *err);
#endif
