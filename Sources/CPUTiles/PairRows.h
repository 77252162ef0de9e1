// Products of pairs of bf16 values for a few rows of A, with B in bf16 read as it lies: packing B would take longer.

#ifdef PAIRS
/// Rows of A of a tile, at most; fewer than the least are left to the products of single values.
enum { PAIR_ROWS = 8, LEAST_PAIR_ROWS = 4 };

/// Sixteen pairs of neighbours in k from two rows of B.
INLINE vu pair_rows(const uint16_t *earlier, const uint16_t *later) {
  const vh low = *(const vh_any *)earlier, high = *(const vh_any *)later;
  return (vu)__builtin_shufflevector(
      low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29,
      14, 30, 15, 31);
}

/// As `pair_tile` with rows of B, which are paired on the way; `columns` are whole vectors. With `fetches`, what lies
/// `ahead` elements further is asked for, into the second-level cache.
INLINE void unpacked_pair_tile(
    const int rows, const int vectors, const int fetches, int64_t row, int64_t k, const uint32_t *a, int64_t lda,
    const uint16_t *b, int64_t ldb, int64_t ahead, const CPUEpilogue *epilogue) {
  vf sums[PAIR_ROWS][3];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) sums[i][j] = (vf){};
  const uint32_t *first = a + row * lda;
  for (int64_t p = 0; p < k / 2; p++) {
    const uint16_t *earlier = b + 2 * p * ldb, *later = earlier + ldb;
    if (fetches)
#pragma clang loop unroll(full)
      for (int j = 0; j < vectors * LANES; j += 32) {
        __builtin_prefetch(earlier + ahead + j, 0, 2);
        __builtin_prefetch(later + ahead + j, 0, 2);
      }
    vu right[3];
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) right[j] = pair_rows(earlier + j * LANES, later + j * LANES);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      vu left = first[i * lda + p] - (vu){};
#pragma clang loop unroll(full)
      for (int j = 0; j < vectors; j++)
        sums[i][j] = _mm512_dpbf16_ps(sums[i][j], (__m512bh)left, (__m512bh)right[j]);
    }
  }
  if (k % 2 == 1) {
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      vu left = first[i * lda + k / 2] - (vu){};
#pragma clang loop unroll(full)
      for (int j = 0; j < vectors; j++) {
        vu right = __builtin_convertvector(*(const vh_any *)(b + (k - 1) * ldb + j * LANES), vu);
        sums[i][j] = _mm512_dpbf16_ps(sums[i][j], (__m512bh)left, (__m512bh)right);
      }
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) finish_vector(epilogue, row + i, j * LANES, sums[i][j], LANES);
}

typedef void (*unpacked_pair_function)(
    int64_t row, int64_t k, const uint32_t *a, int64_t lda, const uint16_t *b, int64_t ldb, int64_t ahead,
    const CPUEpilogue *epilogue);

#define UNPACKED_PAIR_TILE(fetches, rows, vectors)                                                           \
  static void unpacked_pair_tile_##fetches##_##rows##_##vectors(                                             \
      int64_t row, int64_t k, const uint32_t *a, int64_t lda, const uint16_t *b, int64_t ldb, int64_t ahead, \
      const CPUEpilogue *epilogue) {                                                                         \
    unpacked_pair_tile(rows, vectors, fetches, row, k, a, lda, b, ldb, ahead, epilogue);                     \
  }
#define UNPACKED_PAIR_TILES(fetches, vectors)                                                                \
  UNPACKED_PAIR_TILE(fetches, 4, vectors) UNPACKED_PAIR_TILE(fetches, 5, vectors)                            \
  UNPACKED_PAIR_TILE(fetches, 6, vectors) UNPACKED_PAIR_TILE(fetches, 7, vectors)                            \
  UNPACKED_PAIR_TILE(fetches, 8, vectors)                                                                    \
  static const unpacked_pair_function unpacked_pair_tiles_##fetches##_##vectors[] = {                        \
      unpacked_pair_tile_##fetches##_4_##vectors, unpacked_pair_tile_##fetches##_5_##vectors,                \
      unpacked_pair_tile_##fetches##_6_##vectors, unpacked_pair_tile_##fetches##_7_##vectors,                \
      unpacked_pair_tile_##fetches##_8_##vectors};
UNPACKED_PAIR_TILES(0, 1)
UNPACKED_PAIR_TILES(0, 2)
UNPACKED_PAIR_TILES(0, 3)
// Only whole strips are worth it.
UNPACKED_PAIR_TILES(1, 3)

static void unpacked_pair_strip(
    int64_t m, int64_t columns, int64_t k, const uint32_t *a, int64_t lda, const uint16_t *b, int64_t ldb,
    int64_t ahead, const CPUEpilogue *epilogue) {
  static const unpacked_pair_function *const of_width[] = {
      unpacked_pair_tiles_0_1, unpacked_pair_tiles_0_2, unpacked_pair_tiles_0_3};
  const int64_t width = columns / LANES - 1;
  const unpacked_pair_function *of_height = of_width[width];
  const unpacked_pair_function *first_of_height = ahead && width == 2 ? unpacked_pair_tiles_1_3 : of_height;
  const int64_t tiles = (m + PAIR_ROWS - 1) / PAIR_ROWS;
  int64_t row = 0;
  for (int64_t t = 0; t < tiles; t++) {
    const int64_t rows = m / tiles + (t < m % tiles);
    (t == 0 ? first_of_height : of_height)[rows - LEAST_PAIR_ROWS](row, k, a, lda, b, ldb, ahead * ldb, epilogue);
    row += rows;
  }
}

