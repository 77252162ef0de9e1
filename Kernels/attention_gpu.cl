// Attention over a packed batch for devices with local memory: a work-group of GROUP work-items serves one query (or
// key) of one head.
//
// Kernels: attention_forward, attention_query_gradient, attention_key_gradient, with the arguments of
// attention_plain.cl. The other side passes in blocks of GROUP rows: each work-item computes one score, then the
// work-items divide the columns of the output among themselves. Sums run in a fixed order.
// A work-group without an item passes all barriers and stores nothing.
// Build parameters: GROUP, a power of two; HEAD_WIDTH, VALUE_WIDTH, columns of a head.
// Global size: heads x GROUP, items of a tile, tiles.

#ifndef GROUP
#define GROUP 64
#endif
#ifndef HEAD_WIDTH
#define HEAD_WIDTH 64
#endif
#ifndef VALUE_WIDTH
#define VALUE_WIDTH 64
#endif
#define WIDTH 1
#define HEAD_SHARE ((HEAD_WIDTH + GROUP - 1) / GROUP)
#define VALUE_SHARE ((VALUE_WIDTH + GROUP - 1) / GROUP)

#include "lanes.cl"
#include "visibility.cl"

inline float dot_product(const __local float *a, const __global float *b, int n) {
  float sum = 0.0f;
  for (int i = 0; i < n; i++) sum = fma(a[i], b[i], sum);
  return sum;
}

inline void fetch(const __global float *from, __local float *to, int n) {
  for (int d = LANE; d < n; d += GROUP) to[d] = from[d];
}

// share[c] += sum over j of weights[j] rows[j stride + column], for this work-item's columns.
inline void add_rows(
    float *share, const __local float *weights, int count, const __global float *rows, size_t stride, int width) {
  for (int c = 0, column = LANE; column < width; c++, column += GROUP) {
    float sum = share[c];
    for (int j = 0; j < count; j++) sum = fma(weights[j], rows[j * stride + column], sum);
    share[c] = sum;
  }
}

inline float probability(float score, float log_sum) { return log_sum == -INFINITY ? 0.0f : exp(score - log_sum); }

#define LAYOUT_ARGUMENTS                                                                                   \
  TENSOR(const int, segments), TENSOR(const int, ranges), TENSOR(const int, tiles), int bias_kind,         \
      TENSOR(const float, bias), TENSOR(const int, buckets), int reach, int heads, int shared_heads,       \
      int width, int value_width, float factor, int window
#define OPEN_LAYOUT                                                                           \
  OPEN(segments); OPEN(ranges); OPEN(tiles);                                                  \
  if (bias_kind != NO_BIAS) OPEN(bias);                                                       \
  if (bias_kind == RELATIVE) OPEN(buckets);                                                   \
  const int head = get_group_id(0), item = get_group_id(1), tile = get_group_id(2);           \
  const bool present = item < tiles[tile * 3 + 2];                                            \
  const int key_head = head / (heads / shared_heads);                                         \
  const size_t key_stride = (size_t)shared_heads * HEAD_WIDTH;                                \
  const size_t value_stride = (size_t)shared_heads * VALUE_WIDTH;                             \
  const int segment = tiles[tile * 3], index = tiles[tile * 3 + 1] + (present ? item : 0);    \
  const size_t place = (size_t)(SEGMENT(segment, 0) + index) * heads + head;                  \
  const int position = SEGMENT(segment, 2) + index, causal = SEGMENT(segment, 5);             \
  const int first_range = SEGMENT(segment, 3), end_range = first_range + (present ? SEGMENT(segment, 4) : 0)

