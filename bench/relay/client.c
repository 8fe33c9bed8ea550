/* Many event streams in one process: counts, checks the order of every stream, and measures latency.

   client PORT REQUESTS
   A request is one line: path TAB position (may be empty). An event counts when its data holds "~t" and 16 digits, the
   time of its writing; its "sequence" must be the last one's plus one. Commands on stdin, one answer in JSON each:
     open COUNT AT_ONCE       the first COUNT streams; answers when all have a response head
     close                    all of them; their positions are kept
     report                   counters and latencies
     reset                    sets them to nought; seconds count from here, or from an open
     turn                     both, with nothing in between
     until EVENTS SECONDS     answers when so many events have come since the last reset
     stall COUNT              the first COUNT streams are no longer read
     again 0|1                whether a stream that ends is opened again from its position, every 20 ms */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (1 << 20)
#define POSITION_BYTES 256
#define EVENT_COUNT 1024
#define AGAIN_US 20000
#define MAX_LATENCIES (8 << 20)

enum state { CLOSED, CONNECTING, HEAD, BODY };

struct stream {
    int fd;
    enum state state;
    int chunked, snapshot;
    size_t chunk_left, chunk_size; /* bytes of the chunk that are still to come; the size line as far as it is read */
    char *part;         /* an unfinished line */
    size_t part_size;
    int64_t sequence;
    char *path;
    char position[POSITION_BYTES], pending[POSITION_BYTES];
};

static struct stream *streams;
static int stream_count, port, epoll_fd, again;
static int wanted, asked, at_once, headed, failed_heads;
static int64_t events, bytes, comments, snapshots, gaps, missing, repeated, lost, refused, first_us, last_us, opened_us;
static uint32_t *latencies;
static int64_t latency_count, until_events, until_us, again_us;

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void reset(void) {
    events = bytes = comments = snapshots = gaps = missing = repeated = lost = refused = first_us = last_us = 0;
    latency_count = 0;
}

static void close_stream(struct stream *s) {
    if (s->state == CLOSED) return;
    close(s->fd);
    free(s->part);
    s->part = NULL;
    s->part_size = 0;
    s->state = CLOSED;
}

static void open_stream(struct stream *s) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || (connect(s->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)) {
        if (s->fd >= 0) close(s->fd);
        refused++;
        return;
    }
    s->state = CONNECTING;
    s->chunked = s->snapshot = 0;
    s->chunk_left = s->chunk_size = 0;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = s};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &e);
}

static void open_more(void) {
    while (asked < wanted && asked - headed - failed_heads < at_once) open_stream(&streams[asked++]);
}

static int send_request(struct stream *s) {
    char request[4096];
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n%s%s%s\r\n", s->path, port,
                        *s->position ? "Last-Event-ID: " : "", s->position, *s->position ? "\r\n" : "");
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &e);
    s->state = HEAD;
    return send(s->fd, request, (size_t)size, MSG_NOSIGNAL) == size;
}

static void count_event(struct stream *s, const char *data, const char *stamp, int64_t now) {
    const char *field = memmem(data, (size_t)(stamp - data), "\"sequence\":", 11);
    int64_t sequence = field ? strtoll(field + 11, NULL, 10) : -1;
    if (s->sequence >= 0 && sequence > s->sequence + 1) missing += sequence - s->sequence - 1;
    if (s->sequence >= 0 && sequence <= s->sequence) repeated++;
    s->sequence = sequence;
    if (latency_count < MAX_LATENCIES) {
        int64_t age = now - strtoll(stamp + 2, NULL, 10);
        latencies[latency_count++] = age < 0 ? 0 : age > UINT32_MAX ? UINT32_MAX : (uint32_t)age;
    }
    if (!events++) first_us = now;
    last_us = now;
}

static void take_line(struct stream *s, const char *line, size_t size, int64_t now) {
    if (size && line[size - 1] == '\r') size--;
    if (!size) {
        s->snapshot = 0;
        if (*s->pending) strcpy(s->position, s->pending);
        *s->pending = 0;
    } else if (*line == ':') {
        comments++;
    } else if (size > 4 && !memcmp(line, "id: ", 4)) {
        size_t length = size - 4 < POSITION_BYTES - 1 ? size - 4 : POSITION_BYTES - 1;
        memcpy(s->pending, line + 4, length);
        s->pending[length] = 0;
    } else if (size >= 15 && !memcmp(line, "event: snapshot", 15)) {
        s->snapshot = 1;
        snapshots++;
        last_us = now;
    } else if (size >= 10 && !memcmp(line, "event: gap", 10)) {
        gaps++;
    } else if (size > 5 && !memcmp(line, "data:", 5)) {
        if (s->snapshot) {
            const char *field = line, *found, *last = NULL;
            while ((found = memmem(field, (size_t)(line + size - field), "\"sequence\":", 11))) field = last = found + 11;
            if (last) s->sequence = strtoll(last, NULL, 10);
            return;
        }
        const char *stamp = memmem(line, size, "~t", 2);
        if (stamp && stamp + 18 <= line + size) count_event(s, line, stamp, now);
    }
}

