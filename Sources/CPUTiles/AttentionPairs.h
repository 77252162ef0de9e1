// Attention of a tile of queries of one head, its products on pairs of bf16 values.
//
// Scores, softmax and sums are f32; queries, keys, values, weights and gradients of scores are rounded when they are
// factors. A pair lies in 32 bits, the earlier value low: of columns in scores, of keys in outputs, of queries in
// gradients of keys and values. Blocks of keys and values are rounded once for all strips of a tile.

#ifdef PAIRS
// Strips of a tile.
#define PAIR_STRIPS 4
#define PAIR_QUERIES (PAIR_STRIPS * STRIP)
// Strips whose scores are made together.
#define STRIPS_AT_ONCE 2
// 32-bit words of a row of so many pairs, whole vectors.
#define PAIR_WORDS(width) UP_TO(((width) + 1) / 2, LANES)

typedef uint16_t vp __attribute__((vector_size(4 * LANES), may_alias));

/// Both rounded, the lanes of the first before those of the second.
INLINE vu round_two(vf first, vf second) { return (vu)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first); }

/// Pairs of lanes, rounded: the earlier value in the low half.
INLINE vu round_pair(vf earlier, vf later) {
  vp both = (vp)round_two(earlier, later);
  return (vu)__builtin_shufflevector(
      both, both, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29,
      14, 30, 15, 31);
}

INLINE void store_words(uint32_t *p, vu v) { *(vu_any *)p = v; }
INLINE vu load_words(const uint32_t *p) { return *(const vu_any *)p; }

/// One row's lanes rounded, neighbours in pairs.
INLINE void store_rounded(uint32_t *p, vf v) {
  *(__m256i_u *)p = (__m256i)_mm512_cvtneps_pbh((__m512)v);
}

/// Rows of pairs of columns, `[rows up to the next multiple of MOST_SCORE_ROWS][PAIR_WORDS(width)]`.
static __attribute__((noinline)) void round_rows(
    const float *x, int64_t ld, int64_t rows, int64_t width, uint32_t *to) {
  const int64_t words = PAIR_WORDS(width);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t c = 0; c < 2 * words; c += 2 * LANES) {
      const float *place = x + i * ld + c;
      vf first = load_first(place, GREATEST(0, width - c));
      vf second = width - c > LANES ? load_first(place + LANES, width - c - LANES) : (vf){};
      store_words(to + i * words + c / 2, round_two(first, second));
    }
  for (int64_t i = rows * words; i < UP_TO(rows, MOST_SCORE_ROWS) * words; i += LANES) store_words(to + i, (vu){});
}

/// Pairs of rows, `[(rows + 1) / 2][columns up to the next multiple of LANES]`; what is not there is 0.
static __attribute__((noinline)) void round_row_pairs(
    const float *x, int64_t ld, int64_t rows, int64_t columns, uint32_t *to) {
  const int64_t words = UP_TO(columns, LANES);
  for (int64_t i = 0; i < rows; i += 2)
    for (int64_t c = 0; c < columns; c += LANES) {
      const float *place = x + i * ld + c;
      vf later = i + 1 < rows ? load_first(place + ld, columns - c) : (vf){};
      store_words(to + i / 2 * words + c, round_pair(load_first(place, columns - c), later));
    }
}

/// `count` rows as pairs of columns, `[(width + 1) / 2][STRIP]`; lanes without a row become 0.
INLINE void turn_pairs(const float *rows, int64_t ld, int64_t count, int64_t width, uint32_t *to) {
  pack_pairs_as(CPU_F32, 1, count, width, rows, ld, to, STRIP);
}

/// Products of rows of pairs with some strips `[strips][step]`, `[strips][keys][STRIP]`.
INLINE void pair_products(
    const int strips, const uint32_t *rows, int64_t words, int64_t first, int64_t end, int64_t pairs,
    const uint32_t *turned, int64_t step, float *to, int64_t keys) {
  for (int64_t j = first; j < end; j += MOST_SCORE_ROWS) {
    const uint32_t *row = rows + j * words;
    vf sums[MOST_SCORE_ROWS][STRIPS_AT_ONCE] = {};
    for (int64_t p = 0; p < pairs; p++) {
      vu queries[STRIPS_AT_ONCE];
#pragma clang loop unroll(full)
      for (int s = 0; s < strips; s++) queries[s] = load_words(turned + s * step + p * STRIP);
#pragma clang loop unroll(full)
      for (int i = 0; i < MOST_SCORE_ROWS; i++) {
        vu key = row[i * words + p] - (vu){};
#pragma clang loop unroll(full)
        for (int s = 0; s < strips; s++)
          sums[i][s] = _mm512_dpbf16_ps(sums[i][s], (__m512bh)key, (__m512bh)queries[s]);
      }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < MOST_SCORE_ROWS; i++)
#pragma clang loop unroll(full)
      for (int s = 0; s < strips; s++) store(to + (s * keys + j + i) * STRIP, sums[i][s]);
  }
}

