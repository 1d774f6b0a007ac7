/*
 * influxd.h - a real InfluxDB 1.x for tests: starts /usr/bin/influxd (or AFLUXO_TEST_INFLUXD) on free loopback ports with a
 * directory of its own, waits for /ping, ends it by its pid.
 *
 *     struct af_influxd server;
 *     if (!af_influxd_start(&server, (struct af_influxd_options){ 0 })) return;   no influxd here: the test says so
 *     ... server.url ...
 *     af_influxd_stop(&server);
 *
 * Its log stays at server.log until the test's directory goes. A failed test leaves no server behind: it dies with its parent.
 */
#ifndef AF_TEST_INFLUXD_H
#define AF_TEST_INFLUXD_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct af_influxd_options {
    bool auth;              /* users are checked; user "admin", password "pa ss:w\u00f6rd" is made */
    uint32_t body_bytes_max; /* max-body-size; 0: none */
    const char *dir;        /* keep data here over restarts; NULL: a fresh directory below af_test_dir() */
    unsigned port;          /* 0: a free one */
};
struct af_influxd {
    pid_t pid;
    unsigned port;
    char url[64];
    char dir[256];
    char log[300];
};
/* False, with a note on standard output, when there is no influxd on this machine; any other failure fails the test. */
bool af_influxd_start(struct af_influxd *server, struct af_influxd_options options);
void af_influxd_stop(struct af_influxd *server);
void af_influxd_kill(struct af_influxd *server); /* SIGKILL, as a crash */

extern const char *const af_influxd_user;
extern const char *const af_influxd_password;
#endif
