/* influxd.c - a real InfluxDB for tests; see influxd.h. */
#include "test/lib/influxd.h"
#include "test/lib/test.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *const af_influxd_user = "admin";
const char *const af_influxd_password = "pa ss:w\xc3\xb6rd";

static unsigned free_port(void)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        af_test_failed(__FILE__, __LINE__, "no loopback port");
    close(fd);
    return ntohs(addr.sin_port);
}

/* Send one request, read the start of the answer; its status, or 0. */
static int exchange(unsigned port, const char *request)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer[64] = "";
    int status = 0;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0 &&
        send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request) && recv(fd, answer, sizeof answer - 1, 0) > 12)
        status = (int)strtol(answer + 9, NULL, 10);
    if (fd >= 0)
        close(fd);
    return status;
}

static void write_config(const struct af_influxd *server, struct af_influxd_options options, unsigned rpc_port, char *path,
                         size_t cap)
{
    snprintf(path, cap, "%s/influxdb.conf", server->dir);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        af_test_failed(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
    fprintf(file,
            "reporting-disabled = true\nbind-address = \"127.0.0.1:%u\"\n"
            "[meta]\n  dir = \"%s/meta\"\n"
            "[data]\n  dir = \"%s/data\"\n  wal-dir = \"%s/wal\"\n  max-series-per-database = 0\n  max-values-per-tag = 0\n"
            "[monitor]\n  store-enabled = false\n"
            "[http]\n  bind-address = \"127.0.0.1:%u\"\n  auth-enabled = %s\n  max-body-size = %u\n  log-enabled = false\n",
            rpc_port, server->dir, server->dir, server->dir, server->port, options.auth ? "true" : "false", options.body_bytes_max);
    fclose(file);
}

static void run_server(const struct af_influxd *server, const char *program, const char *config)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails must not leave it behind */
    int log = open(server->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        _exit(126);
    execl(program, program, "-config", config, (char *)NULL);
    _exit(127);
}

static void wait_until_ready(const struct af_influxd *server)
{
    struct timespec nap = { .tv_nsec = 50000000 };
    for (int i = 0; i < 1200; i++) {
        if (exchange(server->port, "GET /ping HTTP/1.0\r\n\r\n") == 204)
            return;
        int status;
        if (waitpid(server->pid, &status, WNOHANG) == server->pid)
            af_test_failed(__FILE__, __LINE__, "influxd ended at once (status %d); see %s", status, server->log);
        nanosleep(&nap, NULL);
    }
    af_test_failed(__FILE__, __LINE__, "influxd does not answer at %s after a minute; see %s", server->url, server->log);
}

static void make_admin(const struct af_influxd *server)
{
    static const char request[] =
        "POST /query?q=CREATE%20USER%20admin%20WITH%20PASSWORD%20'pa%20ss%3Aw%C3%B6rd'%20WITH%20ALL%20PRIVILEGES HTTP/1.0\r\n"
        "Content-Length: 0\r\n\r\n";
    int status = exchange(server->port, request);
    if (status != 200 && status != 401) /* 401: it is there already, after a restart */
        af_test_failed(__FILE__, __LINE__, "no admin user: status %d", status);
}

bool af_influxd_start(struct af_influxd *server, struct af_influxd_options options)
{
    const char *program = getenv("AFLUXO_TEST_INFLUXD");
    static int started;
    if (program == NULL)
        program = "/usr/bin/influxd";
    if (access(program, X_OK) != 0) {
        printf("note: not tested against a real server, there is no %s\n", program);
        return false;
    }
    *server = (struct af_influxd){ .port = options.port != 0 ? options.port : free_port() };
    if (options.dir != NULL)
        snprintf(server->dir, sizeof server->dir, "%s", options.dir);
    else
        snprintf(server->dir, sizeof server->dir, "%s/influxd-%d", af_test_dir(), ++started);
    (void)mkdir(server->dir, 0755);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u", server->port);
    snprintf(server->log, sizeof server->log, "%s/influxd.log", server->dir);
    char config[300];
    write_config(server, options, free_port(), config, sizeof config);
    server->pid = fork();
    if (server->pid < 0)
        af_test_failed(__FILE__, __LINE__, "fork: %s", strerror(errno));
    if (server->pid == 0)
        run_server(server, program, config);
    wait_until_ready(server);
    if (options.auth)
        make_admin(server);
    return true;
}

static void end(struct af_influxd *server, int sig)
{
    if (server->pid <= 0)
        return;
    kill(server->pid, sig);
    while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    server->pid = 0;
}

void af_influxd_stop(struct af_influxd *server)
{
    end(server, SIGTERM);
}

void af_influxd_kill(struct af_influxd *server)
{
    end(server, SIGKILL);
}