/// As above for one strip or STRIPS_AT_ONCE, and rows `[.. up to a multiple of MOST_SCORE_ROWS][words]` from `first`,
/// such a multiple, to `end`.
static __attribute__((noinline)) void strip_pair_products(
    int64_t strips, const uint32_t *rows, int64_t words, int64_t first, int64_t end, int64_t pairs,
    const uint32_t *turned, float *to, int64_t keys) {
  if (strips == 1) pair_products(1, rows, words, first, end, pairs, turned, words * STRIP, to, keys);
  else pair_products(STRIPS_AT_ONCE, rows, words, first, end, pairs, turned, words * STRIP, to, keys);
}

/// `kept[i] += weights[i weightStep] rows` for OUTPUT_ROWS rows i, over `count` pairs that lie `step` words apart.
INLINE void add_pairs(
    const int vectors, vf kept[OUTPUT_ROWS][OUTPUT_VECTORS], const uint32_t *weights, int64_t weightStep, int64_t step,
    int64_t count, const uint32_t *rows, int64_t words) {
  for (int64_t p = 0; p < count; p++) {
    vu right[OUTPUT_VECTORS];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) right[v] = load_words(rows + p * words + v * LANES);
#pragma clang loop unroll(full)
    for (int i = 0; i < OUTPUT_ROWS; i++) {
      vu left = weights[p * step + i * weightStep] - (vu){};
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++)
        kept[i][v] = _mm512_dpbf16_ps(kept[i][v], (__m512bh)left, (__m512bh)right[v]);
    }
  }
}

/// As `add_keys_to`, keys from `from` to `end` in pairs of weights `[keys / 2][STRIP]` and of rows; the sums so far are
/// first multiplied by `factors`, one for each query.
INLINE void add_key_pairs_to(
    const int vectors, float *sums, int64_t ld, const float *factors, const uint32_t *weights, int64_t from,
    int64_t end, const uint32_t *rows, int64_t words) {
  vf kept[OUTPUT_ROWS][OUTPUT_VECTORS];
#pragma clang loop unroll(full)
  for (int i = 0; i < OUTPUT_ROWS; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) kept[i][v] = load(sums + i * ld + v * LANES) * splat(factors[i]);
  const int64_t first = from / 2, count = (end + 1) / 2 - first;
  add_pairs(vectors, kept, weights + first * STRIP, 1, STRIP, count, rows + first * words, words);
#pragma clang loop unroll(full)
  for (int i = 0; i < OUTPUT_ROWS; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) store(sums + i * ld + v * LANES, kept[i][v]);
}

static __attribute__((noinline)) void add_key_pairs(
    float *sums, int64_t vectors, const float *factors, const uint32_t *weights, int64_t from, int64_t end, const uint32_t *rows) {
  if (from >= end) return;
  int64_t v = 0, ld = vectors * LANES;
  for (; v + OUTPUT_VECTORS <= vectors; v += OUTPUT_VECTORS)
    add_key_pairs_to(OUTPUT_VECTORS, sums + v * LANES, ld, factors, weights, from, end, rows + v * LANES, ld);
  for (; v < vectors; v++) add_key_pairs_to(1, sums + v * LANES, ld, factors, weights, from, end, rows + v * LANES, ld);
}

