// Included by attention_cpu.cl and attention_pairs.cl, behind attention_tiles.cl: what the kernels are given, and queries
// one by one. KEYS is the number of keys of a block, a multiple of 16.

#define LAYOUT_ARGUMENTS                                                                                   \
  TENSOR(const int, segments), TENSOR(const int, ranges), TENSOR(const int, tiles), int bias_kind,         \
      TENSOR(const float, bias), TENSOR(const int, buckets), int reach, int heads, int shared_heads,       \
      int width, int value_width, float factor, int window
#define OPEN_LAYOUT                                                            \
  OPEN(segments); OPEN(ranges); OPEN(tiles);                                   \
  if (bias_kind != NO_BIAS) OPEN(bias);                                        \
  if (bias_kind == RELATIVE) OPEN(buckets);                                    \
  const size_t key_stride = (size_t)shared_heads * HEAD_WIDTH;                 \
  const size_t value_stride = (size_t)shared_heads * VALUE_WIDTH
#define OPEN_TILE(tile)                                                                               \
  const int segment = tiles[(tile) * 3], first_item = tiles[(tile) * 3 + 1], items = tiles[(tile) * 3 + 2]; \
  const int first_position = SEGMENT(segment, 2) + first_item, causal = SEGMENT(segment, 5);          \
  const size_t first_row = SEGMENT(segment, 0) + first_item;                                          \
  const int first_range = SEGMENT(segment, 3), end_range = first_range + SEGMENT(segment, 4)

// One query: scores of a block of keys in a row, products along the columns of a head.
inline void forward_query(
    const __global float *query, const __global float *k, const __global float *v, size_t key_stride,
    size_t value_stride, const __global int *ranges, int first_range, int end_range, int position, int causal,
    int bias_kind, const __global float *bias, const __global int *buckets, int reach, int head, int heads,
    float factor, int window, __global float *output, __global float *log_sum) {
  float scores[KEYS];
  float16 row[HEAD_VECTORS], sums[VALUE_VECTORS];
  for (int c = 0; c < HEAD_VECTORS; c++) row[c] = PART(c, query, HEAD_WIDTH);
  for (int c = 0; c < VALUE_VECTORS; c++) sums[c] = (float16)0.0f;
  float highest = -INFINITY, total = 0.0f;
  for (int range = first_range; range < end_range; range++) {
    const int start = RANGE(range, 2), count = RANGE(range, 1), own = RANGE(range, 3);
    const int begin = first_key(position, start, count, window);
    const int end = end_key(position, start, count, own, causal);
    for (int block = begin; block < end; block += KEYS) {
      const int size = min(KEYS, end - block);
      const size_t key_row = RANGE(range, 0) + block;
      const __global float *keys = k + key_row * key_stride, *values = v + key_row * value_stride;
#pragma nounroll
      for (int j = 0; j < size; j += 4) {
        float16 products[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const __global float *key = keys + min(j + i, size - 1) * key_stride;
          products[i] = (float16)0.0f;
          for (int c = 0; c < HEAD_VECTORS; c++) products[i] = fma(row[c], PART(c, key, HEAD_WIDTH), products[i]);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) scores[j + i] = lanes_sum(products[i]) * factor;
      }
      if (bias_kind != NO_BIAS)
        for (int j = 0; j < size; j++)
          scores[j] += score_bias(bias_kind, bias, buckets, reach, start + block + j - position, head, heads);
      float16 tops = (float16)-INFINITY;
      for (int j = size; j < (size + 15) / 16 * 16; j++) scores[j] = -INFINITY;
      for (int j = 0; j < size; j += 16) tops = fmax(tops, vload16(0, scores + j));
      const float top = fmax(highest, lanes_max(tops));
      const float anchor = top == -INFINITY ? 0.0f : top;
      const float16 rescale = negative_exponential((float16)(highest - anchor));
      highest = top;
      float16 totals = (float16)0.0f;
      for (int j = 0; j < size; j += 16) {
        const float16 weights = negative_exponential(vload16(0, scores + j) - (float16)anchor);
        totals += weights;
        vstore16(weights, 0, scores + j);
      }
      total = total * rescale.s0 + lanes_sum(totals);
      for (int c = 0; c < VALUE_VECTORS; c++) sums[c] *= rescale;
#pragma nounroll
      for (int j = 0; j < size; j++)
        for (int c = 0; c < VALUE_VECTORS; c++)
          sums[c] = fma((float16)scores[j], PART(c, values + j * value_stride, VALUE_WIDTH), sums[c]);
    }
  }
  const float16 inverse = (float16)(total == 0.0f ? 0.0f : 1.0f / total);
  for (int c = 0; c < VALUE_VECTORS; c++) store(sums[c] * inverse, output + 16 * c, LEFT_OF(c, VALUE_WIDTH));
  *log_sum = (highest == -INFINITY ? 0.0f : highest) + log(total);
}
