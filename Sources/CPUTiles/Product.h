// Register tiles of matrix products.

#if LANES == 16
#define TILE_ROWS 8
#define TILE_VECTORS 3
#elif LANES == 8
#define TILE_ROWS 6
#define TILE_VECTORS 2
#elif defined(__aarch64__)
#define TILE_ROWS 8
#define TILE_VECTORS 3
#else
#define TILE_ROWS 6
#define TILE_VECTORS 2
#endif

/// Writes one row of sums: `c = alpha sum + bias + beta addend`, `count` columns of it.
INLINE void finish_vector(const CPUEpilogue *e, int64_t row, int64_t column, vf sum, int64_t count) {
  vf v = sum * splat(e->alpha);
  if (e->bias) v += load_first(e->bias + column, count);
  if (e->addend) v += splat(e->beta) * load_first(e->addend + row * e->ldAddend + column, count);
  store_out(e->c + row * e->ldc + column, v, count, e->bypasses);
}

/// Steps along k from one time that lines are asked for to the next.
enum { STEPS_OF_REQUEST = 8 };

/// Asks for the next lines of 64 bytes, if there are any left.
INLINE void ask(CPURequest *request) {
  for (int64_t i = 0; i < request->lines && request->run < request->runs; i++) {
    __builtin_prefetch(request->start + request->run * request->stride + request->byte, 0, 2);
    request->byte += 64;
    if (request->byte >= request->bytes) {
      request->byte = 0;
      request->run++;
    }
  }
}

/// The first tile that asks for lines: as late as it can be, so that what came is not displaced before it is read.
INLINE int64_t first_asking(CPURequest *request, int64_t tiles, int64_t steps) {
  const int64_t times = (steps + STEPS_OF_REQUEST - 1) / STEPS_OF_REQUEST;
  if (!request || times == 0) return tiles;
  const int64_t lines = request->runs * ((request->bytes + 63) / 64);
  request->lines = (lines + tiles * times - 1) / (tiles * times);
  const int64_t asking = request->lines * times;
  return asking == 0 ? tiles : tiles - (lines + asking - 1) / asking;
}

/// `rows` by `vectors` sums in registers; the constants are known where this is inlined, so every loop but the one
/// over k disappears. With `fetches`, the rows of B that lie `ahead` bytes further are asked for, into the second-level
/// cache; lines of a request, if there is one, are asked for now and then.
INLINE void tile(
    const int rows, const int vectors, const int fetches, const int element, int64_t row, int64_t columns, int64_t k,
    const float *a, int64_t lda, const void *b, int64_t ldb, int64_t ahead, CPURequest *request,
    const CPUEpilogue *epilogue) {
  const int width = element == CPU_F32 ? 4 : 2;
  vf sums[8][3];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) sums[i][j] = (vf){};
  const float *first = a + row * lda;
  for (int64_t p = 0; p < k;) {
    if (request) ask(request);
    for (const int64_t end = LEAST(k, p + STEPS_OF_REQUEST); p < end; p++) {
      if (fetches)
#pragma clang loop unroll(full)
        for (int byte = 0; byte < vectors * LANES * width; byte += 64)
          __builtin_prefetch((const char *)b + p * ldb * width + ahead + byte, 0, 2);
      vf right[3];
#pragma clang loop unroll(full)
      for (int j = 0; j < vectors; j++) right[j] = load_element(b, p * ldb + j * LANES, element);
#pragma clang loop unroll(full)
      for (int i = 0; i < rows; i++) {
        vf left = splat(first[i * lda + p]);
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) sums[i][j] = left * right[j] + sums[i][j];
      }
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++)
      finish_vector(epilogue, row + i, j * LANES, sums[i][j], columns - j * LANES);
}

typedef void (*tile_function)(
    int64_t row, int64_t columns, int64_t k, const float *a, int64_t lda, const void *b, int64_t ldb, int64_t ahead,
    CPURequest *request, const CPUEpilogue *epilogue);

