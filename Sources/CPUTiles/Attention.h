// Attention of a tile of queries of one head.
//
// A strip is a few vectors of queries, one in each lane. Scores of a strip lie as [keys][STRIP]: what belongs to one
// key is a vector, so softmax needs no sums across lanes, and a weight is an element that a row is multiplied by.
// Keys are gone through in blocks; only the scores of one block exist at a time.

#if LANES == 16
#define STRIP_VECTORS 1
#define MOST_SCORE_ROWS 8
#define OUTPUT_VECTORS 4
#else
#define STRIP_VECTORS 2
#define MOST_SCORE_ROWS 4
#define OUTPUT_VECTORS 2
#endif
#define STRIP (STRIP_VECTORS * LANES)
// Keys of the least tile of scores, and rows of a tile of outputs.
#define SCORE_ROWS 4
#define OUTPUT_ROWS SCORE_ROWS
// Keys of a block, multiples of MOST_SCORE_ROWS.
#define FORWARD_KEYS 64
#define GRADIENT_KEYS 32
// Strips of a tile of the backward pass.
#define GRADIENT_STRIPS 2

#define VECTORS_OF(width) (((width) + LANES - 1) / LANES)
#define UP_TO(n, multiple) (((n) + (multiple) - 1) / (multiple) * (multiple))
#define GREATEST(a, b) ((a) > (b) ? (a) : (b))

/// `count` rows as columns `[width][STRIP]`; lanes without a row become 0.
INLINE void turn_strip(const float *rows, int64_t ld, int64_t count, int64_t width, float *to) {
  if (count <= STRIP - LANES)
    for (int64_t i = 0; i < width * STRIP; i += LANES) store(to + i, (vf){});
  pack_as(CPU_F32, 0, 1, count, width, rows, ld, to, STRIP);
}

/// Products of `tile` rows with a strip; rows from `count` on repeat the last one.
INLINE void score_tile(
    const int tile, const float *rows, int64_t ld, int64_t count, int64_t width, const float *turned, float *to) {
  const float *row[MOST_SCORE_ROWS];
  vf sums[MOST_SCORE_ROWS][STRIP_VECTORS];
#pragma clang loop unroll(full)
  for (int i = 0; i < tile; i++) {
    row[i] = rows + LEAST(i, count - 1) * ld;
#pragma clang loop unroll(full)
    for (int s = 0; s < STRIP_VECTORS; s++) sums[i][s] = (vf){};
  }
  for (int64_t d = 0; d < width; d++) {
    vf queries[STRIP_VECTORS];
#pragma clang loop unroll(full)
    for (int s = 0; s < STRIP_VECTORS; s++) queries[s] = load(turned + d * STRIP + s * LANES);
#pragma clang loop unroll(full)
    for (int i = 0; i < tile; i++)
#pragma clang loop unroll(full)
      for (int s = 0; s < STRIP_VECTORS; s++) sums[i][s] = splat(row[i][d]) * queries[s] + sums[i][s];
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < tile; i++)
#pragma clang loop unroll(full)
    for (int s = 0; s < STRIP_VECTORS; s++) store(to + i * STRIP + s * LANES, sums[i][s]);
}

/// Products of rows j with a strip, for j from `first`, a multiple of SCORE_ROWS, to `end` taken up to such a multiple.
///
/// There are `count` rows; behind them the last one is repeated.
static __attribute__((noinline)) void strip_products(
    const float *rows, int64_t ld, int64_t first, int64_t end, int64_t count, int64_t width, const float *turned,
    float *to) {
  int64_t j = first;
  for (; end - j > MOST_SCORE_ROWS - SCORE_ROWS; j += MOST_SCORE_ROWS)
    score_tile(MOST_SCORE_ROWS, rows + j * ld, ld, count - j, width, turned, to + j * STRIP);
  if (j < end) score_tile(SCORE_ROWS, rows + j * ld, ld, count - j, width, turned, to + j * STRIP);
}