__kernel void attention_forward(
    TENSOR(const float, q), TENSOR(const float, k), TENSOR(const float, v), LAYOUT_ARGUMENTS,
    TENSOR(float, output), TENSOR(float, log_sums)) {
  __local float scratch[GROUP], query[HEAD_WIDTH], weights[GROUP];
  OPEN(q); OPEN(k); OPEN(v); OPEN(output); OPEN(log_sums);
  OPEN_LAYOUT;
  fetch(q + place * HEAD_WIDTH, query, HEAD_WIDTH);
  barrier(CLK_LOCAL_MEM_FENCE);
  float share[VALUE_SHARE];
  for (int c = 0; c < VALUE_SHARE; c++) share[c] = 0.0f;
  float highest = -INFINITY, total = 0.0f;
  for (int range = first_range; range < end_range; range++) {
    const int start = RANGE(range, 2), count = RANGE(range, 1);
    const int end = end_key(position, start, count, RANGE(range, 3), causal);
    for (int block = first_key(position, start, count, window); block < end; block += GROUP) {
      const int size = min(GROUP, end - block);
      const size_t key_row = RANGE(range, 0) + block;
      float score = -INFINITY;
      if (LANE < size)
        score = dot_product(query, k + (key_row + LANE) * key_stride + key_head * HEAD_WIDTH, HEAD_WIDTH) * factor +
                score_bias(bias_kind, bias, buckets, reach, start + block + LANE - position, head, heads);
      const float top = fmax(highest, GROUP_MAX(score)), anchor = top == -INFINITY ? 0.0f : top;
      const float weight = LANE < size ? exp(score - anchor) : 0.0f;
      const float rescale = exp(highest - anchor);
      highest = top;
      weights[LANE] = weight;
      total = total * rescale + GROUP_SUM(weight);
      for (int c = 0; c < VALUE_SHARE; c++) share[c] *= rescale;
      add_rows(share, weights, size, v + key_row * value_stride + key_head * VALUE_WIDTH, value_stride, VALUE_WIDTH);
      barrier(CLK_LOCAL_MEM_FENCE);
    }
  }
  const float inverse = total == 0.0f ? 0.0f : 1.0f / total;
  if (present)
    for (int c = 0, d = LANE; d < VALUE_WIDTH; c++, d += GROUP) output[place * VALUE_WIDTH + d] = share[c] * inverse;
  if (present && LANE == 0) log_sums[place] = (highest == -INFINITY ? 0.0f : highest) + log(total);
}

// The table's partial sums are one slice per query here: [queries, buckets, heads]; a work-item adds up whole buckets.
__kernel void attention_query_gradient(
    TENSOR(const float, q), TENSOR(const float, k), TENSOR(const float, v), LAYOUT_ARGUMENTS,
    TENSOR(const float, cotangent), TENSOR(const float, log_sums), TENSOR(const float, inner),
    TENSOR(float, gradient), TENSOR(float, table_partial), int bucket_count) {
  __local float query[HEAD_WIDTH], upstream[VALUE_WIDTH], changes[GROUP];
  OPEN(q); OPEN(k); OPEN(v); OPEN(cotangent); OPEN(log_sums); OPEN(inner); OPEN(gradient);
  OPEN_LAYOUT;
  __global float *slice = table_partial;
  if (table_partial) {
    slice += table_partial_first + (place - head) / heads * bucket_count * heads + head;
    for (int i = LANE; present && i < bucket_count; i += GROUP) slice[i * heads] = 0.0f;
  }
  fetch(q + place * HEAD_WIDTH, query, HEAD_WIDTH);
  fetch(cotangent + place * VALUE_WIDTH, upstream, VALUE_WIDTH);
  barrier(CLK_LOCAL_MEM_FENCE);
  float share[HEAD_SHARE];
  for (int c = 0; c < HEAD_SHARE; c++) share[c] = 0.0f;
  for (int range = first_range; range < end_range; range++) {
    const int start = RANGE(range, 2), count = RANGE(range, 1);
    const int end = end_key(position, start, count, RANGE(range, 3), causal);
    for (int block = first_key(position, start, count, window); block < end; block += GROUP) {
      const int size = min(GROUP, end - block), distance = start + block - position;
      const size_t key_row = RANGE(range, 0) + block;
      const __global float *keys = k + key_row * key_stride + key_head * HEAD_WIDTH;
      const __global float *values = v + key_row * value_stride + key_head * VALUE_WIDTH;
      if (LANE < size) {
        const float score = dot_product(query, keys + LANE * key_stride, HEAD_WIDTH) * factor +
                            score_bias(bias_kind, bias, buckets, reach, distance + LANE, head, heads);
        const float product = dot_product(upstream, values + LANE * value_stride, VALUE_WIDTH);
        changes[LANE] = probability(score, log_sums[place]) * (product - inner[place]);
      }
      barrier(CLK_LOCAL_MEM_FENCE);
      add_rows(share, changes, size, keys, key_stride, HEAD_WIDTH);
      if (table_partial)
        for (int bucket = LANE; bucket < bucket_count; bucket += GROUP) {
          float sum = slice[bucket * heads];
          for (int j = 0; j < size; j++)
            if (buckets[clamp(distance + j, -reach, reach) + reach] == bucket) sum += changes[j];
          slice[bucket * heads] = sum;
        }
      barrier(CLK_LOCAL_MEM_FENCE);
    }
  }
  if (present)
    for (int c = 0, d = LANE; d < HEAD_WIDTH; c++, d += GROUP) gradient[place * HEAD_WIDTH + d] = share[c] * factor;
}

