// Operations on whole rows.

/// Zero in place of -infinity, so that differences to it are not NaN.
INLINE float finite_shift(float largest) { return largest == -__builtin_inff() ? 0 : largest; }

INLINE vf softmax_score(const float *x, const float *mask, float factor, int64_t i, int64_t count) {
  vf v = load_first(x + i, count) * splat(factor);
  return mask ? v + load_first(mask + i, count) : v;
}

/// Lanes from `count` on become -infinity.
INLINE vf hide_rest(vf v, int64_t count) {
  if (count >= LANES) return v;
  return choose(lane_numbers() < (int32_t)count, v, splat(-__builtin_inff()));
}

static void softmax(const float *x, const float *mask, float factor, float *output, int64_t n) {
  vf largest = splat(-__builtin_inff());
  for (int64_t i = 0; i < n; i += LANES)
    largest = larger(hide_rest(softmax_score(x, mask, factor, i, n - i), n - i), largest);
  vf shift = splat(finite_shift(largest_lane(largest)));
  vf total = {};
  for (int64_t i = 0; i < n; i += LANES) {
    vf e = negative_exponential(softmax_score(x, mask, factor, i, n - i) - shift);
    store_first(output + i, e, n - i);
    total += n - i >= LANES ? e : choose(lane_numbers() < (int32_t)(n - i), e, splat(0));
  }
  float whole = sum_lanes(total);
  scale(output, whole == 0 ? 0 : 1 / whole, output, n);
}

static void softmax_backward(const float *cotangent, const float *y, float factor, float *output, int64_t n) {
  vf inner = splat(dot(cotangent, y, n));
  for (int64_t i = 0; i < n; i += LANES) {
    vf c = load_first(cotangent + i, n - i), p = load_first(y + i, n - i);
    store_first(output + i, splat(factor) * (p * (c - inner)), n - i);
  }
}

static float log_sum_exp(const float *x, int64_t n) {
  float largest = largest_element(x, n);
  vf shift = splat(finite_shift(largest));
  double whole = 0;
  for (int64_t start = 0; start < n; start += 64 * LANES) {
    int64_t end = LEAST(n, start + 64 * LANES);
    vf s0 = {}, s1 = {};
    int64_t i = start;
    for (; i + 2 * LANES <= end; i += 2 * LANES) {
      s0 += negative_exponential(load(x + i) - shift);
      s1 += negative_exponential(load(x + i + LANES) - shift);
    }
    for (; i < end; i += LANES) s0 += negative_exponential(hide_rest(load_first(x + i, end - i), end - i) - shift);
    whole += sum_lanes(s0 + s1);
  }
  return (float)(finite_shift(largest) + __builtin_log(whole));
}

static void scaled_exp(const float *x, float logSumExp, float factor, float *output, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES)
    store_first(
        output + i, splat(factor) * exponential(load_first(x + i, n - i) - splat(logSumExp)), n - i);
}

static void layer_norm(
    const float *x, const float *weight, const float *bias, float epsilon, float *output, float *mean, float *rstd,
    int64_t n) {
  float center = sum(x, n) / (float)n;
  vf m = splat(center);
  vf s0 = {}, s1 = {};
  int64_t i = 0;
  for (; i + 2 * LANES <= n; i += 2 * LANES) {
    vf a = load(x + i) - m, b = load(x + i + LANES) - m;
    s0 += a * a;
    s1 += b * b;
  }
  for (; i < n; i += LANES) {
    vf a = load_first(x + i, n - i) - m;
    if (n - i < LANES) a = choose(lane_numbers() < (int32_t)(n - i), a, splat(0));
    s0 += a * a;
  }
  float inverse = 1 / __builtin_sqrtf(sum_lanes(s0 + s1) / (float)n + epsilon);
  for (i = 0; i < n; i += LANES) {
    vf h = (load_first(x + i, n - i) - m) * splat(inverse) * load_first(weight + i, n - i);
    store_first(output + i, bias ? h + load_first(bias + i, n - i) : h, n - i);
  }
  *mean = center;
  *rstd = inverse;
}

/// With mean: that of layer normalisation; without: that of root-mean-square normalisation.
INLINE void norm_backward(
    const int centred, const float *cotangent, const float *x, const float *weight, float mean, float rstd,
    float *output, int64_t n) {
  vf sumG = {}, sumGH = {};
  for (int64_t i = 0; i < n; i += LANES) {
    vf g = load_first(cotangent + i, n - i) * load_first(weight + i, n - i);
    vf h = (load_first(x + i, n - i) - splat(mean)) * splat(rstd);
    sumG += g;
    sumGH += g * h;
  }
  vf meanG = splat(centred ? sum_lanes(sumG) / (float)n : 0);
  vf meanGH = splat(sum_lanes(sumGH) / (float)n);
  for (int64_t i = 0; i < n; i += LANES) {
    vf g = load_first(cotangent + i, n - i) * load_first(weight + i, n - i);
    vf h = (load_first(x + i, n - i) - splat(mean)) * splat(rstd);
    store_first(output + i, splat(rstd) * (g - meanG - h * meanGH), n - i);
  }
}

static void layer_norm_backward(
    const float *cotangent, const float *x, const float *weight, float mean, float rstd, float *output, int64_t n) {
  norm_backward(1, cotangent, x, weight, mean, rstd, output, n);
}

static void rms_norm(
    const float *x, const float *weight, float epsilon, float *output, float *rstd, int64_t n) {
  float inverse = 1 / __builtin_sqrtf(sum_of_squares(x, n) / (float)n + epsilon);
  for (int64_t i = 0; i < n; i += LANES)
    store_first(
        output + i, load_first(x + i, n - i) * splat(inverse) * load_first(weight + i, n - i), n - i);
  *rstd = inverse;
}

static void rms_norm_backward(
    const float *cotangent, const float *x, const float *weight, float rstd, float *output, int64_t n) {
  norm_backward(0, cotangent, x, weight, 0, rstd, output, n);
}

static void norm_parameters(
    const float *cotangent, const float *x, const float *mean, const float *rstd, int64_t ld, int64_t rows,
    int64_t columns, float *weight, float *bias) {
  for (int64_t c = 0; c < columns; c += LANES) {
    int64_t count = columns - c;
    vf w = {}, b = {};
    for (int64_t start = 0; start < rows; start += 64) {
      int64_t end = LEAST(rows, start + 64);
      vf partW = {}, partB = {};
      for (int64_t r = start; r < end; r++) {
        vf g = load_first(cotangent + r * ld + c, count), v = load_first(x + r * ld + c, count);
        if (mean) v -= splat(mean[r]);
        partW += g * (v * splat(rstd[r]));
        partB += g;
      }
      w += partW;
      b += partB;
    }
    store_first(weight + c, w, count);
    if (bias) store_first(bias + c, b, count);
  }
}
