// Rearranging operands for the tiles.

#if LANES == 16
#define LOW_HALVES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define LOW_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_HALVES 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW_HALVES 0, 4, 1, 5
#define HIGH_HALVES 2, 6, 3, 7
#endif

/// Transposes a square of vectors: shuffling neighbours of halves together log2(LANES) times.
INLINE void transpose_square(vf v[LANES]) {
  vf t[LANES];
#pragma clang loop unroll(full)
  for (int step = 1; step < LANES; step *= 2) {
#pragma clang loop unroll(full)
    for (int i = 0; i < LANES / 2; i++) {
      t[2 * i] = __builtin_shufflevector(v[i], v[i + LANES / 2], LOW_HALVES);
      t[2 * i + 1] = __builtin_shufflevector(v[i], v[i + LANES / 2], HIGH_HALVES);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < LANES; i++) v[i] = t[i];
  }
}

/// Transposes a square of words in memory: `words[i][j] = x[j][i]`, with rows of x `stride` bytes apart.
INLINE void turn_square(const char *x, int64_t stride, vu words[LANES]) {
#if LANES == 16
  // Loads put halves of rows side by side, so that a quarter of the shuffling is done by reading.
  typedef uint32_t half __attribute__((vector_size(32), aligned(2), may_alias));
#pragma clang loop unroll(full)
  for (int side = 0; side < 2; side++) {
    vu fours[8];
#pragma clang loop unroll(full)
    for (int four = 0; four < 2; four++) {
      vu v[4];
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++) {
        const char *row = x + (4 * four + i) * stride + 32 * side;
        v[i] = __builtin_shufflevector(
            *(const half *)row, *(const half *)(row + 8 * stride), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
            15);
      }
      // Four rows by four words in each quarter.
#define LOW_WORDS 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define HIGH_WORDS 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define LOW_TWOS 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH_TWOS 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
      const vu a = __builtin_shufflevector(v[0], v[1], LOW_WORDS), b = __builtin_shufflevector(v[0], v[1], HIGH_WORDS);
      const vu c = __builtin_shufflevector(v[2], v[3], LOW_WORDS), d = __builtin_shufflevector(v[2], v[3], HIGH_WORDS);
      fours[4 * four] = __builtin_shufflevector(a, c, LOW_TWOS);
      fours[4 * four + 1] = __builtin_shufflevector(a, c, HIGH_TWOS);
      fours[4 * four + 2] = __builtin_shufflevector(b, d, LOW_TWOS);
      fours[4 * four + 3] = __builtin_shufflevector(b, d, HIGH_TWOS);
    }
    // Quarters 0 and 2 hold a word of rows i and 8 + i, quarters 1 and 3 the fourth word after it.
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
      words[8 * side + i] = __builtin_shufflevector(
          fours[i], fours[4 + i], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
      words[8 * side + 4 + i] = __builtin_shufflevector(
          fours[i], fours[4 + i], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
    }
  }
#else
  typedef float row __attribute__((vector_size(4 * LANES), aligned(2), may_alias));
  vf square[LANES];
#pragma clang loop unroll(full)
  for (int i = 0; i < LANES; i++) square[i] = *(const row *)(x + i * stride);
  transpose_square(square);
#pragma clang loop unroll(full)
  for (int i = 0; i < LANES; i++) words[i] = (vu)square[i];
#endif
}

/// Writes the first `count` rows of a square, `ldo` apart.
INLINE void store_rows(const vu words[LANES], int64_t count, uint32_t *output, int64_t ldo) {
  if (count >= LANES) {
#pragma clang loop unroll(full)
    for (int i = 0; i < LANES; i++) *(vu_any *)(output + i * ldo) = words[i];
  } else {
    for (int i = 0; i < count; i++) *(vu_any *)(output + i * ldo) = words[i];
  }
}

