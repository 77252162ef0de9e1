import Autodiff
import Compute
import TestSupport
import Testing

/// Rows that nothing trainable reaches cost nothing, and the others get the gradients that they would get anyway.
@Suite struct GradientRowTests {
  private static let (width, prompt, text, heads) = (32, 6, 40, 4)

  /// A layer over a prompt with frozen rows in front of and behind it: `x + attention(norm(x))`, then a norm.
  ///
  /// - Parameter trainsText: the rows of text are trained like those of the prompt, so that all rows count.
  private static func run(
    on backend: any ComputeBackend, trainsText: Bool
  ) throws -> (gradient: [Float], flops: Double, rows: Range<Int>?) {
    let profile = Profile()
    let counted = ProfiledBackend(counting: backend, in: profile)
    let tape = Tape(counted)
    func matrix(_ rows: Int, _ columns: Int, _ seed: UInt64) throws -> Tensor {
      try counted.tensor(normals(rows * columns, seed: seed, deviation: 0.4), [rows, columns])
    }
    func frozen(_ name: String, _ value: Tensor) -> Variable { tape.variable(Parameter(name: name, value: value)) }
    func words(_ rows: Int, _ seed: UInt64) throws -> Variable {
      let value = try matrix(rows, width, seed)
      return trainsText ? tape.leaf(value, name: "text") : tape.constant(value)
    }
    let rows = text + prompt
    let leaf = tape.leaf(try matrix(prompt, width, 1), name: "prompt")
    let embedded = try tape.concatRows([try words(10, 2), leaf, try words(30, 3)])
    let x = try tape.add(embedded, tape.constant(try matrix(rows, width, 4)))
    let scale = frozen("scale", try counted.tensor(uniforms(width, in: 0.5...1.5, seed: 5), [width]))
    let normed = try tape.rmsNorm(
      try tape.layerNorm(x, weight: scale, bias: nil, epsilon: 1e-5), weight: scale, epsilon: 1e-5)
    let all = try tape.linear(normed, weight: frozen("qkv", try matrix(width, 3 * width, 6)))
    let parts = try tape.splitColumns(all, widths: [width, width, width])
    let layout = try AttentionLayout.single(queryCount: rows, keyCount: rows, causal: true)
    let attended = try tape.attention(
      q: parts[0], k: parts[1], v: parts[2], layout, AttentionAttributes(heads: heads, scale: 0.35))
    let output = try tape.layerNorm(
      try tape.linear(attended, weight: frozen("o", try matrix(width, width, 7)), adding: x), weight: scale, bias: nil,
      epsilon: 1e-5)
    let before = profile.work.flops
    let gradients = try tape.gradients(of: output, cotangent: try matrix(rows, width, 8))
    return (try counted.values(try #require(gradients[leaf])), profile.work.flops - before, x.gradientRows)
  }

  @Test(arguments: Backends.available) func `the prompt's gradient is the same without the text's`(
    _ device: TestBackend
  ) throws {
    let backend = try device.make()
    let whole = try Self.run(on: backend, trainsText: true)
    let part = try Self.run(on: backend, trainsText: false)
    #expect(whole.rows == nil && part.rows == 10..<16)
    // Products of few rows may add in another order: sums of 96 terms of about 1.
    expectClose(part.gradient, whole.gradient, within: 2e-5)
    // The gradient of the first product is left out for 40 of 46 rows.
    #expect(whole.flops - part.flops == Double(2 * 40 * 32 * 96), "\(whole.flops), \(part.flops)")
  }
}
