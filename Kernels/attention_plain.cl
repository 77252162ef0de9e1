// Attention over a packed batch, one work-item per query or key and head. Right everywhere, for any head width.
//
// Kernels: attention_forward, attention_inner (per query, sum over its output of cotangent times output),
// attention_query_gradient, attention_key_gradient. Scores are computed again where they are needed; nothing of size
// queries times keys is stored, and sums run in a fixed order.
// The tables are described in visibility.cl. Global size: heads, items of a tile, tiles.

#include "visibility.cl"

#define TENSOR(type, name) __global type *name, ulong name##_first
#define OPEN(name) name += name##_first

inline float dot_product(const __global float *a, const __global float *b, int n) {
  float sum = 0.0f;
  for (int i = 0; i < n; i++) sum = fma(a[i], b[i], sum);
  return sum;
}

#define LAYOUT_ARGUMENTS                                                                                   \
  TENSOR(const int, segments), TENSOR(const int, ranges), TENSOR(const int, tiles), int bias_kind,         \
      TENSOR(const float, bias), TENSOR(const int, buckets), int reach, int heads, int shared_heads,       \
      int width, int value_width, float factor, int window
#define OPEN_LAYOUT                                    \
  OPEN(segments); OPEN(ranges); OPEN(tiles);           \
  if (bias_kind != NO_BIAS) OPEN(bias);                \
  if (bias_kind == RELATIVE) OPEN(buckets);            \
  const int head = get_global_id(0);                   \
  const int item = get_global_id(1);                   \
  const int tile = get_global_id(2);                   \
  const int key_head = head / (heads / shared_heads);  \
  const size_t key_width = (size_t)shared_heads * width, key_value_width = (size_t)shared_heads * value_width

#define SCORE(query, key, distance)                              \
  (dot_product(query, key, width) * factor +                     \
   score_bias(bias_kind, bias, buckets, reach, distance, head, heads))

__kernel void attention_forward(
    TENSOR(const float, q), TENSOR(const float, k), TENSOR(const float, v), LAYOUT_ARGUMENTS,
    TENSOR(float, output), TENSOR(float, log_sums)) {
  OPEN(q); OPEN(k); OPEN(v); OPEN(output); OPEN(log_sums);
  OPEN_LAYOUT;
  if (item >= tiles[tile * 3 + 2]) return;
  const int segment = tiles[tile * 3], index = tiles[tile * 3 + 1] + item;
  const size_t row = SEGMENT(segment, 0) + index;
  const int position = SEGMENT(segment, 2) + index, causal = SEGMENT(segment, 5);
  const int first_range = SEGMENT(segment, 3), end_range = first_range + SEGMENT(segment, 4);
  const __global float *query = q + (row * heads + head) * width;
  __global float *to = output + (row * heads + head) * value_width;
  for (int d = 0; d < value_width; d++) to[d] = 0.0f;
  float highest = -INFINITY, sum = 0.0f;
  for (int range = first_range; range < end_range; range++) {
    const int start = RANGE(range, 2), count = RANGE(range, 1);
    const int end = end_key(position, start, count, RANGE(range, 3), causal);
    for (int i = first_key(position, start, count, window); i < end; i++) {
      const size_t key_row = RANGE(range, 0) + i;
      const float score = SCORE(query, k + key_row * key_width + key_head * width, start + i - position);
      const float top = fmax(highest, score);
      const float anchor = top == -INFINITY ? 0.0f : top;
      const float rescale = exp(highest - anchor), weight = exp(score - anchor);
      highest = top;
      sum = sum * rescale + weight;
      const __global float *value = v + key_row * key_value_width + key_head * value_width;
      for (int d = 0; d < value_width; d++) to[d] = to[d] * rescale + weight * value[d];
    }
  }
  const float inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
  for (int d = 0; d < value_width; d++) to[d] *= inverse;
  log_sums[row * heads + head] = (highest == -INFINITY ? 0.0f : highest) + log(sum);
}

// inner[row, head] = sum over d of cotangent[row, head, d] output[row, head, d]
__kernel void attention_inner(
    TENSOR(const float, cotangent), TENSOR(const float, output), TENSOR(float, inner), ulong count, int value_width) {
  const size_t i = get_global_id(0);
  if (i >= count) return;
  inner[inner_first + i] = dot_product(
      cotangent + cotangent_first + i * value_width, output + output_first + i * value_width, value_width);
}

// The probability of a pair, from its score and the query's logarithm of the sum of exponentials.
inline float probability(float score, float log_sum) { return log_sum == -INFINITY ? 0.0f : exp(score - log_sum); }

