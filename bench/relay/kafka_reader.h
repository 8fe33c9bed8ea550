/* Reads one topic without a group, from its beginning, and wakes an epoll loop through a pipe. */
#ifndef KAFKA_READER_H
#define KAFKA_READER_H

#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_COUNT 10000

struct reader {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    int wake_fd;
    int partition_count;
    int ended_count; /* partitions read to their end once */
    char ended[256];
    rd_kafka_message_t *batch[BATCH_COUNT];
};

static void reader_set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char error[256];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "%s: %s\n", name, error);
        exit(2);
    }
}

/* wait_ms > 0 lets the broker gather records for that long; 0 takes them as they come. */
static void reader_open(struct reader *r, const char *bootstrap, const char *topic, int partition_count, int wait_ms) {
    char error[256], wait[16];
    int ends[2];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    memset(r, 0, sizeof *r);
    r->partition_count = partition_count;
    snprintf(wait, sizeof wait, "%d", wait_ms ? wait_ms : 500);
    reader_set(conf, "bootstrap.servers", bootstrap);
    reader_set(conf, "group.id", "bench");
    reader_set(conf, "enable.auto.commit", "false");
    reader_set(conf, "enable.auto.offset.store", "false");
    reader_set(conf, "enable.partition.eof", "true");
    reader_set(conf, "fetch.min.bytes", wait_ms ? "1000000" : "1");
    reader_set(conf, "fetch.wait.max.ms", wait);
    reader_set(conf, "log_level", "3");
    if (!(r->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error))) {
        fprintf(stderr, "%s\n", error);
        exit(2);
    }
    rd_kafka_poll_set_consumer(r->client);
    r->queue = rd_kafka_queue_get_consumer(r->client);
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC)) {
        perror("pipe");
        exit(2);
    }
    r->wake_fd = ends[0];
    rd_kafka_queue_io_event_enable(r->queue, ends[1], "1", 1);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partition_count);
    for (int i = 0; i < partition_count; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(r->client, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Empties the pipe; call before taking batches. */
static void reader_woken(struct reader *r) {
    char rest[256];
    while (read(r->wake_fd, rest, sizeof rest) > 0) {
    }
}

/* Returns how many messages are in the batch, 0 when nothing is there. Free them with reader_release. */
static int reader_take(struct reader *r) {
    int count = (int)rd_kafka_consume_batch_queue(r->queue, 0, r->batch, BATCH_COUNT);
    return count < 0 ? 0 : count;
}

/* Whether a message is a record; notes the ends of partitions. */
static int reader_is_record(struct reader *r, const rd_kafka_message_t *m) {
    if (!m->err) return 1;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && m->partition < (int)sizeof r->ended && !r->ended[m->partition]) {
        r->ended[m->partition] = 1;
        r->ended_count++;
    }
    return 0;
}

static void reader_release(struct reader *r, int count) {
    for (int i = 0; i < count; i++) rd_kafka_message_destroy(r->batch[i]);
}

#endif
