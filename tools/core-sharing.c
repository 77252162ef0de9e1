// What it costs two cores to hand memory to each other: see docs/performance.md, "Two cores".
//
//     clang -O2 -pthread tools/core-sharing.c -o core-sharing && ./core-sharing [first core] [second core]
//
// Prints the time for a line of memory to go there and back; and, for buffers of several sizes, how fast the first core
// reads or writes one after what was done to it before. Linux; GB/s, medians of 15.

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { ROUNDS = 15, TRIPS = 200000, LINE = 64 };
typedef enum { NOTHING, READ, WRITE, WRITE_PAST } Action;
typedef struct {
  const char *name;
  Action first_prepares, second_does, measured;
} Case;

static const Case cases[] = {
    {"write what this core wrote", WRITE, NOTHING, WRITE},
    {"read what the other core wrote", NOTHING, WRITE, READ},
    {"write what the other core wrote", NOTHING, WRITE, WRITE},
    {"write what this core wrote and the other one read", WRITE, READ, WRITE},
    {"the same, past the caches", WRITE, READ, WRITE_PAST},
};

typedef float vector __attribute__((vector_size(LINE)));
static char *buffer;
static size_t bytes;
static volatile float sink;
static _Alignas(128) atomic_int flag;
static _Alignas(128) atomic_int command;
static _Alignas(128) atomic_int answer;

static void stay_on(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    fprintf(stderr, "core-sharing: core %d cannot be used\n", core);
    exit(2);
  }
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return 1e9 * (double)time.tv_sec + (double)time.tv_nsec;
}

static void act(Action action) {
  vector sums[4] = {};
  const vector value = sums[0] + 1;
  switch (action) {
    case NOTHING: break;
    case READ:
      for (size_t i = 0; i < bytes; i += 4 * LINE)
        for (size_t j = 0; j < 4; j++) sums[j] += *(vector *)(buffer + i + j * LINE);
      sums[0] += sums[1] + sums[2] + sums[3];
      sink = sums[0][0];
      break;
    case WRITE:
      for (size_t i = 0; i < bytes; i += LINE) *(volatile vector *)(buffer + i) = value;
      break;
    case WRITE_PAST:
      for (size_t i = 0; i < bytes; i += LINE) __builtin_nontemporal_store(value, (vector *)(buffer + i));
      atomic_thread_fence(memory_order_seq_cst);
      break;
  }
}

static void *serve(void *core) {
  stay_on(*(int *)core);
  for (int trip = 0; trip < TRIPS; trip++) {
    while (atomic_load(&flag) != 2 * trip + 1) {
    }
    atomic_store(&flag, 2 * trip + 2);
  }
  for (int done = 0;;) {
    int next;
    while ((next = atomic_load(&command)) == done) {
    }
    if (next < 0) return NULL;
    act((Action)(next % 4));
    done = next;
    atomic_store(&answer, done);
  }
}

static int compare(const void *a, const void *b) {
  const double difference = *(const double *)a - *(const double *)b;
  return (difference > 0) - (difference < 0);
}

int main(int count, char **arguments) {
  int cores[2] = {count > 1 ? atoi(arguments[1]) : 0, count > 2 ? atoi(arguments[2]) : 1};
  stay_on(cores[0]);
  pthread_t other;
  if (pthread_create(&other, NULL, serve, &cores[1]) != 0) return 2;
  const double start = now();
  for (int trip = 0; trip < TRIPS; trip++) {
    atomic_store(&flag, 2 * trip + 1);
    while (atomic_load(&flag) != 2 * trip + 2) {
    }
  }
  printf("there and back: %.0f ns\n\n%-52s %8s %8s %8s\n", (now() - start) / TRIPS, "GB/s", "512 KiB", "4 MiB", "64 MiB");
  int number = 0;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    printf("%-52s", cases[i].name);
    for (bytes = 1 << 19; bytes <= 1 << 26; bytes = bytes == 1 << 19 ? 1 << 22 : bytes << 4) {
      const size_t size = bytes < 1 << 21 ? 1 << 21 : bytes;
      buffer = aligned_alloc(1 << 21, size);
      if (!buffer) return 2;
      madvise(buffer, size, MADV_HUGEPAGE);
      memset(buffer, 0, size);
      double times[ROUNDS];
      for (int round = 0; round < ROUNDS; round++) {
        act(cases[i].first_prepares);
        if (cases[i].second_does != NOTHING) {
          number += 4;
          atomic_store(&command, number + (int)cases[i].second_does);
          while (atomic_load(&answer) != number + (int)cases[i].second_does) {
          }
        }
        const double before = now();
        act(cases[i].measured);
        times[round] = now() - before;
      }
      qsort(times, ROUNDS, sizeof *times, compare);
      printf(" %8.1f", (double)bytes / times[ROUNDS / 2]);
      free(buffer);
    }
    printf("\n");
  }
  atomic_store(&command, -1);
  pthread_join(other, NULL);
}
