// Attention over a packed batch for processors that multiply pairs of bfloat16 values.
//
// Kernels:
//   attention_forward   a work-item owns a tile of TILE queries of one head and goes through its keys in blocks
//   attention_gradient  a work-item owns a head of k and v for a group of such tiles
// The tables are described in visibility.cl, the products in attention_pair_tiles.cl. Scores, softmax and sums are f32;
// queries, keys, values, weights and gradients of scores are rounded when they are factors. A block of keys and values is
// rounded once for all strips of a tile. A segment of a few queries is not rounded in the forward pass.
// Build parameters: HEAD_WIDTH, VALUE_WIDTH (columns of a head, any numbers), TILE (a multiple of 16), DOT (see pairs.cl).
// Work-group size 1.

#ifndef TILE
#define TILE 64
#endif
#define STRIPS (TILE / 16)
// Keys of a block, multiples of MOST_SCORE_ROWS and 16.
#define KEYS 64
#define GRADIENT_KEYS 32
// Segments of no more queries are gone through one by one: most lanes would be empty.
#define FEW_QUERIES 2

#include "attention_tiles.cl"
#include "attention_rows.cl"
#include "pairs.cl"
#include "attention_pair_tiles.cl"

// Global size: heads, tiles.
__kernel TARGET void attention_forward(
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
  if (SEGMENT(segment, 1) <= FEW_QUERIES) {
    for (int i = 0; i < items; i++)
      forward_query(
          q + i * query_stride, k, v, key_stride, value_stride, ranges, first_range, end_range, first_position + i,
          causal, bias_kind, bias, buckets, reach, head, heads, factor, window,
          output + (size_t)i * heads * VALUE_WIDTH, log_sums + (size_t)i * heads);
    return;
  }
  uint turned[STRIPS * HEAD_WORDS * 16], keys[KEYS * HEAD_WORDS], weights[KEYS / 2 * 16];
  uint16 values[KEYS / 2 * VALUE_VECTORS];
  float scores[TOGETHER * KEYS * 16], biases[KEYS + TILE], factors[16];
  float16 sums[TILE * VALUE_VECTORS], highest[STRIPS], totals[STRIPS];
  for (int i = 0; i < TILE * VALUE_VECTORS; i++) sums[i] = (float16)0.0f;
  for (int s = 0; s * 16 < items; s++) {
    highest[s] = (float16)-INFINITY;
    totals[s] = (float16)0.0f;
    turn_pairs(
        q + s * 16 * query_stride, query_stride, min(16, items - 16 * s), HEAD_WIDTH, turned + s * HEAD_WORDS * 16);
  }
  for (int range = first_range; range < end_range; range++) {
    const int start = RANGE(range, 2), count = RANGE(range, 1), own = RANGE(range, 3), hides = own && causal;
    // What the first query sees first and the last one sees last bounds the tile.
    const int begin = first_key(first_position, start, count, window);
    const int end = end_key(first_position + items - 1, start, count, own, causal);
    for (int block = begin; block < end; block += KEYS) {
      const int size = min(KEYS, end - block), position = start + block;
      const size_t key_row = RANGE(range, 0) + block;
      round_rows(k + key_row * key_stride, key_stride, size, HEAD_WIDTH, keys);
      round_row_pairs(v + key_row * value_stride, value_stride, size, VALUE_WIDTH, values);
      if (bias_kind != NO_BIAS)
        fill_bias(bias_kind, bias, buckets, reach, head, heads, position, size, first_position, TILE, biases);
      for (int s = 0; s * 16 < items; s++) {
        const int query = first_position + 16 * s, rows = min(16, items - 16 * s);
        if (s % TOGETHER == 0) {
          const int together = min(TOGETHER * 16, items - 16 * s);
          pair_products(
              (together + 15) / 16, keys, HEAD_WORDS, 0,
              min(size, end_key(query + together - 1, start, count, own, causal) - block), (HEAD_WIDTH + 1) / 2,
              turned + s * HEAD_WORDS * 16, HEAD_WORDS * 16, scores, KEYS);
        }
        const int seen = min(size, end_key(query + rows - 1, start, count, own, causal) - block);
        if (max(0, first_key(query, start, count, window) - block) >= seen) continue;
        __private float *raw = scores + s % TOGETHER * KEYS * 16;
        float16 top = highest[s];
        const bool careful =
            bias_kind != NO_BIAS || (long)position <= (long)query + 15 - window || (hides && position + seen - 1 > query);
        const float16 scale = (float16)(careful ? 1.0f : factor);
        if (careful) {
          for (int j = 0; j < seen; j++) {
            float16 score = vload16(j, raw) * (float16)factor;
            if (bias_kind != NO_BIAS) score += vload16(0, biases + size - 1 - j + 16 * s);
            const int lowest = lowest_lane(position + j, query, hides), last = end_lane(position + j, query, window);
            if (lowest > 0 || last < 16) score = within(score, lowest, last, -INFINITY);
            vstore16(score, j, raw);
            top = fmax(top, score);
          }
        } else {
          for (int j = 0; j < seen; j++) top = fmax(top, vload16(j, raw) * scale);
        }
        const float16 anchor = top == (float16)-INFINITY ? (float16)0.0f : top;
        const float16 rescale = negative_exponential(highest[s] - anchor);
        float16 total = totals[s] * rescale;
        for (int j = 0; j < seen; j += 2) {
          const float16 earlier = negative_exponential(vload16(j, raw) * scale - anchor);
          float16 later = (float16)0.0f;
          if (j + 1 < seen) later = negative_exponential(vload16(j + 1, raw) * scale - anchor);
          total += earlier + later;
          vstore16(round_pair(earlier, later), j / 2, weights);
        }
        highest[s] = top;
        totals[s] = total;
        vstore16(rescale, 0, factors);
        for (int i = 0; i < rows; i += OUTPUT_ROWS) {
          // Where none of these queries sees a key of the block, the factors are 1 or the sums 0.
          const int from = max(0, first_key(query + i, start, count, window) - block);
          const int last = query + min(i + OUTPUT_ROWS, rows) - 1;
          const int to = min(seen, end_key(last, start, count, own, causal) - block);
          add_all_key_pairs(
              sums + (16 * s + i) * VALUE_VECTORS, VALUE_VECTORS, factors + i, weights + i, from, to, values);
        }
      }
    }
  }
  for (int s = 0; s * 16 < items; s++) {
    float highest_lanes[16], lanes[16];
    vstore16(highest[s], 0, highest_lanes);
    vstore16(totals[s], 0, lanes);
    for (int i = 0; i < min(16, items - 16 * s); i++) {
      const size_t row = 16 * s + i;
      const float16 inverse = (float16)(lanes[i] == 0.0f ? 0.0f : 1.0f / lanes[i]);
      for (int c = 0; c < VALUE_VECTORS; c++)
        store(
            sums[row * VALUE_VECTORS + c] * inverse, output + row * heads * VALUE_WIDTH + 16 * c,
            LEFT_OF(c, VALUE_WIDTH));
      log_sums[row * heads] = (highest_lanes[i] == -INFINITY ? 0.0f : highest_lanes[i]) + log(lanes[i]);
    }
  }
}

