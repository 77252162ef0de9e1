// Layer normalisation and root-mean-square normalisation over rows.
//
// Kernels: layer_norm, layer_norm_backward, rms_norm, rms_norm_backward. One work-group per row.
// The gradients of the weights are column sums: see columns.cl.
// Build parameters: those of lanes.cl.

#include "lanes.cl"

inline vec square(vec x) { return x * x; }

__kernel void layer_norm(
    TENSOR(const float, x), TENSOR(const float, weight), TENSOR(const float, bias), float epsilon,
    TENSOR(float, output), TENSOR(float, mean), TENSOR(float, rstd), ulong rows, int n) {
  SCRATCH;
  OPEN(x); OPEN(weight); OPEN(output); OPEN(mean); OPEN(rstd);
  const bool biased = bias != 0;
  const bool past = PASSES_CACHES(output, n, rows * n);
  if (biased) OPEN(bias);
  FOR_ROWS(row, rows) {
    const __global float *from = x + row * n;
    SUM_ROW(sum, j, n, load(from + j, left, 0));
    const float average = GROUP_SUM(sum) / n;
    SUM_ROW(squares, j, n, square(load(from + j, left, average) - (vec)average));
    const float inverse = 1.0f / sqrt(GROUP_SUM(squares) / n + epsilon);
    FOR_ROW(j, n) {
      const int left = LEFT(j, n);
      vec v = (load(from + j, left, 0) - (vec)average) * (vec)inverse * load(weight + j, left, 0);
      if (biased) v += load(bias + j, left, 0);
      store_out(v, output + row * n + j, left, past);
    }
    if (LANE == 0) {
      mean[row] = average;
      rstd[row] = inverse;
    }
  }
}

__kernel void layer_norm_backward(
    TENSOR(const float, cotangent), TENSOR(const float, x), TENSOR(const float, weight), TENSOR(const float, mean),
    TENSOR(const float, rstd), TENSOR(float, output), ulong rows, int n) {
  SCRATCH;
  OPEN(cotangent); OPEN(x); OPEN(weight); OPEN(mean); OPEN(rstd); OPEN(output);
  const bool past = PASSES_CACHES(output, n, rows * n);
  FOR_ROWS(row, rows) {
    const __global float *from = x + row * n, *c = cotangent + row * n;
    const float average = mean[row], inverse = rstd[row];
    vec sum = (vec)0.0f, product = (vec)0.0f;
    FOR_ROW(j, n) {
      const int left = LEFT(j, n);
      const vec g = load(c + j, left, 0) * load(weight + j, left, 0);
      sum += g;
      product += g * (load(from + j, left, average) - (vec)average);
    }
    const vec g_mean = (vec)(GROUP_SUM(sum) / n);
    const vec projection = (vec)(GROUP_SUM(product) / n * inverse * inverse);
    FOR_ROW(j, n) {
      const int left = LEFT(j, n);
      const vec g = load(c + j, left, 0) * load(weight + j, left, 0);
      const vec centred = load(from + j, left, average) - (vec)average;
      store_out((vec)inverse * (g - g_mean - centred * projection), output + row * n + j, left, past);
    }
  }
}

__kernel void rms_norm(
    TENSOR(const float, x), TENSOR(const float, weight), float epsilon, TENSOR(float, output), TENSOR(float, rstd),
    ulong rows, int n) {
  SCRATCH;
  OPEN(x); OPEN(weight); OPEN(output); OPEN(rstd);
  const bool past = PASSES_CACHES(output, n, rows * n);
  FOR_ROWS(row, rows) {
    const __global float *from = x + row * n;
    SUM_ROW(squares, j, n, square(load(from + j, left, 0)));
    const float inverse = 1.0f / sqrt(GROUP_SUM(squares) / n + epsilon);
    FOR_ROW(j, n) {
      const int left = LEFT(j, n);
      store_out(load(from + j, left, 0) * (vec)inverse * load(weight + j, left, 0), output + row * n + j, left, past);
    }
    if (LANE == 0) rstd[row] = inverse;
  }
}

__kernel void rms_norm_backward(
    TENSOR(const float, cotangent), TENSOR(const float, x), TENSOR(const float, weight), TENSOR(const float, rstd),
    TENSOR(float, output), ulong rows, int n) {
  SCRATCH;
  OPEN(cotangent); OPEN(x); OPEN(weight); OPEN(rstd); OPEN(output);
  const bool past = PASSES_CACHES(output, n, rows * n);
  FOR_ROWS(row, rows) {
    const __global float *from = x + row * n, *c = cotangent + row * n;
    const float inverse = rstd[row];
    SUM_ROW(product, j, n, load(c + j, left, 0) * load(weight + j, left, 0) * load(from + j, left, 0));
    const vec projection = (vec)(GROUP_SUM(product) / n * inverse * inverse);
    FOR_ROW(j, n) {
      const int left = LEFT(j, n);
      const vec g = load(c + j, left, 0) * load(weight + j, left, 0);
      store_out((vec)inverse * (g - load(from + j, left, 0) * projection), output + row * n + j, left, past);
    }
  }
}
