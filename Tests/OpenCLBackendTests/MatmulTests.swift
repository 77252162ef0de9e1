import Compute
import Foundation
import Testing

@testable import OpenCLBackend

extension OnDevice {
  @Suite struct MatrixProducts {
    struct Case {
      var m: Int, n: Int, k: Int
      var transposeA = false, transposeB = false, frozen = false, rounds = false
      var dtype = DType.f32
      var epilogue = false
      var activation: Activation?
      var batch = 1
    }

    static let cases: [Case] = {
      var cases: [Case] = []
      let sizes = [1, 2, 15, 16, 17, 31, 33, 47, 49, 63, 65, 100, 129]
      for (i, m) in sizes.enumerated() {
        for (j, n) in sizes.enumerated() {
          let k = sizes[(3 * i + 5 * j) % sizes.count]
          let pattern = i + j
          cases.append(
            Case(
              m: m, n: n, k: k, transposeA: pattern % 5 == 4, transposeB: pattern % 2 == 1, frozen: pattern % 3 == 0,
              rounds: pattern % 7 == 3, dtype: [.f32, .bf16, .f32, .f16][(i + 2 * j) % 4], epilogue: pattern % 4 == 2,
              activation: [nil, .geluTanh, nil, .relu, .gelu][(2 * i + j) % 5], batch: pattern % 6 == 5 ? 3 : 1))
        }
      }
      cases.append(Case(m: 260, n: 270, k: 40))  // enough for large tiles
      for k in [0, 1] { cases.append(Case(m: 5, n: 7, k: k, epilogue: true)) }
      for frozen in [false, true] {
        for transposeB in [false, true] {
          for m in [1, 3, 8, 16] { cases.append(Case(m: m, n: 200, k: 300, transposeB: transposeB, frozen: frozen)) }
        }
      }
      return cases
    }()

    @Test(arguments: Devices.backends)
    func agreesWithDouble(_ device: TestBackend) throws {
      for (number, item) in Self.cases.enumerated() { try check(device.backend, item, seed: UInt64(number)) }
    }

    /// Pairs of bfloat16 values without the processor's own instruction for them.
    @Test(arguments: Devices.withoutDotProducts)
    func roundedProductsNeedNoInstruction(_ device: TestBackend) throws {
      #expect(try !device.backend.usesDotProducts())
      for (number, item) in Self.cases.enumerated() where item.rounds {
        try check(device.backend, item, seed: UInt64(number))
      }
    }

    /// The kernel for tensor cores, its instructions step by step.
    @Test(arguments: Devices.emulatingTensorCores)
    func tensorCoresAgreeWithDouble(_ device: TestBackend) throws {
      let backend = device.backend
      var cases = Self.cases.filter { $0.rounds && $0.m > 8 }
      // Whole vectors, of every kind of operand.
      for pattern in 0..<8 {
        cases.append(
          Case(
            m: 72, n: 136, k: 40, transposeA: pattern & 1 != 0, transposeB: pattern & 2 != 0, rounds: true,
            dtype: pattern & 4 != 0 ? .bf16 : .f32, batch: pattern == 3 ? 2 : 1))
      }
      for (number, item) in cases.enumerated() { try check(backend, item, seed: UInt64(number)) }
      let built = backend.programs.keys.filter { $0.file == "matmul_tensor.cl" }
      #expect(built.count == 2 && built.isSubset(of: ProgramKey.all(.gpu)))
      #expect(built.allSatisfy { $0.parameters["CHUNKS"] == (backend.prefersLargeTiles ? 2 : 1) })
    }