/// `sums[i][ld] += weights[j][i] rows[j]` for OUTPUT_ROWS queries i, keys j from `from` to `to` and some vectors.
INLINE void add_keys_to(
    const int vectors, float *sums, int64_t ld, const float *weights, int64_t from, int64_t to, const float *rows,
    int64_t ldRows) {
  vf kept[OUTPUT_ROWS][OUTPUT_VECTORS];
#pragma clang loop unroll(full)
  for (int i = 0; i < OUTPUT_ROWS; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) kept[i][v] = load(sums + i * ld + v * LANES);
  for (int64_t j = from; j < to; j++) {
    vf right[OUTPUT_VECTORS];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) right[v] = load(rows + j * ldRows + v * LANES);
#pragma clang loop unroll(full)
    for (int i = 0; i < OUTPUT_ROWS; i++) {
      vf weight = splat(weights[j * STRIP + i]);
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) kept[i][v] = weight * right[v] + kept[i][v];
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < OUTPUT_ROWS; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) store(sums + i * ld + v * LANES, kept[i][v]);
}

/// As `add_keys_to` for all columns of a head, whose rows can be read up to the next multiple of LANES.
static __attribute__((noinline)) void add_keys(
    float *sums, int64_t vectors, const float *weights, int64_t from, int64_t to, const float *rows,
    int64_t ldRows) {
  if (from >= to) return;
  int64_t v = 0, ld = vectors * LANES;
  for (; v + OUTPUT_VECTORS <= vectors; v += OUTPUT_VECTORS)
    add_keys_to(OUTPUT_VECTORS, sums + v * LANES, ld, weights, from, to, rows + v * LANES, ldRows);
  for (; v < vectors; v++) add_keys_to(1, sums + v * LANES, ld, weights, from, to, rows + v * LANES, ldRows);
}

/// Rows j of `to`, OUTPUT_ROWS from 0 on but none from `count` on, `+= weights[strip][j][i] queries[i]` for the queries
/// i of a tile from `from` to `end`; some vectors.
INLINE void add_queries_to(
    const int vectors, float *to, int64_t ldTo, int64_t count, const float *weights, int64_t from, int64_t end,
    const float *queries, int64_t ld) {
  vf kept[OUTPUT_ROWS][OUTPUT_VECTORS];
#pragma clang loop unroll(full)
  for (int j = 0; j < OUTPUT_ROWS; j++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) kept[j][v] = load(to + LEAST(j, count - 1) * ldTo + v * LANES);
  for (int64_t strip = from / STRIP; strip * STRIP < end; strip++) {
    const float *weight = weights + strip * GRADIENT_KEYS * STRIP;
    const float *rows = queries + strip * STRIP * ld;
    const int64_t last = LEAST(STRIP, end - strip * STRIP);
    for (int64_t i = GREATEST(0, from - strip * STRIP); i < last; i++) {
      vf right[OUTPUT_VECTORS];
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) right[v] = load(rows + i * ld + v * LANES);
#pragma clang loop unroll(full)
      for (int j = 0; j < OUTPUT_ROWS; j++) {
        vf left = splat(weight[j * STRIP + i]);
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) kept[j][v] = left * right[v] + kept[j][v];
      }
    }
  }
#pragma clang loop unroll(full)
  for (int j = 0; j < OUTPUT_ROWS; j++)
    if (j < count)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) store(to + j * ldTo + v * LANES, kept[j][v]);
}

/// As `add_queries_to` for all columns of a head, whose rows have room for whole vectors.
static __attribute__((noinline)) void add_queries(
    float *to, int64_t ldTo, int64_t count, int64_t vectors, const float *weights, int64_t from, int64_t end,
    const float *queries) {
  if (from >= end) return;
  int64_t v = 0, ld = vectors * LANES;
  for (; v + OUTPUT_VECTORS <= vectors; v += OUTPUT_VECTORS)
    add_queries_to(
        OUTPUT_VECTORS, to + v * LANES, ldTo, count, weights, from, end, queries + v * LANES, ld);
  for (; v < vectors; v++)
    add_queries_to(1, to + v * LANES, ldTo, count, weights, from, end, queries + v * LANES, ld);
}

/// The first of `count` keys from position `start` that the query at a position sees, and the key behind the last one.
INLINE int64_t first_key(const CPUAttentionTile *t, int64_t query, const CPUKeyRange *range) {
  return t->window < 0 ? 0 : LEAST(range->count, GREATEST(0, query - t->window + 1 - range->position));
}
INLINE int64_t end_key(int64_t query, const CPUKeyRange *range) {
  return range->causal ? LEAST(range->count, GREATEST(0, query - range->position + 1)) : range->count;
}

