/* Writes events at a rate, each with the time of its writing (monotonic microseconds) in its text.

   producer BOOTSTRAP TOPIC TEMPLATES LINGER_MS
   A template is one line: key TAB value { TAB header=value }. In it %S is the sequence, %O the text offset and %T the
   time, 16 digits. Commands on stdin, one answer in JSON each:
     rate EVENTS_PER_SECOND SECONDS   round robin over all tasks
     each COUNT                       so many of each task, as fast as possible */
#define _GNU_SOURCE
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_HEADERS 16
#define VALUE_BYTES 4096
#define TEXT_CHARACTERS 40 /* by which the text offset grows; what the templates' text has */

struct template_ {
    char *key, *value, *names[MAX_HEADERS], *values[MAX_HEADERS];
    int header_count;
    int64_t sequence, offset;
};

static struct template_ *tasks;
static int task_count, next_task;
static rd_kafka_t *client;
static rd_kafka_topic_t *topic;
static int64_t sent_count, failed_count;

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque) {
    (void)rk;
    (void)opaque;
    if (m->err) failed_count++;
}

static size_t fill(char *out, const char *form, const struct template_ *t, int64_t time_us) {
    char *at = out;
    for (; *form && at < out + VALUE_BYTES - 32; form++) {
        if (*form != '%') {
            *at++ = *form;
            continue;
        }
        form++;
        if (*form == 'S') at += sprintf(at, "%" PRId64, t->sequence);
        if (*form == 'O') at += sprintf(at, "%" PRId64, t->offset);
        if (*form == 'T') at += sprintf(at, "%016" PRId64, time_us);
    }
    return (size_t)(at - out);
}

static void publish(struct template_ *t) {
    char value[VALUE_BYTES], header[VALUE_BYTES];
    size_t size = fill(value, t->value, t, now_us());
    rd_kafka_headers_t *headers = rd_kafka_headers_new((size_t)t->header_count);
    for (int i = 0; i < t->header_count; i++)
        rd_kafka_header_add(headers, t->names[i], -1, header, (ssize_t)fill(header, t->values[i], t, 0));
    for (;;) {
        rd_kafka_resp_err_t error =
            rd_kafka_producev(client, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_KEY(t->key, strlen(t->key)),
                              RD_KAFKA_V_VALUE(value, size), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                              RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (!error) break;
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            rd_kafka_headers_destroy(headers);
            failed_count++;
            return;
        }
        rd_kafka_poll(client, 1);
    }
    t->sequence++;
    t->offset += TEXT_CHARACTERS;
    sent_count++;
}

static void run_rate(double per_second, double seconds) {
    int64_t began = now_us(), end = began + (int64_t)(seconds * 1e6), done = 0, now;
    while ((now = now_us()) < end) {
        int64_t due = (int64_t)((double)(now - began) * per_second / 1e6);
        for (; done < due; done++) {
            publish(&tasks[next_task]);
            next_task = (next_task + 1) % task_count;
        }
        rd_kafka_poll(client, 0);
        int64_t rest = 1000 - (now_us() - now);
        if (rest > 0) usleep((useconds_t)rest);
    }
}

static void run_each(int count) {
    for (int i = 0; i < count; i++)
        for (int j = 0; j < task_count; j++) {
            publish(&tasks[j]);
            if (j % 256 == 0) rd_kafka_poll(client, 0);
        }
}

static void load_templates(const char *path) {
    char *line = NULL;
    size_t room = 0;
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        exit(2);
    }
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = 0;
        tasks = realloc(tasks, sizeof *tasks * (size_t)(task_count + 1));
        struct template_ *t = &tasks[task_count++];
        memset(t, 0, sizeof *t);
        char *rest = strdup(line);
        t->key = strsep(&rest, "\t");
        t->value = strsep(&rest, "\t");
        t->sequence = 1;
        for (char *part; (part = strsep(&rest, "\t")) && t->header_count < MAX_HEADERS; t->header_count++) {
            t->names[t->header_count] = strsep(&part, "=");
            t->values[t->header_count] = part ? part : "";
        }
    }
    free(line);
    fclose(file);
}

static void open_client(const char *bootstrap, const char *name, const char *linger_ms) {
    char error[256];
    const char *settings[][2] = {{"bootstrap.servers", bootstrap}, {"linger.ms", linger_ms},
                                 {"enable.idempotence", "true"},   {"partitioner", "murmur2"},
                                 {"log_level", "3"},               {"queue.buffering.max.messages", "1000000"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], error, sizeof error) != RD_KAFKA_CONF_OK) {
            fprintf(stderr, "%s\n", error);
            exit(2);
        }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    if (!(client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error))) {
        fprintf(stderr, "%s\n", error);
        exit(2);
    }
    const struct rd_kafka_metadata *metadata;
    topic = rd_kafka_topic_new(client, name, NULL);
    if (rd_kafka_metadata(client, 0, topic, &metadata, 10000)) {
        fprintf(stderr, "no metadata\n");
        exit(2);
    }
    rd_kafka_metadata_destroy(metadata);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    load_templates(argv[3]);
    open_client(argv[1], argv[2], argv[4]);
    printf("{\"tasks\": %d}\n", task_count);
    fflush(stdout);
    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        double rate, seconds;
        int count;
        int64_t before = sent_count, began = now_us();
        if (sscanf(line, "rate %lf %lf", &rate, &seconds) == 2)
            run_rate(rate, seconds);
        else if (sscanf(line, "each %d", &count) == 1)
            run_each(count);
        else
            break;
        rd_kafka_flush(client, 30000);
        printf("{\"sent\": %" PRId64 ", \"failed\": %" PRId64 ", \"seconds\": %.6f}\n", sent_count - before,
               failed_count, (double)(now_us() - began) / 1e6);
        fflush(stdout);
    }
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    return 0;
}
