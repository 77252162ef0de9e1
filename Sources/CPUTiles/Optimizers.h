// Optimizer steps.

static void adam_w(
    float *parameter, const float *gradient, float *first, float *second, int64_t n, float beta1, float beta2,
    float keep, float stepSize, float correction, float epsilon) {
  for (int64_t i = 0; i < n; i += LANES) {
    int64_t count = n - i;
    vf g = load_first(gradient + i, count);
    vf m = splat(beta1) * load_first(first + i, count) + splat(1 - beta1) * g;
    vf v = splat(beta2) * load_first(second + i, count) + (splat(1 - beta2) * g) * g;
    vf p = load_first(parameter + i, count) * splat(keep);
    p -= splat(stepSize) * (m / (square_root(v) * splat(correction) + splat(epsilon)));
    store_first(first + i, m, count);
    store_first(second + i, v, count);
    store_first(parameter + i, p, count);
  }
}

static void sgd(
    float *parameter, const float *gradient, float *velocity, int64_t n, float rate, float momentum, float decay) {
  for (int64_t i = 0; i < n; i += LANES) {
    int64_t count = n - i;
    vf p = load_first(parameter + i, count);
    vf g = load_first(gradient + i, count) + splat(decay) * p;
    if (velocity) {
      g = splat(momentum) * load_first(velocity + i, count) + g;
      store_first(velocity + i, g, count);
    }
    store_first(parameter + i, p - splat(rate) * g, count);
  }
}

static float adafactor_sum(const float *gradient, float epsilon, int64_t n) {
  return sum_of_squares(gradient, n) + epsilon * (float)n;
}

static void adafactor_columns(
    const float *gradient, int64_t ld, int64_t rows, int64_t columns, float epsilon, float *output) {
  for (int64_t c = 0; c < columns; c += LANES) {
    int64_t count = columns - c;
    vf total = {};
    for (int64_t r = 0; r < rows; r++) {
      vf g = load_first(gradient + r * ld + c, count);
      total += g * g + splat(epsilon);
    }
    store_first(output + c, load_first(output + c, count) + total, count);
  }
}

static void adafactor_moment(const float *gradient, float *moment, float beta, float epsilon, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES) {
    vf g = load_first(gradient + i, n - i);
    vf v = splat(beta) * load_first(moment + i, n - i) + splat(1 - beta) * (g * g + splat(epsilon));
    store_first(moment + i, v, n - i);
  }
}

INLINE vf adafactor_update(const float *gradient, const float *moment, float factor, int64_t count) {
  vf u = load_first(gradient, count) / square_root(splat(factor) * load_first(moment, count));
  return count >= LANES ? u : choose(lane_numbers() < (int32_t)count, u, splat(0));
}

static float adafactor_update_squares(const float *gradient, const float *moment, float factor, int64_t n) {
  vf total = {};
  for (int64_t i = 0; i < n; i += LANES) {
    vf u = adafactor_update(gradient + i, moment + i, factor, n - i);
    total += u * u;
  }
  return sum_lanes(total);
}

static void adafactor_step(
    float *parameter, const float *gradient, const float *moment, float factor, float keep, float step, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES) {
    vf u = adafactor_update(gradient + i, moment + i, factor, n - i);
    store_first(parameter + i, splat(keep) * load_first(parameter + i, n - i) - splat(step) * u, n - i);
  }
}
