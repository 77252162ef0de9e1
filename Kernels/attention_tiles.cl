// Included by attention_cpu.cl: the small products of a block of keys with a tile of queries.
//
// A strip is 16 queries, one in each lane. Scores of a strip lie as [keys][16]: what belongs to one key is a vector, so
// softmax needs no sums across lanes, and a weight is an element that a vector of columns is multiplied by.
//
// Build parameters:
//   HEAD_WIDTH, VALUE_WIDTH  columns of a head of q and k, and of v: any numbers

#ifndef HEAD_WIDTH
#define HEAD_WIDTH 64
#endif
#ifndef VALUE_WIDTH
#define VALUE_WIDTH 64
#endif
#define WIDTH 16
#define GROUP 1
#define HEAD_VECTORS ((HEAD_WIDTH + 15) / 16)
#define VALUE_VECTORS ((VALUE_WIDTH + 15) / 16)

#include "lanes.cl"
#include "functions.cl"
#include "visibility.cl"

#define LEFT_OF(v, width) min(16, (width) - 16 * (v))
// Vector v of the columns of a head; nothing behind the last column is read.
#define PART(v, row, width) ((width) % 16 == 0 ? vload16(v, row) : load((row) + 16 * (v), LEFT_OF(v, width), 0.0f))

// As one riffles the two halves of a deck of cards: rows r and r + 8 become rows 2 r and 2 r + 1. The bits of an
// element's row and column, taken as one number, turn by one place.
inline void riffle(const float16 from[16], float16 to[16]) {
#pragma unroll
  for (int r = 0; r < 8; r++) {
    const float16 a = from[r], b = from[r + 8];
    to[2 * r] = (float16)(
        a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3, a.s4, b.s4, a.s5, b.s5, a.s6, b.s6, a.s7, b.s7);
    to[2 * r + 1] = (float16)(
        a.s8, b.s8, a.s9, b.s9, a.sa, b.sa, a.sb, b.sb, a.sc, b.sc, a.sd, b.sd, a.se, b.se, a.sf, b.sf);
  }
}

// A strip of rows as columns: to[d * 16 + i] is column d of row i. Rows behind the last one repeat it.
inline void turn(const __global float *rows, size_t stride, int count, int width, __private float *to) {
#pragma nounroll
  for (int v = 0; v < (width + 15) / 16; v++) {
    float16 x[16], y[16];
#pragma unroll
    for (int i = 0; i < 16; i++) x[i] = PART(v, rows + min(i, count - 1) * stride, width);
    riffle(x, y);
    riffle(y, x);
    riffle(x, y);
    riffle(y, x);
#pragma unroll
    for (int d = 0; d < 16; d++)
      if (16 * v + d < width) vstore16(x[d], 16 * v + d, to);
  }
}

// Keys of the greatest and of the least register tile of scores.
#define MOST_SCORE_ROWS 8
#define SCORE_ROWS 4

// to[i * 16 + lane] = product of row i with the strip's query, for the first `tile` rows; from `count` on the last row
// is repeated.
inline void score_tile(
    const int tile, const __global float *rows, size_t stride, int count, int width, const __private float *turned,
    __private float *to) {
  const __global float *row[MOST_SCORE_ROWS];
  float16 sums[MOST_SCORE_ROWS];
#pragma unroll
  for (int i = 0; i < MOST_SCORE_ROWS; i++) {
    row[i] = rows + min(i, count - 1) * stride;
    sums[i] = (float16)0.0f;
  }
#pragma nounroll
  for (int d = 0; d < width; d++) {
    const float16 queries = vload16(d, turned);
#pragma unroll
    for (int i = 0; i < MOST_SCORE_ROWS; i++)
      if (i < tile) sums[i] = fma((float16)row[i][d], queries, sums[i]);
  }
#pragma unroll
  for (int i = 0; i < MOST_SCORE_ROWS; i++)
    if (i < tile) vstore16(sums[i], i, to);
}

// to[j * 16 + lane] = product of row j with the strip's query, for j from `first`, a multiple of SCORE_ROWS, to `end`
// taken up to such a multiple. There are `count` rows; behind them the last one is repeated.
inline void strip_products(
    const __global float *rows, size_t stride, int first, int end, int count, int width,
    const __private float *turned, __private float *to) {
  int j = first;
#pragma nounroll
  for (; end - j > SCORE_ROWS; j += MOST_SCORE_ROWS)
    score_tile(MOST_SCORE_ROWS, rows + j * stride, stride, count - j, width, turned, to + j * 16);
  if (j < end) score_tile(SCORE_ROWS, rows + j * stride, stride, count - j, width, turned, to + j * 16);
}

// Rows, as many as SCORE_ROWS, and vectors of columns of a register tile of outputs.
#define OUTPUT_ROWS 4
#define OUTPUT_VECTORS 4

