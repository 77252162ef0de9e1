import Compute

extension Tape {
  /// `a + b`; `b` has the shape of `a`, or is a row `[n]` for every row of `a`.
  public func add(_ a: Variable, _ b: Variable) throws -> Variable {
    let backend = backend
    let isRow = a.shape != b.shape
    return try record("add", try backend.add(a.value, b.value), inputs: [a, b]) { cotangent, wanted in
      [
        wanted[0] ? cotangent : nil,
        wanted[1] ? (isRow ? try backend.columnSums(cotangent) : cotangent) : nil,
      ]
    }
  }

  /// `a b`, element by element; `b` has the shape of `a`, or is a row `[n]` for every row of `a`.
  public func multiply(_ a: Variable, _ b: Variable) throws -> Variable {
    let output = try backend.multiply(a.value, b.value)
    // Each factor's gradient needs the other one.
    let (first, second) = (b.requiresGradient ? a.value : nil, a.requiresGradient ? b.value : nil)
    let (backend, isRow) = (backend, a.shape != b.shape)
    return try record("multiply", output, inputs: [a, b]) { cotangent, _ in
      var parts: [Tensor?] = [try second.map { try backend.multiply(cotangent, $0) }, nil]
      if let first {
        let product = try backend.multiply(cotangent, first)
        parts[1] = isRow ? try backend.columnSums(product) : product
      }
      return parts
    }
  }

  /// Computes `factor x`.
  public func scale(_ x: Variable, by factor: Float) throws -> Variable {
    let backend = backend
    return try record("scale", try backend.scale(x.value, by: factor), inputs: [x]) { cotangent, _ in
      [try backend.scale(cotangent, by: factor)]
    }
  }

  /// An elementwise non-linearity.
  public func activation(_ kind: Activation, _ x: Variable) throws -> Variable {
    let (backend, input) = (backend, x.value)
    return try record(kind.rawValue, try backend.activation(kind, input), inputs: [x]) { cotangent, _ in
      [try backend.activationBackward(kind, cotangent, x: input)]
    }
  }

  /// The logistic function `1 / (1 + exp(-x))`, computed as `(1 + tanh(x / 2)) / 2`.
  public func sigmoid(_ x: Variable) throws -> Variable {
    let backend = backend
    let half = try backend.scale(x.value, by: 0.5)
    let shift = try backend.allocate([x.value.columnCount], .f32)
    if !shift.isEmpty { try backend.fill(shift, with: 0.5) }
    let output = try backend.add(try backend.scale(try backend.activation(.tanh, half), by: 0.5), shift)
    return try record("sigmoid", output, inputs: [x]) { cotangent, _ in
      [try backend.scale(try backend.activationBackward(.tanh, cotangent, x: half), by: 0.25)]
    }
  }

  /// Computes `activation(gate) up`.
  public func gated(_ kind: Activation, gate: Variable, up: Variable) throws -> Variable {
    let (backend, gateValue, upValue) = (backend, gate.value, up.value)
    let output = try backend.gated(kind, gate: gateValue, up: upValue)
    return try record("gated", output, inputs: [gate, up]) { cotangent, _ in
      let gradients = try backend.gatedBackward(kind, cotangent, gate: gateValue, up: upValue)
      return [gradients.gate, gradients.up]
    }
  }

  /// Dropout with the numbers of (seed, stream); the value itself where the probability is 0.
  public func dropout(_ x: Variable, probability: Float, seed: UInt64, stream: UInt64) throws -> Variable {
    guard probability > 0 else { return x }
    let backend = backend
    let output = try backend.dropout(x.value, probability: probability, seed: seed, stream: stream)
    return try record("dropout", output, inputs: [x]) { cotangent, _ in
      [try backend.dropout(cotangent, probability: probability, seed: seed, stream: stream)]
    }
  }
}
