// Optimizer steps, in place.
//
// Kernels: adamw, sgd, sgd_momentum; adafactor_rows, adafactor_columns, adafactor_factored, adafactor_full,
// adafactor_apply. What depends on the step number alone is computed by the host in double precision.
// Build parameters: those of lanes.cl.

#include "lanes.cl"

// p *= keep; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= rate m / (sqrt(v) root + epsilon),
// with rate = learning rate / (1 - b1^t) and root = 1 / sqrt(1 - b2^t).
__kernel void adamw(
    TENSOR(float, p), TENSOR(const float, g), TENSOR(float, m), TENSOR(float, v), float keep, float beta1,
    float rest1, float beta2, float rest2, float rate, float root, float epsilon, ulong n) {
  OPEN(p); OPEN(g); OPEN(m); OPEN(v);
  FOR_BLOCK(i, n) {
    const int left = LEFT(i, n);
    const vec gradient = load(g + i, left, 0);
    const vec first = load(m + i, left, 0) * (vec)beta1 + gradient * (vec)rest1;
    const vec second = load(v + i, left, 0) * (vec)beta2 + gradient * gradient * (vec)rest2;
    store(first, m + i, left);
    store(second, v + i, left);
    const vec step = (vec)rate * first / (sqrt(second) * (vec)root + (vec)epsilon);
    store(load(p + i, left, 0) * (vec)keep - step, p + i, left);
  }
}

__kernel void sgd(TENSOR(float, p), TENSOR(const float, g), float rate, float decay, ulong n) {
  OPEN(p); OPEN(g);
  FOR_BLOCK(i, n) {
    const int left = LEFT(i, n);
    const vec old = load(p + i, left, 0);
    store(old - (vec)rate * (load(g + i, left, 0) + (vec)decay * old), p + i, left);
  }
}

__kernel void sgd_momentum(
    TENSOR(float, p), TENSOR(const float, g), TENSOR(float, velocity), float rate, float decay, float momentum,
    ulong n) {
  OPEN(p); OPEN(g); OPEN(velocity);
  FOR_BLOCK(i, n) {
    const int left = LEFT(i, n);
    const vec old = load(p + i, left, 0);
    const vec moved = (vec)momentum * load(velocity + i, left, 0) + load(g + i, left, 0) + (vec)decay * old;
    store(moved, velocity + i, left);
    store(old - (vec)rate * moved, p + i, left);
  }
}

// R = b R + (1 - b) mean over the row of (g^2 + epsilon)
__kernel void adafactor_rows(
    TENSOR(const float, g), TENSOR(float, moments), float beta, float rest, float epsilon, ulong rows, int n) {
  SCRATCH;
  OPEN(g); OPEN(moments);
  FOR_ROWS(row, rows) {
    vec sum = (vec)0.0f;
    FOR_ROW(j, n) {
      const vec v = load(g + row * n + j, LEFT(j, n), 0);
      sum += v * v;
    }
    const float mean = GROUP_SUM(sum) / n + epsilon;
    if (LANE == 0) moments[row] = beta * moments[row] + rest * mean;
  }
}

// C = b C + (1 - b) (sum of squares of the column / rows + epsilon)
__kernel void adafactor_columns(
    TENSOR(const float, sums), TENSOR(float, moments), float beta, float rest, float epsilon, float rows, ulong n) {
  OPEN(sums); OPEN(moments);
  FOR_BLOCK(i, n) {
    const int left = LEFT(i, n);
    const vec mean = load(sums + i, left, 0) / (vec)rows + (vec)epsilon;
    store((vec)beta * load(moments + i, left, 0) + (vec)rest * mean, moments + i, left);
  }
}

// u = g / sqrt(R C' / mean(R)); the square roots are taken apart, because R C' may underflow.
__kernel void adafactor_factored(
    TENSOR(const float, g), TENSOR(const float, row_moments), TENSOR(const float, column_moments), float row_mean,
    TENSOR(float, update), ulong rows, int n) {
  OPEN(g); OPEN(row_moments); OPEN(column_moments); OPEN(update);
  FOR_ROWS(row, rows) {
    const vec scale = (vec)(1.0f / sqrt(row_moments[row] / row_mean));
    FOR_ROW(j, n) {
      const int left = LEFT(j, n);
      store(
          load(g + row * n + j, left, 0) * scale / sqrt(load(column_moments + j, left, 1)), update + row * n + j,
          left);
    }
  }
}

// V = b V + (1 - b) (g^2 + epsilon); u = g / sqrt(V)
__kernel void adafactor_full(
    TENSOR(const float, g), TENSOR(float, moments), float beta, float rest, float epsilon, TENSOR(float, update),
    ulong n) {
  OPEN(g); OPEN(moments); OPEN(update);
  FOR_BLOCK(i, n) {
    const int left = LEFT(i, n);
    const vec gradient = load(g + i, left, 1);
    const vec moment =
        (vec)beta * load(moments + i, left, 1) + (vec)rest * (gradient * gradient + (vec)epsilon);
    store(moment, moments + i, left);
    store(gradient / sqrt(moment), update + i, left);
  }
}

// p -= rate u + decay p
__kernel void adafactor_apply(TENSOR(float, p), TENSOR(const float, update), float rate, float decay, ulong n) {
  OPEN(p); OPEN(update);
  FOR_BLOCK(i, n) {
    const int left = LEFT(i, n);
    const vec old = load(p + i, left, 0);
    store(old - (vec)rate * load(update + i, left, 0) - (vec)decay * old, p + i, left);
  }
}