INLINE void pack_as(
    const int element, const int rounds, int transposed, int64_t columns, int64_t k, const void *b, int64_t ldb,
    float *output, int64_t ldo) {
  if (!transposed) {
    for (int64_t p = 0; p < k; p++)
      for (int64_t column = 0; column < columns; column += LANES) {
        vf v = load_element_first(b, p * ldb + column, element, columns - column);
        store(output + p * ldo + column, rounds ? round_bf16(v) : v);
      }
    return;
  }
  for (int64_t column = 0; column < columns; column += LANES) {
    const int64_t count = LEAST(columns - column, LANES);
    vu words[LANES];
    int64_t p = 0;
    if (element == CPU_BF16 && count == LANES)
      // Neighbours in k are turned as one word.
      for (; p + 2 * LANES <= k; p += 2 * LANES) {
        turn_square((const char *)((const uint16_t *)b + column * ldb + p), 2 * ldb, words);
#pragma clang loop unroll(full)
        for (int i = 0; i < LANES; i++) {
          store(output + (p + 2 * i) * ldo + column, (vf)(words[i] << 16));
          store(output + (p + 2 * i + 1) * ldo + column, (vf)(words[i] & 0xFFFF0000));
        }
      }
    for (; p < k; p += LANES) {
      const int64_t depth = LEAST(k - p, LANES);
      if (element == CPU_F32 && !rounds && count == LANES && depth == LANES) {
        turn_square((const char *)((const float *)b + column * ldb + p), 4 * ldb, words);
      } else {
        vf square[LANES];
        for (int i = 0; i < LANES; i++) {
          vf v = i < count ? load_element_first(b, (column + i) * ldb + p, element, depth) : (vf){};
          square[i] = rounds ? round_bf16(v) : v;
        }
        turn_square((const char *)square, 4 * LANES, words);
      }
      store_rows(words, depth, (uint32_t *)output + p * ldo + column, ldo);
    }
  }
}

static void pack(
    CPUElement element, int32_t transposed, int32_t rounds, int64_t columns, int64_t k, const void *b, int64_t ldb,
    float *output, int64_t ldo) {
  switch (element) {
    case CPU_F32:
      if (rounds) pack_as(CPU_F32, 1, transposed, columns, k, b, ldb, output, ldo);
      else pack_as(CPU_F32, 0, transposed, columns, k, b, ldb, output, ldo);
      break;
    case CPU_BF16: pack_as(CPU_BF16, 0, transposed, columns, k, b, ldb, output, ldo); break;
    case CPU_F16:
      if (rounds) pack_as(CPU_F16, 1, transposed, columns, k, b, ldb, output, ldo);
      else pack_as(CPU_F16, 0, transposed, columns, k, b, ldb, output, ldo);
      break;
  }
}

/// `depth` values from an index on, rounded to bf16, then zeros: as many pairs as a vector has words.
INLINE vu load_pairs(const void *b, int64_t index, int element, int64_t depth) {
  vf first = load_element_first(b, index, element, depth);
  vf second = depth > LANES ? load_element_first(b, index + LANES, element, depth - LANES) : (vf){};
  vu pairs;
  vh halves[2] = {
      __builtin_convertvector(bf16_bits(first) >> 16, vh), __builtin_convertvector(bf16_bits(second) >> 16, vh)};
  __builtin_memcpy(&pairs, halves, sizeof pairs);
  return pairs;
}

/// Pairs of the first `count` elements at two places, the earlier in the low half.
INLINE vu join_pairs(const void *b, int64_t earlier, int64_t later, int element, int64_t count) {
  if (count >= LANES && element == CPU_BF16) {
    const uint16_t *halves = b;
    const vh low = *(const vh_any *)(halves + earlier), high = *(const vh_any *)(halves + later);
    return __builtin_convertvector(low, vu) | __builtin_convertvector(high, vu) << 16;
  }
  if (count >= LANES)
    return (bf16_bits(load_element(b, earlier, element)) >> 16) | bf16_bits(load_element(b, later, element));
  return (bf16_bits(load_element_first(b, earlier, element, count)) >> 16)
      | bf16_bits(load_element_first(b, later, element, count));
}

