// Attention over a packed batch for processors: a work-item owns a tile of TILE queries or keys of one head and goes
// through the other side in blocks of 16, with the products of one row and a block in one float16.
//
// Kernels: attention_forward, attention_query_gradient, attention_key_gradient, with the arguments of
// attention_plain.cl. Keys (or queries) of a block are transposed into private memory, so that a score of 16 pairs is
// WIDTH fused multiply-adds of vectors; outputs are kept in private memory as vectors of 16 columns.
// Build parameters: HEAD_WIDTH, VALUE_WIDTH (columns of a head, any numbers), TILE (rows of a tile of the tables).
// Work-group size 1; global size: heads, tiles.

#ifndef HEAD_WIDTH
#define HEAD_WIDTH 64
#endif
#ifndef VALUE_WIDTH
#define VALUE_WIDTH 64
#endif
#ifndef TILE
#define TILE 16
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

// Rows first ... first + count - 1 of a matrix, HEAD columns each, as columns of `to`: to[d] holds column d of 16 rows.
inline void transpose(
    const __global float *from, size_t stride, int count, int width, __private float *to) {
  for (int i = 0; i < count; i++)
    for (int d = 0; d < width; d++) to[d * 16 + i] = from[i * stride + d];
  for (int i = count; i < 16; i++)
    for (int d = 0; d < width; d++) to[d * 16 + i] = 0.0f;
}

// Products of one row with the 16 transposed ones.
inline float16 dots(const __global float *row, const __private float *transposed, int width) {
  float16 first = (float16)0.0f, second = (float16)0.0f;
  int d = 0;
  for (; d + 1 < width; d += 2) {
    first = fma((float16)row[d], vload16(d, transposed), first);
    second = fma((float16)row[d + 1], vload16(d + 1, transposed), second);
  }
  if (d < width) first = fma((float16)row[d], vload16(d, transposed), first);
  return first + second;
}

// What is added to the scores of one query and the keys at first_distance, first_distance + 1, ... from it.
inline float16 block_bias(
    int kind, const __global float *bias, const __global int *buckets, int reach, int first_distance, int head,
    int heads) {
  if (kind == NO_BIAS) return (float16)0.0f;
  if (kind == ALIBI) return (float16)bias[head] * convert_float16((int16)first_distance + LANES);
  float values[16];
  for (int i = 0; i < 16; i++)
    values[i] = score_bias(kind, bias, buckets, reach, first_distance + i, head, heads);
  return vload16(0, values);
}

inline float16 within(float16 v, int first, int end, float outside) {
  return (LANES >= (int16)first) & (LANES < (int16)end) ? v : (float16)outside;
}

#define LAYOUT_ARGUMENTS                                                                                   \
  TENSOR(const int, segments), TENSOR(const int, ranges), TENSOR(const int, tiles), int bias_kind,         \
      TENSOR(const float, bias), TENSOR(const int, buckets), int reach, int heads, int shared_heads,       \
      int width, int value_width, float factor, int window
#define OPEN_LAYOUT                                                                                 \
  OPEN(segments); OPEN(ranges); OPEN(tiles);                                                        \
  if (bias_kind != NO_BIAS) OPEN(bias);                                                             \
  if (bias_kind == RELATIVE) OPEN(buckets);                                                         \
  const int head = get_global_id(0), tile = get_global_id(1);                                       \
  const int key_head = head / (heads / shared_heads);                                               \
  const size_t key_stride = (size_t)shared_heads * HEAD_WIDTH;                                      \
  const size_t value_stride = (size_t)shared_heads * VALUE_WIDTH;                                   \
  const int segment = tiles[tile * 3], first_item = tiles[tile * 3 + 1], items = tiles[tile * 3 + 2]; \
  const int first_position = SEGMENT(segment, 2) + first_item, causal = SEGMENT(segment, 5);        \
  const size_t first_row = SEGMENT(segment, 0) + first_item;                                        \
  const int first_range = SEGMENT(segment, 3), end_range = first_range + SEGMENT(segment, 4)

