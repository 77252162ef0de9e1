// Attention over a packed batch for processors.
//
// Kernels:
//   attention_forward   a work-item owns a tile of TILE queries of one head and goes through its keys in blocks
//   attention_gradient  a work-item owns a head of k and v for a group of tiles of GRADIENT_TILE queries
// The tables are described in visibility.cl, the products in attention_tiles.cl. Scores of one block of keys with
// the tile exist at a time, in private memory.
// Build parameters: HEAD_WIDTH, VALUE_WIDTH (columns of a head, any numbers), TILE, GRADIENT_TILE (rows of a tile of
// the tables, 16 and a multiple of 16).
// Work-group size 1.

#ifndef TILE
#define TILE 16
#endif
#ifndef GRADIENT_TILE
#define GRADIENT_TILE 32
#endif
#define STRIPS (GRADIENT_TILE / 16)
// Keys of a block, multiples of SCORE_ROWS and 16.
#define KEYS 64
#define GRADIENT_KEYS 32
// Up to here the scores of a tile lie in rows: most lanes would be empty.
#define FEW_QUERIES 2

#include "attention_tiles.cl"
#include "attention_rows.cl"

// Global size: heads, tiles.
__kernel void attention_forward(
    TENSOR(const float, q), TENSOR(const float, k), TENSOR(const float, v), LAYOUT_ARGUMENTS,
    TENSOR(float, output), TENSOR(float, log_sums)) {
  OPEN(q); OPEN(k); OPEN(v); OPEN(output); OPEN(log_sums);
  OPEN_LAYOUT;
  const int head = get_global_id(0), key_head = head / (heads / shared_heads);
  OPEN_TILE(get_global_id(1));
  const size_t query_stride = (size_t)heads * HEAD_WIDTH;
  q += first_row * query_stride + head * HEAD_WIDTH;
  k += key_head * HEAD_WIDTH;
  v += key_head * VALUE_WIDTH;
  output += (first_row * heads + head) * VALUE_WIDTH;
  log_sums += first_row * heads + head;
  if (items <= FEW_QUERIES) {
    for (int i = 0; i < items; i++)
      forward_query(
          q + i * query_stride, k, v, key_stride, value_stride, ranges, first_range, end_range, first_position + i,
          causal, bias_kind, bias, buckets, reach, head, heads, factor, window,
          output + (size_t)i * heads * VALUE_WIDTH, log_sums + (size_t)i * heads);
    return;
  }
  float turned[HEAD_WIDTH * 16], scores[KEYS * 16], biases[KEYS + TILE], lanes[16];
  float16 sums[TILE * VALUE_VECTORS];
  for (int i = 0; i < TILE * VALUE_VECTORS; i++) sums[i] = (float16)0.0f;
  float16 highest = (float16)-INFINITY, totals = (float16)0.0f;
  turn(q, query_stride, items, HEAD_WIDTH, turned);
  for (int range = first_range; range < end_range; range++) {
    const int start = RANGE(range, 2), count = RANGE(range, 1), own = RANGE(range, 3);
    // What the first query sees first and the last one sees last bounds the tile.
    const int begin = first_key(first_position, start, count, window);
    const int end = end_key(first_position + items - 1, start, count, own, causal);
    for (int block = begin; block < end; block += KEYS) {
      const int size = min(KEYS, end - block), position = start + block;
      const size_t key_row = RANGE(range, 0) + block;
      strip_products(k + key_row * key_stride, key_stride, 0, size, size, HEAD_WIDTH, turned, scores);
      if (bias_kind != NO_BIAS)
        fill_bias(bias_kind, bias, buckets, reach, head, heads, position, size, first_position, TILE, biases);
      float16 top = highest;
      for (int j = 0; j < size; j++) {
        float16 score = vload16(j, scores) * (float16)factor;
        if (bias_kind != NO_BIAS) score += vload16(0, biases + size - 1 - j);
        const int lowest = lowest_lane(position + j, first_position, own && causal);
        const int last = end_lane(position + j, first_position, window);
        if (lowest > 0 || last < 16) score = within(score, lowest, last, -INFINITY);
        vstore16(score, j, scores);
        top = fmax(top, score);
      }
      const float16 anchor = top == (float16)-INFINITY ? (float16)0.0f : top;
      const float16 rescale = negative_exponential(highest - anchor);
      highest = top;
      totals *= rescale;
      for (int j = 0; j < size; j++) {
        const float16 weights = negative_exponential(vload16(j, scores) - anchor);
        vstore16(weights, j, scores);
        totals += weights;
      }
      vstore16(rescale, 0, lanes);
      for (int i = 0; i < items; i++)
        for (int c = 0; c < VALUE_VECTORS; c++) sums[i * VALUE_VECTORS + c] *= (float16)lanes[i];
      for (int i = 0; i < items; i += OUTPUT_ROWS) {
        const int from = max(0, first_key(first_position + i, start, count, window) - block);
        const int last = first_position + min(i + OUTPUT_ROWS, items) - 1;
        const int to = min(size, end_key(last, start, count, own, causal) - block);
        add_all_keys(
            sums + i * VALUE_VECTORS, VALUE_VECTORS, scores + i, from, to, v + key_row * value_stride, value_stride,
            VALUE_WIDTH);
      }
    }
  }
  float highest_lanes[16];
  vstore16(highest, 0, highest_lanes);
  vstore16(totals, 0, lanes);
  for (int i = 0; i < items; i++) {
    const float16 inverse = (float16)(lanes[i] == 0.0f ? 0.0f : 1.0f / lanes[i]);
    for (int c = 0; c < VALUE_VECTORS; c++)
      store(
          sums[i * VALUE_VECTORS + c] * inverse, output + (size_t)i * heads * VALUE_WIDTH + 16 * c,
          LEFT_OF(c, VALUE_WIDTH));
    log_sums[(size_t)i * heads] = (highest_lanes[i] == -INFINITY ? 0.0f : highest_lanes[i]) + log(lanes[i]);
  }
}