#define TILE_NAME(fetches, element, rows, vectors) tile_##fetches##_##element##_##rows##_##vectors
#define TILE(fetches, element, rows, vectors)                                                                \
  static void TILE_NAME(fetches, element, rows, vectors)(                                                    \
      int64_t row, int64_t columns, int64_t k, const float *a, int64_t lda, const void *b, int64_t ldb,      \
      int64_t ahead, CPURequest *request, const CPUEpilogue *epilogue) {                                     \
    tile(rows, vectors, fetches, element, row, columns, k, a, lda, b, ldb, ahead, request, epilogue);        \
  }
#if TILE_ROWS == 8
#define TILES_OF_WIDTH(fetches, element, vectors)                                                            \
  TILE(fetches, element, 1, vectors) TILE(fetches, element, 2, vectors) TILE(fetches, element, 3, vectors)   \
  TILE(fetches, element, 4, vectors) TILE(fetches, element, 5, vectors) TILE(fetches, element, 6, vectors)   \
  TILE(fetches, element, 7, vectors) TILE(fetches, element, 8, vectors)                                      \
  static const tile_function tiles_##fetches##_##element##_##vectors[] = {                                   \
      TILE_NAME(fetches, element, 1, vectors), TILE_NAME(fetches, element, 2, vectors),                      \
      TILE_NAME(fetches, element, 3, vectors), TILE_NAME(fetches, element, 4, vectors),                      \
      TILE_NAME(fetches, element, 5, vectors), TILE_NAME(fetches, element, 6, vectors),                      \
      TILE_NAME(fetches, element, 7, vectors), TILE_NAME(fetches, element, 8, vectors)};
#else
#define TILES_OF_WIDTH(fetches, element, vectors)                                                            \
  TILE(fetches, element, 1, vectors) TILE(fetches, element, 2, vectors) TILE(fetches, element, 3, vectors)   \
  TILE(fetches, element, 4, vectors) TILE(fetches, element, 5, vectors) TILE(fetches, element, 6, vectors)   \
  static const tile_function tiles_##fetches##_##element##_##vectors[] = {                                   \
      TILE_NAME(fetches, element, 1, vectors), TILE_NAME(fetches, element, 2, vectors),                      \
      TILE_NAME(fetches, element, 3, vectors), TILE_NAME(fetches, element, 4, vectors),                      \
      TILE_NAME(fetches, element, 5, vectors), TILE_NAME(fetches, element, 6, vectors)};
#endif
#if TILE_VECTORS == 3
#define TILES(fetches, element)                                                                              \
  TILES_OF_WIDTH(fetches, element, 1) TILES_OF_WIDTH(fetches, element, 2) TILES_OF_WIDTH(fetches, element, 3)\
  static const tile_function *const tiles_##fetches##_##element[] = {                                        \
      tiles_##fetches##_##element##_1, tiles_##fetches##_##element##_2, tiles_##fetches##_##element##_3};
#else
#define TILES(fetches, element)                                                                              \
  TILES_OF_WIDTH(fetches, element, 1) TILES_OF_WIDTH(fetches, element, 2)                                    \
  static const tile_function *const tiles_##fetches##_##element[] = {                                        \
      tiles_##fetches##_##element##_1, tiles_##fetches##_##element##_2};
#endif

TILES(0, CPU_F32)
TILES(0, CPU_BF16)
TILES(0, CPU_F16)
// Only whole strips are worth it.
#define WHOLE_TILES(element, vectors) TILES_OF_WIDTH(1, element, vectors)
WHOLE_TILES(CPU_F32, TILE_VECTORS)
WHOLE_TILES(CPU_BF16, TILE_VECTORS)
WHOLE_TILES(CPU_F16, TILE_VECTORS)

#define WHOLE_STRIPS_OF(element, vectors) tiles_1_##element##_##vectors
#define WHOLE_STRIPS(element, vectors) WHOLE_STRIPS_OF(element, vectors)