/* Takes bytes of the event stream, and keeps an unfinished line. */
static void take_text(struct stream *s, const char *data, size_t size, int64_t now) {
    const char *end = data + size, *line = data, *stop;
    if (s->part_size) {
        stop = memchr(data, '\n', size);
        size_t more = stop ? (size_t)(stop - data) : size;
        s->part = realloc(s->part, s->part_size + more + 1);
        memcpy(s->part + s->part_size, data, more);
        s->part_size += more;
        s->part[s->part_size] = 0;
        if (!stop) return;
        take_line(s, s->part, s->part_size, now);
        s->part_size = 0;
        line = stop + 1;
    }
    for (; line < end && (stop = memchr(line, '\n', (size_t)(end - line))); line = stop + 1)
        take_line(s, line, (size_t)(stop - line), now);
    if (line < end) {
        s->part_size = (size_t)(end - line);
        s->part = realloc(s->part, s->part_size + 1);
        memcpy(s->part, line, s->part_size);
        s->part[s->part_size] = 0;
    } else {
        free(s->part); /* idle streams keep nothing */
        s->part = NULL;
    }
}

/* Takes bytes of a chunked body; a size line may be cut in two, so it is read digit by digit. */
static void take_chunks(struct stream *s, const char *data, size_t size, int64_t now) {
    for (size_t i = 0; i < size;) {
        if (s->chunk_left) {
            size_t n = s->chunk_left < size - i ? s->chunk_left : size - i;
            take_text(s, data + i, n, now);
            i += n;
            s->chunk_left -= n;
            continue;
        }
        char c = data[i++];
        if (c >= '0' && c <= '9') s->chunk_size = s->chunk_size * 16 + (size_t)(c - '0');
        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') s->chunk_size = s->chunk_size * 16 + (size_t)((c | 0x20) - 'a' + 10);
        if (c == '\n') { /* of the size line, or the one behind a chunk: then the size is 0 */
            s->chunk_left = s->chunk_size;
            s->chunk_size = 0;
        }
    }
}

static void take_body(struct stream *s, const char *data, size_t size, int64_t now) {
    bytes += (int64_t)size;
    if (s->chunked)
        take_chunks(s, data, size, now);
    else
        take_text(s, data, size, now);
}

/* Returns 0 when the stream is over. */
static int take_head(struct stream *s, char *data, size_t size, int64_t now) {
    s->part = realloc(s->part, s->part_size + size + 1);
    memcpy(s->part + s->part_size, data, size);
    s->part_size += size;
    s->part[s->part_size] = 0;
    char *end = strstr(s->part, "\r\n\r\n");
    if (!end) return s->part_size < 16384;
    if (strncmp(s->part + 8, " 200", 4)) {
        if (!refused) fprintf(stderr, "%.300s\n", s->part);
        refused++;
        return 0;
    }
    *end = 0;
    s->chunked = strcasestr(s->part, "transfer-encoding: chunked") != NULL;
    s->state = BODY;
    headed++;
    char *head = s->part;
    size_t rest = s->part_size - (size_t)(end + 4 - head);
    s->part = NULL;
    s->part_size = 0;
    take_body(s, end + 4, rest, now);
    free(head);
    return 1;
}

static int serve(struct stream *s, uint32_t what) {
    static char buffer[BUFFER_BYTES];
    if (s->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) return 0;
        if (what & EPOLLOUT) return send_request(s);
    }
    ssize_t n = recv(s->fd, buffer, BUFFER_BYTES, 0);
    if (n < 0 && errno == EAGAIN) return 1;
    if (n <= 0) return 0;
    int64_t now = now_us();
    if (s->state == HEAD) return take_head(s, buffer, (size_t)n, now);
    take_body(s, buffer, (size_t)n, now);
    return 1;
}

