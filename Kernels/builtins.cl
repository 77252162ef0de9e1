// The device's own functions, element by element, so that their precision can be measured.
//
// Kernels: builtin (in vectors of WIDTH), builtin_scalar (one float at a time). `function` counts as in `value` below.
// Build parameters: those of lanes.cl. Global size: GROUP times the number of blocks.

#include "lanes.cl"
#include "functions.cl"

inline vec value(int function, vec x, vec y, vec z) {
  switch (function) {
    case 0: return exp(x);
    case 1: return log(x);
    case 2: return tanh(x);
    case 3: return erf(x);
    case 4: return erfc(x);
    case 5: return rsqrt(x);
    case 6: return sqrt(x);
    case 7: return sin(x);
    case 8: return cos(x);
    case 9: return x / y;
    case 10: return pow(x, y);
    case 11: return fma(x, y, z);
    case 12: return exponential(x);
    default: return (vec)NAN;
  }
}

inline float scalar_value(int function, float x, float y, float z) {
  switch (function) {
    case 0: return exp(x);
    case 1: return log(x);
    case 2: return tanh(x);
    case 3: return erf(x);
    case 4: return erfc(x);
    case 5: return rsqrt(x);
    case 6: return sqrt(x);
    case 7: return sin(x);
    case 8: return cos(x);
    case 9: return x / y;
    case 10: return pow(x, y);
    case 11: return fma(x, y, z);
    default: return exp(x);
  }
}

__kernel void builtin(
    int function, TENSOR(const float, x), TENSOR(const float, y), TENSOR(const float, z), TENSOR(float, output),
    ulong n) {
  OPEN(x); OPEN(y); OPEN(z); OPEN(output);
  FOR_BLOCK(i, n) {
    const int left = LEFT(i, n);
    store(value(function, load(x + i, left, 1), load(y + i, left, 1), load(z + i, left, 1)), output + i, left);
  }
}

__kernel void builtin_scalar(
    int function, TENSOR(const float, x), TENSOR(const float, y), TENSOR(const float, z), TENSOR(float, output),
    ulong n) {
  OPEN(x); OPEN(y); OPEN(z); OPEN(output);
  FOR_BLOCK(i, n) {
    const int left = LEFT(i, n);
    for (int j = 0; j < left; j++) output[i + j] = scalar_value(function, x[i + j], y[i + j], z[i + j]);
  }
}
