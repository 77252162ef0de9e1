// Products of few rows, for which reading B takes the longest: it is read once, in the order in which it lies.
//
// A strip of columns would touch a little of every row of B, far from the last, and memory gives half as much that way.
// So a task takes whole rows of B, some of k, and makes sums of its own, which are added up at the end. The rows that
// pass together are far apart, so that each is a stream of its own to the processor's prefetching: neighbours in one
// page would confuse it.

/// Rows of B that pass at a time, and columns of them: with the sums they fit the nearest cache. The elements of two rows
/// of A fit the registers beside them.
enum { STREAM_DEPTH = 8, STREAM_COLUMNS = 256 };

/// How far ahead of a stream memory is asked for, in bytes. Into the last cache: the processor's own prefetching goes
/// on from there, and what is asked for into a nearer one holds up the loads themselves.
enum { STREAM_AHEAD = 1024 };

/// Adds the products of `rows` rows of A with `depth` rows of B, `gap` rows apart, to the sums of `columns` columns,
/// or to 0 if they are the first.
INLINE void stream_vectors(
    const int rows, const int depth, const int fetches, const int element, int64_t isFirst, int64_t gap,
    int64_t columns, const float *a, int64_t lda, const void *b, int64_t ldb, int64_t first, float *sums,
    int64_t lds) {
  const int width = element == CPU_F32 ? 4 : 2;
  vf left[2][STREAM_DEPTH];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int p = 0; p < depth; p++) left[i][p] = splat(a[i * lda + p * gap]);
  for (int64_t column = first; column < first + columns; column += LANES) {
    vf right[STREAM_DEPTH];
    if (fetches)
#pragma clang loop unroll(full)
      for (int p = 0; p < depth; p++)
        __builtin_prefetch((const char *)b + (p * gap * ldb + column) * width + STREAM_AHEAD, 0, 1);
#pragma clang loop unroll(full)
    for (int p = 0; p < depth; p++)
      right[p] = load_element_first(b, p * gap * ldb + column, element, first + columns - column);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      vf sum = isFirst ? (vf){} : load(sums + i * lds + column);
#pragma clang loop unroll(full)
      for (int p = 0; p < depth; p++) sum = left[i][p] * right[p] + sum;
      store(sums + i * lds + column, sum);
    }
  }
}

INLINE void stream_rows(
    const int depth, const int element, int64_t isFirst, int64_t gap, int64_t m, int64_t columns, const float *a,
    int64_t lda, const void *b, int64_t ldb, float *sums, int64_t lds) {
  for (int64_t first = 0; first < columns; first += STREAM_COLUMNS) {
    int64_t count = LEAST(columns - first, STREAM_COLUMNS), row;
    if (m == 1) {
      stream_vectors(1, depth, 1, element, isFirst, gap, count, a, lda, b, ldb, first, sums, lds);
      continue;
    }
    stream_vectors(2, depth, 1, element, isFirst, gap, count, a, lda, b, ldb, first, sums, lds);
    for (row = 2; row + 2 <= m; row += 2)
      stream_vectors(
          2, depth, 0, element, isFirst, gap, count, a + row * lda, lda, b, ldb, first, sums + row * lds, lds);
    if (row < m)
      stream_vectors(
          1, depth, 0, element, isFirst, gap, count, a + row * lda, lda, b, ldb, first, sums + row * lds, lds);
  }
}

INLINE void stream_as(
    const int element, int64_t m, int64_t columns, int64_t k, const float *a, int64_t lda, const void *b, int64_t ldb,
    float *sums, int64_t lds) {
  const int64_t width = element == CPU_F32 ? 4 : 2;
  const int64_t gap = k / STREAM_DEPTH, together = gap * STREAM_DEPTH;
  for (int64_t p = 0; p < gap; p++)
    stream_rows(
        STREAM_DEPTH, element, p == 0, gap, m, columns, a + p, lda, (const char *)b + p * ldb * width, ldb, sums, lds);
  for (int64_t p = together; p < k; p++)
    stream_rows(1, element, p == 0, 0, m, columns, a + p, lda, (const char *)b + p * ldb * width, ldb, sums, lds);
}

static void stream(
    CPUElement element, int64_t m, int64_t columns, int64_t k, const float *a, int64_t lda, const void *b, int64_t ldb,
    float *sums, int64_t lds) {
  if (k == 0)
    for (int64_t i = 0; i < m; i++)
      for (int64_t column = 0; column < columns; column += LANES) store(sums + i * lds + column, (vf){});
  switch (element) {
    case CPU_F32: stream_as(CPU_F32, m, columns, k, a, lda, b, ldb, sums, lds); break;
    case CPU_BF16: stream_as(CPU_BF16, m, columns, k, a, lda, b, ldb, sums, lds); break;
    case CPU_F16: stream_as(CPU_F16, m, columns, k, a, lda, b, ldb, sums, lds); break;
  }
}

static void fetch(const float *x, int64_t rows, int64_t columns, int64_t ld) {
  for (int64_t row = 0; row < rows; row++)
    for (int64_t column = 0; column < columns; column += 16) __builtin_prefetch(x + row * ld + column, 0, 2);
}

static void finish_sums(
    int64_t m, int64_t columns, int64_t parts, const float *sums, int64_t lds, int64_t partSize,
    const CPUEpilogue *epilogue) {
  for (int64_t row = 0; row < m; row++)
    for (int64_t column = 0; column < columns; column += LANES) {
      vf sum = load(sums + row * lds + column);
      for (int64_t part = 1; part < parts; part++) sum += load(sums + part * partSize + row * lds + column);
      finish_vector(epilogue, row, column, sum, columns - column);
    }
}
