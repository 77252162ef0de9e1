// Included by the matrix products that read B as it lies, after functions.cl and operands.cl.
//
// MATMUL_ARGUMENTS: both operands with their strides in elements; a transposition is a pair of them.
// FINISH: writes activation(alpha sum + beta C + bias) to a place of the output, in that column.

#define MATMUL_ARGUMENTS                                                                                     \
  TENSOR(const float, a), TENSOR(const b_type, b), TENSOR(const float, bias), TENSOR(const float, addend),   \
      TENSOR(float, output), int m, int n, int k, ulong a_row, ulong a_column, ulong a_batch, ulong b_row,   \
      ulong b_column, ulong b_batch, float alpha, float beta, int kind

#define FINISH(sum, place, column)                                     \
  {                                                                    \
    float result = alpha * (sum);                                      \
    if (addend) result += beta * addend[addend_first + (place)];       \
    if (bias) result += bias[bias_first + (column)];                   \
    output[output_first + (place)] = activate(result, kind);           \
  }
