import Compute
import Foundation

/// The smallest backend: plain loops over the host's memory, and only what has no default body.
///
/// An example for docs/backends.md. Sums are in Double.
final class PlainLoopsBackend: ComputeBackend {
  private final class Counter { var usage = MemoryUsage() }

  private final class HostStorage: Storage {
    let bytes: UnsafeMutableRawBufferPointer
    let counter: Counter
    var byteCount: Int { bytes.count }

    init(byteCount: Int, _ counter: Counter) {
      (bytes, self.counter) = (.allocate(byteCount: byteCount, alignment: 16), counter)
      counter.usage.current += byteCount
      counter.usage.peak = max(counter.usage.peak, counter.usage.current)
    }

    deinit {
      counter.usage.current -= byteCount
      bytes.deallocate()
    }
  }

  private let counter = Counter()

  // MARK: Memory

  let device = DeviceDescription(
    id: "plain", name: "plain loops", kind: .cpu, memoryBytes: Int(ProcessInfo.processInfo.physicalMemory),
    computeUnits: 1)
  var memory: MemoryUsage { counter.usage }

  func allocate(_ shape: Shape, _ dtype: DType) throws -> Tensor {
    let byteCount = shape.count * dtype.byteCount
    guard byteCount <= device.memoryBytes else {
      throw ComputeError.outOfMemory(device: device.id, requested: byteCount, detail: "")
    }
    return Tensor(storage: HostStorage(byteCount: byteCount, counter), shape: shape, dtype: dtype)
  }

  func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws { self.bytes(tensor).copyMemory(from: bytes) }
  func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws {
    bytes.copyMemory(from: UnsafeRawBufferPointer(self.bytes(tensor)))
  }
  func fill(_ tensor: Tensor, with value: Float) throws { floats(tensor).update(repeating: value) }
  func copy(_ source: Tensor, to destination: Tensor) throws {
    bytes(destination).copyMemory(from: UnsafeRawBufferPointer(bytes(source)))
  }
  func owns(_ tensor: Tensor) -> Bool { tensor.storage is HostStorage }
  func synchronize() throws {}

  private func bytes(_ tensor: Tensor) -> UnsafeMutableRawBufferPointer {
    guard let storage = tensor.storage as? HostStorage else { preconditionFailure("a tensor of another backend") }
    let start = tensor.offset * tensor.dtype.byteCount
    return UnsafeMutableRawBufferPointer(rebasing: storage.bytes[start..<start + tensor.byteCount])
  }
  private func floats(_ tensor: Tensor) -> UnsafeMutableBufferPointer<Float> {
    bytes(tensor).bindMemory(to: Float.self)
  }

  /// An element of a tensor that may be stored in 16 bits.
  private func element(_ tensor: Tensor, _ index: Int) -> Float {
    switch tensor.dtype {
    case .bf16: HalfPrecision.float(bf16: bytes(tensor).bindMemory(to: UInt16.self)[index])
    case .f16: HalfPrecision.float(f16: bytes(tensor).bindMemory(to: UInt16.self)[index])
    case .f32, .i32: floats(tensor)[index]
    }
  }

  // MARK: Products and softmax

  func matmul(
    _ problem: MatmulProblem, _ a: Tensor, _ b: Tensor, bias: Tensor?, addend: Tensor?, into output: Tensor
  ) throws {
    let (m, n, k) = (problem.m, problem.n, problem.k)
    func operand(_ tensor: Tensor) -> [Float] {
      let values = (0..<tensor.count).map { element(tensor, $0) }
      return problem.roundsOperands ? values.map { HalfPrecision.float(bf16: HalfPrecision.bf16($0)) } : values
    }
    let (left, right, y) = (operand(a), operand(b), floats(output))
    let (c, row) = (addend.map { floats($0) }, bias.map { floats($0) })
    let (aRow, aColumn) = problem.transposeA ? (1, m) : (k, 1)
    let (bRow, bColumn) = problem.transposeB ? (1, k) : (n, 1)
    for place in 0..<problem.batch * m * n {
      let (batch, i, j) = (place / (m * n), place / n % m, place % n)
      let (aStart, bStart) = (batch * m * k + i * aRow, (problem.sharedB ? 0 : batch * k * n) + j * bColumn)
      var sum = 0.0
      for p in 0..<k { sum += Double(left[aStart + p * aColumn]) * Double(right[bStart + p * bRow]) }
      var value = Float(Double(problem.alpha) * sum)
      if let c { value += problem.beta * c[place] }
      if let row { value += row[j] }
      y[place] = problem.activation.map { Float(self.value($0, Double(value))) } ?? value
    }
  }

