/* The floor: reads the same records and writes the same frames as the relay, and does nothing else.
   No tickets, no limits, no judging, no snapshots; history per task and heartbeats, because they are reads and writes.

   floor BOOTSTRAP TOPIC PARTITIONS PORT WAIT_MS HEARTBEAT_SECONDS */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "kafka_reader.h"

#define KEY_BYTES 32
#define TABLE_SLOTS (1 << 17)
#define REQUEST_BYTES 4096
#define SEND_BUFFER_BYTES 65536
#define EVENT_COUNT 1024

static const char HEAD[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-store, no-transform\r\n"
    "x-accel-buffering: no\r\nconnection: close\r\n\r\nretry: 1000\n\n";
static const char READY[] = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

struct viewer;

struct task {
    char key[KEY_BYTES];
    struct viewer *viewers;
    char *log; /* all frames, one behind the other */
    size_t size, room;
    int64_t *offsets; /* of each frame, and where it ends in the log */
    size_t *ends;
    int count, count_room;
    int changed;
    double spoke;
};

struct viewer {
    int fd;
    int waits_for_room;
    struct task *task; /* none before the request is complete */
    struct viewer *next, **link;
    size_t sent;
    char *request; /* only until it is complete */
    int request_size;
};

static struct task *table[TABLE_SLOTS];
static struct task **changed;
static int changed_count, changed_room;
static struct reader reader;
static int epoll_fd;

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct task *find_task(const char *key) {
    uint64_t hash = 1469598103934665603ULL;
    for (int i = 0; i < KEY_BYTES; i++) hash = (hash ^ (unsigned char)key[i]) * 1099511628211ULL;
    size_t slot = hash & (TABLE_SLOTS - 1);
    while (table[slot] && memcmp(table[slot]->key, key, KEY_BYTES)) slot = (slot + 1) & (TABLE_SLOTS - 1);
    if (!table[slot]) {
        table[slot] = calloc(1, sizeof **table);
        memcpy(table[slot]->key, key, KEY_BYTES);
    }
    return table[slot];
}

static void watch(struct viewer *v, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = v};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, v->fd, &e);
}

static void close_viewer(struct viewer *v) {
    if (v->task) {
        if (v->next) v->next->link = v->link;
        *v->link = v->next;
    }
    close(v->fd);
    free(v->request);
    free(v);
}

/* Writes what the viewer does not have yet; 0 when it is gone. */
static int send_rest(struct viewer *v) {
    struct task *t = v->task;
    while (v->sent < t->size) {
        ssize_t n = send(v->fd, t->log + v->sent, t->size - v->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            if (!v->waits_for_room) watch(v, EPOLLIN | EPOLLOUT);
            v->waits_for_room = 1;
            return 1;
        }
        if (n < 0) return 0;
        v->sent += (size_t)n;
    }
    if (v->waits_for_room) watch(v, EPOLLIN);
    v->waits_for_room = 0;
    return 1;
}

static void append(struct task *t, const rd_kafka_message_t *m) {
    const void *type = "message";
    size_t type_size = 7;
    rd_kafka_headers_t *headers;
    if (!rd_kafka_message_headers(m, &headers)) rd_kafka_header_get_last(headers, "ce_type", &type, &type_size);
    size_t need = m->len + type_size + 80;
    if (t->size + need > t->room) t->log = realloc(t->log, t->room = (t->size + need) * 2);
    if (t->count == t->count_room) {
        t->count_room = t->count_room ? t->count_room * 2 : 8;
        t->offsets = realloc(t->offsets, sizeof *t->offsets * (size_t)t->count_room);
        t->ends = realloc(t->ends, sizeof *t->ends * (size_t)t->count_room);
    }
    char *at = t->log + t->size;
    at += sprintf(at, "id: %d-%lld\nevent: ", m->partition, (long long)m->offset);
    at = (char *)mempcpy(at, type, type_size);
    at = (char *)mempcpy(at, "\ndata: ", 7);
    at = (char *)mempcpy(at, m->payload, m->len);
    at = (char *)mempcpy(at, "\n\n", 2);
    t->size = (size_t)(at - t->log);
    t->offsets[t->count] = m->offset;
    t->ends[t->count++] = t->size;
    if (!t->changed) {
        if (changed_count == changed_room) {
            changed_room = changed_room ? changed_room * 2 : 1024;
            changed = realloc(changed, sizeof *changed * (size_t)changed_room);
        }
        t->changed = 1;
        changed[changed_count++] = t;
    }
}