/// As `add_queries_to`, with pairs of queries, weights `[strip][GRADIENT_KEYS][STRIP / 2]`.
INLINE void add_query_pairs_to(
    const int vectors, float *to, int64_t ldTo, int64_t count, const uint32_t *weights, int64_t from, int64_t end,
    const uint32_t *queries, int64_t words) {
  vf kept[OUTPUT_ROWS][OUTPUT_VECTORS];
#pragma clang loop unroll(full)
  for (int j = 0; j < OUTPUT_ROWS; j++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) kept[j][v] = load(to + LEAST(j, count - 1) * ldTo + v * LANES);
  for (int64_t strip = from / STRIP; strip * STRIP < end; strip++) {
    const int64_t first = GREATEST(0, from - strip * STRIP) / 2;
    const int64_t last = (LEAST(STRIP, end - strip * STRIP) + 1) / 2;
    add_pairs(
        vectors, kept, weights + strip * GRADIENT_KEYS * STRIP / 2 + first, STRIP / 2, 1, last - first,
        queries + (strip * STRIP / 2 + first) * words, words);
  }
#pragma clang loop unroll(full)
  for (int j = 0; j < OUTPUT_ROWS; j++)
    if (j < count)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) store(to + j * ldTo + v * LANES, kept[j][v]);
}

static __attribute__((noinline)) void add_query_pairs(
    float *to, int64_t ldTo, int64_t count, int64_t vectors, const uint32_t *weights, int64_t from, int64_t end,
    const uint32_t *queries) {
  if (from >= end) return;
  int64_t v = 0, words = vectors * LANES;
  for (; v + OUTPUT_VECTORS <= vectors; v += OUTPUT_VECTORS)
    add_query_pairs_to(
        OUTPUT_VECTORS, to + v * LANES, ldTo, count, weights, from, end, queries + v * LANES, words);
  for (; v < vectors; v++)
    add_query_pairs_to(1, to + v * LANES, ldTo, count, weights, from, end, queries + v * LANES, words);
}

/// Whether any of the keys up to `end` of a block hides from a strip, or has a bias.
INLINE int needs_care(
    const CPUAttentionTile *t, const CPUKeyRange *range, int64_t query, int64_t position, int64_t end) {
  return t->bias || t->window >= 0 || (range->causal && position + end - 1 > query);
}

/// The greatest score so far of each lane, the sum of exponentials and what sums so far are multiplied by.
typedef struct RunningSoftmax {
  vf top, total, factor;
} RunningSoftmax;

/// Weights of keys up to `end` of a block, in pairs of keys, from raw scores, which may be overwritten.
///
/// `careful`: some are hidden or have a bias.
INLINE RunningSoftmax pair_weights(
    const int careful, const CPUAttentionTile *t, const CPUKeyRange *range, int64_t query, int64_t position,
    int64_t end, float *scores, uint32_t *weights, vf before, vf total) {
  const vf none = splat(-__builtin_inff());
  vf top = before;
  for (int64_t j = 0; j < end; j++) {
    vf score;
    if (careful) {
      score = full_score(t, load(scores + j * STRIP), query, position + j);
      score = seen(score, seeing_lanes(t, position + j, query, range->causal), 0, none);
      store(scores + j * STRIP, score);
    } else {
      score = load(scores + j * STRIP) * splat(t->scale);
    }
    top = larger(score, top);
  }
  const vf shift = choose(top == none, splat(0), top);
  const vf factor = negative_exponential(before - shift), scale = splat(careful ? 1 : t->scale);
  total *= factor;
  int64_t j = 0;
  for (; j + 2 <= end; j += 2) {
    const vf earlier = negative_exponential(load(scores + j * STRIP) * scale - shift);
    const vf later = negative_exponential(load(scores + (j + 1) * STRIP) * scale - shift);
    total += earlier + later;
    store_words(weights + j / 2 * STRIP, round_pair(earlier, later));
  }
  if (j < end) {
    const vf last = negative_exponential(load(scores + j * STRIP) * scale - shift);
    total += last;
    store_words(weights + j / 2 * STRIP, round_pair(last, (vf){}));
  }
  return (RunningSoftmax){top, total, factor};
}

static int64_t attention_forward_pairs_scratch(int64_t width, int64_t valueWidth) {
  const int64_t words = PAIR_WORDS(width), columns = UP_TO(valueWidth, LANES);
  return words * (PAIR_QUERIES + FORWARD_KEYS) + columns * (PAIR_QUERIES + FORWARD_KEYS / 2)
      + (STRIPS_AT_ONCE * FORWARD_KEYS + FORWARD_KEYS / 2 + 1) * STRIP + 2 * PAIR_QUERIES;
}

