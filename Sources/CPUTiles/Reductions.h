// Sums, extremes and searches.

static float sum(const float *x, int64_t n) {
  vf s0 = {}, s1 = {}, s2 = {}, s3 = {};
  int64_t i = 0;
  for (; i + 4 * LANES <= n; i += 4 * LANES) {
    s0 += load(x + i);
    s1 += load(x + i + LANES);
    s2 += load(x + i + 2 * LANES);
    s3 += load(x + i + 3 * LANES);
  }
  for (; i < n; i += LANES) s0 += load_first(x + i, n - i);
  return sum_lanes((s0 + s1) + (s2 + s3));
}

static float dot(const float *a, const float *b, int64_t n) {
  vf s0 = {}, s1 = {}, s2 = {}, s3 = {};
  int64_t i = 0;
  for (; i + 4 * LANES <= n; i += 4 * LANES) {
    s0 += load(a + i) * load(b + i);
    s1 += load(a + i + LANES) * load(b + i + LANES);
    s2 += load(a + i + 2 * LANES) * load(b + i + 2 * LANES);
    s3 += load(a + i + 3 * LANES) * load(b + i + 3 * LANES);
  }
  for (; i < n; i += LANES) s0 += load_first(a + i, n - i) * load_first(b + i, n - i);
  return sum_lanes((s0 + s1) + (s2 + s3));
}

static float sum_of_squares(const float *x, int64_t n) { return dot(x, x, n); }

static int64_t first_non_finite(const float *x, int64_t n) {
  for (int64_t i = 0; i < n; i += 64 * LANES) {
    int64_t end = LEAST(n, i + 64 * LANES);
    vf zeros = {};  // x - x is 0 for finite x, else NaN
    for (int64_t j = i; j < end; j += LANES) {
      vf v = load_first(x + j, end - j);
      zeros += v - v;
    }
    float found = sum_lanes(zeros);
    if (found == 0) continue;
    for (int64_t j = i; j < end; j++)
      if (!(x[j] - x[j] == 0)) return j;
  }
  return -1;
}

INLINE float largest_element(const float *x, int64_t n) {
  vf largest = splat(-__builtin_inff());
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) largest = larger(load(x + i), largest);
  float result = largest_lane(largest);
  for (; i < n; i++) result = x[i] > result ? x[i] : result;
  return result;
}

static int64_t argmax(const float *x, int64_t n) {
  vi unordered = {};
  vf largest = splat(-__builtin_inff());
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    vf v = load(x + i);
    unordered |= v != v;
    largest = larger(v, largest);
  }
  int hasNaN = 0;
  for (int j = 0; j < LANES; j++) hasNaN |= unordered[j];
  float top = largest_lane(largest);
  for (; i < n; i++) {
    hasNaN |= x[i] != x[i];
    top = x[i] > top ? x[i] : top;
  }
  for (int64_t j = 0; j < n; j++)
    if (hasNaN ? x[j] != x[j] : x[j] == top) return j;
  return 0;
}

/// Rows are added in blocks of 64, so that long columns lose little.
static void column_sums(const float *x, int64_t ld, int64_t rows, int64_t columns, float *output) {
  for (int64_t c = 0; c < columns; c += LANES) {
    int64_t count = columns - c;
    vf total = {};
    for (int64_t start = 0; start < rows; start += 64) {
      int64_t end = LEAST(rows, start + 64);
      vf part = {};
      for (int64_t r = start; r < end; r++) part += load_first(x + r * ld + c, count);
      total += part;
    }
    store_first(output + c, total, count);
  }
}