__kernel void attention_forward(
    TENSOR(const float, q), TENSOR(const float, k), TENSOR(const float, v), LAYOUT_ARGUMENTS,
    TENSOR(float, output), TENSOR(float, log_sums)) {
  OPEN(q); OPEN(k); OPEN(v); OPEN(output); OPEN(log_sums);
  OPEN_LAYOUT;
  float keys[HEAD_WIDTH * 16];
  float16 sums[TILE * VALUE_VECTORS];
  float highest[TILE], totals[TILE];
  for (int i = 0; i < TILE; i++) {
    highest[i] = -INFINITY;
    totals[i] = 0.0f;
    for (int c = 0; c < VALUE_VECTORS; c++) sums[i * VALUE_VECTORS + c] = (float16)0.0f;
  }
  for (int range = first_range; range < end_range; range++) {
    const int start = RANGE(range, 2), count = RANGE(range, 1), own = RANGE(range, 3);
    // What the first query sees first and the last one sees last bounds the tile.
    const int begin = first_key(first_position, start, count, window);
    const int end = end_key(first_position + items - 1, start, count, own, causal);
    for (int block = begin; block < end; block += 16) {
      const int size = min(16, end - block);
      const size_t key_row = RANGE(range, 0) + block;
      const __global float *values = v + key_row * value_stride + key_head * VALUE_WIDTH;
      transpose(k + key_row * key_stride + key_head * HEAD_WIDTH, key_stride, size, HEAD_WIDTH, keys);
      for (int i = 0; i < items; i++) {
        const int position = first_position + i;
        const int from = first_key(position, start, count, window) - block;
        const int to = min(size, end_key(position, start, count, own, causal) - block);
        if (from >= to) continue;
        float16 scores = dots(q + ((first_row + i) * heads + head) * HEAD_WIDTH, keys, HEAD_WIDTH) * (float16)factor;
        scores += block_bias(bias_kind, bias, buckets, reach, start + block - position, head, heads);
        scores = within(scores, from, to, -INFINITY);
        const float top = fmax(highest[i], lanes_max(scores));
        const float anchor = top == -INFINITY ? 0.0f : top;
        const float rescale = exp(highest[i] - anchor);
        const float16 weights = exponential(scores - (float16)anchor);
        float weight[16];
        vstore16(weights, 0, weight);
        highest[i] = top;
        totals[i] = totals[i] * rescale + lanes_sum(weights);
        for (int c = 0; c < VALUE_VECTORS; c++) {
          float16 sum = sums[i * VALUE_VECTORS + c] * (float16)rescale;
          for (int j = max(from, 0); j < to; j++)
            sum = fma((float16)weight[j], PART(c, values + j * value_stride, VALUE_WIDTH), sum);
          sums[i * VALUE_VECTORS + c] = sum;
        }
      }
    }
  }
  for (int i = 0; i < items; i++) {
    const size_t place = (first_row + i) * heads + head;
    const float16 inverse = (float16)(totals[i] == 0.0f ? 0.0f : 1.0f / totals[i]);
    for (int c = 0; c < VALUE_VECTORS; c++)
      store(
          sums[i * VALUE_VECTORS + c] * inverse, output + place * VALUE_WIDTH + 16 * c, LEFT_OF(c, VALUE_WIDTH));
    log_sums[place] = (highest[i] == -INFINITY ? 0.0f : highest[i]) + log(totals[i]);
  }
}

