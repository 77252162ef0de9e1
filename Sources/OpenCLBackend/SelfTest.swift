import Compute
import Foundation

extension OpenCLBackend {
  /// Computes small problems of the main kernels and compares them with sums in Double on the host.
  ///
  /// - Throws: `ComputeError.deviceFailure` with the code `SELF_TEST` naming the kernel and the first wrong element, or
  ///   whatever building or running a kernel throws.
  public func selfTest() throws {
    var random = Philox(seed: 20)
    func numbers(_ count: Int) -> [Float] { (0..<count).map { _ in random.nextUniform() * 2 - 1 } }
    try testMatmul(numbers(21 * 35), numbers(35 * 50))
    try testRows(numbers(3 * 37), numbers(37))
    try testAttention(numbers(9 * 16), numbers(9 * 16), numbers(9 * 16))
  }

  private func compare(_ kernel: String, _ tensor: Tensor, _ expected: [Double]) throws {
    for (index, (value, wanted)) in zip(try values(tensor), expected).enumerated() {
      guard abs(Double(value) - wanted) <= 1e-4 * (1 + abs(wanted)) else {
        throw ComputeError.deviceFailure(
          device: openCLDevice.id, code: "SELF_TEST", operation: kernel,
          detail: "element \(index) is \(value), not \(wanted)")
      }
    }
  }

  /// `a` is [21, 35], or its first rows; `b` is [35, 50] and, for the transposed product, [50, 35].
  private func testMatmul(_ a: [Float], _ b: [Float]) throws {
    let (k, n) = (35, 50)
    for (m, transposeB) in [(21, false), (21, true), (3, false)] {
      var expected: [Double] = []
      for i in 0..<m {
        for j in 0..<n {
          expected.append(
            (0..<k).reduce(0.0) { $0 + Double(a[i * k + $1]) * Double(b[transposeB ? j * k + $1 : $1 * n + j]) })
        }
      }
      let product = try matmul(
        try tensor(Array(a[..<(m * k)]), [m, k]), try tensor(b, transposeB ? [n, k] : [k, n]),
        MatmulOptions(transposeB: transposeB))
      try compare("matmul", product, expected)
    }
  }

  private func testRows(_ x: [Float], _ weight: [Float]) throws {
    let n = weight.count
    let tensor = try tensor(x, [x.count / n, n])
    var softmaxed: [Double] = []
    var normalized: [Double] = []
    for start in stride(from: 0, to: x.count, by: n) {
      let row = x[start..<start + n].map(Double.init)
      let sum = row.reduce(0) { $0 + exp($1) }
      softmaxed += row.map { exp($0) / sum }
      let mean = row.reduce(0, +) / Double(n)
      let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n)
      normalized += zip(row, weight).map { ($0 - mean) / (variance + 1e-5).squareRoot() * Double($1) }
    }
    try compare("softmax", try softmax(tensor), softmaxed)
    let result = try layerNorm(tensor, weight: try self.tensor(weight, [n]), bias: nil)
    try compare("layerNorm", result.output, normalized)
  }

  /// Two heads of width 8, causal.
  private func testAttention(_ q: [Float], _ k: [Float], _ v: [Float]) throws {
    let (tokens, heads, width) = (9, 2, 8)
    var expected = [Double](repeating: 0, count: q.count)
    for i in 0..<tokens {
      for head in 0..<heads {
        func at(_ row: Int) -> Int { (row * heads + head) * width }
        let weights = (0...i).map { j in
          exp((0..<width).reduce(0.0) { $0 + Double(q[at(i) + $1]) * Double(k[at(j) + $1]) } * 0.5)
        }
        let sum = weights.reduce(0, +)
        for j in 0...i {
          for d in 0..<width { expected[at(i) + d] += weights[j] / sum * Double(v[at(j) + d]) }
        }
      }
    }
    let shape: Shape = [tokens, heads * width]
    let result = try attention(
      q: try tensor(q, shape), k: try tensor(k, shape), v: try tensor(v, shape),
      try AttentionLayout.single(queryCount: tokens, keyCount: tokens, causal: true),
      AttentionAttributes(heads: heads, scale: 0.5))
    try compare("attention", result.output, expected)
  }
}
