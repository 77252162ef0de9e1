extension ComputeBackend {
  /// The default body: reads X and adds up in Double on the host.
  public func sumOfSquares(_ x: Tensor) throws -> Double {
    try values(x).reduce(0) { $0 + Double($1) * Double($1) }
  }

  /// The default body: reads X and adds up in Double on the host.
  public func sum(_ x: Tensor) throws -> Double { try values(x).reduce(0) { $0 + Double($1) } }

  /// The default body: reads X and searches on the host.
  public func firstNonFinite(_ x: Tensor) throws -> Int? { try values(x).firstIndex { !$0.isFinite } }
}
