import Compute

extension OpenCLBackend {
  public func sumOfSquares(_ x: Tensor) throws -> Double {
    try blocks("block_sum_of_squares", x).reduce(0) { $0 + Double($1) }
  }

  public func sum(_ x: Tensor) throws -> Double {
    try blocks("block_sum", x).reduce(0) { $0 + Double($1) }
  }

  public func firstNonFinite(_ x: Tensor) throws -> Int? {
    guard !x.isEmpty else { return nil }
    let partial = try allocate([(x.count + lanes.block - 1) / lanes.block], .i32)
    try runBlocks("reductions.cl", "block_first_non_finite", count: x.count, [.tensor(x), .tensor(partial)])
    let places = try integers(partial)
    return places.firstIndex { $0 >= 0 }.map { $0 * lanes.block + Int(places[$0]) }
  }

  private func blocks(_ kernel: String, _ x: Tensor) throws -> [Float] {
    guard !x.isEmpty else { return [] }
    let partial = try allocate([(x.count + lanes.block - 1) / lanes.block], .f32)
    try runBlocks("reductions.cl", kernel, count: x.count, [.tensor(x), .tensor(partial)])
    return try values(partial)
  }
}