static void strip(
    CPUElement element, int64_t m, int64_t columns, int64_t k, const float *a, int64_t lda, const void *b, int64_t ldb,
    int64_t ahead, CPURequest *request, const CPUEpilogue *epilogue) {
  int64_t width = (columns + LANES - 1) / LANES - 1;
  const tile_function *of_height = element == CPU_F32 ? tiles_0_CPU_F32[width]
      : element == CPU_BF16                           ? tiles_0_CPU_BF16[width]
                                                      : tiles_0_CPU_F16[width];
  const tile_function *first_of_height = ahead == 0 || width + 1 < TILE_VECTORS ? of_height
      : element == CPU_F32  ? WHOLE_STRIPS(CPU_F32, TILE_VECTORS)
      : element == CPU_BF16 ? WHOLE_STRIPS(CPU_BF16, TILE_VECTORS)
                            : WHOLE_STRIPS(CPU_F16, TILE_VECTORS);
  const int64_t bytes = ahead * ldb * (element == CPU_F32 ? 4 : 2);
  // Heights differ by one at most, so that no thin tile is left over.
  int64_t tiles = (m + TILE_ROWS - 1) / TILE_ROWS;
  const int64_t asking = first_asking(request, tiles, k);
  int64_t row = 0;
  for (int64_t t = 0; t < tiles; t++) {
    int64_t rows = m / tiles + (t < m % tiles);
    (t == 0 ? first_of_height : of_height)[rows - 1](
        row, columns, k, a, lda, b, ldb, bytes, t < asking ? NULL : request, epilogue);
    row += rows;
  }
  if (epilogue->bypasses) finish_stores_past();
}

/// `rows` by `count` sums along rows of both operands, those of B `gap` rows apart, lanes added up at the end. With
/// `fetches`, the next `count` rows of B are asked for.
INLINE void dot_tile(
    const int rows, const int count, const int fetches, const int element, int64_t row, int64_t column, int64_t gap,
    int64_t k, const float *a, int64_t lda, const void *b, int64_t ldb, const CPUEpilogue *e) {
  const int width = element == CPU_F32 ? 4 : 2;
  vf sums[8][4];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < count; j++) sums[i][j] = (vf){};
  int64_t p = 0;
  for (; p + LANES <= k; p += LANES) {
    vf right[4];
    if (fetches)
#pragma clang loop unroll(full)
      for (int j = 0; j < count; j++)
        __builtin_prefetch((const char *)b + ((column + (j + count) * gap) * ldb + p) * width, 0, 2);
#pragma clang loop unroll(full)
    for (int j = 0; j < count; j++) right[j] = load_element(b, (column + j * gap) * ldb + p, element);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      vf left = load(a + (row + i) * lda + p);
#pragma clang loop unroll(full)
      for (int j = 0; j < count; j++) sums[i][j] = left * right[j] + sums[i][j];
    }
  }
  if (p < k) {
#pragma clang loop unroll(full)
    for (int j = 0; j < count; j++) {
      vf right = load_element_first(b, (column + j * gap) * ldb + p, element, k - p);
#pragma clang loop unroll(full)
      for (int i = 0; i < rows; i++) sums[i][j] += load_first(a + (row + i) * lda + p, k - p) * right;
    }
  }
  float done[4][8];
#pragma clang loop unroll(full)
  for (int j = 0; j < count; j++) {
    if (rows == 8) {
      vf column[8];
#pragma clang loop unroll(full)
      for (int i = 0; i < 8; i++) column[i] = sums[i][j];
      sum_lanes_of_eight(column, done[j]);
    } else {
#pragma clang loop unroll(full)
      for (int i = 0; i < rows; i++) done[j][i] = sum_lanes(sums[i][j]);
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < count; j++) {
      float v = done[j][i] * e->alpha;
      if (e->bias) v += e->bias[column + j * gap];
      if (e->addend) v += e->beta * e->addend[(row + i) * e->ldAddend + column + j * gap];
      e->c[(row + i) * e->ldc + column + j * gap] = v;
    }
}