static void attention_forward_pairs(
    const CPUAttentionTile *t, float *output, int64_t ldOutput, float *scratch) {
  const int64_t vectors = VECTORS_OF(t->valueWidth), ld = vectors * LANES;
  const int64_t words = PAIR_WORDS(t->width), pairs = (t->width + 1) / 2;
  uint32_t *turned = (uint32_t *)scratch, *keys = turned + words * PAIR_QUERIES;
  uint32_t *values = keys + words * FORWARD_KEYS, *weights = values + ld * FORWARD_KEYS / 2;
  float *scores = (float *)(weights + FORWARD_KEYS / 2 * STRIP);
  float *factors = scores + STRIPS_AT_ONCE * FORWARD_KEYS * STRIP, *sums = factors + STRIP;
  float *highest = sums + ld * PAIR_QUERIES, *totals = highest + PAIR_QUERIES;
  for (int64_t i = 0; i < UP_TO(t->queries, STRIP) * ld; i += LANES) store(sums + i, (vf){});
  for (int64_t i = 0; i < t->queries; i += STRIP) {
    turn_pairs(t->q + i * t->ldQ, t->ldQ, LEAST(STRIP, t->queries - i), t->width, turned + i * words);
    store(highest + i, splat(-__builtin_inff()));
    store(totals + i, (vf){});
  }
  for (int64_t r = 0; r < t->rangeCount; r++) {
    const CPUKeyRange *range = t->ranges + r;
    const int64_t end = end_key(t->firstQuery + t->queries - 1, range);
    for (int64_t block = first_key(t, t->firstQuery, range); block < end; block += FORWARD_KEYS) {
      const int64_t size = LEAST(FORWARD_KEYS, end - block), position = range->position + block;
      round_rows(t->k + (range->row + block) * t->ldK, t->ldK, size, t->width, keys);
      round_row_pairs(t->v + (range->row + block) * t->ldV, t->ldV, size, t->valueWidth, values);
      for (int64_t s = 0; s < t->queries; s += STRIP) {
        const int64_t query = t->firstQuery + s, count = LEAST(STRIP, t->queries - s);
        const int64_t place = s / STRIP % STRIPS_AT_ONCE;
        float *raw = scores + place * FORWARD_KEYS * STRIP;
        if (place == 0) {
          const int64_t together = LEAST(STRIPS_AT_ONCE * STRIP, t->queries - s);
          strip_pair_products(
              VECTORS_OF(together), keys, words, 0, LEAST(size, end_key(query + together - 1, range) - block), pairs,
              turned + s * words, scores, FORWARD_KEYS);
        }
        const int64_t seen_end = LEAST(size, end_key(query + count - 1, range) - block);
        if (GREATEST(0, first_key(t, query, range) - block) >= seen_end) continue;
        const vf before = load(highest + s), total = load(totals + s);
        const RunningSoftmax now = needs_care(t, range, query, position, seen_end)
            ? pair_weights(1, t, range, query, position, seen_end, raw, weights, before, total)
            : pair_weights(0, t, range, query, position, seen_end, raw, weights, before, total);
        store(highest + s, now.top);
        store(totals + s, now.total);
        store(factors, now.factor);
        for (int64_t i = 0; i < count; i += OUTPUT_ROWS) {
          // Where none of these queries sees a key of the block, the factors are 1 or the sums 0.
          const int64_t last = query + LEAST(i + OUTPUT_ROWS, count) - 1;
          add_key_pairs(
              sums + (s + i) * ld, vectors, factors + i, weights + i,
              GREATEST(0, first_key(t, query + i, range) - block), LEAST(seen_end, end_key(last, range) - block),
              values);
        }
      }
    }
  }
  finish_outputs(t, sums, ld, highest, totals, output, ldOutput);
}

static int64_t attention_gradient_pairs_scratch(int64_t width, int64_t valueWidth) {
  const int64_t words = PAIR_WORDS(width), valueWords = PAIR_WORDS(valueWidth);
  const int64_t columns = UP_TO(width, LANES), valueColumns = UP_TO(valueWidth, LANES);
  return (words + valueWords) * (PAIR_QUERIES + GRADIENT_KEYS) + (columns + valueColumns) * PAIR_QUERIES / 2
      + columns * (GRADIENT_KEYS / 2 + PAIR_QUERIES) + GRADIENT_KEYS * PAIR_QUERIES
      + (2 * STRIPS_AT_ONCE * GRADIENT_KEYS + GRADIENT_KEYS / 2) * STRIP + 2 * PAIR_QUERIES;
}

