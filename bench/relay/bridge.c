/* From the events topic to a hub that is fed over HTTP: one POST for each record, pipelined over a few connections.
   A task's records share a connection, so they stay in order.

   bridge BOOTSTRAP TOPIC PARTITIONS PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>

#include "kafka_reader.h"

#define CONNECTION_COUNT 4

struct connection {
    int fd;
    char *out;
    size_t size, sent, room;
};

static struct connection connections[CONNECTION_COUNT];
static struct reader reader;

static void open_connection(struct connection *c, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) {
        perror("connect");
        exit(2);
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
}

static void add(const rd_kafka_message_t *m) {
    struct connection *c = &connections[((const unsigned char *)m->key)[m->key_len - 1] % CONNECTION_COUNT];
    const void *type = "message";
    size_t type_size = 7;
    rd_kafka_headers_t *headers;
    if (!rd_kafka_message_headers(m, &headers)) rd_kafka_header_get_last(headers, "ce_type", &type, &type_size);
    if (c->size + m->len + 512 > c->room) c->out = realloc(c->out, c->room = (c->size + m->len + 512) * 2);
    char *at = c->out + c->size;
    at += sprintf(at, "POST /publish/%.*s HTTP/1.1\r\nHost: h\r\nX-EventSource-Event: %.*s\r\nContent-Length: %zu\r\n\r\n",
                  (int)m->key_len, (const char *)m->key, (int)type_size, (const char *)type, m->len);
    memcpy(at, m->payload, m->len);
    c->size = (size_t)(at - c->out) + m->len;
}

/* Sends everything; reads and forgets the answers meanwhile, or the hub would stop reading. */
static void flush_all(void) {
    char ignored[65536];
    for (;;) {
        struct pollfd wanted[CONNECTION_COUNT];
        int open_count = 0;
        for (int i = 0; i < CONNECTION_COUNT; i++) {
            struct connection *c = &connections[i];
            ssize_t n;
            while ((n = recv(c->fd, ignored, sizeof ignored, 0)) > 0) {
            }
            if (n == 0) {
                fprintf(stderr, "the hub closed a connection\n");
                exit(1);
            }
            if (c->sent < c->size && (n = send(c->fd, c->out + c->sent, c->size - c->sent, MSG_NOSIGNAL)) > 0)
                c->sent += (size_t)n;
            if (c->sent == c->size) c->sent = c->size = 0;
            open_count += c->size > 0;
            wanted[i] = (struct pollfd){.fd = c->fd, .events = (short)(POLLIN | (c->size ? POLLOUT : 0))};
        }
        if (!open_count) return;
        poll(wanted, CONNECTION_COUNT, 100);
    }
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < CONNECTION_COUNT; i++) open_connection(&connections[i], atoi(argv[4]));
    reader_open(&reader, argv[1], argv[2], atoi(argv[3]), 0);
    for (;;) {
        struct pollfd wake = {.fd = reader.wake_fd, .events = POLLIN};
        poll(&wake, 1, 200);
        reader_woken(&reader);
        int count;
        while ((count = reader_take(&reader)) > 0) {
            for (int i = 0; i < count; i++)
                if (reader_is_record(&reader, reader.batch[i]) && reader.batch[i]->key_len) add(reader.batch[i]);
            reader_release(&reader, count);
            flush_all();
        }
        flush_all();
    }
}
