import Compute

/// A device reduced to the kernels without default bodies: everything else is computed by the default bodies on it.
final class RequiredKernels: ComputeBackend {
  private let base: any ComputeBackend

  init(_ base: any ComputeBackend) { self.base = base }

  var device: DeviceDescription { base.device }
  var memory: MemoryUsage { base.memory }
  func allocate(_ shape: Shape, _ dtype: DType) throws -> Tensor { try base.allocate(shape, dtype) }
  func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws { try base.write(bytes, to: tensor) }
  func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws { try base.read(tensor, into: bytes) }
  func fill(_ tensor: Tensor, with value: Float) throws { try base.fill(tensor, with: value) }
  func copy(_ source: Tensor, to destination: Tensor) throws { try base.copy(source, to: destination) }
  func owns(_ tensor: Tensor) -> Bool { base.owns(tensor) }
  func driverObjects() throws -> [String: Int] { try base.driverObjects() }
  func synchronize() throws { try base.synchronize() }

  func matmul(
    _ problem: MatmulProblem, _ a: Tensor, _ b: Tensor, bias: Tensor?, addend: Tensor?, into output: Tensor
  ) throws { try base.matmul(problem, a, b, bias: bias, addend: addend, into: output) }
  func softmax(_ x: Tensor, mask: Tensor?, scale: Float, into output: Tensor) throws {
    try base.softmax(x, mask: mask, scale: scale, into: output)
  }
  func crossEntropy(_ logits: Tensor, _ labels: Indices, ignoreIndex: Int32, losses: Tensor, logSumExp: Tensor) throws {
    try base.crossEntropy(logits, labels, ignoreIndex: ignoreIndex, losses: losses, logSumExp: logSumExp)
  }
  func layerNorm(
    _ x: Tensor, weight: Tensor, bias: Tensor?, epsilon: Float, into output: Tensor, mean: Tensor, rstd: Tensor
  ) throws { try base.layerNorm(x, weight: weight, bias: bias, epsilon: epsilon, into: output, mean: mean, rstd: rstd) }
  func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float, into output: Tensor, rstd: Tensor) throws {
    try base.rmsNorm(x, weight: weight, epsilon: epsilon, into: output, rstd: rstd)
  }
  func activation(_ kind: Activation, _ x: Tensor, into output: Tensor) throws {
    try base.activation(kind, x, into: output)
  }
  func activationBackward(_ kind: Activation, _ cotangent: Tensor, x: Tensor, into output: Tensor) throws {
    try base.activationBackward(kind, cotangent, x: x, into: output)
  }
  func add(_ a: Tensor, _ b: Tensor, into output: Tensor) throws { try base.add(a, b, into: output) }
  func multiply(_ a: Tensor, _ b: Tensor, into output: Tensor) throws { try base.multiply(a, b, into: output) }
  func scale(_ x: Tensor, by factor: Float, into output: Tensor) throws {
    try base.scale(x, by: factor, into: output)
  }
  func addScaled(_ x: Tensor, by factor: Float, onto accumulator: Tensor) throws {
    try base.addScaled(x, by: factor, onto: accumulator)
  }
  func scaleRows(_ x: Tensor, by factors: Tensor, into output: Tensor) throws {
    try base.scaleRows(x, by: factors, into: output)
  }
  func gatherRows(_ table: Tensor, _ indices: Indices, into output: Tensor) throws {
    try base.gatherRows(table, indices, into: output)
  }
  func scatterAddRows(_ updates: Tensor, _ indices: Indices, onto accumulator: Tensor) throws {
    try base.scatterAddRows(updates, indices, onto: accumulator)
  }
  func scatterRows(_ source: Tensor, _ indices: Indices, into destination: Tensor) throws {
    try base.scatterRows(source, indices, into: destination)
  }
  func copyColumns(_ source: Tensor, from: Int, to: Int, width: Int, of destination: Tensor) throws {
    try base.copyColumns(source, from: from, to: to, width: width, of: destination)
  }
  func adamW(_ step: AdamWStep, parameter: Tensor, gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor) throws {
    try base.adamW(
      step, parameter: parameter, gradient: gradient, firstMoment: firstMoment, secondMoment: secondMoment)
  }
}
