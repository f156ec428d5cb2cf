// Keeps so many processes in flight, all the time: what a node does when everything starts at once.
//
//   flood COUNT AT_ONCE ERRORS <PLAN
//
// PLAN    one contestant a line, fields between tabs: name, then the calls that are made one after the other for each item (words between blanks;
//         in a word, % is the item's number, 1 to COUNT). The contestants take turns.
// ERRORS  a file for what the calls say on stderr, and which of them failed
// Output  one line a contestant: name, items, failed items, and of the first calls: wall median, wall 99th percentile, cpu median (milliseconds),
//         most memory (kB)
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum { MAX_CONTESTANTS = 8, MAX_CALLS = 4, MAX_WORDS = 24, MAX_AT_ONCE = 1024, ROOM = 512 };

struct contestant {
    char *name, *calls[MAX_CALLS][MAX_WORDS];
    int call_count, done, failed;
    long memory;
    float *wall, *cpu;
};

struct item {
    pid_t pid;
    struct contestant *contestant;
    int number, call;
    struct timespec begin;
};

static struct contestant contestants[MAX_CONTESTANTS];
static int contestant_count;
static struct item flight[MAX_AT_ONCE];
static posix_spawn_file_actions_t redirections;
static FILE *errors;
extern char **environ;

static void read_plan(int count) {
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        if (contestant_count == MAX_CONTESTANTS) errx(1, "more than %d contestants", MAX_CONTESTANTS);
        struct contestant *c = &contestants[contestant_count++];
        char *rest = strdup(line), *call;
        rest[strcspn(rest, "\n")] = 0;
        c->name = strsep(&rest, "\t");
        while ((call = strsep(&rest, "\t"))) {
            if (c->call_count == MAX_CALLS) errx(1, "more than %d calls", MAX_CALLS);
            int words = 0;
            for (char *word = strtok(call, " "); word && words < MAX_WORDS - 1; word = strtok(NULL, " ")) c->calls[c->call_count][words++] = word;
            c->call_count++;
        }
        c->wall = calloc(count, sizeof(float)), c->cpu = calloc(count, sizeof(float));
    }
    if (!contestant_count) errx(2, "no plan");
    free(line);
}

// The word with the number in the place of each %.
static char *numbered(const char *word, int number, char *room, char *end) {
    for (; *word && room < end - 12; word++)
        if (*word == '%') room += sprintf(room, "%d", number);
        else *room++ = *word;
    *room++ = 0;
    return room;
}

static void start_call(struct item *item) {
    char text[MAX_WORDS * ROOM], *argv[MAX_WORDS], *at = text;
    char **words = item->contestant->calls[item->call];
    int i = 0;
    for (; words[i]; i++) argv[i] = at, at = numbered(words[i], item->number, at, text + sizeof text);
    argv[i] = NULL;
    clock_gettime(CLOCK_MONOTONIC, &item->begin);
    if (posix_spawn(&item->pid, argv[0], &redirections, NULL, argv, environ)) errx(1, "cannot start %s", argv[0]);
}

static float milliseconds(struct timeval t) { return t.tv_sec * 1e3f + t.tv_usec / 1e3f; }

static void note_first_call(struct item *item, const struct rusage *used) {
    struct contestant *c = item->contestant;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    c->wall[item->number - 1] = (end.tv_sec - item->begin.tv_sec) * 1e3f + (end.tv_nsec - item->begin.tv_nsec) / 1e6f;
    c->cpu[item->number - 1] = milliseconds(used->ru_utime) + milliseconds(used->ru_stime);
    if (used->ru_maxrss > c->memory) c->memory = used->ru_maxrss;
}

// Whether the item still has something to do.
static int goes_on(struct item *item, int status, const struct rusage *used) {
    struct contestant *c = item->contestant;
    if (item->call == 0) note_first_call(item, used);
    if (status) {
        fprintf(errors, "%s, item %d, call %d: wait status %#x\n", c->name, item->number, item->call + 1, status);
        fflush(errors);
        c->failed++;
    }
    if (status || ++item->call == c->call_count) {
        c->done++;
        return 0;
    }
    start_call(item);
    return 1;
}

static struct item *wait_for_one(int at_once, int *status, struct rusage *used) {
    pid_t pid = wait4(-1, status, 0, used);
    if (pid < 0) err(1, "wait");
    for (int i = 0; i < at_once; i++)
        if (flight[i].pid == pid) return &flight[i];
    errx(1, "process %d is none of ours", pid);
}

static void flood(int count, int at_once) {
    int next = 0, running = 0, total = count * contestant_count;
    while (next < total || running) {
        struct item *free_place = NULL;
        for (int i = 0; i < at_once && !free_place; i++)
            if (!flight[i].pid) free_place = &flight[i];
        if (next < total && free_place) {
            *free_place = (struct item){.contestant = &contestants[next % contestant_count], .number = next / contestant_count + 1};
            start_call(free_place);
            next++, running++;
            continue;
        }
        int status;
        struct rusage used;
        struct item *ended = wait_for_one(at_once, &status, &used);
        if (!goes_on(ended, status, &used)) ended->pid = 0, running--;
    }
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    int count = argc == 4 ? atoi(argv[1]) : 0, at_once = argc == 4 ? atoi(argv[2]) : 0;
    if (count < 1 || at_once < 1 || at_once > MAX_AT_ONCE) errx(2, "usage: flood COUNT AT_ONCE ERRORS <PLAN, at most %d at once", MAX_AT_ONCE);
    errors = fopen(argv[3], "ae");
    if (!errors) err(1, "open %s", argv[3]);
    read_plan(count);
    posix_spawn_file_actions_init(&redirections);
    posix_spawn_file_actions_addopen(&redirections, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&redirections, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&redirections, 2, argv[3], O_WRONLY | O_APPEND, 0);
    flood(count, at_once);
    for (int i = 0; i < contestant_count; i++) {
        struct contestant *c = &contestants[i];
        qsort(c->wall, count, sizeof(float), by_value);
        qsort(c->cpu, count, sizeof(float), by_value);
        printf("%s\t%d\t%d\t%.2f\t%.2f\t%.2f\t%ld\n", c->name, c->done, c->failed, c->wall[count / 2], c->wall[count * 99 / 100], c->cpu[count / 2],
               c->memory);
    }
    return 0;
}