__kernel void attention_query_gradient(
    TENSOR(const float, q), TENSOR(const float, k), TENSOR(const float, v), LAYOUT_ARGUMENTS,
    TENSOR(const float, cotangent), TENSOR(const float, log_sums), TENSOR(const float, inner),
    TENSOR(float, gradient), TENSOR(float, table_partial), int bucket_count) {
  OPEN(q); OPEN(k); OPEN(v); OPEN(cotangent); OPEN(log_sums); OPEN(inner); OPEN(gradient);
  OPEN_LAYOUT;
  const bool has_table = table_partial != 0;
  __global float *slice = table_partial;
  if (has_table) {
    slice += table_partial_first + (size_t)tile * bucket_count * heads;
    for (int i = 0; i < bucket_count; i++) slice[i * heads + head] = 0.0f;
  }
  float keys[HEAD_WIDTH * 16], values[VALUE_WIDTH * 16];
  float16 sums[TILE * HEAD_VECTORS];
  for (int i = 0; i < TILE * HEAD_VECTORS; i++) sums[i] = (float16)0.0f;
  for (int range = first_range; range < end_range; range++) {
    const int start = RANGE(range, 2), count = RANGE(range, 1), own = RANGE(range, 3);
    const int begin = first_key(first_position, start, count, window);
    const int end = end_key(first_position + items - 1, start, count, own, causal);
    for (int block = begin; block < end; block += 16) {
      const int size = min(16, end - block);
      const size_t key_row = RANGE(range, 0) + block;
      const __global float *key_rows = k + key_row * key_stride + key_head * HEAD_WIDTH;
      transpose(key_rows, key_stride, size, HEAD_WIDTH, keys);
      transpose(
          v + key_row * value_stride + key_head * VALUE_WIDTH, value_stride, size, VALUE_WIDTH, values);
      for (int i = 0; i < items; i++) {
        const int position = first_position + i, distance = start + block - position;
        const int from = first_key(position, start, count, window) - block;
        const int to = min(size, end_key(position, start, count, own, causal) - block);
        if (from >= to) continue;
        const size_t place = (first_row + i) * heads + head;
        const float log_sum = log_sums[place];
        if (log_sum == -INFINITY) continue;
        float16 scores = dots(q + place * HEAD_WIDTH, keys, HEAD_WIDTH) * (float16)factor;
        scores += block_bias(bias_kind, bias, buckets, reach, distance, head, heads);
        const float16 p = exponential(scores - (float16)log_sum);
        const float16 products = dots(cotangent + place * VALUE_WIDTH, values, VALUE_WIDTH);
        float change[16];
        vstore16(p * (products - (float16)inner[place]), 0, change);
        for (int c = 0; c < HEAD_VECTORS; c++) {
          float16 sum = sums[i * HEAD_VECTORS + c];
          for (int j = max(from, 0); j < to; j++)
            sum = fma((float16)change[j], PART(c, key_rows + j * key_stride, HEAD_WIDTH), sum);
          sums[i * HEAD_VECTORS + c] = sum;
        }
        if (has_table)
          for (int j = max(from, 0); j < to; j++)
            slice[buckets[clamp(distance + j, -reach, reach) + reach] * heads + head] += change[j];
      }
    }
  }
  for (int i = 0; i < items; i++)
    for (int c = 0; c < HEAD_VECTORS; c++)
      store(
          sums[i * HEAD_VECTORS + c] * (float16)factor,
          gradient + ((first_row + i) * heads + head) * HEAD_WIDTH + 16 * c, LEFT_OF(c, HEAD_WIDTH));
}