    private func check(_ backend: OpenCLBackend, _ item: Case, seed: UInt64) throws {
      var random = Random(seed)
      let (m, n, k, batch) = (item.m, item.n, item.k, item.batch)
      let a = random.floats(batch * m * k)
      let stored = Stored(random.floats(batch * n * k), item.dtype)
      let (bias, addend) = (random.floats(n), random.floats(batch * m * n))
      func operand(_ x: Float) -> Double {
        Double(item.rounds ? HalfPrecision.float(bf16: HalfPrecision.bf16(x)) : x)
      }
      let (left, right) = (a.map(operand), stored.values.map(operand))
      var expected = [Double](repeating: 0, count: batch * m * n)
      for b in 0..<batch {
        for i in 0..<m {
          for j in 0..<n {
            var sum = 0.0
            for l in 0..<k {
              sum +=
                left[b * m * k + (item.transposeA ? l * m + i : i * k + l)]
                * right[b * n * k + (item.transposeB ? j * k + l : l * n + j)]
            }
            let place = (b * m + i) * n + j
            if item.epilogue { sum = 0.5 * sum - 2 * Double(addend[place]) + Double(bias[j]) }
            expected[place] = activate(sum, item.activation)
          }
        }
      }
      let options = MatmulOptions(
        transposeA: item.transposeA, transposeB: item.transposeB, alpha: item.epilogue ? 0.5 : 1, beta: -2,
        activation: item.activation, frozen: item.frozen, roundsOperands: item.rounds)
      let leading = batch > 1 ? [batch] : []
      let ta = try backend.tensor(a, Shape(leading + (item.transposeA ? [k, m] : [m, k])))
      let tb = try stored.tensor(backend, Shape(leading + (item.transposeB ? [n, k] : [k, n])))
      let got = try backend.matmul(
        ta, tb, options, bias: item.epilogue ? try backend.tensor(bias, [n]) : nil,
        addend: item.epilogue ? try backend.tensor(addend, Shape(leading + [m, n])) : nil)
      expectClose(
        try backend.values(got), expected, absolute: 1e-6 * (4 + Double(k)), relative: 1e-5, "matmul \(item)")
      if item.frozen {  // from the pack this time
        let again = try backend.matmul(
          ta, tb, options, bias: item.epilogue ? try backend.tensor(bias, [n]) : nil,
          addend: item.epilogue ? try backend.tensor(addend, Shape(leading + [m, n])) : nil)
        let (first, second) = (try backend.values(got), try backend.values(again))
        #expect(first == second, "the same bits: \(item)")
      }
    }

    @Test(arguments: Devices.backends)
    func addsOntoItsOwnOutput(_ device: TestBackend) throws {
      let backend = device.backend
      var random = Random(5)
      let (a, b, c) = (random.floats(40 * 33), random.floats(33 * 50), random.floats(40 * 50))
      let product = try backend.matmul(try backend.tensor(a, [40, 33]), try backend.tensor(b, [33, 50]))
      let accumulator = try backend.tensor(c, [40, 50])
      try backend.accumulateMatmul(
        try backend.tensor(a, [40, 33]), try backend.tensor(b, [33, 50]), MatmulOptions(), onto: accumulator)
      let expected = zip(try backend.values(product), c).map { Double($0) + Double($1) }
      expectClose(try backend.values(accumulator), expected, absolute: 1e-5, "accumulated")
    }

    @Test(arguments: Devices.backends)
    func viewsAndPassesNaN(_ device: TestBackend) throws {
      let backend = device.backend
      var random = Random(6)
      var a = random.floats(30 * 20)
      let b = random.floats(60 * 20)
      a[7 * 20 + 3] = .nan
      let whole = try backend.values(
        try backend.matmul(
          try backend.tensor(a, [30, 20]), try backend.tensor(b, [60, 20]), MatmulOptions(transposeB: true)))
      let part = try backend.values(
        try backend.matmul(
          try backend.tensor(a, [30, 20]).rows(5..<25), try backend.tensor(b, [60, 20]).rows(3..<59),
          MatmulOptions(transposeB: true, frozen: true)))
      for i in 0..<20 {
        for j in 0..<56 {
          let (got, wanted) = (part[i * 56 + j], whole[(i + 5) * 60 + j + 3])
          #expect(got.isNaN == (i == 2) && (i == 2 || abs(got - wanted) < 1e-4))
        }
      }
    }
  }
}

func activate(_ x: Double, _ kind: Activation?) -> Double {
  switch kind {
  case nil: x
  case .relu: max(x, 0)
  case .silu: x / (1 + exp(-x))
  case .gelu: 0.5 * x * erfc(-x / 2.0.squareRoot())
  case .geluTanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
  case .tanh: tanh(x)
  }
}

/// Numbers as a type keeps them, and the tensor with them.
struct Stored {
  let values: [Float]
  private let bits: [UInt16]
  let dtype: DType

  init(_ values: [Float], _ dtype: DType) {
    self.dtype = dtype
    switch dtype {
    case .bf16:
      bits = values.map(HalfPrecision.bf16)
      self.values = bits.map(HalfPrecision.float(bf16:))
    case .f16:
      bits = values.map(HalfPrecision.f16)
      self.values = bits.map(HalfPrecision.float(f16:))
    case .f32, .i32:
      bits = []
      self.values = values
    }
  }

  func tensor(_ backend: OpenCLBackend, _ shape: Shape) throws -> Tensor {
    guard dtype != .f32 else { return try backend.tensor(values, shape) }
    let tensor = try backend.allocate(shape, dtype)
    try bits.withUnsafeBytes { try backend.write($0, to: tensor) }
    return tensor
  }
}