INLINE void pack_pairs_as(
    const int element, int transposed, int64_t columns, int64_t k, const void *b, int64_t ldb, uint32_t *output,
    int64_t ldo) {
  if (!transposed) {
    for (int64_t p = 0; p + 1 < k; p += 2)
      for (int64_t column = 0; column < columns; column += LANES)
        *(vu_any *)(output + p / 2 * ldo + column) =
            join_pairs(b, p * ldb + column, (p + 1) * ldb + column, element, columns - column);
    if (k % 2)
      for (int64_t column = 0; column < columns; column += LANES)
        *(vu_any *)(output + k / 2 * ldo + column) =
            bf16_bits(load_element_first(b, (k - 1) * ldb + column, element, columns - column)) >> 16;
    return;
  }
  for (int64_t column = 0; column < columns; column += LANES) {
    const int64_t count = LEAST(columns - column, LANES);
    for (int64_t p = 0; p < k; p += 2 * LANES) {
      const int64_t depth = LEAST(k - p, 2 * LANES);
      vu words[LANES];
      if (element == CPU_BF16 && count == LANES && depth == 2 * LANES) {
        turn_square((const char *)((const uint16_t *)b + column * ldb + p), 2 * ldb, words);
      } else {
        vu square[LANES];
        if (count == LANES && depth == 2 * LANES) {
#pragma clang loop unroll(full)
          for (int i = 0; i < LANES; i++) square[i] = load_pairs(b, (column + i) * ldb + p, element, 2 * LANES);
        } else {
          for (int i = 0; i < LANES; i++)
            square[i] = i < count ? load_pairs(b, (column + i) * ldb + p, element, depth) : (vu){};
        }
        turn_square((const char *)square, 4 * LANES, words);
      }
      store_rows(words, (depth + 1) / 2, output + p / 2 * ldo + column, ldo);
    }
  }
}

static void pack_pairs(
    CPUElement element, int32_t transposed, int64_t columns, int64_t k, const void *b, int64_t ldb, uint32_t *output,
    int64_t ldo) {
  switch (element) {
    case CPU_F32: pack_pairs_as(CPU_F32, transposed, columns, k, b, ldb, output, ldo); break;
    case CPU_BF16: pack_pairs_as(CPU_BF16, transposed, columns, k, b, ldb, output, ldo); break;
    case CPU_F16: pack_pairs_as(CPU_F16, transposed, columns, k, b, ldb, output, ldo); break;
  }
}

static void round_to_bf16(const float *x, float *output, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES)
    store_first(output + i, round_bf16(load_first(x + i, n - i)), n - i);
}

static void round_pairs(const float *x, uint32_t *output, int64_t k, int32_t bypasses) {
  uint16_t *halves = (uint16_t *)output;
  int64_t i = 0;
  if (bypasses) {
    for (; i + 2 * LANES <= k; i += 2 * LANES)
      store_past((float *)(halves + i), (vf)load_pairs(x, i, CPU_F32, 2 * LANES));
    finish_stores_past();
  }
  for (; i + LANES <= k; i += LANES)
    *(vh_any *)(halves + i) = __builtin_convertvector(bf16_bits(load(x + i)) >> 16, vh);
  if (i < k) {
    vu rest = bf16_bits(load_first(x + i, k - i)) >> 16;
    for (int j = 0; j < LANES; j++)
      if (i + j < k + (k & 1)) halves[i + j] = (uint16_t)rest[j];
  }
}

static void transpose_matrix(
    const float *x, int64_t ldx, int64_t rows, int64_t columns, float *output, int64_t ldo) {
  for (int64_t r = 0; r < rows; r += LANES) {
    for (int64_t c = 0; c < columns; c += LANES) {
      int64_t height = LEAST(rows - r, LANES), width = LEAST(columns - c, LANES);
      vf square[LANES];
      for (int i = 0; i < LANES; i++) square[i] = i < height ? load_first(x + (r + i) * ldx + c, width) : (vf){};
      transpose_square(square);
      for (int i = 0; i < width; i++) store_first(output + (c + i) * ldo + r, square[i], height);
    }
  }
}

static void copy_past(const float *x, float *output, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES) store_out(output + i, load_first(x + i, n - i), n - i, 1);
  finish_stores_past();
}

static void widen(CPUElement element, const void *x, float *output, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES)
    store_first(output + i, load_element_first(x, i, element, n - i), n - i);
}