static void end_stream(struct stream *s) {
    if (s->state == BODY)
        lost++;
    else
        failed_heads += !again;
    if (s->state == BODY && again) headed--;
    close_stream(s);
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double percentile(double share) {
    return latency_count ? latencies[(int64_t)(share * (double)(latency_count - 1))] / 1000.0 : 0;
}

static void report(void) {
    qsort(latencies, (size_t)latency_count, sizeof *latencies, compare);
    printf("{\"events\": %" PRId64 ", \"bytes\": %" PRId64 ", \"comments\": %" PRId64 ", \"snapshots\": %" PRId64
           ", \"gaps\": %" PRId64 ", \"missing\": %" PRId64 ", \"repeated\": %" PRId64 ", \"lost\": %" PRId64
           ", \"refused\": %" PRId64 ", \"open\": %d, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f"
           ", \"max_ms\": %.3f, \"first_seconds\": %.6f, \"last_seconds\": %.6f}\n",
           events, bytes, comments, snapshots, gaps, missing, repeated, lost, refused, headed, percentile(.5),
           percentile(.99), percentile(.999), percentile(1), first_us ? (double)(first_us - opened_us) / 1e6 : 0.0,
           last_us ? (double)(last_us - opened_us) / 1e6 : 0.0);
    fflush(stdout);
}

static void answer_open(void) {
    if (!at_once || again || headed + failed_heads < wanted) return;
    at_once = 0;
    printf("{\"opened\": %d, \"failed\": %d, \"seconds\": %.6f}\n", headed, failed_heads,
           (double)(now_us() - opened_us) / 1e6);
    fflush(stdout);
}

static void command(const char *line) {
    int count;
    double seconds;
    if (sscanf(line, "open %d %d", &wanted, &at_once) == 2) {
        asked = headed = failed_heads = 0;
        opened_us = now_us();
        open_more();
        return;
    }
    if (sscanf(line, "until %" SCNd64 " %lf", &until_events, &seconds) == 2) {
        until_us = now_us() + (int64_t)(seconds * 1e6);
        return;
    }
    if (!strncmp(line, "report", 6) || !strncmp(line, "turn", 4)) {
        report();
        if (*line == 't') reset();
        return;
    }
    if (!strncmp(line, "close", 5)) {
        for (int i = 0; i < stream_count; i++) close_stream(&streams[i]);
        headed = 0;
    } else if (!strncmp(line, "reset", 5)) {
        reset();
        opened_us = now_us();
    } else if (sscanf(line, "stall %d", &count) == 1) {
        for (int i = 0; i < count && i < stream_count; i++) {
            struct epoll_event e = {.events = 0, .data.ptr = &streams[i]};
            epoll_ctl(epoll_fd, EPOLL_CTL_MOD, streams[i].fd, &e);
        }
    } else {
        sscanf(line, "again %d", &again);
    }
    puts("{}");
    fflush(stdout);
}

static void read_commands(void) {
    static char text[4096];
    static size_t size;
    ssize_t n = read(STDIN_FILENO, text + size, sizeof text - 1 - size);
    if (n <= 0) exit(0);
    size += (size_t)n;
    text[size] = 0;
    char *stop;
    while ((stop = strchr(text, '\n'))) {
        *stop = 0;
        command(text);
        size -= (size_t)(stop + 1 - text);
        memmove(text, stop + 1, size + 1);
    }
}

static void open_again(int64_t now) {
    if (!again || now - again_us < AGAIN_US) return;
    again_us = now;
    for (int i = 0; i < wanted; i++)
        if (streams[i].state == CLOSED) open_stream(&streams[i]);
}

static void load_requests(const char *path) {
    char *line = NULL;
    size_t room = 0;
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        exit(2);
    }
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = 0;
        streams = realloc(streams, sizeof *streams * (size_t)(stream_count + 1));
        struct stream *s = &streams[stream_count++];
        memset(s, 0, sizeof *s);
        s->sequence = -1;
        char *position = strchr(line, '\t');
        if (position) {
            *position = 0;
            snprintf(s->position, POSITION_BYTES, "%s", position + 1);
        }
        s->path = strdup(line);
    }
    free(line);
    fclose(file);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    port = atoi(argv[1]);
    load_requests(argv[2]);
    latencies = malloc(sizeof *latencies * MAX_LATENCIES);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &e);
    printf("{\"streams\": %d}\n", stream_count);
    fflush(stdout);
    for (;;) {
        static struct epoll_event ready[EVENT_COUNT];
        int count = epoll_wait(epoll_fd, ready, EVENT_COUNT, again || until_us ? 5 : 1000);
        for (int i = 0; i < count; i++) {
            struct stream *s = ready[i].data.ptr;
            if (!s)
                read_commands();
            else if (s->state != CLOSED && !serve(s, ready[i].events))
                end_stream(s);
        }
        int64_t now = now_us();
        open_more();
        answer_open();
        open_again(now);
        if (until_us && (events >= until_events || now >= until_us)) {
            until_us = 0;
            report();
        }
    }
}
