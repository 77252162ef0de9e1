/// The extents of a row-major tensor, outermost first.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
  public let dimensions: [Int]

  public init(_ dimensions: [Int]) {
    precondition(dimensions.allSatisfy { $0 >= 0 }, "a dimension cannot be negative")
    self.dimensions = dimensions
  }

  public init(arrayLiteral elements: Int...) { self.init(elements) }

  /// How many dimensions there are.
  public var rank: Int { dimensions.count }

  /// How many elements there are; 1 for a scalar.
  public var count: Int { dimensions.reduce(1, *) }

  /// The last dimension: the length of a row.
  ///
  /// 1 for a scalar.
  public var columns: Int { dimensions.last ?? 1 }

  /// The product of all dimensions but the last.
  public var rows: Int { dimensions.dropLast().reduce(1, *) }

  /// The same leading dimensions with another last one.
  public func withColumns(_ columns: Int) -> Shape { Shape(dimensions.dropLast() + [columns]) }

  public subscript(_ axis: Int) -> Int { dimensions[axis] }

  public var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}