static void take_records(void) {
    int count;
    reader_woken(&reader);
    while ((count = reader_take(&reader)) > 0) {
        for (int i = 0; i < count; i++) {
            const rd_kafka_message_t *m = reader.batch[i];
            if (reader_is_record(&reader, m) && m->key_len == KEY_BYTES) append(find_task(m->key), m);
        }
        reader_release(&reader, count);
    }
    double now = now_seconds();
    for (int i = 0; i < changed_count; i++) {
        struct task *t = changed[i];
        t->changed = 0;
        t->spoke = now;
        for (struct viewer *v = t->viewers, *next; v; v = next) {
            next = v->next;
            if (!v->waits_for_room && !send_rest(v)) close_viewer(v);
        }
    }
    changed_count = 0;
}

static void beat(double silence_seconds) {
    double now = now_seconds();
    for (size_t slot = 0; slot < TABLE_SLOTS; slot++) {
        struct task *t = table[slot];
        if (!t || !t->viewers || now - t->spoke < silence_seconds) continue;
        t->spoke = now;
        for (struct viewer *v = t->viewers, *next; v; v = next) {
            next = v->next;
            if (!v->waits_for_room && send(v->fd, ":\n\n", 3, MSG_NOSIGNAL) < 0 && errno != EAGAIN) close_viewer(v);
        }
    }
}

static size_t position_behind(const struct task *t, int64_t seen) {
    int low = 0, high = t->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (t->offsets[middle] <= seen)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? t->ends[low - 1] : 0;
}

/* Reads a request; 0 when the connection is over. */
static int read_request(struct viewer *v) {
    ssize_t n = recv(v->fd, v->request + v->request_size, (size_t)(REQUEST_BYTES - 1 - v->request_size), 0);
    if (n <= 0) return n < 0 && errno == EAGAIN;
    v->request_size += (int)n;
    v->request[v->request_size] = 0;
    if (!strstr(v->request, "\r\n\r\n")) return v->request_size < REQUEST_BYTES - 1;
    if (strncmp(v->request, "GET /v1/tasks/", 14) || v->request_size < 14 + KEY_BYTES) {
        send(v->fd, READY, sizeof READY - 1, MSG_NOSIGNAL);
        return 0;
    }
    const char *seen = strcasestr(v->request, "\r\nlast-event-id: ");
    long long offset = -1;
    if (seen) sscanf(seen + 17, "%*d-%lld", &offset);
    struct task *t = v->task = find_task(v->request + 14);
    free(v->request);
    v->request = NULL;
    v->sent = position_behind(t, offset);
    if (!t->viewers) t->spoke = now_seconds();
    v->next = t->viewers;
    v->link = &t->viewers;
    if (v->next) v->next->link = &v->next;
    t->viewers = v;
    return send(v->fd, HEAD, sizeof HEAD - 1, MSG_NOSIGNAL) > 0 && send_rest(v);
}

static void accept_all(int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct viewer *v = calloc(1, sizeof *v);
        v->fd = fd;
        v->request = malloc(REQUEST_BYTES);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = v};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

static int serve(struct viewer *v, uint32_t events) {
    char ignored[512];
    if (!v->task) return read_request(v);
    if (events & EPOLLIN) {
        ssize_t n = recv(v->fd, ignored, sizeof ignored, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return 0;
    }
    if (events & (EPOLLERR | EPOLLHUP)) return 0;
    return !(events & EPOLLOUT) || send_rest(v);
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1, buffer = SEND_BUFFER_BYTES;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) {
        perror("listen");
        exit(2);
    }
    return fd;
}

static void wait_until_caught_up(void) {
    while (reader.ended_count < reader.partition_count) {
        take_records();
        usleep(1000);
    }
}

int main(int argc, char **argv) {
    if (argc != 7) return 2;
    signal(SIGPIPE, SIG_IGN);
    double silence_seconds = atof(argv[6]), beaten = now_seconds();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    reader_open(&reader, argv[1], argv[2], atoi(argv[3]), atoi(argv[5]));
    wait_until_caught_up();
    int listener = listen_on(atoi(argv[4]));
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &listener};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e);
    e.data.ptr = &reader;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, reader.wake_fd, &e);
    for (;;) {
        static struct epoll_event events[EVENT_COUNT];
        int count = epoll_wait(epoll_fd, events, EVENT_COUNT, 1000);
        int records = 0;
        for (int i = 0; i < count; i++) {
            void *who = events[i].data.ptr;
            if (who == &listener)
                accept_all(listener);
            else if (who == &reader)
                records = 1; /* last: it may close viewers that have an event here */
            else if (!serve(who, events[i].events))
                close_viewer(who);
        }
        if (records || !count) take_records();
        if (silence_seconds > 0 && now_seconds() - beaten >= 1) {
            beaten = now_seconds();
            beat(silence_seconds);
        }
    }
}
