// Loops over single elements. Outputs may be inputs: every vector is read before it is written.

static void fill(float *output, float value, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES) store_first(output + i, splat(value), n - i);
}

static void add(const float *a, const float *b, float *output, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES)
    store_first(output + i, load_first(a + i, n - i) + load_first(b + i, n - i), n - i);
}

static void multiply(const float *a, const float *b, float *output, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES)
    store_first(output + i, load_first(a + i, n - i) * load_first(b + i, n - i), n - i);
}

static void scale(const float *x, float factor, float *output, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES)
    store_first(output + i, load_first(x + i, n - i) * splat(factor), n - i);
}

static void add_scaled(const float *x, float factor, float *accumulator, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES)
    store_first(
        accumulator + i, load_first(accumulator + i, n - i) + splat(factor) * load_first(x + i, n - i), n - i);
}

INLINE void activation_of(const int kind, const float *x, float *output, int64_t n, int32_t bypasses) {
  for (int64_t i = 0; i < n; i += LANES)
    store_out(output + i, activate(kind, load_first(x + i, n - i)), n - i, bypasses);
  if (bypasses) finish_stores_past();
}

static void activation(CPUActivation kind, const float *x, float *output, int64_t n, int32_t bypasses) {
  switch (kind) {
    case CPU_RELU: activation_of(CPU_RELU, x, output, n, bypasses); break;
    case CPU_SILU: activation_of(CPU_SILU, x, output, n, bypasses); break;
    case CPU_GELU: activation_of(CPU_GELU, x, output, n, bypasses); break;
    case CPU_GELU_TANH: activation_of(CPU_GELU_TANH, x, output, n, bypasses); break;
    case CPU_TANH: activation_of(CPU_TANH, x, output, n, bypasses); break;
  }
}

/// `cotangent activation'(x)`; a rectifier chooses instead of multiplying, so that infinity times 0 cannot happen.
INLINE vf pull_back(const int kind, vf cotangent, vf x) {
  if (kind == CPU_RELU) return choose(x > 0, cotangent, choose(x <= 0, splat(0), x));
  return cotangent * activation_slope(kind, x);
}

INLINE void activation_backward_of(
    const int kind, const float *cotangent, const float *x, float *output, int64_t n, int32_t bypasses) {
  for (int64_t i = 0; i < n; i += LANES)
    store_out(
        output + i, pull_back(kind, load_first(cotangent + i, n - i), load_first(x + i, n - i)), n - i, bypasses);
  if (bypasses) finish_stores_past();
}

static void activation_backward(
    CPUActivation kind, const float *cotangent, const float *x, float *output, int64_t n, int32_t bypasses) {
  switch (kind) {
    case CPU_RELU: activation_backward_of(CPU_RELU, cotangent, x, output, n, bypasses); break;
    case CPU_SILU: activation_backward_of(CPU_SILU, cotangent, x, output, n, bypasses); break;
    case CPU_GELU: activation_backward_of(CPU_GELU, cotangent, x, output, n, bypasses); break;
    case CPU_GELU_TANH: activation_backward_of(CPU_GELU_TANH, cotangent, x, output, n, bypasses); break;
    case CPU_TANH: activation_backward_of(CPU_TANH, cotangent, x, output, n, bypasses); break;
  }
}

INLINE void gated_of(const int kind, const float *gate, const float *up, float *output, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES)
    store_first(output + i, activate(kind, load_first(gate + i, n - i)) * load_first(up + i, n - i), n - i);
}

static void gated(CPUActivation kind, const float *gate, const float *up, float *output, int64_t n) {
  switch (kind) {
    case CPU_RELU: gated_of(CPU_RELU, gate, up, output, n); break;
    case CPU_SILU: gated_of(CPU_SILU, gate, up, output, n); break;
    case CPU_GELU: gated_of(CPU_GELU, gate, up, output, n); break;
    case CPU_GELU_TANH: gated_of(CPU_GELU_TANH, gate, up, output, n); break;
    case CPU_TANH: gated_of(CPU_TANH, gate, up, output, n); break;
  }
}

INLINE void gated_backward_of(
    const int kind, const float *cotangent, const float *gate, const float *up, float *gateGradient,
    float *upGradient, int64_t n) {
  for (int64_t i = 0; i < n; i += LANES) {
    vf c = load_first(cotangent + i, n - i), g = load_first(gate + i, n - i), u = load_first(up + i, n - i);
    store_first(gateGradient + i, pull_back(kind, c * u, g), n - i);
    store_first(upGradient + i, c * activate(kind, g), n - i);
  }
}

static void gated_backward(
    CPUActivation kind, const float *cotangent, const float *gate, const float *up, float *gateGradient,
    float *upGradient, int64_t n) {
  switch (kind) {
    case CPU_RELU: gated_backward_of(CPU_RELU, cotangent, gate, up, gateGradient, upGradient, n); break;
    case CPU_SILU: gated_backward_of(CPU_SILU, cotangent, gate, up, gateGradient, upGradient, n); break;
    case CPU_GELU: gated_backward_of(CPU_GELU, cotangent, gate, up, gateGradient, upGradient, n); break;
    case CPU_GELU_TANH: gated_backward_of(CPU_GELU_TANH, cotangent, gate, up, gateGradient, upGradient, n); break;
    case CPU_TANH: gated_backward_of(CPU_TANH, cotangent, gate, up, gateGradient, upGradient, n); break;
  }
}

/// One block of Philox4x32-10; see `Philox.block`.
INLINE void philox(uint64_t seed, uint64_t stream, uint64_t block, uint32_t words[4]) {
  uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32), c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

static void dropout(
    const float *x, float *output, int64_t first, int64_t n, float probability, uint64_t seed, uint64_t stream) {
  float kept = 1 - probability;
  for (int64_t i = 0; i < n; i += 4) {  // `first` is a multiple of 4
    uint32_t words[4];
    philox(seed, stream, (uint64_t)(first + i) / 4, words);
    for (int64_t j = 0; j < 4 && i + j < n; j++) {
      float uniform = (float)(words[j] >> 8) * 0x1p-24f;
      output[i + j] = uniform >= probability ? x[i + j] / kept : 0;
    }
  }
}

static void rotate(
    const float *x, const float *cosines, const float *sines, int64_t pairs, int64_t width, int32_t interleaved,
    float *output) {
  if (interleaved) {
    for (int64_t i = 0; i < pairs; i++) {
      float a = x[2 * i], b = x[2 * i + 1];
      output[2 * i] = a * cosines[i] - b * sines[i];
      output[2 * i + 1] = a * sines[i] + b * cosines[i];
    }
  } else {
    for (int64_t i = 0; i < pairs; i += LANES) {
      int64_t n = pairs - i;
      vf a = load_first(x + i, n), b = load_first(x + pairs + i, n);
      vf c = load_first(cosines + i, n), s = load_first(sines + i, n);
      store_first(output + i, a * c - b * s, n);
      store_first(output + pairs + i, a * s + b * c, n);
    }
  }
  if (x != output)
    for (int64_t i = 2 * pairs; i < width; i++) output[i] = x[i];
}
