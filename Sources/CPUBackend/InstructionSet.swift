import CPUTiles

/// A set of innermost loops compiled for one extension of the processor's instruction set.
struct InstructionSet: Sendable, CustomStringConvertible {
  /// `sse2`, `avx2`, `avx512`, `avx512-bf16`, `neon`.
  let name: String
  private let number: Int32

  /// Those that this processor runs, the plainest first.
  static let available: [InstructionSet] = (0..<cpu_tiles_count()).compactMap { number in
    cpu_tiles(number).map { InstructionSet(name: String(cString: $0.pointee.name), number: number) }
  }

  /// The functions, in constant memory.
  var tiles: UnsafePointer<CPUTiles> {
    guard let tiles = cpu_tiles(number) else { preconditionFailure("\(name) was available a moment ago") }
    return tiles
  }

  var description: String { name }
}