#define DOT_ROWS(rows)                                                                                       \
  static __attribute__((noinline)) void dot_rows_##rows(                                                     \
      int element, int64_t row, int64_t n, int64_t gap, int64_t k, const float *a, int64_t lda, const void *b, \
      int64_t ldb, const CPUEpilogue *e) {                                                                   \
    int64_t j = 0;                                                                                           \
    if (element == CPU_F32) {                                                                                \
      if (n == 4) dot_tile(rows, 4, 0, CPU_F32, row, 0, gap, k, a, lda, b, ldb, e);                             \
      else for (; j < n; j++) dot_tile(rows, 1, 0, CPU_F32, row, j, 1, k, a, lda, b, ldb, e);                   \
    } else if (element == CPU_BF16) {                                                                        \
      if (n == 4) dot_tile(rows, 4, 0, CPU_BF16, row, 0, gap, k, a, lda, b, ldb, e);                            \
      else for (; j < n; j++) dot_tile(rows, 1, 0, CPU_BF16, row, j, 1, k, a, lda, b, ldb, e);                  \
    } else {                                                                                                 \
      if (n == 4) dot_tile(rows, 4, 0, CPU_F16, row, 0, gap, k, a, lda, b, ldb, e);                             \
      else for (; j < n; j++) dot_tile(rows, 1, 0, CPU_F16, row, j, 1, k, a, lda, b, ldb, e);                   \
    }                                                                                                        \
  }
DOT_ROWS(1) DOT_ROWS(2) DOT_ROWS(3) DOT_ROWS(4)

/// As `dot_tile` with one row of B, whose vectors go to four sums in turn: read one by one, long rows are one stream.
INLINE void dot_row(
    const int rows, const int element, int64_t k, const float *a, int64_t lda, const void *b, int64_t first,
    int64_t column, const CPUEpilogue *e) {
  vf sums[4][4];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j++) sums[i][j] = (vf){};
  int64_t p = 0;
  for (; p + 4 * LANES <= k; p += 4 * LANES)
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j++) {
      vf right = load_element(b, first + p + j * LANES, element);
#pragma clang loop unroll(full)
      for (int i = 0; i < rows; i++) sums[i][j] = load(a + i * lda + p + j * LANES) * right + sums[i][j];
    }
  for (; p < k; p += LANES) {
    vf right = load_element_first(b, first + p, element, k - p);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) sums[i][0] += load_first(a + i * lda + p, k - p) * right;
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
    float v = sum_lanes((sums[i][0] + sums[i][1]) + (sums[i][2] + sums[i][3])) * e->alpha;
    if (e->bias) v += e->bias[column];
    if (e->addend) v += e->beta * e->addend[i * e->ldAddend + column];
    e->c[i * e->ldc + column] = v;
  }
}

#define DOT_ROW(rows)                                                                                        \
  static __attribute__((noinline)) void dot_row_##rows(                                                      \
      int element, int64_t n, int64_t k, const float *a, int64_t lda, const void *b, int64_t ldb,            \
      const CPUEpilogue *e) {                                                                                \
    if (element == CPU_F32)                                                                                  \
      for (int64_t j = 0; j < n; j++) dot_row(rows, CPU_F32, k, a, lda, b, j * ldb, j, e);                   \
    else if (element == CPU_BF16)                                                                            \
      for (int64_t j = 0; j < n; j++) dot_row(rows, CPU_BF16, k, a, lda, b, j * ldb, j, e);                  \
    else                                                                                                     \
      for (int64_t j = 0; j < n; j++) dot_row(rows, CPU_F16, k, a, lda, b, j * ldb, j, e);                   \
  }
DOT_ROW(1) DOT_ROW(2) DOT_ROW(3) DOT_ROW(4)

#if LANES == 16
// Sixteen rows of A with long rows of B are bound by arithmetic: the widest tile reads least from the caches.
enum { DOT_COLUMNS = 3 };
#define TALL_DOTS(rows, element)                                                                             \
  static __attribute__((noinline)) void tall_dots_##element##_##rows(                                        \
      int64_t row, int64_t n, int64_t k, const float *a, int64_t lda, const void *b, int64_t ldb,            \
      const CPUEpilogue *e) {                                                                                \
    int64_t j = 0;                                                                                           \
    if (row == 0)                                                                                            \
      for (; j + DOT_COLUMNS <= n; j += DOT_COLUMNS)                                                         \
        dot_tile(rows, DOT_COLUMNS, 1, element, row, j, 1, k, a, lda, b, ldb, e);                            \
    else                                                                                                     \
      for (; j + DOT_COLUMNS <= n; j += DOT_COLUMNS)                                                         \
        dot_tile(rows, DOT_COLUMNS, 0, element, row, j, 1, k, a, lda, b, ldb, e);                            \
    for (; j < n; j++) dot_tile(rows, 1, 0, element, row, j, 1, k, a, lda, b, ldb, e);                       \
  }
