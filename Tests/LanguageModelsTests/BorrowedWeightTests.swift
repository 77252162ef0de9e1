import Compute
import Foundation
import TestSupport
import Testing

@testable import LanguageModels

/// Large frozen weights, which a device may read where they lie in the file.
@Suite struct BorrowedWeightTests {
  private static let (rows, columns) = (384, 800)

  private static func folder(_ values: [Float]) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    // A short name moves the data to an address that is no multiple of a vector.
    try SafetensorsWriter.write(
      [.init(name: "w", shape: [rows, columns], floats: values)], to: folder.file("model.safetensors"))
    return folder
  }

  /// With many rows the weight is read where it lies; with few, it is packed.
  @Test(arguments: Backends.available, [20, 3]) func `products and rows are those of the file, every time`(
    _ device: TestBackend, _ count: Int
  ) throws {
    let backend = try device.make()
    let values = normals(Self.rows * Self.columns, seed: 1)
    let folder = try Self.folder(values)
    let weight = try Checkpoint(directory: folder.url)
      .load("w", shape: [Self.rows, Self.columns], precision: .checkpoint, isFrozen: true, on: backend)
    let (x, c) = (normals(count * Self.rows, seed: 2), normals(count * Self.columns, seed: 3))
    var (forward, backward) = (
      [Double](repeating: 0, count: count * Self.columns), [Double](repeating: 0, count: count * Self.rows)
    )
    for i in 0..<count {
      for k in 0..<Self.rows {
        for j in 0..<Self.columns {
          let w = Double(values[k * Self.columns + j])
          forward[i * Self.columns + j] += Double(x[i * Self.rows + k]) * w
          backward[i * Self.rows + k] += Double(c[i * Self.columns + j]) * w
        }
      }
    }
    #expect(backend.memory.current >= weight.byteCount)
    let options = MatmulOptions(frozen: true)
    for _ in 0..<2 {
      // Sums of up to 800 products of about 1, each rounded to half a unit of sums of about 30.
      expectClose(
        try backend.values(try backend.matmul(try backend.tensor(x, [count, Self.rows]), weight, options)), forward,
        within: 1e-3)
      expectClose(
        try backend.values(try backend.matmulBackwardA(try backend.tensor(c, [count, Self.columns]), weight, options)),
        backward, within: 1e-3)
      #expect(try backend.values(weight) == values)
      let row = try backend.values(try backend.gatherRows(weight, try backend.indices([383])))
      #expect(row == Array(values[(383 * Self.columns)...]))
    }
  }

  @Test(arguments: Backends.available) func `writing changes no file`(_ device: TestBackend) throws {
    let backend = try device.make()
    let values = normals(Self.rows * Self.columns, seed: 4)
    let folder = try Self.folder(values)
    let before = try Data(contentsOf: folder.file("model.safetensors"))
    let weight = try Checkpoint(directory: folder.url)
      .load("w", shape: [Self.rows, Self.columns], precision: .checkpoint, isFrozen: true, on: backend)
    try backend.fill(weight, with: 2)
    #expect(try backend.values(weight).allSatisfy { $0 == 2 })
    #expect(try Data(contentsOf: folder.file("model.safetensors")) == before)
  }
}