  func softmax(_ x: Tensor, mask: Tensor?, scale: Float, into output: Tensor) throws {
    let (x, mask, y, n) = (floats(x), mask.map { floats($0) }, floats(output), x.columnCount)
    for start in stride(from: 0, to: y.count, by: n) {
      let scores = (start..<start + n).map { scale * x[$0] + (mask?[$0] ?? 0) }
      let (largest, sum) = exponentials(scores)
      for j in 0..<n { y[start + j] = largest == -.infinity ? 0 : Float(exp(Double(scores[j] - largest)) / sum) }
    }
  }

  func crossEntropy(_ logits: Tensor, _ labels: Indices, ignoreIndex: Int32, losses: Tensor, logSumExp: Tensor) throws {
    let (x, losses, sums, n) = (floats(logits), floats(losses), floats(logSumExp), logits.columnCount)
    for (row, label) in labels.values.enumerated() {
      let scores = Array(x[row * n..<(row + 1) * n])
      let (largest, sum) = exponentials(scores)
      sums[row] = largest == -.infinity ? largest : largest + Float(log(sum))
      losses[row] = label == ignoreIndex ? 0 : sums[row] - scores[Int(label)]
    }
  }

  /// The largest of a row, and the sum of the exponentials of what the others are below it; NaN if a NaN is in it.
  private func exponentials(_ row: [Float]) -> (largest: Float, sum: Double) {
    let largest = row.max() ?? -.infinity
    return (largest, row.reduce(0) { $0 + exp(Double($1 - largest)) })
  }

  // MARK: Normalisation

  func layerNorm(
    _ x: Tensor, weight: Tensor, bias: Tensor?, epsilon: Float, into output: Tensor, mean: Tensor, rstd: Tensor
  ) throws {
    let (x, w, b, y, n) = (floats(x), floats(weight), bias.map { floats($0) }, floats(output), x.columnCount)
    for row in 0..<mean.count {
      let values = x[row * n..<(row + 1) * n].map { Double($0) }
      let average = values.reduce(0, +) / Double(n)
      let variance = values.reduce(0) { $0 + ($1 - average) * ($1 - average) } / Double(n)
      let factor = 1 / (variance + Double(epsilon)).squareRoot()
      (floats(mean)[row], floats(rstd)[row]) = (Float(average), Float(factor))
      for j in 0..<n { y[row * n + j] = Float((values[j] - average) * factor) * w[j] + (b?[j] ?? 0) }
    }
  }

