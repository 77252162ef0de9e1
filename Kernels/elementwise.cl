// Sums, products, scaling, activations and dropout, element by element.
//
// Kernels: add, multiply, add_row, multiply_row, scale, add_scaled, scale_rows, activation, activation_backward, gated,
// gated_backward, round_bf16, dropout. An output may be the input in the same place.
// Build parameters: those of lanes.cl. Global size: GROUP times the number of blocks (or of rows, for the _row forms).

#include "lanes.cl"
#include "functions.cl"

__kernel void add(TENSOR(const float, a), TENSOR(const float, b), TENSOR(float, output), ulong n) {
  OPEN(a); OPEN(b); OPEN(output);
  FOR_BLOCK(i, n) {
    const int left = LEFT(i, n);
    store(load(a + i, left, 0) + load(b + i, left, 0), output + i, left);
  }
}

__kernel void multiply(TENSOR(const float, a), TENSOR(const float, b), TENSOR(float, output), ulong n) {
  OPEN(a); OPEN(b); OPEN(output);
  FOR_BLOCK(i, n) {
    const int left = LEFT(i, n);
    store(load(a + i, left, 0) * load(b + i, left, 0), output + i, left);
  }
}

// b is one row for every row of a.
__kernel void add_row(TENSOR(const float, a), TENSOR(const float, b), TENSOR(float, output), ulong rows, int n) {
  OPEN(a); OPEN(b); OPEN(output);
  FOR_ROWS(row, rows) FOR_ROW(j, n) {
    const int left = LEFT(j, n);
    store(load(a + row * n + j, left, 0) + load(b + j, left, 0), output + row * n + j, left);
  }
}

__kernel void multiply_row(TENSOR(const float, a), TENSOR(const float, b), TENSOR(float, output), ulong rows, int n) {
  OPEN(a); OPEN(b); OPEN(output);
  FOR_ROWS(row, rows) FOR_ROW(j, n) {
    const int left = LEFT(j, n);
    store(load(a + row * n + j, left, 0) * load(b + j, left, 0), output + row * n + j, left);
  }
}

__kernel void scale(TENSOR(const float, x), float factor, TENSOR(float, output), ulong n) {
  OPEN(x); OPEN(output);
  FOR_BLOCK(i, n) {
    const int left = LEFT(i, n);
    store(load(x + i, left, 0) * (vec)factor, output + i, left);
  }
}

__kernel void add_scaled(TENSOR(const float, x), float factor, TENSOR(float, accumulator), ulong n) {
  OPEN(x); OPEN(accumulator);
  FOR_BLOCK(i, n) {
    const int left = LEFT(i, n);
    store(load(accumulator + i, left, 0) + load(x + i, left, 0) * (vec)factor, accumulator + i, left);
  }
}

__kernel void scale_rows(
    TENSOR(const float, x), TENSOR(const float, factors), TENSOR(float, output), ulong rows, int n) {
  OPEN(x); OPEN(factors); OPEN(output);
  FOR_ROWS(row, rows) FOR_ROW(j, n) {
    const int left = LEFT(j, n);
    store(load(x + row * n + j, left, 0) * (vec)factors[row], output + row * n + j, left);
  }
}

// A loop of its own for each activation: a choice for each vector would cost more than the function.
#define FOR_EACH_KIND(kind, LOOP)             \
  switch (kind) {                             \
    case RELU: LOOP(RELU) break;              \
    case SILU: LOOP(SILU) break;              \
    case GELU: LOOP(GELU) break;              \
    case GELU_TANH: LOOP(GELU_TANH) break;    \
    case TANH: LOOP(TANH) break;              \
  }

__kernel void activation(int kind, TENSOR(const float, x), TENSOR(float, output), ulong n) {
  OPEN(x); OPEN(output);
  const bool past = PASSES_CACHES(output, 16, n);
#define ACTIVATION(kind)                                                           \
  FOR_BLOCK(i, n) {                                                                \
    const int left = LEFT(i, n);                                                   \
    store_out(activation_value(load(x + i, left, 0), kind), output + i, left, past);\
  }
  FOR_EACH_KIND(kind, ACTIVATION)
}