// The gradients of q, k, v and, where `table_partial` is there, of the relative table, [groups, buckets, heads]: with
// inner = sum over a query's output of cotangent times output, dS = p (cotangent v' - inner), dq = factor dS k,
// dk = factor dS' q, dv = p' cotangent. Scores and their gradients are computed once.
//
// Global size: key heads, groups of tiles. Each group adds up its own key and value gradients, `key_count` rows of all
// heads behind those of the group before it.
__kernel void attention_gradient(
    TENSOR(const float, q), TENSOR(const float, k), TENSOR(const float, v), LAYOUT_ARGUMENTS,
    TENSOR(const float, cotangent), TENSOR(const float, output), TENSOR(const float, log_sums),
    TENSOR(float, gradient), TENSOR(float, key_gradient), TENSOR(float, value_gradient), int tile_count, int key_count,
    TENSOR(float, table_partial), int bucket_count) {
  OPEN(q); OPEN(k); OPEN(v); OPEN(cotangent); OPEN(output); OPEN(log_sums);
  OPEN(gradient); OPEN(key_gradient); OPEN(value_gradient);
  OPEN_LAYOUT;
  const int key_head = get_global_id(0), group = get_global_id(1), query_heads = heads / shared_heads;
  const size_t query_stride = (size_t)heads * HEAD_WIDTH, output_stride = (size_t)heads * VALUE_WIDTH;
  k += key_head * HEAD_WIDTH;
  v += key_head * VALUE_WIDTH;
  key_gradient += group * (size_t)key_count * key_stride + key_head * HEAD_WIDTH;
  value_gradient += group * (size_t)key_count * value_stride + key_head * VALUE_WIDTH;
  for (int j = 0; j < key_count; j++) {
    for (int c = 0; c < HEAD_VECTORS; c++)
      store((float16)0.0f, key_gradient + j * key_stride + 16 * c, LEFT_OF(c, HEAD_WIDTH));
    for (int c = 0; c < VALUE_VECTORS; c++)
      store((float16)0.0f, value_gradient + j * value_stride + 16 * c, LEFT_OF(c, VALUE_WIDTH));
  }
  const bool has_table = table_partial != 0;
  __global float *slice = table_partial;
  if (has_table) {
    slice += table_partial_first + (size_t)group * bucket_count * heads + key_head * query_heads;
    for (int i = 0; i < bucket_count; i++)
      for (int j = 0; j < query_heads; j++) slice[i * heads + j] = 0.0f;
  }
  float turned[STRIPS * HEAD_WIDTH * 16], turned_upstream[STRIPS * VALUE_WIDTH * 16];
  float16 queries[GRADIENT_TILE * HEAD_VECTORS], upstream[GRADIENT_TILE * VALUE_VECTORS];
  float16 sums[GRADIENT_TILE * HEAD_VECTORS];
  float weights[STRIPS * GRADIENT_KEYS * 16], changes[STRIPS * GRADIENT_KEYS * 16];
  float shifts[GRADIENT_TILE], inner[GRADIENT_TILE];
  float biases[GRADIENT_KEYS + GRADIENT_TILE], table_sums[GRADIENT_KEYS + GRADIENT_TILE];
  for (int work = group * query_heads; work < tile_count * query_heads;
       work += work % query_heads == query_heads - 1 ? (get_global_size(1) - 1) * query_heads + 1 : 1) {
    const int head_of_group = work % query_heads, head = key_head * query_heads + head_of_group;
    OPEN_TILE(work / query_heads);
    const __global float *query = q + first_row * query_stride + head * HEAD_WIDTH;
    const __global float *from_above = cotangent + first_row * output_stride + head * VALUE_WIDTH;
    const __global float *result = output + first_row * output_stride + head * VALUE_WIDTH;
    for (int i = 0; i < GRADIENT_TILE * HEAD_VECTORS; i++) sums[i] = (float16)0.0f;
    for (int i = 0; i < GRADIENT_TILE; i++) {
      // A lane without a query, and one that sees nothing, gets weights exp(s - infinity) = 0.
      shifts[i] = INFINITY;
      inner[i] = 0.0f;
    }
    for (int i = 0; i < items; i++) {
      const float log_sum = log_sums[(first_row + i) * heads + head];
      if (log_sum != -INFINITY) shifts[i] = log_sum;
      float16 products = (float16)0.0f;
      for (int c = 0; c < HEAD_VECTORS; c++)
        queries[i * HEAD_VECTORS + c] = PART(c, query + i * query_stride, HEAD_WIDTH);
      for (int c = 0; c < VALUE_VECTORS; c++) {
        const float16 x = PART(c, from_above + i * output_stride, VALUE_WIDTH);
        upstream[i * VALUE_VECTORS + c] = x;
        products = fma(x, PART(c, result + i * output_stride, VALUE_WIDTH), products);
      }
      inner[i] = lanes_sum(products);
    }
    for (int strip = 0; strip * 16 < items; strip++) {
      turn(
          query + strip * 16 * query_stride, query_stride, min(16, items - 16 * strip), HEAD_WIDTH,
          turned + strip * HEAD_WIDTH * 16);
      turn(
          from_above + strip * 16 * output_stride, output_stride, min(16, items - 16 * strip), VALUE_WIDTH,
          turned_upstream + strip * VALUE_WIDTH * 16);
    }
    for (int range = first_range; range < end_range; range++) {
      const int start = RANGE(range, 2), count = RANGE(range, 1), own = RANGE(range, 3), hides = own && causal;
      const int begin = first_key(first_position, start, count, window);
      const int end = end_key(first_position + items - 1, start, count, own, causal);
      for (int block = begin; block < end; block += GRADIENT_KEYS) {
        const int size = min(GRADIENT_KEYS, end - block), position = start + block;
        const size_t key_row = RANGE(range, 0) + block;
        const __global float *keys = k + key_row * key_stride, *values = v + key_row * value_stride;
        if (bias_kind != NO_BIAS)
          fill_bias(
              bias_kind, bias, buckets, reach, head, heads, position, size, first_position, GRADIENT_TILE, biases);
        if (has_table)
          for (int i = 0; i < GRADIENT_KEYS + GRADIENT_TILE; i++) table_sums[i] = 0.0f;
        for (int strip = 0; strip * 16 < items; strip++) {
          const int first_of_strip = first_position + 16 * strip, rows = min(16, items - 16 * strip);
          const int from =
              max(0, first_key(first_of_strip, start, count, window) - block) / SCORE_ROWS * SCORE_ROWS;
          const int to = min(size, end_key(first_of_strip + rows - 1, start, count, own, causal) - block);
          if (from >= to) continue;
          __private float *p = weights + strip * GRADIENT_KEYS * 16, *d = changes + strip * GRADIENT_KEYS * 16;
          strip_products(keys, key_stride, from, to, size, HEAD_WIDTH, turned + strip * HEAD_WIDTH * 16, p);
          strip_products(
              values, value_stride, from, to, size, VALUE_WIDTH, turned_upstream + strip * VALUE_WIDTH * 16, d);
          const float16 shift = vload16(strip, shifts), mean = vload16(strip, inner);
          const int end_row = (to + SCORE_ROWS - 1) / SCORE_ROWS * SCORE_ROWS;
          for (int j = from; j < end_row; j++) {
            float16 score = vload16(j, p) * (float16)factor;
            if (bias_kind != NO_BIAS && j < size) score += vload16(0, biases + size - 1 - j + 16 * strip);
            float16 weight = negative_exponential(score - shift);
            const int lowest = j < size ? lowest_lane(position + j, first_of_strip, hides) : 16;
            const int last = end_lane(position + j, first_of_strip, window);
            if (lowest > 0 || last < 16) weight = within(weight, lowest, last, 0.0f);
            const float16 change = weight * (vload16(j, d) - mean);
            vstore16(weight, j, p);
            vstore16(change * (float16)factor, j, d);
            if (has_table && j < size) {
              __private float *place = table_sums + size - 1 - j + 16 * strip;
              vstore16(vload16(0, place) + change, 0, place);
            }
          }
          for (int i = 0; i < rows; i += OUTPUT_ROWS) {
            const int first_seen = max(0, first_key(first_of_strip + i, start, count, window) - block);
            const int last_query = first_of_strip + min(i + OUTPUT_ROWS, rows) - 1;
            const int end_seen = min(size, end_key(last_query, start, count, own, causal) - block);
            add_all_keys(
                sums + (16 * strip + i) * HEAD_VECTORS, HEAD_VECTORS, d + i, first_seen, end_seen, keys, key_stride,
                HEAD_WIDTH);
          }
        }
        for (int j = 0; j < size; j += OUTPUT_ROWS) {
          // The queries that see any of these keys.
          const int from = hides ? max(0, position + j - first_position) : 0;
          const int last = position + min(j + OUTPUT_ROWS, size) - 1;
          const int to = (int)min((long)items, (long)last + window - first_position);
          add_all_queries(
              key_gradient + key_row * key_stride, key_stride, j, size, changes, GRADIENT_KEYS, from, to, queries,
              HEAD_VECTORS, HEAD_WIDTH);
          add_all_queries(
              value_gradient + key_row * value_stride, value_stride, j, size, weights, GRADIENT_KEYS, from, to,
              upstream, VALUE_VECTORS, VALUE_WIDTH);
        }
        if (has_table) {
          const int greatest = position + size - 1 - first_position;
          for (int i = 0; i < size + GRADIENT_TILE - 1; i++)
            slice[buckets[clamp(greatest - i, -reach, reach) + reach] * heads + head_of_group] += table_sums[i];
        }
      }
    }
    for (int i = 0; i < items; i++)
      for (int c = 0; c < HEAD_VECTORS; c++)
        store(
            sums[i * HEAD_VECTORS + c],
            gradient + (first_row + i) * query_stride + head * HEAD_WIDTH + 16 * c, LEFT_OF(c, HEAD_WIDTH));
  }
}