// As attention_gradient of attention_cpu.cl.
//
// Global size: key heads, groups of tiles.
__kernel TARGET void attention_gradient(
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
  uint turned[STRIPS * HEAD_WORDS * 16], turned_upstream[STRIPS * VALUE_WORDS * 16];
  uint keys[GRADIENT_KEYS * HEAD_WORDS], values[GRADIENT_KEYS * VALUE_WORDS];
  uint16 queries[TILE / 2 * HEAD_VECTORS], upstream[TILE / 2 * VALUE_VECTORS];
  uint16 key_pairs[GRADIENT_KEYS / 2 * HEAD_VECTORS];
  uint weights[STRIPS * GRADIENT_KEYS * 8], changes[STRIPS * GRADIENT_KEYS * 8], turned_changes[GRADIENT_KEYS / 2 * 16];
  float scores[TOGETHER * GRADIENT_KEYS * 16], products[TOGETHER * GRADIENT_KEYS * 16];
  float16 sums[TILE * HEAD_VECTORS];
  float shifts[TILE], inner[TILE];
  float biases[GRADIENT_KEYS + TILE], table_sums[GRADIENT_KEYS + TILE];
  const float ones[OUTPUT_ROWS] = {1.0f, 1.0f, 1.0f, 1.0f};
  for (int work = group * query_heads; work < tile_count * query_heads;
       work += work % query_heads == query_heads - 1 ? (get_global_size(1) - 1) * query_heads + 1 : 1) {
    const int head_of_group = work % query_heads, head = key_head * query_heads + head_of_group;
    OPEN_TILE(work / query_heads);
    const __global float *query_rows = q + first_row * query_stride + head * HEAD_WIDTH;
    const __global float *from_above = cotangent + first_row * output_stride + head * VALUE_WIDTH;
    const __global float *result = output + first_row * output_stride + head * VALUE_WIDTH;
    for (int i = 0; i < TILE * HEAD_VECTORS; i++) sums[i] = (float16)0.0f;
    for (int i = 0; i < TILE; i++) {
      // A lane without a query, and one that sees nothing, gets weights exp(s - infinity) = 0.
      shifts[i] = INFINITY;
      inner[i] = 0.0f;
    }
    for (int i = 0; i < items; i++) {
      const float log_sum = log_sums[(first_row + i) * heads + head];
      if (log_sum != -INFINITY) shifts[i] = log_sum;
      float16 terms = (float16)0.0f;
      for (int c = 0; c < VALUE_VECTORS; c++)
        terms = fma(
            PART(c, from_above + i * output_stride, VALUE_WIDTH), PART(c, result + i * output_stride, VALUE_WIDTH),
            terms);
      inner[i] = lanes_sum(terms);
    }
    round_row_pairs(query_rows, query_stride, items, HEAD_WIDTH, queries);
    round_row_pairs(from_above, output_stride, items, VALUE_WIDTH, upstream);
    for (int s = 0; s * 16 < items; s++) {
      const int rows = min(16, items - 16 * s);
      turn_pairs(
          query_rows + s * 16 * query_stride, query_stride, rows, HEAD_WIDTH, turned + s * HEAD_WORDS * 16);
      turn_pairs(
          from_above + s * 16 * output_stride, output_stride, rows, VALUE_WIDTH,
          turned_upstream + s * VALUE_WORDS * 16);
    }
    for (int range = first_range; range < end_range; range++) {
      const int start = RANGE(range, 2), count = RANGE(range, 1), own = RANGE(range, 3), hides = own && causal;
      const int begin = first_key(first_position, start, count, window);
      const int end = end_key(first_position + items - 1, start, count, own, causal);
      for (int block = begin; block < end; block += GRADIENT_KEYS) {
        const int size = min(GRADIENT_KEYS, end - block), position = start + block;
        const size_t key_row = RANGE(range, 0) + block;
        round_rows(k + key_row * key_stride, key_stride, size, HEAD_WIDTH, keys);
        round_row_pairs(k + key_row * key_stride, key_stride, size, HEAD_WIDTH, key_pairs);
        round_rows(v + key_row * value_stride, value_stride, size, VALUE_WIDTH, values);
        if (bias_kind != NO_BIAS)
          fill_bias(bias_kind, bias, buckets, reach, head, heads, position, size, first_position, TILE, biases);
        if (has_table)
          for (int i = 0; i < GRADIENT_KEYS + TILE; i++) table_sums[i] = 0.0f;
        for (int s = 0; s * 16 < items; s++) {
          const int query = first_position + 16 * s, rows = min(16, items - 16 * s);
          const int from =
              max(0, first_key(query, start, count, window) - block) / MOST_SCORE_ROWS * MOST_SCORE_ROWS;
          const int to = min(size, end_key(query + rows - 1, start, count, own, causal) - block);
          if (s % TOGETHER == 0) {
            const int together = min(TOGETHER * 16, items - 16 * s), strips = (together + 15) / 16;
            const int last = min(size, end_key(query + together - 1, start, count, own, causal) - block);
            pair_products(
                strips, keys, HEAD_WORDS, from, last, (HEAD_WIDTH + 1) / 2, turned + s * HEAD_WORDS * 16,
                HEAD_WORDS * 16, scores, GRADIENT_KEYS);
            pair_products(
                strips, values, VALUE_WORDS, from, last, (VALUE_WIDTH + 1) / 2,
                turned_upstream + s * VALUE_WORDS * 16, VALUE_WORDS * 16, products, GRADIENT_KEYS);
          }
          if (from >= to) continue;
          const __private float *raw = scores + s % TOGETHER * GRADIENT_KEYS * 16;
          const __private float *incoming = products + s % TOGETHER * GRADIENT_KEYS * 16;
          __private uint *p = weights + s * GRADIENT_KEYS * 8, *d = changes + s * GRADIENT_KEYS * 8;
          const float16 shift = vload16(s, shifts), mean = vload16(s, inner);
          const int end_row = (to + OUTPUT_ROWS - 1) / OUTPUT_ROWS * OUTPUT_ROWS;
          const bool careful =
              bias_kind != NO_BIAS || (long)position <= (long)query + 15 - window ||
              (hides && position + end_row - 1 > query);
          for (int j = from; j < end_row; j += 2) {
            float16 change[2];
#pragma unroll
            for (int i = 0; i < 2; i++) {
              const int key = j + i;
              float16 weight = (float16)0.0f;
              change[i] = (float16)0.0f;
              if (key < size) {
                float16 score = vload16(key, raw) * (float16)factor;
                if (bias_kind != NO_BIAS) score += vload16(0, biases + size - 1 - key + 16 * s);
                weight = negative_exponential(score - shift);
                if (careful) {
                  const int lowest = lowest_lane(position + key, query, hides);
                  const int last = end_lane(position + key, query, window);
                  if (lowest > 0 || last < 16) weight = within(weight, lowest, last, 0.0f);
                }
                change[i] = weight * (vload16(key, incoming) - mean);
                if (has_table) {
                  __private float *place = table_sums + size - 1 - key + 16 * s;
                  vstore16(vload16(0, place) + change[i], 0, place);
                }
                change[i] *= (float16)factor;
              }
              vstore8(neighbours(round_lanes(weight)), key, p);
              vstore8(neighbours(round_lanes(change[i])), key, d);
            }
            vstore16(round_pair(change[0], change[1]), j / 2, turned_changes);
          }
          for (int i = 0; i < rows; i += OUTPUT_ROWS) {
            const int first_seen = max(0, first_key(query + i, start, count, window) - block);
            const int last_query = query + min(i + OUTPUT_ROWS, rows) - 1;
            const int end_seen = min(size, end_key(last_query, start, count, own, causal) - block);
            add_all_key_pairs(
                sums + (16 * s + i) * HEAD_VECTORS, HEAD_VECTORS, ones, turned_changes + i, first_seen, end_seen,
                key_pairs);
          }
        }
        for (int j = 0; j < size; j += OUTPUT_ROWS) {
          // The queries that see any of these keys.
          const int from = hides ? max(0, position + j - first_position) : 0;
          const int last = position + min(j + OUTPUT_ROWS, size) - 1;
          const int to = (int)min((long)items, (long)last + window - first_position);
          add_all_query_pairs(
              key_gradient + key_row * key_stride, key_stride, j, size, changes, GRADIENT_KEYS, from, to, queries,
              HEAD_VECTORS, HEAD_WIDTH);
          add_all_query_pairs(
              value_gradient + key_row * value_stride, value_stride, j, size, weights, GRADIENT_KEYS, from, to,
              upstream, VALUE_VECTORS, VALUE_WIDTH);
        }
        if (has_table) {
          const int greatest = position + size - 1 - first_position;
          for (int i = 0; i < size + TILE - 1; i++)
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