#define TALL_DOTS_OF(element)                                                                                \
  TALL_DOTS(4, element) TALL_DOTS(5, element) TALL_DOTS(6, element) TALL_DOTS(7, element)                    \
  TALL_DOTS(8, element)                                                                                      \
  static void (*const tall_dots_##element[])(                                                                \
      int64_t, int64_t, int64_t, const float *, int64_t, const void *, int64_t, const CPUEpilogue *) = {     \
      tall_dots_##element##_4, tall_dots_##element##_5, tall_dots_##element##_6, tall_dots_##element##_7,    \
      tall_dots_##element##_8};
TALL_DOTS_OF(CPU_F32)
TALL_DOTS_OF(CPU_BF16)
TALL_DOTS_OF(CPU_F16)

/// More than four rows of A: eight at a time stay in the nearest cache while all rows of B, which fit the next, pass.
static void tall_dots(
    CPUElement element, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const void *b, int64_t ldb,
    const CPUEpilogue *epilogue) {
  const int64_t tiles = (m + 7) / 8;
  int64_t row = 0;
  for (int64_t t = 0; t < tiles; t++) {
    const int64_t rows = m / tiles + (t < m % tiles);
    (element == CPU_F32        ? tall_dots_CPU_F32
         : element == CPU_BF16 ? tall_dots_CPU_BF16
                               : tall_dots_CPU_F16)[rows - 4](row, n, k, a, lda, b, ldb, epilogue);
    row += rows;
  }
}
#endif

/// From here on, in bytes, rows of B are long enough for the processor to see them coming.
enum { LONG_ROW = 1024 };

/// Asks for the four rows behind these four: short rows far apart, as those of one head are, escape the processor's own
/// prediction. Long ones do not.
INLINE void prefetch_rows(int element, const char *rows, int64_t ldb, int64_t k) {
  const int64_t width = element == CPU_F32 ? 4 : 2;
  if (k * width > LONG_ROW) return;
  for (int64_t j = 4; j < 8; j++)
    for (int64_t byte = 0; byte < k * width; byte += 64) __builtin_prefetch(rows + j * ldb * width + byte);
}

static void dots(
    CPUElement element, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const void *b, int64_t ldb,
    const CPUEpilogue *epilogue) {
  if (m <= 4 && k * (element == CPU_F32 ? 4 : 2) > LONG_ROW) {
    switch (m) {
      case 1: dot_row_1(element, n, k, a, lda, b, ldb, epilogue); break;
      case 2: dot_row_2(element, n, k, a, lda, b, ldb, epilogue); break;
      case 3: dot_row_3(element, n, k, a, lda, b, ldb, epilogue); break;
      default: dot_row_4(element, n, k, a, lda, b, ldb, epilogue); break;
    }
    return;
  }
#if LANES == 16
  if (m > 4 && k * (element == CPU_F32 ? 4 : 2) > LONG_ROW) {
    tall_dots(element, m, n, k, a, lda, b, ldb, epilogue);
    return;
  }
#endif
  // Four rows of B at a time stay in the nearest cache while all rows of A pass. Long ones are far apart, so that each is
  // the continuation of one before it.
  const int64_t gap = k * (element == CPU_F32 ? 4 : 2) > LONG_ROW ? n / 4 : 1;
  for (int64_t four = 0; four < (n + 3) / 4; four++) {
    const int64_t column = gap > 1 && four < n / 4 ? four : 4 * four, count = LEAST(n - 4 * four, 4);
    CPUEpilogue e = *epilogue;
    e.c += column;
    if (e.bias) e.bias += column;
    if (e.addend) e.addend += column;
    const void *rows = element == CPU_F32 ? (const void *)((const float *)b + column * ldb)
                                          : (const void *)((const uint16_t *)b + column * ldb);
    if (column + 8 <= n) prefetch_rows(element, (const char *)rows, ldb, k);
    for (int64_t row = 0; row < m; row += 4) {
      switch (LEAST(m - row, 4)) {
        case 1: dot_rows_1(element, row, count, gap, k, a, lda, rows, ldb, &e); break;
        case 2: dot_rows_2(element, row, count, gap, k, a, lda, rows, ldb, &e); break;
        case 3: dot_rows_3(element, row, count, gap, k, a, lda, rows, ldb, &e); break;
        default: dot_rows_4(element, row, count, gap, k, a, lda, rows, ldb, &e); break;
      }
    }
  }
}

#ifdef PAIRS
/// As `tile`, on pairs of bf16 values: one instruction adds two products to each sum. It takes
/// bf16 values below 2^-126 for zeros.
INLINE void pair_tile(
    const int rows, const int vectors, int64_t row, int64_t columns, int64_t pairs, const uint32_t *a, int64_t lda,
    const uint32_t *b, int64_t ldb, CPURequest *request, const CPUEpilogue *epilogue) {
  vf sums[8][3];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) sums[i][j] = (vf){};
  const uint32_t *first = a + row * lda;
  for (int64_t p = 0; p < pairs;) {
    if (request) ask(request);
    for (const int64_t end = LEAST(pairs, p + STEPS_OF_REQUEST); p < end; p++) {
      vu right[3];
#pragma clang loop unroll(full)
      for (int j = 0; j < vectors; j++) right[j] = *(const vu_any *)(b + p * ldb + j * LANES);
#pragma clang loop unroll(full)
      for (int i = 0; i < rows; i++) {
        vu left = first[i * lda + p] - (vu){};
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++)
          sums[i][j] = _mm512_dpbf16_ps(sums[i][j], (__m512bh)left, (__m512bh)right[j]);
      }
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++)
      finish_vector(epilogue, row + i, j * LANES, sums[i][j], columns - j * LANES);
}

