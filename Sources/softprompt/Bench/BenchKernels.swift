import ArgumentParser
import Compute
import Foundation

/// `softprompt bench kernels`.
struct BenchKernelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Measure matrix products and row operations at the sizes of GPT-2.")

  @OptionGroup var arguments: BenchArguments

  /// A measured kernel, in the form of `bench kernels --json`.
  private struct Figure: Encodable {
    var operation: String
    var m: Int?
    var n: Int?
    var k: Int?
    var transposeB: Bool?
    var rows: Int?
    var columns: Int?
    var milliseconds: Double
    var gflops: Double?
    var gigabytesPerSecond: Double?

    enum CodingKeys: String, CodingKey {
      case operation, m, n, k, rows, columns, milliseconds, gflops
      case transposeB = "transpose_b"
      case gigabytesPerSecond = "gigabytes_per_second"
    }
  }

  private struct Report: Encodable {
    var device: String
    var kernels: [Figure]
  }

  func run() throws {
    let backend = try arguments.deviceOptions.open()
    let stopwatch = Stopwatch(backend: backend, rounds: arguments.rounds)
    let products = [(768, 768), (2304, 768), (3072, 768), (768, 3072), (50257, 768)]
    var figures: [Figure] = []
    for m in [1, 16, 128, 512, 1024] {
      for (n, k) in products where m <= 512 || n < 50257 {
        figures.append(try matmul(m, n, k, transposeB: n == 50257, stopwatch))
      }
    }
    figures += try rowOperations(rows: 1024, columns: 768, stopwatch)
    if arguments.json {
      try Output.json(Report(device: backend.device.id, kernels: figures))
      return
    }
    print("\(backend.device.id): \(backend.device.name)\n")
    Output.table(
      ["operation", "size", "ms", "GFLOP/s", "GB/s"],
      figures.map { figure in
        let size =
          figure.m.map { "\($0)x\(figure.n ?? 0)x\(figure.k ?? 0)\(figure.transposeB == true ? " B'" : "")" }
          ?? "\(figure.rows ?? 0)x\(figure.columns ?? 0)"
        return [
          figure.operation, size, String(format: "%.3f", figure.milliseconds),
          figure.gflops.map { String(format: "%.1f", $0) } ?? "",
          figure.gigabytesPerSecond.map { String(format: "%.1f", $0) } ?? "",
        ]
      })
  }

  /// A product with a frozen right-hand side, as in a forward pass.
  private func matmul(_ m: Int, _ n: Int, _ k: Int, transposeB: Bool, _ stopwatch: Stopwatch) throws -> Figure {
    let backend = stopwatch.backend
    let a = try random([m, k], backend)
    let b = try random(transposeB ? [n, k] : [k, n], backend)
    let options = MatmulOptions(transposeB: transposeB, frozen: true)
    let seconds = try stopwatch.median { _ = try backend.matmul(a, b, options) }
    let bytes = 4 * (m * k + n * k + m * n)
    return Figure(
      operation: "matmul", m: m, n: n, k: k, transposeB: transposeB, milliseconds: 1e3 * seconds,
      gflops: 2e-9 * Double(m) * Double(n) * Double(k) / seconds,
      gigabytesPerSecond: 1e-9 * Double(bytes) / seconds)
  }

  private func rowOperations(rows: Int, columns: Int, _ stopwatch: Stopwatch) throws -> [Figure] {
    let backend = stopwatch.backend
    let x = try random([rows, columns], backend)
    let cotangent = try random([rows, columns], backend)
    let weight = try random([columns], backend)
    let y = try backend.softmax(x)
    let norm = try backend.layerNorm(x, weight: weight, bias: weight)
    func figure(_ name: String, tensors: Int, _ body: () throws -> Void) throws -> Figure {
      let seconds = try stopwatch.median(body)
      return Figure(
        operation: name, rows: rows, columns: columns, milliseconds: 1e3 * seconds,
        gigabytesPerSecond: 4e-9 * Double(tensors * rows * columns) / seconds)
    }
    return [
      try figure("softmax", tensors: 2) { _ = try backend.softmax(x) },
      try figure("softmaxBackward", tensors: 3) { _ = try backend.softmaxBackward(cotangent, y: y) },
      try figure("layerNorm", tensors: 2) { _ = try backend.layerNorm(x, weight: weight, bias: weight) },
      try figure("layerNormBackward", tensors: 3) {
        _ = try backend.layerNormBackward(cotangent, x: x, weight: weight, mean: norm.mean, rstd: norm.rstd)
      },
      try figure("gelu_tanh", tensors: 2) { _ = try backend.activation(.geluTanh, x) },
      try figure("gelu_tanhBackward", tensors: 3) { _ = try backend.activationBackward(.geluTanh, cotangent, x: x) },
      try figure("add", tensors: 3) { _ = try backend.add(x, cotangent) },
    ]
  }

  private func random(_ shape: Shape, _ backend: any ComputeBackend) throws -> Tensor {
    var generator = Philox(seed: 1, stream: UInt64(shape.count))
    return try backend.tensor((0..<shape.count).map { _ in generator.nextUniform() - 0.5 }, shape)
  }
}