// The gradient of q and, where `table_partial` is there, of the relative table: [tiles, buckets, heads], one slice per
// tile. With a table the items of a tile share a slice, so the work-item of item 0 does them all in turn.
__kernel void attention_query_gradient(
    TENSOR(const float, q), TENSOR(const float, k), TENSOR(const float, v), LAYOUT_ARGUMENTS,
    TENSOR(const float, cotangent), TENSOR(const float, log_sums), TENSOR(const float, inner),
    TENSOR(float, gradient), TENSOR(float, table_partial), int bucket_count) {
  OPEN(q); OPEN(k); OPEN(v); OPEN(cotangent); OPEN(log_sums); OPEN(inner); OPEN(gradient);
  OPEN_LAYOUT;
  const bool has_table = table_partial != 0;
  __global float *slice = table_partial;
  int end_item = item + 1;
  if (has_table) {
    if (item != 0) return;
    end_item = tiles[tile * 3 + 2];
    slice += table_partial_first + (size_t)tile * bucket_count * heads;
    for (int i = 0; i < bucket_count; i++) slice[i * heads + head] = 0.0f;
  }
  for (int current = item; current < min(end_item, tiles[tile * 3 + 2]); current++) {
    const int segment = tiles[tile * 3], index = tiles[tile * 3 + 1] + current;
    const size_t row = SEGMENT(segment, 0) + index;
    const int position = SEGMENT(segment, 2) + index, causal = SEGMENT(segment, 5);
    const int first_range = SEGMENT(segment, 3), end_range = first_range + SEGMENT(segment, 4);
    const __global float *query = q + (row * heads + head) * width;
    const __global float *upstream = cotangent + (row * heads + head) * value_width;
    __global float *to = gradient + (row * heads + head) * width;
    for (int d = 0; d < width; d++) to[d] = 0.0f;
    for (int range = first_range; range < end_range; range++) {
      const int start = RANGE(range, 2), count = RANGE(range, 1);
      const int end = end_key(position, start, count, RANGE(range, 3), causal);
      for (int i = first_key(position, start, count, window); i < end; i++) {
        const size_t key_row = RANGE(range, 0) + i;
        const int distance = start + i - position;
        const __global float *key = k + key_row * key_width + key_head * width;
        const __global float *value = v + key_row * key_value_width + key_head * value_width;
        const float p = probability(SCORE(query, key, distance), log_sums[row * heads + head]);
        const float change = p * (dot_product(upstream, value, value_width) - inner[row * heads + head]);
        for (int d = 0; d < width; d++) to[d] += factor * change * key[d];
        if (has_table) slice[buckets[clamp(distance, -reach, reach) + reach] * heads + head] += change;
      }
    }
  }
}

// The gradients of k and v. `heads` work-items of dimension 0 are key heads here; each adds up its query heads.
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
  const int key_head = get_global_id(0), item = get_global_id(1), tile = get_global_id(2);
  if (item >= key_tiles[tile * 4 + 1]) return;
  const size_t key_row = key_tiles[tile * 4] + item;
  const __global float *key = k + (key_row * shared_heads + key_head) * width;
  const __global float *value = v + (key_row * shared_heads + key_head) * value_width;
  __global float *to_key = key_gradient + (key_row * shared_heads + key_head) * width;
  __global float *to_value = value_gradient + (key_row * shared_heads + key_head) * value_width;
  for (int d = 0; d < width; d++) to_key[d] = 0.0f;
  for (int d = 0; d < value_width; d++) to_value[d] = 0.0f;
  const int first = key_tiles[tile * 4 + 2], group = heads / shared_heads;
  for (int visitor = first; visitor < first + key_tiles[tile * 4 + 3]; visitor++) {
    const int segment = visitors[visitor * 3], key_position = visitors[visitor * 3 + 1] + item;
    const int start = SEGMENT(segment, 2), count = SEGMENT(segment, 1);
    const int begin = first_query(key_position, start, count, visitors[visitor * 3 + 2], SEGMENT(segment, 5));
    const int end = end_query(key_position, start, count, window);
    for (int head = key_head * group; head < (key_head + 1) * group; head++)
      for (int i = begin; i < end; i++) {
        const size_t place = (size_t)(SEGMENT(segment, 0) + i) * heads + head;
        const __global float *query = q + place * width, *upstream = cotangent + place * value_width;
        const float p = probability(SCORE(query, key, key_position - start - i), log_sums[place]);
        const float change = p * (dot_product(upstream, value, value_width) - inner[place]);
        for (int d = 0; d < width; d++) to_key[d] += factor * change * query[d];
        for (int d = 0; d < value_width; d++) to_value[d] += p * upstream[d];
      }
  }
}