__kernel void attention_key_gradient(
    TENSOR(const float, q), TENSOR(const float, k), TENSOR(const float, v), TENSOR(const int, segments),
    TENSOR(const int, key_tiles), TENSOR(const int, visitors), int bias_kind, TENSOR(const float, bias),
    TENSOR(const int, buckets), int reach, int heads, int shared_heads, int width, int value_width, float factor,
    int window, TENSOR(const float, cotangent), TENSOR(const float, log_sums), TENSOR(const float, inner),
    TENSOR(float, key_gradient), TENSOR(float, value_gradient)) {
  __local float key[HEAD_WIDTH], value[VALUE_WIDTH], weights[GROUP], changes[GROUP];
  OPEN(q); OPEN(k); OPEN(v); OPEN(segments); OPEN(key_tiles); OPEN(visitors);
  OPEN(cotangent); OPEN(log_sums); OPEN(inner); OPEN(key_gradient); OPEN(value_gradient);
  if (bias_kind != NO_BIAS) OPEN(bias);
  if (bias_kind == RELATIVE) OPEN(buckets);
  const int key_head = get_group_id(0), item = get_group_id(1), tile = get_group_id(2);
  const bool present = item < key_tiles[tile * 4 + 1];
  const size_t place = (size_t)(key_tiles[tile * 4] + (present ? item : 0)) * shared_heads + key_head;
  fetch(k + place * HEAD_WIDTH, key, HEAD_WIDTH);
  fetch(v + place * VALUE_WIDTH, value, VALUE_WIDTH);
  barrier(CLK_LOCAL_MEM_FENCE);
  float key_share[HEAD_SHARE], value_share[VALUE_SHARE];
  for (int c = 0; c < HEAD_SHARE; c++) key_share[c] = 0.0f;
  for (int c = 0; c < VALUE_SHARE; c++) value_share[c] = 0.0f;
  const int first = key_tiles[tile * 4 + 2], group = heads / shared_heads;
  for (int visitor = first; visitor < first + (present ? key_tiles[tile * 4 + 3] : 0); visitor++) {
    const int segment = visitors[visitor * 3], position = visitors[visitor * 3 + 1] + item;
    const int start = SEGMENT(segment, 2), count = SEGMENT(segment, 1);
    const int begin = first_query(position, start, count, visitors[visitor * 3 + 2], SEGMENT(segment, 5));
    const int end = end_query(position, start, count, window);
    for (int head = key_head * group; head < (key_head + 1) * group; head++)
      for (int block = begin; block < end; block += GROUP) {
        const int size = min(GROUP, end - block);
        const size_t query_place = (size_t)(SEGMENT(segment, 0) + block) * heads + head;
        const __global float *queries = q + query_place * HEAD_WIDTH, *upstream = cotangent + query_place * VALUE_WIDTH;
        if (LANE < size) {
          const size_t mine = (size_t)LANE * heads;
          const float score =
              dot_product(key, queries + mine * HEAD_WIDTH, HEAD_WIDTH) * factor +
              score_bias(bias_kind, bias, buckets, reach, position - start - block - LANE, head, heads);
          const float p = probability(score, log_sums[query_place + mine]);
          weights[LANE] = p;
          changes[LANE] =
              p * (dot_product(value, upstream + mine * VALUE_WIDTH, VALUE_WIDTH) - inner[query_place + mine]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        add_rows(key_share, changes, size, queries, (size_t)heads * HEAD_WIDTH, HEAD_WIDTH);
        add_rows(value_share, weights, size, upstream, (size_t)heads * VALUE_WIDTH, VALUE_WIDTH);
        barrier(CLK_LOCAL_MEM_FENCE);
      }
  }
  if (!present) return;
  for (int c = 0, d = LANE; d < HEAD_WIDTH; c++, d += GROUP)
    key_gradient[place * HEAD_WIDTH + d] = key_share[c] * factor;
  for (int c = 0, d = LANE; d < VALUE_WIDTH; c++, d += GROUP) value_gradient[place * VALUE_WIDTH + d] = value_share[c];
}
