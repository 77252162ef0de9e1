// The matrix product, one work-item per element of the output. Right for every problem; fast for none.
//
// Kernel: matmul_plain. output = activation(alpha op(A) op(B) + beta C + bias), per batch. A transposition is a pair of
// strides. Global size: n (rounded up to the local size), m, batch.
// Build parameter: B_TYPE, 0 f32, 1 bf16, 2 f16; ROUNDED, 1 to round both operands to bfloat16 first.

#define WIDTH 1
#define GROUP 1

#include "lanes.cl"
#include "functions.cl"
#include "operands.cl"

__kernel void matmul_plain(
    TENSOR(const float, a), TENSOR(const b_type, b), TENSOR(const float, bias), TENSOR(const float, addend),
    TENSOR(float, output), int m, int n, int k, ulong a_row, ulong a_column, ulong a_batch, ulong b_row,
    ulong b_column, ulong b_batch, float alpha, float beta, int kind) {
  const int column = get_global_id(0);
  const size_t row = get_global_id(1), batch = get_global_id(2);
  if (column >= n) return;
  a += a_first + batch * a_batch + row * a_row;
  b += b_first + batch * b_batch + column * b_column;
  float sum = 0.0f;
  for (size_t i = 0; i < (size_t)k; i++) sum = fma(operand(a[i * a_column]), read_b(b, i * b_row), sum);
  const size_t place = (batch * m + row) * n + column;
  sum *= alpha;
  if (addend) sum += beta * addend[addend_first + place];
  if (bias) sum += bias[bias_first + column];
  output[output_first + place] = activate(sum, kind);
}
