// Included by attention_pairs.cl, behind attention_tiles.cl: the small products of a block of keys with a tile of
// queries, made of pairs of bfloat16 values.
//
// A pair lies in a word, the earlier value low: of columns in scores, of keys in outputs, of queries in gradients of keys
// and values.

// Words of a row of pairs of columns.
#define HEAD_WORDS (HEAD_VECTORS * 8)
#define VALUE_WORDS (VALUE_VECTORS * 8)
// Strips whose scores are made together.
#define TOGETHER 2

// bfloat16 values, ties to even; a NaN stays one.
TARGET inline ushort16 round_lanes(float16 x) {
#if INSTRUCTION
  ushort16 rounded;
  __asm__("vcvtneps2bf16 %1, %0" : "=v"(rounded) : "v"(x));
  return rounded;
#else
  const uint16 bits = as_uint16(x);
  const uint16 rounded = bits + 0x7FFFu + ((bits >> 16) & 1u);
  return convert_ushort16((x == x ? rounded : bits | 0x400000u) >> 16);
#endif
}

// Lane by lane: the earlier value low, the later one high.
TARGET inline uint16 round_pair(float16 earlier, float16 later) {
  return convert_uint16(round_lanes(earlier)) | convert_uint16(round_lanes(later)) << 16;
}

// Neighbouring lanes in pairs.
inline uint8 neighbours(ushort16 x) { return as_uint8(x); }

// Rows of pairs of columns, `[rows up to the next multiple of MOST_SCORE_ROWS][words]`; what is not there is 0.
TARGET inline void round_rows(
    const __global float *rows, size_t stride, int count, const int width, __private uint *to) {
  const int vectors = (width + 15) / 16;
  for (int j = 0; j < count; j++)
    for (int c = 0; c < vectors; c++)
      vstore8(neighbours(round_lanes(PART(c, rows + j * stride, width))), j * vectors + c, to);
  for (int j = count; j % MOST_SCORE_ROWS != 0; j++)
    for (int c = 0; c < vectors; c++) vstore8((uint8)0, j * vectors + c, to);
}

// Pairs of rows, `[(rows + 1) / 2][vectors]`; what is not there is 0.
TARGET inline void round_row_pairs(
    const __global float *rows, size_t stride, int count, const int width, __private uint16 *to) {
  const int vectors = (width + 15) / 16;
  for (int j = 0; j < count; j += 2)
    for (int c = 0; c < vectors; c++) {
      float16 later = (float16)0.0f;
      if (j + 1 < count) later = PART(c, rows + (j + 1) * stride, width);
      to[j / 2 * vectors + c] = round_pair(PART(c, rows + j * stride, width), later);
    }
}

// A strip of rows as pairs of columns, `[(width + 1) / 2][16]`. Rows behind the last one repeat it.
TARGET inline void turn_pairs(
    const __global float *rows, size_t stride, int count, const int width, __private uint *to) {
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
    for (int d = 0; d < 16; d += 2)
      if (16 * v + d < width) vstore16(round_pair(x[d], x[d + 1]), (16 * v + d) / 2, to);
  }
}

// to[(s * keys + j) * 16 + lane] = product of row j with the query of strip s, for rows from `first`, a multiple of
// MOST_SCORE_ROWS, to `end` taken up to such a multiple.
TARGET inline void pair_tiles(
    const int strips, const __private uint *rows, const int words, int first, int end, const int pairs,
    const __private uint *turned, const int step, __private float *to, const int keys) {
#pragma nounroll
  for (int j = first; j < end; j += MOST_SCORE_ROWS) {
    const __private uint *row = rows + j * words;
    float16 sums[MOST_SCORE_ROWS][TOGETHER];
#pragma unroll
    for (int i = 0; i < MOST_SCORE_ROWS; i++)
#pragma unroll
      for (int s = 0; s < TOGETHER; s++) sums[i][s] = (float16)0.0f;
#pragma nounroll
    for (int p = 0; p < pairs; p++) {
      uint16 queries[TOGETHER];
#pragma unroll
      for (int s = 0; s < TOGETHER; s++)
        if (s < strips) queries[s] = vload16(p, turned + s * step);
#pragma unroll
      for (int i = 0; i < MOST_SCORE_ROWS; i++) {
        const uint16 key = (uint16)row[i * words + p];
#pragma unroll
        for (int s = 0; s < TOGETHER; s++)
          if (s < strips) sums[i][s] = dot_pairs(key, queries[s], sums[i][s]);
      }
    }
#pragma unroll
    for (int i = 0; i < MOST_SCORE_ROWS; i++)
#pragma unroll
      for (int s = 0; s < TOGETHER; s++)
        if (s < strips) vstore16(sums[i][s], s * keys + j + i, to);
  }
}

// As pair_tiles for one strip or TOGETHER.
TARGET inline void pair_products(
    int strips, const __private uint *rows, const int words, int first, int end, const int pairs,
    const __private uint *turned, const int step, __private float *to, const int keys) {
  if (strips == 1) pair_tiles(1, rows, words, first, end, pairs, turned, step, to, keys);
  else pair_tiles(TOGETHER, rows, words, first, end, pairs, turned, step, to, keys);
}