/// As `dot_tile` on pairs of bf16 values, with neighbouring rows of B.
INLINE void dot_pair_tile(
    const int rows, const int count, const int fetches, int64_t row, int64_t column, int64_t k, const uint32_t *a,
    int64_t lda, const uint16_t *b, int64_t ldb, const CPUEpilogue *e) {
  vf sums[PAIR_ROWS][3];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < count; j++) sums[i][j] = (vf){};
  int64_t p = 0;
  for (; p + 2 * LANES <= k; p += 2 * LANES) {
    const uint16_t *place = b + column * ldb + p;
    vu right[3];
    if (fetches)
#pragma clang loop unroll(full)
      for (int j = 0; j < count; j++) __builtin_prefetch(place + (j + count) * ldb, 0, 2);
#pragma clang loop unroll(full)
    for (int j = 0; j < count; j++) right[j] = (vu)_mm512_loadu_si512(place + j * ldb);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      vu left = *(const vu_any *)(a + (row + i) * lda + p / 2);
#pragma clang loop unroll(full)
      for (int j = 0; j < count; j++)
        sums[i][j] = _mm512_dpbf16_ps(sums[i][j], (__m512bh)left, (__m512bh)right[j]);
    }
  }
  if (p < k) {
    const __mmask32 halves = (__mmask32)((1u << (k - p)) - 1);
    const __mmask16 words = (__mmask16)((1u << ((k - p + 1) / 2)) - 1);
    vu right[3];
#pragma clang loop unroll(full)
    for (int j = 0; j < count; j++) right[j] = (vu)_mm512_maskz_loadu_epi16(halves, b + (column + j) * ldb + p);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      vu left = (vu)_mm512_maskz_loadu_epi32(words, a + (row + i) * lda + p / 2);
#pragma clang loop unroll(full)
      for (int j = 0; j < count; j++)
        sums[i][j] = _mm512_dpbf16_ps(sums[i][j], (__m512bh)left, (__m512bh)right[j]);
    }
  }
#pragma clang loop unroll(full)
  for (int j = 0; j < count; j++) {
    vf of_column[PAIR_ROWS];
    float done[PAIR_ROWS];
#pragma clang loop unroll(full)
    for (int i = 0; i < PAIR_ROWS; i++) of_column[i] = i < rows ? sums[i][j] : (vf){};
    sum_lanes_of_eight(of_column, done);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      float v = done[i] * e->alpha;
      if (e->bias) v += e->bias[column + j];
      if (e->addend) v += e->beta * e->addend[(row + i) * e->ldAddend + column + j];
      e->c[(row + i) * e->ldc + column + j] = v;
    }
  }
}

#define DOT_PAIRS(rows)                                                                                      \
  static __attribute__((noinline)) void dot_pairs_##rows(                                                    \
      int64_t row, int64_t n, int64_t k, const uint32_t *a, int64_t lda, const uint16_t *b, int64_t ldb,     \
      const CPUEpilogue *e) {                                                                                \
    int64_t j = 0;                                                                                           \
    if (row == 0)                                                                                            \
      for (; j + 3 <= n; j += 3) dot_pair_tile(rows, 3, 1, row, j, k, a, lda, b, ldb, e);                    \
    else                                                                                                     \
      for (; j + 3 <= n; j += 3) dot_pair_tile(rows, 3, 0, row, j, k, a, lda, b, ldb, e);                    \
    for (; j < n; j++) dot_pair_tile(rows, 1, 0, row, j, k, a, lda, b, ldb, e);                              \
  }
DOT_PAIRS(4) DOT_PAIRS(5) DOT_PAIRS(6) DOT_PAIRS(7) DOT_PAIRS(8)

/// Eight rows of A at a time stay in the nearest cache while all rows of B, which fit the next, pass.
static void dot_pairs(
    int64_t m, int64_t n, int64_t k, const uint32_t *a, int64_t lda, const uint16_t *b, int64_t ldb,
    const CPUEpilogue *epilogue) {
  static void (*const of_height[])(
      int64_t, int64_t, int64_t, const uint32_t *, int64_t, const uint16_t *, int64_t, const CPUEpilogue *) = {
      dot_pairs_4, dot_pairs_5, dot_pairs_6, dot_pairs_7, dot_pairs_8};
  const int64_t tiles = (m + PAIR_ROWS - 1) / PAIR_ROWS;
  int64_t row = 0;
  for (int64_t t = 0; t < tiles; t++) {
    const int64_t rows = m / tiles + (t < m % tiles);
    of_height[rows - LEAST_PAIR_ROWS](row, n, k, a, lda, b, ldb, epilogue);
    row += rows;
  }
}
#endif