__kernel void activation_backward(
    int kind, TENSOR(const float, cotangent), TENSOR(const float, x), TENSOR(float, output), ulong n) {
  OPEN(cotangent); OPEN(x); OPEN(output);
  const bool past = PASSES_CACHES(output, 16, n);
#define ACTIVATION_BACKWARD(kind)                                                  \
  FOR_BLOCK(i, n) {                                                                \
    const int left = LEFT(i, n);                                                   \
    const vec slope = activation_slope(load(x + i, left, 0), kind);                \
    store_out(load(cotangent + i, left, 0) * slope, output + i, left, past);       \
  }
  FOR_EACH_KIND(kind, ACTIVATION_BACKWARD)
}

__kernel void gated(
    int kind, TENSOR(const float, gate), TENSOR(const float, up), TENSOR(float, output), ulong n) {
  OPEN(gate); OPEN(up); OPEN(output);
#define GATED(kind)                                                                \
  FOR_BLOCK(i, n) {                                                                \
    const int left = LEFT(i, n);                                                   \
    const vec opened = activation_value(load(gate + i, left, 0), kind);            \
    store(opened * load(up + i, left, 0), output + i, left);                       \
  }
  FOR_EACH_KIND(kind, GATED)
}

__kernel void gated_backward(
    int kind, TENSOR(const float, cotangent), TENSOR(const float, gate), TENSOR(const float, up),
    TENSOR(float, gate_gradient), TENSOR(float, up_gradient), ulong n) {
  OPEN(cotangent); OPEN(gate); OPEN(up); OPEN(gate_gradient); OPEN(up_gradient);
#define GATED_BACKWARD(kind)                                                       \
  FOR_BLOCK(i, n) {                                                                \
    const int left = LEFT(i, n);                                                   \
    const vec c = load(cotangent + i, left, 0);                                    \
    const vec g = load(gate + i, left, 0);                                         \
    const vec u = load(up + i, left, 0);                                           \
    store(c * u * activation_slope(g, kind), gate_gradient + i, left);             \
    store(c * activation_value(g, kind), up_gradient + i, left);                   \
  }
  FOR_EACH_KIND(kind, GATED_BACKWARD)
}

// Rounds to the nearest bfloat16 value, ties to even; NaN stays NaN.
__kernel void round_bf16(TENSOR(const float, x), TENSOR(float, output), ulong n) {
  OPEN(x); OPEN(output);
  FOR_BLOCK(i, n) {
    const int left = LEFT(i, n);
    const vec v = load(x + i, left, 0);
    const ivec bits = AS_IVEC(v);
    const vec rounded = AS_VEC((bits + 0x7FFF + ((bits >> 16) & 1)) & (int)0xFFFF0000);
    store(v == v ? rounded : v, output + i, left);
  }
}

// Philox4x32-10: the block of four words with this number. The counter is (block, stream), the key the seed.
inline uint4 philox(ulong seed, ulong stream, ulong block) {
  uint4 counter = (uint4)((uint)block, (uint)(block >> 32), (uint)stream, (uint)(stream >> 32));
  uint key0 = (uint)seed, key1 = (uint)(seed >> 32);
  for (int i = 0; i < 10; i++) {
    const uint low0 = 0xD2511F53u * counter.x, high0 = mul_hi(0xD2511F53u, counter.x);
    const uint low1 = 0xCD9E8D57u * counter.z, high1 = mul_hi(0xCD9E8D57u, counter.z);
    counter = (uint4)(high1 ^ counter.y ^ key0, low1, high0 ^ counter.w ^ key1, low0);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// Four elements, one Philox block, at a time.
__kernel void dropout(
    TENSOR(const float, x), float probability, float kept_scale, ulong seed, ulong stream, TENSOR(float, output),
    ulong n) {
  OPEN(x); OPEN(output);
  const size_t first = get_group_id(0) * (size_t)BLOCK, end = min((size_t)n, first + BLOCK);
  for (size_t i = first + 4 * LANE; i < end; i += 4 * GROUP) {
    const float4 uniform = convert_float4(philox(seed, stream, i / 4) >> 8) * 0x1p-24f;
    const float draws[4] = {uniform.x, uniform.y, uniform.z, uniform.w};
    for (int word = 0; word < 4 && i + word < end; word++)
      output[i + word] = draws[word] >= probability ? x[i + word] * kept_scale : 0.0f;
  }
}
