/// Which bytes of a block of memory are in use: for backends that cut large blocks into the memory of tensors.
///
/// What comes back is joined with its free neighbours. Batches differ in their numbers of rows, so that memory which one
/// batch used serves the next whatever its sizes are.
public struct FreeSpace: Sendable {
  /// Bytes of the block.
  public let capacity: Int
  /// What is not in use, by offset; no two of them touch.
  private var pieces: [Range<Int>]

  /// A block of which nothing is in use.
  public init(capacity: Int) {
    self.capacity = capacity
    pieces = [0..<capacity]
  }

  public var isWhole: Bool { pieces.first?.count == capacity }
  /// Bytes that are not in use, together.
  public var count: Int { pieces.reduce(0) { $0 + $1.count } }

  /// Of the pieces that hold so many bytes the smallest; nil if there is none.
  public func smallestPiece(holding size: Int) -> (index: Int, count: Int)? {
    var best: (index: Int, count: Int)?
    for (index, piece) in pieces.enumerated() where piece.count >= size && piece.count < best?.count ?? .max {
      best = (index, piece.count)
    }
    return best
  }

  /// The offset of the first `size` bytes of a piece, which are in use from now on.
  public mutating func take(_ size: Int, fromPiece index: Int) -> Int {
    let piece = pieces[index]
    precondition(size <= piece.count, "a piece is smaller than what is taken from it")
    if size == piece.count { pieces.remove(at: index) } else { pieces[index] = piece.dropFirst(size) }
    return piece.lowerBound
  }

  /// Bytes that are no longer in use.
  public mutating func giveBack(_ offset: Int, _ size: Int) {
    var piece = offset..<offset + size
    var index = pieces.firstIndex { $0.lowerBound > offset } ?? pieces.endIndex
    if index < pieces.endIndex, pieces[index].lowerBound == piece.upperBound {
      piece = piece.lowerBound..<pieces[index].upperBound
      pieces.remove(at: index)
    }
    if index > 0, pieces[index - 1].upperBound == piece.lowerBound {
      index -= 1
      piece = pieces[index].lowerBound..<piece.upperBound
      pieces.remove(at: index)
    }
    pieces.insert(piece, at: index)
  }
}

extension Sequence {
  /// Where a request is served best: the place of the block and its piece, the smallest of all that are large enough, so
  /// that large ones stay whole; nil if none is.
  public func bestPlace(holding size: Int, _ space: (Element) -> FreeSpace) -> (block: Int, piece: Int)? {
    var best: (block: Int, piece: Int, count: Int)?
    for (block, element) in enumerated() {
      guard let piece = space(element).smallestPiece(holding: size), piece.count < best?.count ?? .max else { continue }
      best = (block, piece.index, piece.count)
    }
    return best.map { ($0.block, $0.piece) }
  }
}