/// The lanes of a strip that see a key: from `lowest` to `end`.
typedef struct SeeingLanes {
  int64_t lowest, end;
} SeeingLanes;

INLINE SeeingLanes seeing_lanes(const CPUAttentionTile *t, int64_t key, int64_t query, int hides_later) {
  SeeingLanes lanes = {0, STRIP};
  if (hides_later) lanes.lowest = LEAST(STRIP, GREATEST(0, key - query));
  if (t->window >= 0) lanes.end = LEAST(STRIP, GREATEST(0, key + t->window - query));
  return lanes;
}

/// `v` in the lanes that see, `hidden` in the others; `first` is the number of the vector's first lane.
INLINE vf seen(vf v, SeeingLanes lanes, int32_t first, vf hidden) {
  if (lanes.lowest <= 0 && lanes.end >= STRIP) return v;
  vi numbers = lane_numbers() + first;
  return choose((numbers >= (int32_t)lanes.lowest) & (numbers < (int32_t)lanes.end), v, hidden);
}

/// The scaled score, with its bias, of a key and the queries from `query` on.
INLINE vf full_score(const CPUAttentionTile *t, vf raw, int64_t query, int64_t key) {
  vf score = raw * splat(t->scale);
  return t->bias ? score + load(t->bias + (query - key)) : score;
}

/// Outputs and logarithms of sums from weighted sums of values, the greatest scores and the sums of exponentials.
INLINE void finish_outputs(
    const CPUAttentionTile *t, const float *sums, int64_t ld, const float *highest, const float *totals, float *output,
    int64_t ldOutput) {
  for (int64_t i = 0; i < t->queries; i++) {
    // Where nothing is seen every weight is 0, and stays so.
    const vf factor = splat(totals[i] == 0 ? 0 : 1 / totals[i]);
    for (int64_t c = 0; c < t->valueWidth; c += LANES)
      store_first(output + i * ldOutput + c, load(sums + i * ld + c) * factor, t->valueWidth - c);
    const float shift = highest[i] == -__builtin_inff() ? 0 : highest[i];
    t->logSumExp[i * t->ldLogSumExp] = shift + __builtin_logf(totals[i]);
  }
}

static int64_t attention_forward_scratch(int64_t width, int64_t valueWidth) {
  return (width + FORWARD_KEYS + 3 + VECTORS_OF(valueWidth) * LANES) * STRIP;
}

static void attention_forward(const CPUAttentionTile *t, float *output, int64_t ldOutput, float *scratch) {
  const int64_t vectors = VECTORS_OF(t->valueWidth), ld = vectors * LANES;
  float *turned = scratch, *scores = turned + t->width * STRIP, *sums = scores + FORWARD_KEYS * STRIP;
  float *highest = sums + ld * STRIP, *totals = highest + STRIP, *rescale = totals + STRIP;
  const vf none = splat(-__builtin_inff());
  turn_strip(t->q, t->ldQ, t->queries, t->width, turned);
  for (int64_t i = 0; i < ld * STRIP; i += LANES) store(sums + i, (vf){});
  for (int s = 0; s < STRIP; s += LANES) {
    store(highest + s, none);
    store(totals + s, (vf){});
  }
  for (int64_t r = 0; r < t->rangeCount; r++) {
    const CPUKeyRange *range = t->ranges + r;
    const int64_t end = end_key(t->firstQuery + t->queries - 1, range);
    for (int64_t block = first_key(t, t->firstQuery, range); block < end; block += FORWARD_KEYS) {
      const int64_t size = LEAST(FORWARD_KEYS, end - block), position = range->position + block;
      strip_products(
          t->k + (range->row + block) * t->ldK, t->ldK, 0, size, size, t->width, turned, scores);
      for (int s = 0; s < STRIP; s += LANES) {
        const vf before = load(highest + s);
        vf top = before, total = load(totals + s);
        for (int64_t j = 0; j < size; j++) {
          float *place = scores + j * STRIP + s;
          vf score = full_score(t, load(place), t->firstQuery + s, position + j);
          score = seen(score, seeing_lanes(t, position + j, t->firstQuery, range->causal), s, none);
          store(place, score);
          top = larger(score, top);
        }
        const vf shift = choose(top == none, splat(0), top);
        const vf factor = negative_exponential(before - shift);
        total *= factor;
        for (int64_t j = 0; j < size; j++) {
          float *place = scores + j * STRIP + s;
          const vf weight = negative_exponential(load(place) - shift);
          store(place, weight);
          total += weight;
        }
        store(highest + s, top);
        store(totals + s, total);
        store(rescale + s, factor);
      }
      for (int64_t i = 0; i < t->queries; i++)
        for (int64_t c = 0; c < ld; c += LANES)
          store(sums + i * ld + c, load(sums + i * ld + c) * splat(rescale[i]));
      for (int64_t i = 0; i < t->queries; i += OUTPUT_ROWS) {
        const int64_t query = t->firstQuery + i, last = t->firstQuery + LEAST(i + OUTPUT_ROWS, t->queries) - 1;
        add_keys(
            sums + i * ld, vectors, scores + i, GREATEST(0, first_key(t, query, range) - block),
            LEAST(size, end_key(last, range) - block), t->v + (range->row + block) * t->ldV, t->ldV);
      }
    }
  }
  finish_outputs(t, sums, ld, highest, totals, output, ldOutput);
}