// Dimension 0 counts key heads; each adds up the query heads that read it, query by query.
__kernel void attention_key_gradient(
    TENSOR(const float, q), TENSOR(const float, k), TENSOR(const float, v), TENSOR(const int, segments),
    TENSOR(const int, key_tiles), TENSOR(const int, visitors), int bias_kind, TENSOR(const float, bias),
    TENSOR(const int, buckets), int reach, int heads, int shared_heads, int width, int value_width, float factor,
    int window, TENSOR(const float, cotangent), TENSOR(const float, log_sums), TENSOR(const float, inner),
    TENSOR(float, key_gradient), TENSOR(float, value_gradient)) {
  OPEN(q); OPEN(k); OPEN(v); OPEN(segments); OPEN(key_tiles); OPEN(visitors);
  OPEN(cotangent); OPEN(log_sums); OPEN(inner); OPEN(key_gradient); OPEN(value_gradient);
  if (bias_kind != NO_BIAS) OPEN(bias);
  if (bias_kind == RELATIVE) OPEN(buckets);
  const int key_head = get_global_id(0), tile = get_global_id(1), group = heads / shared_heads;
  const size_t key_row = key_tiles[tile * 4];
  const int items = key_tiles[tile * 4 + 1], first = key_tiles[tile * 4 + 2];
  const size_t key_stride = (size_t)shared_heads * HEAD_WIDTH, value_stride = (size_t)shared_heads * VALUE_WIDTH;
  float keys[HEAD_WIDTH * 16], values[VALUE_WIDTH * 16];
  transpose(k + key_row * key_stride + key_head * HEAD_WIDTH, key_stride, items, HEAD_WIDTH, keys);
  transpose(v + key_row * value_stride + key_head * VALUE_WIDTH, value_stride, items, VALUE_WIDTH, values);
  float16 key_sums[16 * HEAD_VECTORS], value_sums[16 * VALUE_VECTORS];
  for (int i = 0; i < 16 * HEAD_VECTORS; i++) key_sums[i] = (float16)0.0f;
  for (int i = 0; i < 16 * VALUE_VECTORS; i++) value_sums[i] = (float16)0.0f;
  for (int visitor = first; visitor < first + key_tiles[tile * 4 + 3]; visitor++) {
    const int segment = visitors[visitor * 3], position = visitors[visitor * 3 + 1];
    const int own = visitors[visitor * 3 + 2], causal = SEGMENT(segment, 5);
    const int start = SEGMENT(segment, 2), count = SEGMENT(segment, 1);
    // What the first key is seen by first and the last one last bounds the tile.
    const int begin = first_query(position, start, count, own, causal);
    const int end = end_query(position + items - 1, start, count, window);
    for (int head = key_head * group; head < (key_head + 1) * group; head++)
      for (int i = begin; i < end; i++) {
        const size_t place = (size_t)(SEGMENT(segment, 0) + i) * heads + head;
        const float log_sum = log_sums[place];
        // Keys of the tile that this query sees.
        const int from = first_key(start + i, position, items, window);
        const int to = end_key(start + i, position, items, own, causal);
        if (from >= to || log_sum == -INFINITY) continue;
        const __global float *query = q + place * HEAD_WIDTH, *upstream = cotangent + place * VALUE_WIDTH;
        float16 scores = dots(query, keys, HEAD_WIDTH) * (float16)factor;
        scores += block_bias(bias_kind, bias, buckets, reach, position - start - i, head, heads);
        const float16 p = exponential(scores - (float16)log_sum);
        const float16 products = dots(upstream, values, VALUE_WIDTH);
        float weight[16], change[16];
        vstore16(p, 0, weight);
        vstore16(p * (products - (float16)inner[place]), 0, change);
        for (int c = 0; c < HEAD_VECTORS; c++) {
          const float16 row = PART(c, query, HEAD_WIDTH);
          for (int j = from; j < to; j++)
            key_sums[j * HEAD_VECTORS + c] = fma((float16)change[j], row, key_sums[j * HEAD_VECTORS + c]);
        }
        for (int c = 0; c < VALUE_VECTORS; c++) {
          const float16 row = PART(c, upstream, VALUE_WIDTH);
          for (int j = from; j < to; j++)
            value_sums[j * VALUE_VECTORS + c] = fma((float16)weight[j], row, value_sums[j * VALUE_VECTORS + c]);
        }
      }
  }
  for (int i = 0; i < items; i++) {
    __global float *to_key = key_gradient + (key_row + i) * key_stride + key_head * HEAD_WIDTH;
    __global float *to_value = value_gradient + (key_row + i) * value_stride + key_head * VALUE_WIDTH;
    for (int c = 0; c < HEAD_VECTORS; c++)
      store(key_sums[i * HEAD_VECTORS + c] * (float16)factor, to_key + 16 * c, LEFT_OF(c, HEAD_WIDTH));
    for (int c = 0; c < VALUE_VECTORS; c++)
      store(value_sums[i * VALUE_VECTORS + c], to_value + 16 * c, LEFT_OF(c, VALUE_WIDTH));
  }
}