// sums[i * vectors + c] = factors[i] sums[i * vectors + c] + weights of query i times rows, for OUTPUT_ROWS queries i and
// `columns` vectors from c on; keys from `from` to `to` in pairs of weights [keys / 2][16] and of rows.
TARGET inline void add_key_pairs(
    const int columns, __private float16 *sums, const int vectors, const __private float *factors,
    const __private uint *weights, int from, int to, const __private uint16 *rows, int c) {
  float16 kept[OUTPUT_ROWS][OUTPUT_VECTORS];
#pragma unroll
  for (int i = 0; i < OUTPUT_ROWS; i++)
#pragma unroll
    for (int v = 0; v < OUTPUT_VECTORS; v++)
      if (v < columns) kept[i][v] = sums[i * vectors + c + v] * (float16)factors[i];
#pragma nounroll
  for (int j = from / 2; j < (to + 1) / 2; j++) {
    uint16 right[OUTPUT_VECTORS];
#pragma unroll
    for (int v = 0; v < OUTPUT_VECTORS; v++)
      if (v < columns) right[v] = rows[j * vectors + c + v];
#pragma unroll
    for (int i = 0; i < OUTPUT_ROWS; i++) {
      const uint16 weight = (uint16)weights[j * 16 + i];
#pragma unroll
      for (int v = 0; v < OUTPUT_VECTORS; v++)
        if (v < columns) kept[i][v] = dot_pairs(weight, right[v], kept[i][v]);
    }
  }
#pragma unroll
  for (int i = 0; i < OUTPUT_ROWS; i++)
#pragma unroll
    for (int v = 0; v < OUTPUT_VECTORS; v++)
      if (v < columns) sums[i * vectors + c + v] = kept[i][v];
}

// As add_key_pairs for all columns of a head.
TARGET inline void add_all_key_pairs(
    __private float16 *sums, const int vectors, const __private float *factors, const __private uint *weights,
    int from, int to, const __private uint16 *rows) {
  if (from >= to) return;
#pragma nounroll
  for (int c = 0; c + OUTPUT_VECTORS <= vectors; c += OUTPUT_VECTORS)
    add_key_pairs(OUTPUT_VECTORS, sums, vectors, factors, weights, from, to, rows, c);
  const int rest = vectors % OUTPUT_VECTORS;
  if (rest > 0) add_key_pairs(rest, sums, vectors, factors, weights, from, to, rows, vectors - rest);
}

// As add_queries, of pairs of queries: weights [strip][keys][8], rows [queries / 2][vectors].
TARGET inline void add_query_pairs(
    const int columns, __global float *to, size_t stride, int first, int count, const __private uint *weights,
    const int keys, int from, int end, const __private uint16 *queries, const int vectors, int c, const int width) {
  float16 kept[OUTPUT_ROWS][OUTPUT_VECTORS];
#pragma unroll
  for (int j = 0; j < OUTPUT_ROWS; j++)
#pragma unroll
    for (int v = 0; v < OUTPUT_VECTORS; v++)
      if (v < columns) kept[j][v] = PART(c + v, to + min(first + j, count - 1) * stride, width);
#pragma nounroll
  for (int strip = from / 16; strip * 16 < end; strip++) {
    const __private uint *weight = weights + (strip * keys + first) * 8;
    const __private uint16 *rows = queries + strip * 8 * vectors + c;
    const int last = (min(16, end - 16 * strip) + 1) / 2;
#pragma nounroll
    for (int i = max(0, from - 16 * strip) / 2; i < last; i++) {
      uint16 right[OUTPUT_VECTORS];
#pragma unroll
      for (int v = 0; v < OUTPUT_VECTORS; v++)
        if (v < columns) right[v] = rows[i * vectors + v];
#pragma unroll
      for (int j = 0; j < OUTPUT_ROWS; j++) {
        const uint16 left = (uint16)weight[j * 8 + i];
#pragma unroll
        for (int v = 0; v < OUTPUT_VECTORS; v++)
          if (v < columns) kept[j][v] = dot_pairs(left, right[v], kept[j][v]);
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

// As add_query_pairs for all columns of a head.
TARGET inline void add_all_query_pairs(
    __global float *to, size_t stride, int first, int count, const __private uint *weights, const int keys, int from,
    int end, const __private uint16 *queries, const int vectors, const int width) {
  if (from >= end) return;
#pragma nounroll
  for (int c = 0; c + OUTPUT_VECTORS <= vectors; c += OUTPUT_VECTORS)
    add_query_pairs(OUTPUT_VECTORS, to, stride, first, count, weights, keys, from, end, queries, vectors, c, width);
  const int rest = vectors % OUTPUT_VECTORS;
  if (rest > 0)
    add_query_pairs(rest, to, stride, first, count, weights, keys, from, end, queries, vectors, vectors - rest, width);
}