static int64_t attention_gradient_scratch(int64_t width, int64_t valueWidth) {
  const int64_t padded = VECTORS_OF(width) * LANES, paddedValue = VECTORS_OF(valueWidth) * LANES;
  return (width + valueWidth + 2 * padded + paddedValue + 2 * GRADIENT_KEYS + 2) * GRADIENT_STRIPS * STRIP;
}

/// What is taken from the scores of each of `lanes` queries, and its sum of cotangent times output.
INLINE void gradient_shifts(
    const CPUAttentionTile *t, const CPUAttentionGradients *g, int64_t lanes, float *shifts, float *inner) {
  for (int64_t i = 0; i < lanes; i++) {
    // A lane without a query gets weights exp(0 - infinity) = 0, and so does a query that sees nothing.
    const float sum = i < t->queries ? t->logSumExp[i * t->ldLogSumExp] : -__builtin_inff();
    shifts[i] = sum == -__builtin_inff() ? __builtin_inff() : sum;
    inner[i] = i < t->queries ? dot(g->cotangent + i * g->ldOutput, g->output + i * g->ldOutput, t->valueWidth) : 0;
  }
}

/// Copies rows, with zeros up to the next multiple of LANES.
INLINE void copy_rows(const float *x, int64_t ld, int64_t rows, int64_t columns, float *to, int64_t ldTo) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t c = 0; c < columns; c += LANES)
      store(to + i * ldTo + c, load_first(x + i * ld + c, columns - c));
}

/// Probabilities and gradients of the scores of one strip, from raw scores and products of values with the cotangent.
INLINE void score_gradients(
    const CPUAttentionTile *t, const CPUAttentionGradients *g, int64_t query, int64_t position, int causal,
    int64_t from, int64_t end, int64_t count, const float *shifts, const float *inner, float *p, float *d) {
  for (int s = 0; s < STRIP; s += LANES) {
    const vf shift = load(shifts + s), mean = load(inner + s);
    for (int64_t j = from; j < count; j++) {
      const int64_t key = position + j;
      float *weight = p + j * STRIP + s, *change = d + j * STRIP + s;
      vf w = negative_exponential(full_score(t, load(weight), query + s, key) - shift);
      w = seen(w, seeing_lanes(t, key, query, causal), s, (vf){});
      const vf c = w * (load(change) - mean);
      store(weight, w);
      store(change, c * splat(t->scale));
      if (g->histogram) {
        float *bin = g->histogram + (query + s - key);
        store(bin, load(bin) + c);
      }
    }
    for (int64_t j = count; j < end; j++) {
      store(p + j * STRIP + s, (vf){});
      store(d + j * STRIP + s, (vf){});
    }
  }
}