  func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float, into output: Tensor, rstd: Tensor) throws {
    let (x, w, y, n) = (floats(x), floats(weight), floats(output), x.columnCount)
    for row in 0..<rstd.count {
      let squares = x[row * n..<(row + 1) * n].reduce(0) { $0 + Double($1) * Double($1) }
      let factor = 1 / (squares / Double(n) + Double(epsilon)).squareRoot()
      floats(rstd)[row] = Float(factor)
      for j in 0..<n { y[row * n + j] = Float(Double(x[row * n + j]) * factor) * w[j] }
    }
  }

  // MARK: Elementwise

  func activation(_ kind: Activation, _ x: Tensor, into output: Tensor) throws {
    let (x, y) = (floats(x), floats(output))
    for i in y.indices { y[i] = Float(value(kind, Double(x[i]))) }
  }

  func activationBackward(_ kind: Activation, _ cotangent: Tensor, x: Tensor, into output: Tensor) throws {
    let (c, x, y) = (floats(cotangent), floats(x), floats(output))
    for i in y.indices { y[i] = Float(Double(c[i]) * slope(kind, Double(x[i]))) }
  }

  private static let rootTwoOverPi = (2 / Double.pi).squareRoot()

  private func value(_ kind: Activation, _ x: Double) -> Double {
    switch kind {
    case .relu: x.isNaN ? x : max(x, 0)
    case .silu: x / (1 + exp(-x))
    case .gelu: x * (1 + erf(x / 2.squareRoot())) / 2
    case .tanh: tanh(x)
    case .geluTanh: 0.5 * x * (1 + tanh(Self.rootTwoOverPi * (x + 0.044715 * x * x * x)))
    }
  }

  private func slope(_ kind: Activation, _ x: Double) -> Double {
    switch kind {
    case .relu: return x.isNaN ? x : (x > 0 ? 1 : 0)
    case .silu:
      let sigmoid = 1 / (1 + exp(-x))
      return sigmoid * (1 + x * (1 - sigmoid))
    case .gelu:
      return (1 + erf(x / 2.squareRoot())) / 2 + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot()
    case .tanh: return 1 - tanh(x) * tanh(x)
    case .geluTanh:
      let t = tanh(Self.rootTwoOverPi * (x + 0.044715 * x * x * x))
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * Self.rootTwoOverPi * (1 + 3 * 0.044715 * x * x)
    }
  }

  func add(_ a: Tensor, _ b: Tensor, into output: Tensor) throws {
    let (a, b, y) = (floats(a), floats(b), floats(output))
    for i in y.indices { y[i] = a[i] + b[i % b.count] }
  }
  func multiply(_ a: Tensor, _ b: Tensor, into output: Tensor) throws {
    let (a, b, y) = (floats(a), floats(b), floats(output))
    for i in y.indices { y[i] = a[i] * b[i % b.count] }
  }
  func scale(_ x: Tensor, by factor: Float, into output: Tensor) throws {
    let (x, y) = (floats(x), floats(output))
    for i in y.indices { y[i] = factor * x[i] }
  }
  func addScaled(_ x: Tensor, by factor: Float, onto accumulator: Tensor) throws {
    let (x, y) = (floats(x), floats(accumulator))
    for i in y.indices { y[i] += factor * x[i] }
  }
  func scaleRows(_ x: Tensor, by factors: Tensor, into output: Tensor) throws {
    let (x, factors, y, n) = (floats(x), floats(factors), floats(output), x.columnCount)
    for i in y.indices { y[i] = x[i] * factors[i / n] }
  }

  // MARK: Rows

  func gatherRows(_ table: Tensor, _ indices: Indices, into output: Tensor) throws {
    let (y, n) = (floats(output), table.columnCount)
    for i in y.indices { y[i] = element(table, Int(indices.values[i / n]) * n + i % n) }
  }
  func scatterAddRows(_ updates: Tensor, _ indices: Indices, onto accumulator: Tensor) throws {
    let (x, y, n) = (floats(updates), floats(accumulator), updates.columnCount)
    for i in x.indices { y[Int(indices.values[i / n]) * n + i % n] += x[i] }
  }
  func scatterRows(_ source: Tensor, _ indices: Indices, into destination: Tensor) throws {
    let (x, y, n) = (floats(source), floats(destination), source.columnCount)
    for i in x.indices { y[Int(indices.values[i / n]) * n + i % n] = x[i] }
  }
  func copyColumns(_ source: Tensor, from: Int, to: Int, width: Int, of destination: Tensor) throws {
    let (x, y, n, m) = (floats(source), floats(destination), source.columnCount, destination.columnCount)
    for row in 0..<source.rowCount {
      for j in 0..<width { y[row * m + to + j] = x[row * n + from + j] }
    }
  }

  // MARK: Optimizers

  func adamW(_ step: AdamWStep, parameter: Tensor, gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor) throws {
    let (p, g, m, v) = (floats(parameter), floats(gradient), floats(firstMoment), floats(secondMoment))
    let rate = Double(step.learningRate)
    let correction1 = 1 - pow(Double(step.beta1), Double(step.step))
    let correction2 = (1 - pow(Double(step.beta2), Double(step.step))).squareRoot()
    for i in p.indices {
      m[i] = step.beta1 * m[i] + (1 - step.beta1) * g[i]
      v[i] = step.beta2 * v[i] + (1 - step.beta2) * g[i] * g[i]
      let update = Double(m[i]) / (Double(v[i]).squareRoot() / correction2 + Double(step.epsilon))
      p[i] = Float(Double(p[i]) * (1 - rate * Double(step.weightDecay)) - rate / correction1 * update)
    }
  }
}