// sums[i * vectors + c] += weights[j * 16 + i] row j, for OUTPUT_ROWS queries i and `columns` vectors from c on.
inline void add_keys(
    const int columns, __private float16 *sums, int vectors, const __private float *weights, int from, int to,
    const __global float *rows, size_t stride, int c, int width) {
  float16 kept[OUTPUT_ROWS][OUTPUT_VECTORS];
#pragma unroll
  for (int i = 0; i < OUTPUT_ROWS; i++)
#pragma unroll
    for (int v = 0; v < OUTPUT_VECTORS; v++)
      if (v < columns) kept[i][v] = sums[i * vectors + c + v];
#pragma nounroll
  for (int j = from; j < to; j++) {
    float16 right[OUTPUT_VECTORS];
#pragma unroll
    for (int v = 0; v < OUTPUT_VECTORS; v++)
      if (v < columns) right[v] = PART(c + v, rows + j * stride, width);
#pragma unroll
    for (int i = 0; i < OUTPUT_ROWS; i++) {
      const float16 weight = (float16)weights[j * 16 + i];
#pragma unroll
      for (int v = 0; v < OUTPUT_VECTORS; v++)
        if (v < columns) kept[i][v] = fma(weight, right[v], kept[i][v]);
    }
  }
#pragma unroll
  for (int i = 0; i < OUTPUT_ROWS; i++)
#pragma unroll
    for (int v = 0; v < OUTPUT_VECTORS; v++)
      if (v < columns) sums[i * vectors + c + v] = kept[i][v];
}

// As add_keys for all columns of a head.
inline void add_all_keys(
    __private float16 *sums, const int vectors, const __private float *weights, int from, int to,
    const __global float *rows, size_t stride, const int width) {
#pragma nounroll
  for (int c = 0; c + OUTPUT_VECTORS <= vectors; c += OUTPUT_VECTORS)
    add_keys(OUTPUT_VECTORS, sums, vectors, weights, from, to, rows, stride, c, width);
  const int rest = vectors % OUTPUT_VECTORS;
  if (rest > 0) add_keys(rest, sums, vectors, weights, from, to, rows, stride, vectors - rest, width);
}

// Row j of `to` += weights[(strip * keys + j) * 16 + i] queries[(16 strip + i) * vectors + c], for keys j from `first`,
// OUTPUT_ROWS of them but none from `count` on, queries from ... end - 1 of the tile, and `columns` vectors from c.
inline void add_queries(
    const int columns, __global float *to, size_t stride, int first, int count, const __private float *weights,
    int keys, int from, int end, const __private float16 *queries, int vectors, int c, int width) {
  float16 kept[OUTPUT_ROWS][OUTPUT_VECTORS];
#pragma unroll
  for (int j = 0; j < OUTPUT_ROWS; j++)
#pragma unroll
    for (int v = 0; v < OUTPUT_VECTORS; v++)
      if (v < columns) kept[j][v] = PART(c + v, to + min(first + j, count - 1) * stride, width);
#pragma nounroll
  for (int strip = from / 16; strip * 16 < end; strip++) {
    const __private float *weight = weights + (strip * keys + first) * 16;
    const __private float16 *rows = queries + strip * 16 * vectors + c;
    const int last = min(16, end - 16 * strip);
#pragma nounroll
    for (int i = max(0, from - 16 * strip); i < last; i++) {
      float16 right[OUTPUT_VECTORS];
#pragma unroll
      for (int v = 0; v < OUTPUT_VECTORS; v++)
        if (v < columns) right[v] = rows[i * vectors + v];
#pragma unroll
      for (int j = 0; j < OUTPUT_ROWS; j++) {
        const float16 left = (float16)weight[j * 16 + i];
#pragma unroll
        for (int v = 0; v < OUTPUT_VECTORS; v++)
          if (v < columns) kept[j][v] = fma(left, right[v], kept[j][v]);
      }
    }
  }
#pragma unroll
  for (int j = 0; j < OUTPUT_ROWS; j++)
    if (first + j < count) {
#pragma unroll
      for (int v = 0; v < OUTPUT_VECTORS; v++)
        if (v < columns)
        store(kept[j][v], to + (first + j) * stride + 16 * (c + v), LEFT_OF(c + v, width));
    }
}

// As add_queries for all columns of a head.
inline void add_all_queries(
    __global float *to, size_t stride, int first, int count, const __private float *weights, int keys, int from,
    int end, const __private float16 *queries, const int vectors, const int width) {
#pragma nounroll
  for (int c = 0; c + OUTPUT_VECTORS <= vectors; c += OUTPUT_VECTORS)
    add_queries(OUTPUT_VECTORS, to, stride, first, count, weights, keys, from, end, queries, vectors, c, width);
  const int rest = vectors % OUTPUT_VECTORS;
  if (rest > 0)
    add_queries(rest, to, stride, first, count, weights, keys, from, end, queries, vectors, vectors - rest, width);
}

// Biases by distance, for scores of `keys` keys from position first_key on with queries from first_query on:
// to[query - first_query + (first_key + keys - 1) - key] belongs to the query's and the key's positions.
inline void fill_bias(
    int kind, const __global float *bias, const __global int *buckets, int reach, int head, int heads, int first_key,
    int keys, int first_query, int queries, __private float *to) {
  const int greatest = first_key + keys - 1 - first_query;
  for (int i = 0; i < keys + queries - 1; i++)
    to[i] = score_bias(kind, bias, buckets, reach, greatest - i, head, heads);
}

// The lanes of a strip, its first query at `query`, that see the key at `key`: from lowest_lane to end_lane - 1.
inline int lowest_lane(int key, int query, int hides_later) { return hides_later ? max(0, key - query) : 0; }
inline int end_lane(int key, int query, int window) { return (int)min(16L, (long)key + window - query); }

inline float16 within(float16 v, int first, int end, float outside) {
  return ((LANES >= (int16)first) & (LANES < (int16)end)) ? v : (float16)outside;
}
