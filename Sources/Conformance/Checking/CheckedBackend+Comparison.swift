import Compute

extension CheckedBackend {
  /// Runs a kernel on both devices and compares what it wrote.
  ///
  /// - Parameters:
  ///   - outputs: the tensors that the kernel writes; what it leaves as it was is copied beforehand.
  ///   - bounds: how far apart the outputs may be, one for each; asked for before the kernel runs.
  ///   - body: the call, on tensors as the side has them.
  func check(
    _ kernel: Kernel, inputs: [Tensor?], outputs: [Tensor], frozenInput: Tensor? = nil,
    bounds: (CheckedSide) throws -> [RoundingBound], _ body: (CheckedSide) throws -> Void
  ) throws {
    // A weight that is written to is frozen no longer.
    for output in outputs { frozen[ObjectIdentifier(output.storage)] = nil }
    let mirror = CheckedSide(reference)
    for tensor in inputs.compactMap({ $0 }) + outputs { try mirror.add(tensor, try shadow(tensor)) }
    if let frozenInput { try mirror.add(frozenInput, try shadow(frozen: frozenInput)) }
    let tolerances = try bounds(mirror)
    try body(CheckedSide(base))
    try body(mirror)
    let shapes = (inputs.compactMap { $0 } + (frozenInput.map { [$0] } ?? [])).map(\.shape)
    try compare(kernel, outputs, outputs.map { mirror[$0] }, shapes: shapes, tolerances)
  }

  // MARK: - Copies on the second device

  /// The same contents on the second device.
  private func shadow(_ tensor: Tensor) throws -> Tensor {
    let copy = try reference.allocate(tensor.shape, tensor.dtype)
    guard !tensor.isEmpty else { return copy }
    var bytes = [UInt8](repeating: 0, count: tensor.byteCount)
    try bytes.withUnsafeMutableBytes { try base.read(tensor, into: $0) }
    try bytes.withUnsafeBytes { try reference.write($0, to: copy) }
    return copy
  }

  /// A frozen weight, copied once.
  ///
  /// A view that is not the whole of its storage is copied at every call.
  private func shadow(frozen tensor: Tensor) throws -> Tensor {
    guard tensor.offset == 0, tensor.byteCount == tensor.storage.byteCount else { return try shadow(tensor) }
    let key = ObjectIdentifier(tensor.storage)
    if let known = frozen[key], known.copy.dtype == tensor.dtype { return try known.copy.reshaped(tensor.shape) }
    let copy = try shadow(tensor)
    // The storage is kept, so that its identity is not given to another.
    frozen[key] = (tensor.storage, copy)
    return copy
  }

  // MARK: - Comparing

  /// Compares results elementwise.
  ///
  /// - Parameters:
  ///   - outputs: on the first device.
  ///   - expected: the same on the second.
  ///   - shapes: of the inputs, for the message.
  ///   - tolerances: one bound for each output.
  /// - Throws: `Disagreement` with the worst element.
  private func compare(
    _ kernel: Kernel, _ outputs: [Tensor], _ expected: [Tensor], shapes: [Shape], _ tolerances: [RoundingBound]
  ) throws {
    comparisons += 1
    for (place, (output, other)) in zip(outputs, expected).enumerated() where !output.isEmpty {
      let got = try floats(output, on: base)
      let wanted = try floats(other, on: reference)
      var worst: (index: Int, ratio: Double)?
      for index in got.indices {
        let (a, b) = (got[index], wanted[index])
        if a == b || (a.isNaN && b.isNaN) { continue }
        let difference = abs(Double(a) - Double(b))
        let ratio = difference / tolerances[place](index, Double(b))
        // A NaN on one side only, and a NaN tolerance, are as wrong as can be.
        guard ratio <= 1 else {
          if worst == nil || !(ratio <= worst?.ratio ?? 0) { worst = (index, ratio.isNaN ? .infinity : ratio) }
          continue
        }
      }
      if let worst {
        throw Disagreement(
          kernel: kernel, shapes: shapes, output: place, index: worst.index, got: got[worst.index],
          expected: wanted[worst.index], tolerance: tolerances[place](worst.index, Double(wanted[worst.index])),
          device: base.device.id, reference: reference.device.id)
      }
    }
  }

  private func floats(_ tensor: Tensor, on backend: any ComputeBackend) throws -> [Float] {
    switch try backend.download(tensor).elements {
    case .f32(let values): values
    case .i32(let values): values.map(Float.init)
    case .bf16(let bits): bits.map(HalfPrecision.float(bf16:))
    case .f16(let bits): bits.map(HalfPrecision.float(f16:))
    case .double(let values): values.map { Float($0) }
    }
  }

  /// Compares a number that a kernel returns to the host.
  ///
  /// - Parameter magnitude: what its rounding is measured against.
  func checkNumber(
    _ kernel: Kernel, _ x: Tensor, _ body: (CheckedSide) throws -> Double,
    magnitude: (CheckedSide) throws -> Double
  ) throws -> Double {
    let mirror = CheckedSide(reference)
    try mirror.add(x, try shadow(x))
    let got = try body(CheckedSide(base))
    let expected = try body(mirror)
    comparisons += 1
    if got == expected || (got.isNaN && expected.isNaN) { return got }
    // Partial sums in f32 have at most a few thousand terms.
    let tolerance = RoundingBound.growth(4096) * Tracked.unit * (try magnitude(mirror))
    guard abs(got - expected) <= tolerance else {
      throw Disagreement(
        kernel: kernel, shapes: [x.shape], output: 0, index: 0, got: Float(got), expected: Float(expected),
        tolerance: tolerance, device: base.device.id, reference: reference.device.id)
    }
    return got
  }
}