/// Rounded probabilities and gradients of scores of one strip: pairs of lanes of both, `[keys][STRIP / 2]`, and pairs of
/// keys of the gradients, `[keys / 2][STRIP]`.
typedef struct PairScores {
  uint32_t *p, *d, *turned;
} PairScores;

/// Those of two keys from j on, from raw scores and products of values with the cotangent.
///
/// `careful`: some are hidden, have a bias or a place in a histogram, or the key at `count` is not there.
INLINE void two_score_gradients(
    const int careful, const CPUAttentionTile *t, const CPUAttentionGradients *g, int64_t query, int64_t position,
    int causal, int64_t j, int64_t count, vf shift, vf mean, const float *scores, const float *products,
    PairScores to) {
  vf changes[2];
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++) {
    const int64_t key = position + j + i;
    vf w = {}, c = {};
    if (!careful) {
      w = negative_exponential(load(scores + (j + i) * STRIP) * splat(t->scale) - shift);
      c = w * (load(products + (j + i) * STRIP) - mean);
    } else if (j + i < count) {
      w = negative_exponential(full_score(t, load(scores + (j + i) * STRIP), query, key) - shift);
      w = seen(w, seeing_lanes(t, key, query, causal), 0, (vf){});
      c = w * (load(products + (j + i) * STRIP) - mean);
      if (g->histogram) {
        float *bin = g->histogram + (query - key);
        store(bin, load(bin) + c);
      }
    }
    changes[i] = c * splat(t->scale);
    store_rounded(to.p + (j + i) * STRIP / 2, w);
    store_rounded(to.d + (j + i) * STRIP / 2, changes[i]);
  }
  store_words(to.turned + j / 2 * STRIP, round_pair(changes[0], changes[1]));
}

/// Keys go from `from`, an even number, to `end`, another; there are none from `count` on.
INLINE void pair_score_gradients(
    const CPUAttentionTile *t, const CPUAttentionGradients *g, int64_t query, int64_t position, int causal,
    int careful, int64_t from, int64_t end, int64_t count, vf shift, vf mean, const float *scores,
    const float *products, PairScores to) {
  int64_t j = from;
  if (!careful && !g->histogram)
    for (; j + 2 <= count; j += 2)
      two_score_gradients(0, t, g, query, position, causal, j, count, shift, mean, scores, products, to);
  for (; j < end; j += 2)
    two_score_gradients(1, t, g, query, position, causal, j, count, shift, mean, scores, products, to);
}

