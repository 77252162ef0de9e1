import Compute
import Testing

@Suite struct FreeSpaceTests {
  /// Random requests never overlap, lie inside the block, and leave one piece when all have come back.
  @Test func piecesAreJoinedAgain() throws {
    var random = Philox(seed: 3)
    var space = FreeSpace(capacity: 10_000)
    var taken: [Range<Int>] = []
    for turn in 0..<2000 {
      let size = random.nextIndex(below: 900) + 1
      if let piece = space.smallestPiece(holding: size) {
        #expect(piece.count >= size)
        let offset = space.take(size, fromPiece: piece.index)
        let range = offset..<offset + size
        #expect(offset >= 0 && range.upperBound <= 10_000 && !taken.contains { $0.overlaps(range) }, "turn \(turn)")
        taken.append(range)
      } else {
        let range = taken.remove(at: random.nextIndex(below: taken.count))
        space.giveBack(range.lowerBound, range.count)
      }
      #expect(space.count == 10_000 - taken.reduce(0) { $0 + $1.count })
    }
    #expect(!space.isWhole)
    for range in taken { space.giveBack(range.lowerBound, range.count) }
    #expect(space.isWhole && space.count == 10_000)
  }

  @Test func theSmallestPieceThatFitsIsTaken() throws {
    var space = FreeSpace(capacity: 100)
    let offsets = [30, 10, 20, 10, 30].map { space.take($0, fromPiece: 0) }
    #expect(offsets == [0, 30, 40, 60, 70])
    space.giveBack(0, 30)
    space.giveBack(40, 20)
    #expect(space.smallestPiece(holding: 15).map { $0 == (1, 20) } == true)
    #expect(space.smallestPiece(holding: 25).map { $0 == (0, 30) } == true)
    #expect(space.smallestPiece(holding: 31) == nil)
    let blocks = [FreeSpace(capacity: 64), space, FreeSpace(capacity: 21)]
    #expect(blocks.bestPlace(holding: 20) { $0 }.map { $0 == (1, 1) } == true)
    #expect(blocks.bestPlace(holding: 21) { $0 }.map { $0 == (2, 0) } == true)
    #expect(blocks.bestPlace(holding: 65) { $0 } == nil)
  }
}
