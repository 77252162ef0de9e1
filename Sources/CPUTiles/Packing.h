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

INLINE void pack_as(
    const int element, const int rounds, int transposed, int64_t columns, int64_t k, const void *b, int64_t ldb,
    float *output, int64_t ldo) {
  for (int64_t column = 0; column < columns; column += LANES) {
    int64_t count = LEAST(columns - column, LANES);
    if (!transposed) {
      for (int64_t p = 0; p < k; p++) {
        vf v = load_element_first(b, p * ldb + column, element, count);
        store(output + p * ldo + column, rounds ? round_bf16(v) : v);
      }
      continue;
    }
    for (int64_t p = 0; p < k; p += LANES) {
      int64_t depth = LEAST(k - p, LANES);
      vf square[LANES];
      if (count == LANES && depth == LANES) {
#pragma clang loop unroll(full)
        for (int i = 0; i < LANES; i++) square[i] = load_element(b, (column + i) * ldb + p, element);
      } else {
        for (int i = 0; i < LANES; i++)
          square[i] = i < count ? load_element_first(b, (column + i) * ldb + p, element, depth) : (vf){};
      }
      transpose_square(square);
      if (depth == LANES) {
#pragma clang loop unroll(full)
        for (int i = 0; i < LANES; i++)
          store(output + (p + i) * ldo + column, rounds ? round_bf16(square[i]) : square[i]);
      } else {
        for (int i = 0; i < depth; i++)
          store(output + (p + i) * ldo + column, rounds ? round_bf16(square[i]) : square[i]);
      }
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

static void ask(
    CPUElement element, int32_t transposed, int64_t columns, int64_t k, const void *b, int64_t ldb, int64_t part,
    int64_t parts) {
  const int64_t width = element == CPU_F32 ? 4 : 2;
  const int64_t runs = transposed ? columns : k, bytes = (transposed ? k : columns) * width;
  for (int64_t run = runs * part / parts; run < runs * (part + 1) / parts; run++)
    for (int64_t byte = 0; byte < bytes; byte += 64)
      __builtin_prefetch((const char *)b + run * ldb * width + byte, 0, 2);
}

/// The earlier value in the low half, the later in the high half.
INLINE vu join_pair(vf earlier, vf later) { return (bf16_bits(earlier) >> 16) | bf16_bits(later); }

INLINE void pack_pairs_as(
    const int element, int transposed, int64_t columns, int64_t k, const void *b, int64_t ldb, uint32_t *output,
    int64_t ldo) {
  for (int64_t column = 0; column < columns; column += LANES) {
    int64_t count = LEAST(columns - column, LANES);
    if (!transposed) {
      for (int64_t p = 0; p < k; p += 2) {
        vf earlier = load_element_first(b, p * ldb + column, element, count);
        vf later = p + 1 < k ? load_element_first(b, (p + 1) * ldb + column, element, count) : (vf){};
        *(vu_any *)(output + p / 2 * ldo + column) = join_pair(earlier, later);
      }
      continue;
    }
    for (int64_t p = 0; p < k; p += LANES) {
      int64_t depth = LEAST(k - p, LANES);
      vf square[LANES];
      if (count == LANES && depth == LANES) {
#pragma clang loop unroll(full)
        for (int i = 0; i < LANES; i++) square[i] = load_element(b, (column + i) * ldb + p, element);
      } else {
        for (int i = 0; i < LANES; i++)
          square[i] = i < count ? load_element_first(b, (column + i) * ldb + p, element, depth) : (vf){};
      }
      transpose_square(square);
      for (int i = 0; i < depth; i += 2)
        *(vu_any *)(output + (p + i) / 2 * ldo + column) = join_pair(square[i], square[i + 1]);
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

static void round_pairs(const float *x, uint32_t *output, int64_t k) {
  uint16_t *halves = (uint16_t *)output;
  int64_t i = 0;
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

static void widen(CPUElement element, const void *x, float *output, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES)
    store_first(output + i, load_element_first(x, i, element, n - i), n - i);
}