static void attention_gradient_pairs(const CPUAttentionTile *t, const CPUAttentionGradients *g, float *scratch) {
  const int64_t vectors = VECTORS_OF(t->width), ld = vectors * LANES, ldValue = VECTORS_OF(t->valueWidth) * LANES;
  const int64_t words = PAIR_WORDS(t->width), valueWords = PAIR_WORDS(t->valueWidth);
  const int64_t pairs = (t->width + 1) / 2, valuePairs = (t->valueWidth + 1) / 2;
  uint32_t *turned = (uint32_t *)scratch, *turned_upstream = turned + words * PAIR_QUERIES;
  uint32_t *keys = turned_upstream + valueWords * PAIR_QUERIES, *values = keys + words * GRADIENT_KEYS;
  uint32_t *queries = values + valueWords * GRADIENT_KEYS, *upstream = queries + ld * PAIR_QUERIES / 2;
  uint32_t *key_pairs = upstream + ldValue * PAIR_QUERIES / 2;
  uint32_t *p = key_pairs + ld * GRADIENT_KEYS / 2, *d = p + GRADIENT_KEYS * PAIR_QUERIES / 2;
  uint32_t *changes = d + GRADIENT_KEYS * PAIR_QUERIES / 2;
  float *scores = (float *)(changes + GRADIENT_KEYS / 2 * STRIP), *products = scores + STRIPS_AT_ONCE * GRADIENT_KEYS * STRIP;
  float *sums = products + STRIPS_AT_ONCE * GRADIENT_KEYS * STRIP, *shifts = sums + ld * PAIR_QUERIES;
  float *inner = shifts + PAIR_QUERIES;
  const float ones[OUTPUT_ROWS] = {1, 1, 1, 1};
  const int64_t lanes = UP_TO(t->queries, STRIP);
  for (int64_t i = 0; i < lanes * ld; i += LANES) store(sums + i, (vf){});
  gradient_shifts(t, g, lanes, shifts, inner);
  round_row_pairs(t->q, t->ldQ, t->queries, t->width, queries);
  round_row_pairs(g->cotangent, g->ldOutput, t->queries, t->valueWidth, upstream);
  for (int64_t i = 0; i < t->queries; i += STRIP) {
    const int64_t count = LEAST(STRIP, t->queries - i);
    turn_pairs(t->q + i * t->ldQ, t->ldQ, count, t->width, turned + i * words);
    turn_pairs(
        g->cotangent + i * g->ldOutput, g->ldOutput, count, t->valueWidth, turned_upstream + i * valueWords);
  }
  for (int64_t r = 0; r < t->rangeCount; r++) {
    const CPUKeyRange *range = t->ranges + r;
    const int64_t end = end_key(t->firstQuery + t->queries - 1, range);
    for (int64_t block = first_key(t, t->firstQuery, range); block < end; block += GRADIENT_KEYS) {
      const int64_t size = LEAST(GRADIENT_KEYS, end - block), row = range->row + block;
      const int64_t position = range->position + block;
      round_rows(t->k + row * t->ldK, t->ldK, size, t->width, keys);
      round_row_pairs(t->k + row * t->ldK, t->ldK, size, t->width, key_pairs);
      round_rows(t->v + row * t->ldV, t->ldV, size, t->valueWidth, values);
      for (int64_t i = 0; i < t->queries; i += STRIP) {
        const int64_t query = t->firstQuery + i, count = LEAST(STRIP, t->queries - i);
        const int64_t from = GREATEST(0, first_key(t, query, range) - block) / MOST_SCORE_ROWS * MOST_SCORE_ROWS;
        const int64_t to = LEAST(size, end_key(query + count - 1, range) - block);
        const int64_t place = i / STRIP % STRIPS_AT_ONCE;
        if (place == 0) {
          const int64_t together = LEAST(STRIPS_AT_ONCE * STRIP, t->queries - i), strips = VECTORS_OF(together);
          const int64_t last = LEAST(size, end_key(query + together - 1, range) - block);
          strip_pair_products(strips, keys, words, from, last, pairs, turned + i * words, scores, GRADIENT_KEYS);
          strip_pair_products(
              strips, values, valueWords, from, last, valuePairs, turned_upstream + i * valueWords, products,
              GRADIENT_KEYS);
        }
        if (from >= to) continue;
        const int64_t end_row = UP_TO(to, OUTPUT_ROWS), first = place * GRADIENT_KEYS * STRIP;
        const PairScores made = {p + i * GRADIENT_KEYS / 2, d + i * GRADIENT_KEYS / 2, changes};
        pair_score_gradients(
            t, g, query, position, range->causal, needs_care(t, range, query, position, end_row), from, end_row,
            LEAST(size, end_row), load(shifts + i), load(inner + i), scores + first, products + first, made);
        for (int64_t n = 0; n < count; n += OUTPUT_ROWS) {
          const int64_t last = query + LEAST(n + OUTPUT_ROWS, count) - 1;
          add_key_pairs(
              sums + (i + n) * ld, vectors, ones, changes + n, GREATEST(0, first_key(t, query + n, range) - block),
              LEAST(size, end_key(last, range) - block), key_pairs);
        }
      }
      for (int64_t j = 0; j < size; j += OUTPUT_ROWS) {
        // The queries that see any of these keys.
        const int64_t key = position + j, last = position + LEAST(j + OUTPUT_ROWS, size) - 1;
        const int64_t from = range->causal ? GREATEST(0, key - t->firstQuery) : 0;
        const int64_t to = t->window < 0 ? t->queries : LEAST(t->queries, last + t->window - t->firstQuery);
        add_query_pairs(
            g->dk + (row + j) * t->ldK, t->ldK, size - j, vectors, d + j * STRIP / 2, from, to, queries);
        add_query_pairs(
            g->dv + (row + j) * t->ldV, t->ldV, size - j, ldValue / LANES, p + j * STRIP / 2, from, to, upstream);
      }
    }
  }
  for (int64_t i = 0; i < t->queries; i++)
    for (int64_t c = 0; c < t->width; c += LANES)
      store_first(g->dq + i * g->ldDQ + c, load(sums + i * ld + c), t->width - c);
}
#endif
