// Moving rows and columns of matrices; the largest element of each row; rotary position embedding.
//
// Kernels: gather_f32, gather_bf16, gather_f16, scatter_add, scatter, copy_columns, argmax, rotary. One work-group per
// row. Row numbers have been checked by the caller.
// Build parameters: those of lanes.cl.

#include "lanes.cl"

__kernel void gather_f32(
    TENSOR(const float, table), TENSOR(const int, indices), TENSOR(float, output), ulong rows, int n) {
  OPEN(table); OPEN(indices); OPEN(output);
  FOR_ROWS(row, rows) FOR_ROW(j, n) {
    const int left = LEFT(j, n);
    store(load(table + (size_t)indices[row] * n + j, left, 0), output + row * n + j, left);
  }
}

__kernel void gather_bf16(
    TENSOR(const ushort, table), TENSOR(const int, indices), TENSOR(float, output), ulong rows, int n) {
  OPEN(table); OPEN(indices); OPEN(output);
  FOR_ROWS(row, rows) for (int j = LANE; j < n; j += GROUP)
    output[row * n + j] = as_float((uint)table[(size_t)indices[row] * n + j] << 16);
}

__kernel void gather_f16(
    TENSOR(const half, table), TENSOR(const int, indices), TENSOR(float, output), ulong rows, int n) {
  OPEN(table); OPEN(indices); OPEN(output);
  FOR_ROWS(row, rows) for (int j = LANE; j < n; j += GROUP)
    output[row * n + j] = vload_half((size_t)indices[row] * n + j, table);
}

// Row targets[t] of the accumulator receives updates[order[starts[t]]], ..., updates[order[starts[t + 1] - 1]].
__kernel void scatter_add(
    TENSOR(const float, updates), TENSOR(const int, targets), TENSOR(const int, starts), TENSOR(const int, order),
    TENSOR(float, accumulator), ulong target_count, int n) {
  OPEN(updates); OPEN(targets); OPEN(starts); OPEN(order); OPEN(accumulator);
  FOR_ROWS(target, target_count) FOR_ROW(j, n) {
    const int left = LEFT(j, n);
    __global float *to = accumulator + (size_t)targets[target] * n + j;
    vec sum = load(to, left, 0);
    for (int i = starts[target]; i < starts[target + 1]; i++)
      sum += load(updates + (size_t)order[i] * n + j, left, 0);
    store(sum, to, left);
  }
}

__kernel void scatter(
    TENSOR(const float, source), TENSOR(const int, indices), TENSOR(float, destination), ulong rows, int n) {
  OPEN(source); OPEN(indices); OPEN(destination);
  FOR_ROWS(row, rows) FOR_ROW(j, n) {
    const int left = LEFT(j, n);
    store(load(source + row * n + j, left, 0), destination + (size_t)indices[row] * n + j, left);
  }
}

__kernel void copy_columns(
    TENSOR(const float, source), TENSOR(float, destination), ulong rows, int width, ulong source_columns,
    ulong destination_columns, ulong from, ulong to) {
  OPEN(source); OPEN(destination);
  const bool past = PASSES_CACHES(destination + to, destination_columns, rows * width);
  FOR_ROWS(row, rows) FOR_ROW(j, width) {
    const int left = LEFT(j, width);
    store_out(
        load(source + row * source_columns + from + j, left, 0), destination + row * destination_columns + to + j,
        left, past);
  }
}

// Whether a at i comes before b at j: NaN counts as largest, the first of equals wins.
inline bool precedes(float a, int i, float b, int j) {
  if (isnan(a) || isnan(b)) return isnan(a) && (!isnan(b) || i < j);
  return a > b || (a == b && i < j);
}

__kernel void argmax(TENSOR(const float, x), TENSOR(int, output), ulong rows, int n) {
#if GROUP > 1
  __local float values[GROUP];
  __local int places[GROUP];
#endif
  OPEN(x); OPEN(output);
  FOR_ROWS(row, rows) {
    const __global float *from = x + row * n;
    float best = -INFINITY;
    int place = n;
    for (int j = LANE; j < n; j += GROUP)
      if (precedes(from[j], j, best, place)) {
        best = from[j];
        place = j;
      }
#if GROUP > 1
    barrier(CLK_LOCAL_MEM_FENCE);
    values[LANE] = best;
    places[LANE] = place;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
      const int other = LANE + half_size;
      if (LANE < half_size && precedes(values[other], places[other], values[LANE], places[LANE])) {
        values[LANE] = values[other];
        places[LANE] = places[other];
      }
      barrier(CLK_LOCAL_MEM_FENCE);
    }
    place = places[0];
#endif
    if (LANE == 0) output[row] = place;
  }
}

// Turns pairs of columns of every head by position * frequency. `step` is the distance between pairs, `reach` that
// between the two of a pair: (2, 1) interleaved, (1, half) otherwise.
__kernel void rotary(
    TENSOR(const float, x), TENSOR(const int, positions), TENSOR(const float, frequencies), TENSOR(float, output),
    ulong rows, int heads, int width, int half_size, int step, int reach, float magnitude, float direction) {
  OPEN(x); OPEN(positions); OPEN(frequencies); OPEN(output);
  FOR_ROWS(row, rows) {
    const __global float *from = x + row * heads * width;
    __global float *to = output + row * heads * width;
    for (int i = LANE; i < half_size; i += GROUP) {
      const float angle = (float)positions[row] * frequencies[i];
      const float c = cos(angle) * magnitude, s = sin(angle) * magnitude * direction;
      for (int head = 0; head < heads; head++) {
        const int first = head * width + i * step;
        const float a = from[first], b = from[first + reach];
        to[first] = a * c - b * s;
        to[first + reach] = a * s + b * c;
      }
    }
    const int kept = width - 2 * half_size;
    for (int i = LANE; i < heads * kept; i += GROUP) {
      const int column = i / kept * width + 2 * half_size + i % kept;
      to[column] = from[column];
    }
  }
}