static void attention_gradient(const CPUAttentionTile *t, const CPUAttentionGradients *g, float *scratch) {
  const int64_t tile = GRADIENT_STRIPS * STRIP, block_scores = GRADIENT_KEYS * STRIP;
  const int64_t vectors = VECTORS_OF(t->width), ld = vectors * LANES, ldValue = VECTORS_OF(t->valueWidth) * LANES;
  float *turned = scratch, *turned_upstream = turned + t->width * tile;
  float *queries = turned_upstream + t->valueWidth * tile, *upstream = queries + ld * tile;
  float *sums = upstream + ldValue * tile, *p = sums + ld * tile, *d = p + GRADIENT_KEYS * tile;
  float *shifts = d + GRADIENT_KEYS * tile, *inner = shifts + tile;
  copy_rows(t->q, t->ldQ, t->queries, t->width, queries, ld);
  copy_rows(g->cotangent, g->ldOutput, t->queries, t->valueWidth, upstream, ldValue);
  for (int64_t i = 0; i < ld * tile; i += LANES) store(sums + i, (vf){});
  gradient_shifts(t, g, tile, shifts, inner);
  for (int64_t i = 0; i < t->queries; i += STRIP) {
    const int64_t count = LEAST(STRIP, t->queries - i);
    turn_strip(t->q + i * t->ldQ, t->ldQ, count, t->width, turned + i * t->width);
    turn_strip(g->cotangent + i * g->ldOutput, g->ldOutput, count, t->valueWidth, turned_upstream + i * t->valueWidth);
  }
  for (int64_t r = 0; r < t->rangeCount; r++) {
    const CPUKeyRange *range = t->ranges + r;
    const int64_t end = end_key(t->firstQuery + t->queries - 1, range);
    for (int64_t block = first_key(t, t->firstQuery, range); block < end; block += GRADIENT_KEYS) {
      const int64_t size = LEAST(GRADIENT_KEYS, end - block), row = range->row + block;
      const int64_t position = range->position + block;
      const float *keys = t->k + row * t->ldK, *values = t->v + row * t->ldV;
      for (int64_t i = 0; i < t->queries; i += STRIP) {
        const int64_t query = t->firstQuery + i, count = LEAST(STRIP, t->queries - i);
        const int64_t from = GREATEST(0, first_key(t, query, range) - block) / SCORE_ROWS * SCORE_ROWS;
        const int64_t to = LEAST(size, end_key(query + count - 1, range) - block);
        if (from >= to) continue;
        float *strip_p = p + i / STRIP * block_scores, *strip_d = d + i / STRIP * block_scores;
        strip_products(keys, t->ldK, from, to, size, t->width, turned + i * t->width, strip_p);
        strip_products(values, t->ldV, from, to, size, t->valueWidth, turned_upstream + i * t->valueWidth, strip_d);
        const int64_t end_row = UP_TO(to, SCORE_ROWS);
        score_gradients(
            t, g, query, position, range->causal, from, end_row, LEAST(size, end_row), shifts + i, inner + i, strip_p,
            strip_d);
        for (int64_t n = 0; n < count; n += OUTPUT_ROWS) {
          const int64_t last = query + LEAST(n + OUTPUT_ROWS, count) - 1;
          add_keys(
              sums + (i + n) * ld, vectors, strip_d + n, GREATEST(0, first_key(t, query + n, range) - block),
              LEAST(size, end_key(last, range) - block), keys, t->ldK);
        }
      }
      for (int64_t j = 0; j < size; j += OUTPUT_ROWS) {
        // The queries that see any of these keys.
        const int64_t key = position + j, last = position + LEAST(j + OUTPUT_ROWS, size) - 1;
        const int64_t from = range->causal ? GREATEST(0, key - t->firstQuery) : 0;
        const int64_t to = t->window < 0 ? t->queries : LEAST(t->queries, last + t->window - t->firstQuery);
        add_queries(g->dk + (row + j) * t->ldK, t->ldK, size - j, vectors, d + j * STRIP, from, to, queries);
        add_queries(
            g->dv + (row + j) * t->ldV, t->ldV, size - j, ldValue / LANES, p + j * STRIP, from, to, upstream);
      }
    }
  }
  for (int64_t i = 0; i < t->queries; i++)
    for (int64_t c = 0; c < t->width; c += LANES)
      store_first(g->dq + i * g->ldDQ + c, load(sums + i * ld + c), t->width - c);
}
