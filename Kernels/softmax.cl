// Softmax and cross-entropy over rows.
//
// Kernels: softmax, softmax_backward, cross_entropy, cross_entropy_backward. One work-group per row; an output may be
// the first input. A row in which everything is -infinity gives zeros; NaN passes through (the sum of exponentials sees
// it even where the maximum does not).
// Build parameters: those of lanes.cl.

#include "lanes.cl"
#include "functions.cl"

// The number that is subtracted before exponentials: the maximum, or 0 where nothing is above -infinity.
inline float anchor(float maximum) { return maximum == -INFINITY ? 0.0f : maximum; }

__kernel void softmax(
    TENSOR(const float, x), TENSOR(const float, mask), float factor, TENSOR(float, output), ulong rows, int n) {
  SCRATCH;
  OPEN(x); OPEN(output);
  const bool masked = mask != 0;
  if (masked) OPEN(mask);
  FOR_ROWS(row, rows) {
    const __global float *from = x + row * n;
    __global float *to = output + row * n;
    vec highest = (vec)-INFINITY;
    FOR_ROW(j, n) {
      const int left = LEFT(j, n);
      vec v = load(from + j, left, -INFINITY);
      v = factor == 1.0f ? v : v * (vec)factor;
      if (masked) v += load(mask + row * n + j, left, 0);
#if WIDTH == 16
      if (left < 16) v = LANES < (int16)left ? v : (vec)-INFINITY;  // a factor of 0 or below
#endif
      highest = larger(v, highest);
    }
    const vec top = (vec)anchor(GROUP_MAX(highest));
    vec sum = (vec)0.0f;
    FOR_ROW(j, n) {
      const int left = LEFT(j, n);
      vec v = load(from + j, left, -INFINITY);
      v = factor == 1.0f ? v : v * (vec)factor;
      if (masked) v += load(mask + row * n + j, left, 0);
      v = negative_exponential(v - top);
#if WIDTH == 16
      if (left < 16) v = LANES < (int16)left ? v : (vec)0.0f;
#endif
      sum += v;
      store(v, to + j, left);
    }
    const float total = GROUP_SUM(sum);
    const vec inverse = (vec)(total == 0.0f ? 0.0f : 1.0f / total);
    FOR_ROW(j, n) {
      const int left = LEFT(j, n);
      store(load(to + j, left, 0) * inverse, to + j, left);
    }
  }
}

__kernel void softmax_backward(
    TENSOR(const float, cotangent), TENSOR(const float, y), float factor, TENSOR(float, output), ulong rows, int n) {
  SCRATCH;
  OPEN(cotangent); OPEN(y); OPEN(output);
  FOR_ROWS(row, rows) {
    const __global float *c = cotangent + row * n, *p = y + row * n;
    SUM_ROW(sum, j, n, load(c + j, left, 0) * load(p + j, left, 0));
    const vec inner = (vec)GROUP_SUM(sum);
    FOR_ROW(j, n) {
      const int left = LEFT(j, n);
      store((vec)factor * load(p + j, left, 0) * (load(c + j, left, 0) - inner), output + row * n + j, left);
    }
  }
}

__kernel void cross_entropy(
    TENSOR(const float, logits), TENSOR(const int, labels), int ignored, TENSOR(float, losses),
    TENSOR(float, log_sums), ulong rows, int n) {
  SCRATCH;
  OPEN(logits); OPEN(labels); OPEN(losses); OPEN(log_sums);
  FOR_ROWS(row, rows) {
    const __global float *from = logits + row * n;
    vec highest = (vec)-INFINITY;
    FOR_ROW(j, n) highest = larger(load(from + j, LEFT(j, n), -INFINITY), highest);
    const float top = anchor(GROUP_MAX(highest));
    SUM_ROW(sum, j, n, negative_exponential(load(from + j, left, -INFINITY) - (vec)top));
    const float log_sum = top + log(GROUP_SUM(sum));
    if (LANE == 0) {
      log_sums[row] = log_sum;
      losses[row] = labels[row] == ignored ? 0.0f : log_sum - from[labels[row]];
    }
  }
}

__kernel void cross_entropy_backward(
    TENSOR(const float, cotangent), TENSOR(const float, logits), TENSOR(const int, labels), int ignored,
    TENSOR(const float, log_sums), TENSOR(float, output), ulong rows, int n) {
  OPEN(cotangent); OPEN(logits); OPEN(labels); OPEN(log_sums); OPEN(output);
  FOR_ROWS(row, rows) {
    const __global float *from = logits + row * n;
    __global float *to = output + row * n;
    const int label = labels[row];
    const vec c = (vec)cotangent[row], log_sum = (vec)log_sums[row];
    FOR_ROW(j, n) {
      const int left = LEFT(j, n);
      vec v = (vec)0.0f;
      if (label != ignored) {
        v = negative_exponential(load(from + j, left, -INFINITY) - log_sum);
#if WIDTH == 16
        v -= LANES + (int16)j == (int16)label ? (vec)1.0f : (vec)0.0f;
#else
        v -= j == label ? 1.0f : 0.0f;
#endif
        v *= c;
      }
      store(v, to + j, left);
    }
  }
}