typedef void (*pair_function)(
    int64_t row, int64_t columns, int64_t pairs, const uint32_t *a, int64_t lda, const uint32_t *b, int64_t ldb,
    CPURequest *request, const CPUEpilogue *epilogue);

#define PAIR_TILE(rows, vectors)                                                                             \
  static void pair_tile_##rows##_##vectors(                                                                  \
      int64_t row, int64_t columns, int64_t pairs, const uint32_t *a, int64_t lda, const uint32_t *b,        \
      int64_t ldb, CPURequest *request, const CPUEpilogue *epilogue) {                                       \
    pair_tile(rows, vectors, row, columns, pairs, a, lda, b, ldb, request, epilogue);                        \
  }
#define PAIR_TILES(vectors)                                                                                  \
  PAIR_TILE(1, vectors) PAIR_TILE(2, vectors) PAIR_TILE(3, vectors) PAIR_TILE(4, vectors)                    \
  PAIR_TILE(5, vectors) PAIR_TILE(6, vectors) PAIR_TILE(7, vectors) PAIR_TILE(8, vectors)                    \
  static const pair_function pair_tiles_##vectors[] = {                                                      \
      pair_tile_1_##vectors, pair_tile_2_##vectors, pair_tile_3_##vectors, pair_tile_4_##vectors,            \
      pair_tile_5_##vectors, pair_tile_6_##vectors, pair_tile_7_##vectors, pair_tile_8_##vectors};
PAIR_TILES(1)
PAIR_TILES(2)
PAIR_TILES(3)

static void pair_strip(
    int64_t m, int64_t columns, int64_t k, const uint32_t *a, int64_t lda, const uint32_t *b, int64_t ldb,
    CPURequest *request, const CPUEpilogue *epilogue) {
  static const pair_function *const of_width[] = {pair_tiles_1, pair_tiles_2, pair_tiles_3};
  const pair_function *of_height = of_width[(columns + LANES - 1) / LANES - 1];
  int64_t tiles = (m + TILE_ROWS - 1) / TILE_ROWS;
  const int64_t pairs = (k + 1) / 2;
  const int64_t asking = first_asking(request, tiles, pairs);
  int64_t row = 0;
  for (int64_t t = 0; t < tiles; t++) {
    int64_t rows = m / tiles + (t < m % tiles);
    of_height[rows - 1](
        row, columns, pairs, a, lda, b, ldb, t < asking ? NULL : request, epilogue);
    row += rows;
  }
  if (epilogue->bypasses) finish_stores_past();
}
#endif
